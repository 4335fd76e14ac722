/** A data folder with half a year in it: ordinary days for every shipped control, what breaks some of them, and attestations of the views. */
import { replay } from "../actors/kernel/replay.ts";
import { primitives } from "../adapters/cli/fold.ts";
import type { AuditWritten } from "../adapters/cli/audits.ts";
import { openKeys } from "../adapters/keys/keys.ts";
import { inlineBackground } from "../adapters/kv/background.ts";
import { FolderReader } from "../adapters/kv/folder_reader.ts";
import { KvLog } from "../adapters/kv/log.ts";
import { KvStore } from "../adapters/kv/store.ts";
import { type AuditOptions, writeAudit } from "../adapters/program/audit.ts";
import { readControls } from "../adapters/program/controls_files.ts";
import { systemClock, systemRandom } from "../adapters/system/world.ts";
import type { Event } from "../events/event.ts";
import type { NewEvent } from "../events/log.ts";
import { events } from "../events/mod.ts";
import { DIGEST_METHOD } from "../projections/digest.ts";
import { projections } from "../projections/mod.ts";
import { BEGAN, DAY, storyOf } from "./controls_given.ts";
import { SOWINGS } from "./control_stories/sowings.ts";
import { inFolder } from "./folder_given.ts";

/** What is said in plain text before it is sealed. */
export const SECRET = "Erika Mustermann";

/** Controls that are broken in the log. */
export const BROKEN = ["lockout-after-failures", "privileged-roles-approved"] as const;

/** The shipped ones, and the version of the program that these folders are written by. */
export const controls = await readControls();
export const VERSION = "1.2.3";

export interface Audited {
  /** The data folder. */
  readonly data: string;
  readonly size: number;
  /** Public key of the log. */
  readonly vkey: string;
  /** Checkpoints at each `signed` and at the end. */
  readonly notes: readonly string[];
  /** Positions of the attestations. */
  readonly attested: readonly number[];
}

const newEvent = ({ specversion: _, revision: _r, position: _p, recordedat: _a, ...event }: Event): NewEvent => event;

/** `falsely`: the last attestations say what no fold gives. */
export const makeAudited = async (
  data: string,
  { falsely = false, seed = 1, also = [], unattested = false }: {
    readonly falsely?: boolean;
    readonly seed?: number;
    /** Events beside the story, as they are. */
    readonly also?: readonly NewEvent[];
    /** Nothing is attested behind them. */
    readonly unattested?: boolean;
  } = {},
): Promise<Audited> => {
  await Deno.mkdir(data, { recursive: true });
  let now = BEGAN;
  const clock = { ...systemClock, now: () => now };
  const keys = openKeys({ path: `${data}/keys.db`, clock, catalogue: events, origin: "audited" });
  const store = await KvStore.open(`${data}/log.db`, { clock, random: systemRandom });
  const notes: string[] = [];
  const log = await KvLog.open(store, {
    catalogue: events,
    clock,
    background: inlineBackground(store, clock),
    signer: { origin: "audited", sign: (size, root) => keys.logKey.checkpoint(size, root) },
  });
  const story = storyOf(seed);
  story.say(BEGAN, "kernel.process.started", { version: "1", root: "daybook", clean: true });
  for (const { clean } of Object.values(SOWINGS)) clean(story);
  for (const id of BROKEN) for (const sow of SOWINGS[id]!.broken) sow(story);
  // Those of a story say what no fold gives.
  const told = story.log().events.filter(({ type }) => type !== "kernel.projection.attested");
  const append = async (...next: readonly NewEvent[]) => {
    const answer = await log.append({ events: next });
    if (!answer.ok) throw new Error(JSON.stringify(answer));
  };
  const attested: number[] = [];
  const attest = async (wrong = false) => {
    const { views } = replay({ log, projections, primitives });
    for (const { name, version, size, rows, digest } of views.filter(({ rows }) => rows > 0)) {
      attested.push(log.size);
      const data = { projection: name, version, size, rows, digest, method: DIGEST_METHOD };
      const told = wrong ? { ...data, rows: rows + 1 } : data;
      await append(ours("kernel.projection.attested", `attested-${log.size}`, told));
    }
  };
  try {
    const half = Math.floor(told.length / 2);
    for (const [i, event] of told.entries()) {
      now = Math.max(now, Date.parse(event.recordedat));
      await append(newEvent(event));
      if (i !== half) continue;
      await attest();
      notes.push((await log.checkpoint(log.size))!.note);
    }
    now += DAY / 24;
    const somebody = ours("identity.signin.observed", "somebody", {
      service: "sshd",
      outcome: "accepted",
      name: SECRET,
    });
    const sealed = keys.sealer.seal([somebody]);
    if (!sealed.ok) throw new Error(JSON.stringify(sealed.issues));
    await append(...sealed.events, ...also);
    if (!unattested) await attest(falsely);
    const { note, size } = (await log.checkpoint(log.size))!;
    notes.push(note);
    keys.logKey.remember(note);
    return { data, size, vkey: keys.logKey.signer.vkey, notes, attested };
  } finally {
    await log.close();
    keys.close();
  }
};

export const ours = (type: string, id: string, data: unknown): NewEvent => ({
  id,
  source: "urn:test",
  type,
  stream: "kernel/projections",
  version: 1,
  time: new Date(BEGAN).toISOString(),
  authtype: "system",
  authid: "daybook",
  data,
});

/** Writes the audit folder of such a log. */
export const writeAuditOf = async (
  { data, vkey }: Pick<Audited, "data" | "vkey">,
  folder: string,
  more: Partial<AuditOptions> = {},
): Promise<AuditWritten> => {
  const log = new FolderReader(`${data}/log.db`, { catalogue: events });
  try {
    const options: AuditOptions = {
      log,
      checkpoint: (await log.checkpoint())!,
      key: vkey,
      asked: {},
      controls,
      cosigned: [],
      witnesses: [],
      version: VERSION,
      ...more,
    };
    return await writeAudit(options, folder, () => {});
  } finally {
    await log.close();
  }
};

/** The audit folder of such a log, gone afterwards. */
export const withAudit = (use: (folder: string) => Promise<void>): Promise<void> =>
  inFolder(async (scratch) => {
    const written = await writeAuditOf(await makeAudited(`${scratch}/data`), `${scratch}/audit`);
    if (!written.ok) throw new Error(JSON.stringify(written.failures));
    await use(`${scratch}/audit`);
  });
