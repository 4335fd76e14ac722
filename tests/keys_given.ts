/** A catalogue with personal fields of every kind, and key databases to try it on. */
import { z } from "zod";
import { type Keys, type KeysOptions, openKeys } from "../adapters/keys/keys.ts";
import { catalogue } from "../events/catalogue.ts";
import type { FactType, StreamId } from "../events/event.ts";
import { personal, pseudonym } from "../events/personal.ts";

const person = z.strictObject({
  name: personal({ subject: "email" }),
  email: personal({ subject: "email" }),
  account: pseudonym({ of: "email" }),
});

const observed = (schema: z.ZodType) => ({ kind: "observed" as const, about: "For tests.", schema });

export const people = catalogue({
  name: "people",
  facts: {
    "people.change.made": observed(z.strictObject({ sha: z.string(), author: person, committer: person.optional() })),
    "people.list.kept": observed(z.strictObject({
      owner: z.string(),
      members: z.array(z.strictObject({ name: personal({ subject: "name" }), note: z.string().optional() })),
      aliases: z.record(z.string(), personal({ subject: "owner" })),
    })),
    "people.door.opened": observed(z.strictObject({ door: z.string() })),
  },
});

export const ADA = { name: "Ada Lovelace", email: "ada@example.com" };
export const GRACE = { name: "Grace Hopper", email: "grace@example.com" };
export const MAY = Date.parse("2024-05-06T07:08:09Z");

export interface Given {
  readonly type: FactType;
  readonly stream: StreamId;
  readonly source: string;
  readonly id: string;
  readonly time: string;
  readonly data?: unknown;
  readonly data_base64?: string;
}

export const event = (type: FactType, data: unknown, over: Partial<Given> = {}): Given => ({
  type,
  stream: "people/house",
  source: "https://example.com/house",
  id: "c0ffee",
  time: "2024-05-06T07:08:09Z",
  data,
  ...over,
});

export const change = (author: unknown, over: Partial<Given> = {}): Given =>
  event("people.change.made", { sha: "c0ffee", author }, over);

/** A clock that stands still until it is set. */
export const clockAt = (at: number) => {
  const clock = { at, now: () => clock.at };
  return clock;
};

/** Runs against a key database on disk in a folder of its own, which is removed afterwards. */
export const onDisk = async (use: (options: KeysOptions & { readonly dir: string }) => unknown): Promise<void> => {
  const dir = Deno.makeTempDirSync();
  try {
    await use({ dir, path: `${dir}/keys.db`, clock: { now: () => MAY }, catalogue: people });
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
};

/** What is asked of a key database, which is closed again. */
export const using = <T>(options: KeysOptions, use: (keys: Keys) => T): T => {
  const keys = openKeys(options);
  try {
    return use(keys);
  } finally {
    keys.close();
  }
};

export const inMemory = (use: (keys: Keys) => void, options: Partial<KeysOptions> = {}): void =>
  using({ path: ":memory:", clock: { now: () => MAY }, catalogue: people, ...options }, use);

/** The events sealed; fails the test when they were refused. */
export const sealed = <T extends Given>(keys: Keys, ...events: readonly T[]): readonly T[] => {
  const outcome = keys.sealer.seal(events);
  if (!outcome.ok) throw new Error(`refused: ${JSON.stringify(outcome.issues)}`);
  return outcome.events;
};
