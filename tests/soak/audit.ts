/** What an audit folder of many events comes to: its size, and what writing and checking it takes, each in a process of its own. */
import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import { replay } from "../../actors/kernel/replay.ts";
import { primitives } from "../../adapters/cli/fold.ts";
import { openKeys } from "../../adapters/keys/keys.ts";
import { inlineBackground } from "../../adapters/kv/background.ts";
import { FolderReader } from "../../adapters/kv/folder_reader.ts";
import { KvLog } from "../../adapters/kv/log.ts";
import { KvStore } from "../../adapters/kv/store.ts";
import { writeAudit } from "../../adapters/program/audit.ts";
import { checkAudit } from "../../adapters/program/audit_check.ts";
import { readControls } from "../../adapters/program/controls_files.ts";
import { systemClock, systemRandom } from "../../adapters/system/world.ts";
import type { NewEvent } from "../../events/log.ts";
import { events as catalogue } from "../../events/mod.ts";
import { DIGEST_METHOD } from "../../projections/digest.ts";
import { projections } from "../../projections/mod.ts";
import { inFolder, rounded, rss } from "./rig.ts";

const SELF = fileURLToPath(import.meta.url);
const DAY = 86_400_000;
const BEGAN = Date.UTC(2026, 0, 1);
const BATCH = 500;
const SIGNED_EVERY = 25_000;
const ACCOUNTS = 50;

interface Part {
  readonly seconds: number;
  /** Most that the process had at any time, MiB. */
  readonly rss: number;
}

export interface Audits {
  readonly events: number;
  readonly bytes: number;
  readonly files: number;
  readonly write: Part;
  readonly check: Part;
  /** It was written, it holds, and its states equal what was attested. */
  readonly ok: boolean;
  readonly attested: number;
}

/** Over half a year of sign-ins, gates, deployments and what nobody knows the type of. */
export const audits = (events: number): Promise<Audits> =>
  inFolder(async (folder) => {
    const vkey = await history(`${folder}/data`, events);
    const written = await inChild("write", folder, vkey);
    const checked = await inChild("check", folder, vkey);
    const { size, bytes, files } = written;
    return {
      events: Number(size),
      bytes: Number(bytes),
      files: Number(files),
      write: partOf(written),
      check: partOf(checked),
      ok: written.ok === true && checked.ok === true,
      attested: Number(checked.attested),
    };
  });

type Said = Readonly<Record<string, unknown>>;
const partOf = ({ seconds, rss }: Said): Part => ({ seconds: Number(seconds), rss: Number(rss) });

const inChild = async (...args: readonly string[]): Promise<Said> => {
  const { code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-q", "-A", SELF, ...args],
    stdout: "piped",
    stderr: "inherit",
  }).output();
  if (code !== 0) throw new Error(`the child ended with ${code}`);
  return JSON.parse(new TextDecoder().decode(stdout));
};

const sha = (n: number): string => createHash("sha1").update(String(n)).digest("hex");
const accountOf = (n: number): string => `u_${String(n % ACCOUNTS).padStart(20, "0")}`;

const KINDS: readonly ((n: number) => Pick<NewEvent, "type" | "stream" | "data">)[] = [
  (n) => ({
    type: "identity.signin.succeeded",
    stream: `identity/${accountOf(n)}`,
    data: { account: accountOf(n), session: `s${String(n).padStart(20, "0")}`, methods: ["password"] },
  }),
  (n) => ({
    type: "identity.signin.failed",
    stream: `identity/${accountOf(n)}`,
    data: { account: accountOf(n), method: "password", reason: "wrong_secret", failures: 1 },
  }),
  (n) => ({ type: "releases.gate.passed", stream: "releases/garden", data: { commit: sha(n), gate: "tests" } }),
  (n) => ({
    type: "releases.deployment.started",
    stream: "releases/garden",
    data: { deployment: `d${n}`, commit: sha(n), environment: "production" },
  }),
  (n) => ({ type: "soak.thing.happened", stream: "inbox/sensor", data: { n, text: "something was seen somewhere" } }),
];

const eventAt = (n: number, time: number): NewEvent => ({
  id: `e${n}`,
  source: "https://ci.example/garden",
  version: 1,
  time: new Date(time).toISOString(),
  authtype: "user",
  authid: "u_operator",
  ...KINDS[(n * 7 + (n >> 3)) % KINDS.length]!(n),
});

/** A data folder with so many events, and what every view holds attested behind them. Answers the log's public key. */
const history = async (data: string, events: number): Promise<string> => {
  await Deno.mkdir(data);
  let now = BEGAN;
  const clock = { ...systemClock, now: () => Math.floor(now) };
  const keys = openKeys({ path: `${data}/keys.db`, clock, catalogue, origin: "soak" });
  const store = await KvStore.open(`${data}/log.db`, { clock: systemClock, random: systemRandom });
  const log = await KvLog.open(store, {
    catalogue,
    clock,
    background: inlineBackground(store, systemClock),
    signer: { origin: "soak", sign: (size, root) => keys.logKey.checkpoint(size, root) },
  });
  try {
    const append = async (batch: readonly NewEvent[]) => {
      const answer = await log.append({ events: batch });
      if (!answer.ok) throw new Error(JSON.stringify(answer).slice(0, 300));
    };
    for (let n = 0; n < events; n += BATCH) {
      await append(Array.from({ length: Math.min(BATCH, events - n) }, (_, i) => eventAt(n + i, now)));
      now += 180 * DAY * BATCH / events;
      if (n % SIGNED_EVERY === 0) await log.checkpoint(log.size);
    }
    const { views } = replay({ log, projections, primitives });
    await append(views.map(({ name, version, size, rows, digest }) => ({
      ...eventAt(0, now),
      id: `attested-${name}`,
      type: "kernel.projection.attested",
      stream: "kernel/projections",
      data: { projection: name, version, size, rows, digest, method: DIGEST_METHOD },
    })));
    await log.checkpoint(log.size);
    return keys.logKey.signer.vkey;
  } finally {
    await log.close();
    keys.close();
  }
};

const measured = async (work: (progress: () => void) => Promise<Said>): Promise<void> => {
  const began = performance.now();
  let most = rss();
  const said = await work(() => void (most = Math.max(most, rss())));
  const seconds = rounded((performance.now() - began) / 1_000);
  console.log(JSON.stringify({ ...said, seconds, rss: Math.max(most, rss()) }));
};

const version = "soak";

const write = async (folder: string, key: string, progress: () => void): Promise<Said> => {
  const log = new FolderReader(`${folder}/data/log.db`, { catalogue });
  try {
    const controls = await readControls();
    const checkpoint = (await log.checkpoint())!;
    const options = { log, checkpoint, key, asked: {}, controls, cosigned: [], witnesses: [], version };
    const written = await writeAudit(options, `${folder}/audit`, progress);
    if (!written.ok) return { ok: false };
    const { ok, size, bytes, files } = written;
    return { ok, size, bytes, files };
  } finally {
    await log.close();
  }
};

const check = async (folder: string, key: string, progress: () => void): Promise<Said> => {
  const own = await readControls();
  const options = { folder: `${folder}/audit`, key, witnesses: [], against: [], version, own };
  const { ok, state } = await checkAudit(options, progress);
  return { ok, attested: state?.attested };
};

if (import.meta.main) {
  const [what, folder, key] = Deno.args as [string, string, string];
  await measured((progress) => (what === "write" ? write : check)(folder, key, progress));
}
