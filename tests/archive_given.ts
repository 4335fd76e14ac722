/** A log whose beginning is archived, by the real program. */
import { openSystem } from "../adapters/program/daybook.ts";
import { writeArchive } from "../adapters/program/archive_folder.ts";
import { operate } from "../adapters/program/operations.ts";
import { FolderReader } from "../adapters/kv/folder_reader.ts";
import { archiveIn } from "../adapters/program/archive_source.ts";
import type { Config } from "../config/config.ts";
import { DEFAULTS } from "../config/shipped.ts";
import { events } from "../events/mod.ts";

export type System = Awaited<ReturnType<typeof openSystem>>;

const PRINCIPAL = { authtype: "system", authid: "tests" } as const;
const ignored = () => {};

/** Opens a folder as its writer. */
export const opened = async <T>(
  data: string,
  use: (system: System) => Promise<T>,
  { archive }: { readonly archive?: string } = {},
): Promise<T> => {
  const plain = DEFAULTS;
  const config: Config = { ...plain, log: { ...plain.log, archive: archive ?? null } };
  const system = await openSystem({ data, config });
  try {
    return await use(system);
  } finally {
    await system.daybook.close();
  }
};

export const incoming = (n: number) => ({
  id: `e-${n}`,
  source: `urn:tests/${n % 3}`,
  type: "tests.thing.happened",
  data: { n, text: `text ${n} Grüße` },
});

/** So many events, some to a commit, so that blocks and bundles have different edges. */
export const append = async (
  { daybook }: Pick<System, "daybook">,
  from: number,
  count: number,
  each = 37,
): Promise<void> => {
  for (let at = from; at < from + count; at += each) {
    const batch = Array.from({ length: Math.min(each, from + count - at) }, (_, i) => incoming(at + i));
    const done = await daybook.ingest(batch, PRINCIPAL);
    if (!done.ok) throw new Error(JSON.stringify(done));
  }
};

export interface Begun {
  readonly from: number;
  readonly until: number;
  readonly root: string;
  readonly note: string;
  readonly key: string;
}

export const asked = (system: System, name: string, input: unknown) =>
  operate(system, name, { input, progress: ignored, signal: new AbortController().signal });

export const begin = (system: System, position: number): Promise<Begun> =>
  asked(system, "begin-archive", { before: { position } }) as Promise<Begun>;

export const end = (system: System, { until, root }: Pick<Begun, "until" | "root">) =>
  asked(system, "end-archive", { until, root }) as Promise<{
    readonly until: number;
    readonly kept: number;
    readonly blocks: number;
    readonly position?: number;
  }>;

/** Reads the folder's log as another process does. */
export const reading = async <T>(
  data: string,
  use: (log: FolderReader) => T | Promise<T>,
  archive?: string,
): Promise<T> => {
  const log = new FolderReader(`${data}/log.db`, { catalogue: events, archive: archiveIn(archive) });
  try {
    return await use(log);
  } finally {
    await log.close();
  }
};

/** The whole way: what is before a position goes to a folder. */
export const archived = async (system: System, data: string, to: string, position: number) => {
  const begun = await begin(system, position);
  if (begun.until <= begun.from) return { ...begun, kept: 0, blocks: 0 };
  await reading(data, (log) => writeArchive(log, to, begun, ignored));
  return { ...begun, ...await end(system, begun) };
};
