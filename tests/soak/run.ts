/**
 * `deno task soak [--only ids,cold,catch-up,verify,attested,audit,outages,growth,sign-in,signins,kill,calls,power,services,controls,tables,simulation] [--scale 0.1]`: the long runs, and one table of what they
 * measured. The same code runs with small numbers in `soak_test.ts`. Exits 1 when something did not hold.
 */
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import Table from "cli-table3";
import { attested } from "./attested.ts";
import { audits } from "./audit.ts";
import { catchUp } from "./catch_up.ts";
import { coldStream } from "./cold_stream.ts";
import { growth } from "./growth.ts";
import { manyIds } from "./ids.ts";
import { kills, sweep } from "../end_to_end/stack_kills.ts";
import { recoveries, type Spread } from "../end_to_end/stack_recoveries.ts";
import { storms } from "../end_to_end/stack_storms.ts";
import { pathOf } from "../installed_given.ts";
import { outages } from "./outages.ts";
import { signinTiming } from "./signin_timing.ts";
import { signins } from "./signins.ts";
import { verified } from "./verified.ts";

/** A run that did not begin is nothing that did not hold. */
const wrong = (because: string): never => {
  console.error(`${because}\ndeno task soak [--only PARTS] [--scale 0.1]`);
  Deno.exit(2);
};

const given = () => {
  try {
    return parseArgs({ options: { only: { type: "string" }, scale: { type: "string", default: "1" } } }).values;
  } catch (error) {
    return wrong((error as Error).message);
  }
};
const values = given();
const scale = Number(values.scale);
const scaled = (whole: number): number => Math.max(1, Math.round(whole * scale));
const million = (events: number): string => `${events / 1_000_000} M`;

interface Line {
  readonly what: string;
  readonly measured: string;
  readonly must: string;
  readonly held: boolean;
}

const child = async (args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Line> => {
  const began = performance.now();
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...args],
    cwd: fileURLToPath(new URL("../../", import.meta.url)),
    env: { NO_COLOR: "1", ...env },
  }).output();
  const lines = new TextDecoder().decode(stdout).split("\n");
  // A table of its own is shown as it is.
  for (const line of lines) if (/^[┌│├└]/.test(line)) console.error(line);
  const told =
    lines.find((line) => /^killed in|^the power went|seeds of|controls, \d+ seeds|^(?:ok|FAILED) \| /.test(line)) ??
      new TextDecoder().decode(stderr).slice(-600);
  const seconds = Math.round((performance.now() - began) / 1_000);
  return { what: "", measured: `${told} (${seconds} s)`, must: "all hold", held: code === 0 };
};

/** A read as of then may cost so many times the same read now. */
const AS_OF_RATIO_MAX = 5;
/** Memory is flat: behind a first million events it grows by no more. */
const VERIFY_GROWTH_MAX = 1.25;

/** What cannot be tried here did not hold, and did not fail. */
const without = (program: string, what: string): Line => ({ what, measured: `no ${program}`, must: "", held: true });

const parts: Readonly<Record<string, () => Promise<readonly Line[]>>> = {
  async ids() {
    const ids = await manyIds({ ids: scaled(20_000_000), samples: 20_000 });
    // What is there after the first tenth, caches and all, may not grow with the ids but for the filters.
    const growth = ids.rss.at(-1)! - ids.rss[0]!;
    const known = ids.found === ids.asked && ids.recognised === ids.repeated;
    return [
      {
        what: `${million(ids.ids)} distinct ids: known ones`,
        measured: `${ids.found} of ${ids.asked} found, ${ids.recognised} of ${ids.repeated} repeats recognised, ` +
          `${ids.us_per_known} µs each`,
        must: "all",
        held: known,
      },
      {
        what: "… unknown ones",
        measured: `${ids.reads_per_unknown} reads, ${ids.us_per_unknown} µs each`,
        must: "reads ≤ 0.1",
        held: ids.reads_per_unknown <= 0.1,
      },
      {
        what: "… filters",
        measured: `${ids.filter_bytes.toLocaleString("en")} bytes, ${ids.segments} segments`,
        must: `≤ ${ids.filter_bytes_max.toLocaleString("en")}`,
        held: ids.filter_bytes <= ids.filter_bytes_max,
      },
      {
        what: "… memory, MiB after each tenth",
        measured: ids.rss.join(" "),
        must: "grows ≤ 256",
        held: growth <= 256,
      },
      {
        what: "… appends of 1,000",
        measured: `${ids.events_per_s} events/s, longest ${ids.longest_append_ms} ms`,
        must: "",
        held: true,
      },
    ];
  },
  async cold() {
    const cold = await coldStream({ among: scaled(1_000_000), every: 100, rounds: 7 });
    return [{
      what: `a stream of ${cold.events} events among ${million(cold.among)}`,
      measured: `${cold.ms} ms, sequential ${cold.sequential_ms} ms: ${cold.ratio} ×; ` +
        `${cold.reads.blocks} blocks, ${cold.reads.pages} pages, ${cold.reads.bytes} bytes for ${cold.bytes}`,
      must: "≤ 3 ×",
      held: cold.ratio <= 3,
    }];
  },
  async "catch-up"() {
    const { events, seconds, during, beside, rows, size } = await catchUp({
      events: scaled(1_000_000),
      writers: 16,
      beside_ms: 10_000,
    });
    return [{
      what: `all views new to ${million(events)} events`,
      measured: `${seconds} s; appends ${during.per_s}/s, p95 ${during.p95_ms} ms, longest ${during.longest_ms} ms; ` +
        `without ${beside.per_s}/s, p95 ${beside.p95_ms} ms, longest ${beside.longest_ms} ms`,
      must: "appends go on",
      held: rows === size && during.appends > 0,
    }];
  },
  async verify() {
    const sizes = [100_000, 1_000_000, 10_000_000].map(scaled);
    const all = await verified(sizes);
    const [, middle] = all;
    return all.map(({ size, seconds, rss }) => ({
      what: `verify of ${size.toLocaleString("en")} events`,
      measured: `${seconds} s, ${Math.round(size / seconds).toLocaleString("en")} events/s, at most ${rss} MiB`,
      must: `≤ ${VERIFY_GROWTH_MAX} × that of ${sizes[1]!.toLocaleString("en")}`,
      held: rss <= VERIFY_GROWTH_MAX * middle!.rss,
    }));
  },
  async attested() {
    const { events, built_s, replay, reads } = await attested({
      events: scaled(1_000_000),
      rounds: 21,
      each: scaled(10_000),
    });
    const over = reads.filter(({ ratio }) => ratio > AS_OF_RATIO_MAX);
    const told = reads.slice(0, 5).map(({ what, live_ms, at_ms, ratio }) =>
      `${what} ${at_ms}/${live_ms} ms, ${ratio} ×`
    );
    return [
      {
        what: `replay --check of a history of ${million(events)} events`,
        measured:
          `${replay.equal} of ${replay.attestations} attestations and ${replay.views_equal} of ${replay.views} views ` +
          `equal; ${replay.seconds} s, at most ${replay.rss} MiB; built in ${built_s} s`,
        must: "all equal",
        held: replay.ok && replay.attestations > 0 && replay.equal === replay.attestations &&
          replay.views_equal === replay.views,
      },
      {
        what: `… ${reads.length} kinds of reads as of 0.9, 0.5, 0.1 of it, medians in turns with the same read now`,
        measured: `${reads.length - over.length} of ${reads.length} within; dearest: ${told.join("; ")}`,
        must: `≤ ${AS_OF_RATIO_MAX} ×`,
        held: over.length === 0,
      },
    ];
  },
  async audit() {
    const [small, large] = [await audits(scaled(100_000)), await audits(scaled(400_000))];
    return [small, large].map(({ events, bytes, files, write, check, ok, attested }) => ({
      what: `an audit folder of ${events.toLocaleString("en")} events`,
      measured:
        `${(bytes / 1_000_000).toFixed(1)} MB in ${files} files, ${Math.round(bytes / events)} bytes an event; ` +
        `written and verified in ${write.seconds} s with at most ${write.rss} MiB, ` +
        `checked in ${check.seconds} s with ${check.rss} MiB; ${attested} attested states equal`,
      must: "holds",
      held: ok && attested > 0,
    }));
  },
  async outages() {
    if (!pathOf("rsyslogd")) return [without("rsyslogd", "outages of rsyslog")];
    const { events, kills, restarts, received, lines, seconds } = await outages({
      events: scaled(100_000),
      kills: scaled(100),
      seed: 1,
      longest_ms: 2_000,
    });
    return [{
      what: `rsyslog killed ${kills} times, the server restarted ${restarts} times`,
      measured: `${received} of ${events} events, in ${lines} lines; ${seconds} s`,
      must: "all",
      held: received === events,
    }];
  },
  async growth() {
    const lives = await growth([100_000, 1_000_000, 10_000_000].map(scaled));
    const [least] = lives;
    return lives.map((life) => {
      const rate = life.append_per_s / least!.append_per_s;
      const find = life.find_us / least!.find_us;
      const [clean, killed] = [life.open_clean_ms / life.open_empty_ms, life.open_killed_ms / life.open_empty_ms];
      return {
        what: `a log of ${million(life.size)} events`,
        measured: `appends ${life.append_per_s}/s, longest ${life.longest_append_ms} ms; find ${life.find_us} µs, ` +
          `head ${life.head_us} µs, position ${life.position_us} µs; opens in ${life.open_clean_ms} ms after a stop, ` +
          `${life.open_killed_ms} ms after a kill, empty in ${life.open_empty_ms} ms; ${life.rss_open} MiB opened, ` +
          `${life.rss} MiB after; ${life.bytes_per_event} bytes an event`,
        must: "appends ≥ 0.8, find ≤ 1.2 of the first; opens ≤ 3 ×, 10 × empty",
        held: rate >= 0.8 && find <= 1.2 && clean <= 3 && killed <= 10,
      };
    });
  },
  async "sign-in"() {
    const said = { IDENTITY__PASSWORDS__MEMORY_KIB: "19456", IDENTITY__PASSWORDS__PASSES: "2" };
    const { tries, p, median_ms, least_ms } = await signinTiming({ tries: scaled(2_000), said });
    return [{
      what: `${tries.toLocaleString("en")} refused sign-ins, half of them on names that nobody has`,
      measured: `medians ${median_ms.known.toFixed(1)} and ${median_ms.unknown.toFixed(1)} ms, shortest ` +
        `${least_ms.toFixed(1)} ms; Mann–Whitney p = ${p.toFixed(3)}`,
      must: "p > 0.01",
      held: p > 0.01,
    }];
  },
  async signins() {
    const said = { IDENTITY__PASSWORDS__MEMORY_KIB: "19456", IDENTITY__PASSWORDS__PASSES: "2" };
    const load = await signins({ users: scaled(500), steps: 12, seed: 1, said });
    const of = ({ p50, p99, max }: { readonly p50: number; readonly p99: number; readonly max: number }) =>
      `${p50} / ${p99} / ${max} ms`;
    return [{
      what: `${load.users} people sign in, refresh and sign out at once, with Argon2id of 19 MiB and 2 passes`,
      measured:
        `${load.sessions} sessions, ${load.refreshes} refreshes, ${load.refused} refused, in ${load.seconds} s; ` +
        `p50 / p99 / longest: sign-in ${of(load.signin)} (one alone ${load.alone_ms} ms), refresh ${of(load.refresh)}`,
      must: "none lost, doubled or mixed up",
      held: true,
    }, {
      what: "… how late the event loop came to a timer meanwhile",
      measured: of(load.late),
      must: "p99 below a hash",
      held: load.late.p99 < load.alone_ms,
    }];
  },
  async kill() {
    const args = ["test", "-A", "tests/end_to_end/kill_test.ts"];
    return [{ ...await child(args, { DAYBOOK_KILL_ROUNDS: String(scaled(200)) }), what: "killed while answering" }];
  },
  async calls() {
    if (!pathOf("strace")) return [without("strace", "killed at system calls")];
    const args = ["test", "-A", "tests/end_to_end/killed_at_call_test.ts"];
    return [{ ...await child(args, { DAYBOOK_KILL_CALLS: String(scaled(400)) }), what: "killed at system calls" }];
  },
  async power() {
    if (!pathOf("strace")) return [without("strace", "the power cut")];
    const args = ["test", "-A", "tests/end_to_end/power_cut_test.ts"];
    return [{ ...await child(args, { DAYBOOK_POWER_CUTS: String(scaled(200)) }), what: "the power cut" }];
  },
  async services() {
    const { rounds, at_points, at_moments, of_agents, adopted, starts, by_point } = await kills(scaled(100), 1);
    const points = Object.entries(by_point).map(([point, deaths]) => `${point} ${deaths}`).join(", ");
    const [durable, begun] = [await sweep("append.durable", scaled(1)), await sweep("append.begun", scaled(1))];
    const storm = await storms(scaled(1_000), scaled(1_000_000_000));
    const back = await recoveries(scaled(200), 1);
    const of = ({ p50, p95, max }: Spread) => `${p50} / ${p95} / ${max}`;
    return [{
      what: "killed at each commit of a start from nothing",
      measured: `${durable.deaths} deaths right after each of the first commits, ${begun.deaths} right before, ` +
        "until everything was well; after each all came up, none started twice",
      must: "all hold",
      held: durable.deaths > 0 && begun.deaths > 0,
    }, {
      what: "services in the way of others",
      measured: `one ended at once ${storm.starts} times; of ${storm.written} bytes of output ${storm.kept} kept, ` +
        `${storm.lost} recorded as lost; ${storm.events} events; the one beside them was started once`,
      must: "all hold",
      held: storm.starts === scaled(1_000) + 1,
    }, {
      what: `${back.kills} services killed: until healthy again, p50 / p95 / max`,
      measured: `${of(back.down)} ms, of which the back-off schedule states ${of(back.scheduled)} ms and ` +
        `${of(back.late)} ms are ours`,
      must: "all back, none before its schedule",
      held: back.kills === scaled(200),
    }, {
      what: "services, killed among them",
      measured:
        `${rounds} rounds, ${at_points} at boundaries (${points}), ${at_moments} at any moment, ${of_agents} after their ` +
        `agent; ${starts} starts, none made twice, no service twice; ${adopted} rounds found all that ran`,
      must: "all hold",
      held: at_points + at_moments === rounds,
    }];
  },
  async controls() {
    const seeds = String(scaled(200));
    const args = ["test", "--no-check", "-P=test", "tests/controls_table_test.ts"];
    return [{ ...await child(args, { DAYBOOK_CONTROL_SEEDS: seeds }), what: "violations sown against every control" }];
  },
  async tables() {
    const files = [
      "access_matrix",
      "bad_input",
      "contract/views_large",
      "import_hostile",
      "verify_index",
      "verify_threads",
      "end_to_end/hostile",
      "end_to_end/left_open",
    ];
    const args = ["test", "--no-check", "-P=test", ...files.map((name) => `tests/${name}_test.ts`)];
    return [{ ...await child(args, { DAYBOOK_TEST_ALL: "true" }), what: "tables of which CI takes a part" }];
  },
  async simulation() {
    const args = ["run", "-A", "tests/simulation/run.ts", "--seeds", String(scaled(2_000))];
    return [{ ...await child(args), what: "kernel and log under seeds" }];
  },
};

const chosen = values.only?.split(",") ?? Object.keys(parts);
const unknown = chosen.filter((name) => !parts[name]);
if (unknown.length > 0 || !(scale > 0)) {
  wrong(`--only takes ${Object.keys(parts).join(",")}; --scale a number above 0`);
}
const table = new Table({
  head: ["what", "measured", "must", "held"],
  colWidths: [32, 72, 20, 6],
  wordWrap: true,
  style: { head: [], border: [] },
});
/** A part that throws did not hold; what the others measured for hours is not lost for it. */
const linesOf = async (name: string): Promise<readonly Line[]> => {
  try {
    return await parts[name]!();
  } catch (error) {
    console.error(error);
    return [{ what: name, measured: String(error).slice(0, 600), must: "no error", held: false }];
  }
};

let held = true;
for (const name of chosen) {
  console.error(`… ${name}`);
  for (const line of await linesOf(name)) {
    held &&= line.held;
    table.push([line.what, line.measured, line.must, line.held ? "yes" : "NO"]);
  }
}
console.log(table.toString());
Deno.exit(held ? 0 : 1);
