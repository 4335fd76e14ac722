/** How appends, reads and opening change as a log grows. Each life is a process of its own, so that memory and death are real. */
import { fileURLToPath } from "node:url";
import { seededRandom } from "../../adapters/simulation/random.ts";
import { eventAt, fill, type Filled, inFolder, openLog, percentile, rounded, rss } from "./rig.ts";

export interface Life {
  readonly size: number;
  readonly open_ms: number;
  /** Of the log alone after opening, MiB. */
  readonly rss_open: number;
  readonly append_per_s: number;
  readonly longest_append_ms: number;
  readonly find_us: number;
  readonly head_us: number;
  readonly position_us: number;
  readonly rss: number;
  readonly bytes_per_event: number;
}

export interface Grown extends Life {
  readonly open_clean_ms: number;
  readonly open_killed_ms: number;
  /** Of a log without events. */
  readonly open_empty_ms: number;
}

const SELF = fileURLToPath(import.meta.url);
const STREAMS = 100_000;
/** At each size: what it costs, and how long the log takes to open after a clean stop and after SIGKILL; of `openings` after a stop the median. */
export const growth = (sizes: readonly number[], openings = 3): Promise<readonly Grown[]> =>
  inFolder(async (folder) => {
    const grown: Grown[] = [];
    const path = `${folder}/log.db`;
    const empty = `${folder}/empty.db`;
    await live(empty, 0, false);
    const open_empty_ms = await opening(openings, () => live(empty, 0, false));
    for (const size of sizes) {
      const filled = await live(path, size, false);
      const open_clean_ms = await opening(openings, () => live(path, size, false));
      await live(path, size, true);
      const killed = await live(path, 0, false);
      grown.push({ ...filled, open_clean_ms, open_killed_ms: killed.open_ms, open_empty_ms });
    }
    return grown;
  });

const opening = async (openings: number, live: () => Promise<Life>): Promise<number> => {
  const times: number[] = [];
  for (let i = 0; i < openings; i++) times.push((await live()).open_ms);
  return percentile(times, 0.5);
};

/** One life: opens, appends until the log has `size`, asks, and ends; `killed` while it is still appending. */
const live = async (path: string, size: number, killed: boolean): Promise<Life> => {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-q", "-A", SELF, path, String(size), killed ? "go on" : "close"],
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  let said = "";
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    said += text;
    if (killed && said.includes("\n")) {
      child.kill("SIGKILL");
      break;
    }
  }
  const { code } = await child.status;
  if (!killed && code !== 0) throw new Error(`the writer ended with ${code}`);
  return JSON.parse(said.split("\n")[0]!);
};

const EACH = 2_000;
const NOTHING: Filled = { events: 0, seconds: 1, longest_ms: 0 };

const life = async (path: string, until: number, goOn: boolean): Promise<void> => {
  const began = performance.now();
  const { log } = await openLog(path);
  const open_ms = rounded(performance.now() - began);
  const rss_open = rss();
  const make = (n: number) => eventAt(n, STREAMS);
  // The first half warms up, and only the second one is timed; the longest append is that of both.
  const half = Math.round((log.size + until) / 2);
  const first = until > log.size ? await fill(log, half, make) : NOTHING;
  const filled = until > log.size ? await fill(log, until, make) : NOTHING;
  const random = seededRandom(1);
  const { size } = log;
  const us = (ask: (n: number) => void): number => {
    const times: number[] = [];
    for (let i = 0; i < EACH; i++) {
      const n = random.between(0, size);
      const asked = performance.now();
      ask(n);
      times.push((performance.now() - asked) * 1_000);
    }
    return rounded(percentile(times, 0.5));
  };
  const report: Life = {
    size,
    open_ms,
    rss_open,
    append_per_s: Math.round(filled.events / filled.seconds),
    longest_append_ms: Math.round(Math.max(first.longest_ms, filled.longest_ms)),
    find_us: us((n) => log.find("urn:soak", `e${n}`)),
    head_us: us((n) => log.head(make(n).stream)),
    position_us: us((n) => log.entry(n)),
    rss: rss(),
    bytes_per_event: Math.round(log.bytes / Math.max(1, size)),
  };
  // Killed in the midst of it: half a segment's worth lies behind the last one.
  if (goOn) await fill(log, size + 20_000, make);
  console.log(JSON.stringify(report));
  if (goOn) await fill(log, Infinity, make);
  await log.close();
};

if (import.meta.main) {
  const [path, until, then] = Deno.args;
  await life(path!, Number(until), then === "go on");
}
