/** Alerts are looked for: in events and views, across restarts, and told of once. */
import assert from "node:assert/strict";
import type { Daybook } from "../actors/kernel/daybook.ts";
import { AlertWatch } from "../adapters/program/alerts/watch.ts";
import { digestOf } from "../adapters/program/alerts/digest.ts";
import { systemClock } from "../adapters/system/world.ts";
import { parseRules } from "../config/alerting.ts";
import { ALERT_LIMITS } from "../events/alerts.ts";
import type { Event } from "../events/event.ts";
import type { Series } from "../projections/alerts/mod.ts";
import { ViewQuestion } from "../projections/views.ts";
import { openDaybook } from "../main.ts";
import { clockAhead } from "./clock_given.ts";
import { until } from "./until.ts";

const BY = { authtype: "system", authid: "test" } as const;
const never = new AbortController().signal;

interface Watched {
  readonly daybook: Daybook;
  /** A watch that knows nothing yet, with these rules. */
  watch(
    rules: string,
    series?: () => readonly Series[] | undefined,
    other?: Pick<Daybook, "ask" | "log" | "view">,
    report?: (line: string) => void,
  ): AlertWatch;
  say(type: string, data?: object, more?: object): Promise<void>;
  /** Facts of alerts, as `type rule`. */
  facts(): readonly string[];
  all(type: string): readonly Event[];
}

const watched = async (body: (watched: Watched) => Promise<void>, data = ":memory:"): Promise<void> => {
  const daybook = await openDaybook({ data });
  let n = daybook.log.size; // in a folder, ids of the run before are taken
  const all = (type: string): readonly Event[] => [...daybook.log.read({ types: [type] })].flat();
  try {
    await body({
      daybook,
      watch(rules, series, other = daybook, report = (line) => assert.fail(line)) {
        const parsed = parseRules(rules, { file: "rules", path: [] });
        assert.ok(parsed.ok, JSON.stringify(parsed));
        return new AlertWatch({
          daybook: other,
          clock: systemClock,
          rules: parsed.rules,
          everyMs: 10,
          groupMs: 0,
          digest: digestOf,
          ...(series ? { series: () => Promise.resolve(series()) } : {}),
          report,
        });
      },
      async say(type, data = {}, more = {}) {
        const said = await daybook.ingest([{ id: `e${n++}`, source: "/ci", type, data, ...more }], BY);
        assert.ok(said.ok);
      },
      facts: () =>
        [...daybook.log.read({})].flat().filter(({ type }) => /^alerts\.(alert|condition|rule)/.test(type)).map((
          { type, stream },
        ) => `${type.slice(7)} ${stream.slice(7)}`),
      all,
    });
  } finally {
    await daybook.close();
  }
};

const MOVE = {
  type: "commits.branch.move",
  id: "shop",
  data: { branch: "main", to: "c0ffee".padEnd(40, "0") },
  by: BY,
};

const FAILED =
  "job: { title: A job has failed, when: { type: ci.job.failed }, until: { type: ci.job.passed }, per: [data.job] }";

Deno.test("what begins and ends in the log is raised and resolved, once, whoever looks again", async () => {
  await watched(async ({ daybook, watch, say, facts, all }) => {
    await say("ci.job.failed", { job: "build" });
    const first = watch(FAILED);
    await first.look(never);
    await first.look(never);
    await watch(FAILED).look(never);
    assert.deepEqual(facts(), ["alert.raised job"]);
    await until("it is told", () => all("alerts.group.notified").length === 1);
    await say("ci.job.passed", { job: "build" });
    // One that was away meanwhile, and knows only what is on record.
    await watch(FAILED).look(never);
    await first.look(never);
    assert.deepEqual(facts(), ["alert.raised job", "alert.resolved job"]);
    await until("it is told to be over", () => all("alerts.group.notified").length === 2);
    const told = all("alerts.group.notified").map(({ data }) =>
      data as { status: string; resolved: readonly unknown[] }
    );
    assert.deepEqual(told.map(({ status, resolved }) => [status, resolved.length]), [["raised", 0], ["resolved", 1]]);
    const { size } = daybook.log;
    await first.look(never);
    await first.look(never);
    assert.equal(daybook.log.size, size, "nothing new, nothing recorded");
  });
});

Deno.test("a row of a view that is so is an alert, with when it became so", async () => {
  await watched(async ({ daybook, watch, all, facts }) => {
    const rules = "branch: { title: A branch has moved, view: commits.branches, where: { branch: main }, show: [to] }";
    const move = {
      type: "commits.branch.move",
      id: "shop",
      data: { branch: "main", to: "c0ffee".padEnd(40, "0") },
      by: BY,
    };
    const moved = await daybook.ask(move as never);
    assert.ok(moved.is === "accepted");
    await daybook.view("commits.branches", { wait: moved.position, deadline: 120_000 });
    await watch(rules).look(never);
    const [raised] = all("alerts.alert.raised");
    const { since, position, labels } = raised!.data as {
      since: string;
      position: number;
      labels: readonly { name: string; value: string }[];
    };
    assert.deepEqual([position, labels.map(({ name }) => name)], [moved.position, ["key", "to"]]);
    assert.equal(since, all("commits.branch.moved")[0]!.recordedat);
    await watch("other: { title: Other, when: { type: ci.job.failed } }").look(never);
    assert.deepEqual(facts(), ["alert.raised branch", "alert.resolved branch"]);
    assert.equal((all("alerts.alert.resolved")[0]!.data as { because: string }).because, "dropped");
  });
});

Deno.test("what must last is an alert when its time is over, and what ends before is none", async () => {
  await watched(async ({ watch, say, facts }) => {
    const rules = FAILED.replace(" }, per", " }, for: 1s, per");
    await say("ci.job.failed", { job: "build" });
    await say("ci.job.failed", { job: "test" });
    await watch(rules).look(never);
    assert.deepEqual(facts(), ["condition.begun job", "condition.begun job"]);
    await say("ci.job.passed", { job: "test" });
    await watch(rules).look(never);
    await until("one is an alert", () => facts().length === 4);
    assert.deepEqual(facts().slice(2), ["condition.ended job", "alert.raised job"]);
  });
});

Deno.test("what a person resolves stays resolved until it happens again, in events and in views", async () => {
  await watched(async ({ daybook, watch, say, facts, all }) => {
    const row = "row: { title: It has a branch, view: commits.branches, where: { branch: main } }";
    await say("ci.job.failed", { job: "build" });
    const moved = await daybook.ask(
      {
        type: "commits.branch.move",
        id: "shop",
        data: { branch: "main", to: "c0ffee".padEnd(40, "0") },
        by: BY,
      } as never,
    );
    assert.ok(moved.is === "accepted");
    await daybook.view("commits.branches", { wait: moved.position, deadline: 120_000 });
    const watch1 = watch(`${FAILED}\n${row}`);
    await watch1.look(never);
    for (const id of ["job", "row"]) {
      assert.equal((await daybook.ask({ type: "alerts.alert.resolve", id, data: {}, by: BY } as never)).is, "accepted");
    }
    for (const each of [watch1, watch(`${FAILED}\n${row}`)]) for (let n = 0; n < 2; n++) await each.look(never);
    assert.deepEqual(facts().slice(2).toSorted(), ["alert.resolved job", "alert.resolved row", "condition.ended job"]);
    await say("ci.job.failed", { job: "build" });
    await watch1.look(never);
    assert.equal(all("alerts.alert.raised").length, 3);
  });
});

Deno.test("a flood of cases fills its rule and nothing more, and is told as one", async () => {
  await watched(async ({ daybook, watch, say, facts, all }) => {
    const jobs = Array.from({ length: ALERT_LIMITS.standing_max + 100 }, (_, n) => ({
      id: `flood${n}`,
      source: "/ci",
      type: "ci.job.failed",
      data: { job: `${n} ${"ä".repeat(200)}` },
    }));
    assert.ok((await daybook.ingest(jobs, BY)).ok);
    const flood = watch(FAILED);
    await flood.look(never);
    await flood.look(never);
    const counts = Object.groupBy(facts(), (fact) => fact);
    assert.deepEqual(
      Object.entries(counts).map(([fact, some]) => [fact, some!.length]),
      [["alert.raised job", ALERT_LIMITS.standing_max], ["rule.saturated job", 1]],
    );
    await until("it is told", () => all("alerts.group.notified").length > 0);
    await say("ci.job.passed");
    await flood.look(never);
    await until(
      "it is over",
      () => (all("alerts.group.notified").at(-1)!.data as { status: string }).status === "resolved",
    );
    const told = all("alerts.group.notified").map(({ data }) => data as { status: string; more: number });
    assert.ok(
      told.length <= 6 && told.some(({ more }) => more > 0),
      JSON.stringify(told.map(({ status, more }) => [status, more])),
    );
  });
});

Deno.test("what an alert is about may be sealed or a pseudonym: it is named, and never taken for one", async () => {
  await watched(async ({ watch, say, all }) => {
    const rule = "who: { title: Somebody, when: { type: ci.job.failed }, per: [data.who], tell: data.why }";
    const pseudonym = `p_202611_${"A".repeat(22)}`;
    await say("ci.job.failed", { who: pseudonym, why: "sealed:1:u_aaaaaaaaaaaaaaaa:Zm9v" });
    await watch(rule).look(never);
    const [raised] = all("alerts.alert.raised");
    const { labels, because } = raised!.data as { labels: readonly { value: string }[]; because: string };
    assert.deepEqual([labels[0]!.value, because], [`pseudonym ${pseudonym}`, "[sealed]"]);
  });
});

Deno.test("a view that cannot be read keeps its rules as they are, and holds up no other", async () => {
  await watched(async ({ daybook, watch, say, facts }) => {
    const moved = await daybook.ask(MOVE as never);
    assert.ok(moved.is === "accepted");
    await daybook.view("commits.branches", { wait: moved.position, deadline: 120_000 });
    const rules = `row: { title: It has a branch, view: commits.branches, where: { branch: main } }\n${FAILED}`;
    await watch(rules).look(never);
    await say("ci.job.failed", { job: "build" });
    const failing = (error: Error) =>
      watch(rules, undefined, {
        log: daybook.log,
        ask: (ask) => daybook.ask(ask),
        view: () => Promise.reject(error),
      });
    await assert.rejects(
      failing(new Error("a page is gone")).look(never),
      /^Error: commits\.branches: a page is gone$/,
    );
    assert.deepEqual(facts(), ["alert.raised row", "alert.raised job"]);
    // One that is not there yet is nothing to speak of.
    await failing(new ViewQuestion("not_yet", "it has not been begun yet")).look(never);
    await failing(new ViewQuestion("rebuilding", "it is being built again")).look(never);
    assert.deepEqual(facts(), ["alert.raised row", "alert.raised job"]);
  });
});

Deno.test("of a view with more rows than are looked at nothing is resolved that was not looked at", async () => {
  await watched(async ({ daybook, watch, say, facts }) => {
    await say("ci.job.failed");
    const rows = Array.from({ length: 10_000 }, (_, i) => ({ key: `k${i}`, row: { state: "fine" }, position: 0 }));
    const [first, last] = [rows[0]!.row, rows.at(-1)!.row];
    const view = (_: string, { limit = 0, after }: { readonly limit?: number; readonly after?: string } = {}) => {
      const from = rows.findIndex(({ key }) => key === after) + 1;
      const page = rows.slice(from, from + limit);
      const more = from + limit < rows.length;
      return { size: daybook.log.size, rows: page, ...(more ? { next: page.at(-1)!.key } : {}) };
    };
    const said: string[] = [];
    const other = {
      log: daybook.log,
      ask: (ask: Parameters<Daybook["ask"]>[0]) => daybook.ask(ask),
      view: (...asked: Parameters<typeof view>) => Promise.resolve(view(...asked)),
    } as unknown as Daybook;
    const rules = "row: { title: A row is bad, view: commits.branches, where: { state: bad } }";
    const look = () => watch(rules, undefined, other, (line) => said.push(line)).look(never);
    first.state = last.state = "bad";
    await look();
    assert.deepEqual([facts(), said], [["alert.raised row", "alert.raised row"], []]);
    rows.unshift({ key: "before", row: { state: "fine" }, position: 0 });
    first.state = "fine";
    await look();
    assert.deepEqual(facts().slice(2), ["alert.resolved row"]);
    assert.deepEqual(said, ["alerts: there is more than is looked at for the rules row"]);
    rows.shift();
    last.state = "fine";
    await look();
    assert.deepEqual(facts().slice(2), ["alert.resolved row", "alert.resolved row"]);
  });
});

Deno.test("while nobody knows what services tell, nothing begins and nothing ends", async () => {
  await watched(async ({ watch, facts }) => {
    const rules = "long: { title: The queue is long, metric: waiting, above: 10 }";
    let told: readonly Series[] | undefined = [{ service: "a", replica: 0, name: "waiting", labels: {}, value: 11 }];
    const first = watch(rules, () => told);
    await first.look(never);
    told = undefined;
    await first.look(never);
    await watch(rules, () => told).look(never);
    assert.deepEqual(facts(), ["alert.raised long"]);
    told = [];
    await first.look(never);
    assert.deepEqual(facts(), ["alert.raised long", "alert.resolved long"]);
  });
});

const HOUR = 3_600_000;
const LATE = `
missing: { title: No backup was made, when: { type: backups.backup.made }, absent_for: 1h }
often: { title: Jobs keep failing, when: { type: ci.job.failed }, at_least: 2, within: 10m }
open: { title: A door is open, when: { type: doors.door.opened }, lasts: 1h }
`;

Deno.test("behind a clock that was years ahead and is set back, what is late is raised, what is rare is not, what is over ends", async () => {
  const begin = async ({ say, watch }: Watched) => {
    const first = watch(LATE);
    await say("backups.backup.made");
    await say("doors.door.opened");
    await first.look(never);
    return first;
  };
  const goOn = async ({ say, facts }: Watched, look: AlertWatch) => {
    await look.look(never);
    assert.deepEqual(facts(), ["alert.raised open"]);
    for (const hours of [0.2, 0.5, 0.9]) {
      using _ = clockAhead(hours * HOUR);
      await say("ci.job.failed");
      await look.look(never);
    }
    assert.deepEqual(facts(), ["alert.raised open"]);
    using _ = clockAhead(1.1 * HOUR);
    await look.look(never);
    assert.deepEqual(facts(), ["alert.raised open", "alert.raised missing", "alert.resolved open"]);
  };
  await watched(async (house) => {
    const ahead = clockAhead(10 * 365 * 24 * HOUR);
    const look = await begin(house).finally(() => ahead[Symbol.dispose]());
    await goOn(house, look);
  });
  const folder = await Deno.makeTempDir();
  try {
    const ahead = clockAhead(10 * 365 * 24 * HOUR);
    await watched(async (house) => void await begin(house), folder).finally(() => ahead[Symbol.dispose]());
    await watched((house) => goOn(house, house.watch(LATE)), folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("what a clock that was ahead twice has recorded the second time happened before it was set back the second time", async () => {
  const YEARS = 10 * 365 * 24 * HOUR;
  const folder = await Deno.makeTempDir();
  const at = async (ahead: number, body: (watched: Watched) => Promise<void>) => {
    using _ = clockAhead(ahead);
    await watched(body, folder);
  };
  const backup = ({ say }: Watched) => say("backups.backup.made");
  try {
    await at(YEARS, backup);
    await at(0, backup);
    await at(YEARS + 3 * HOUR, backup);
    await at(3 * HOUR, async ({ watch, facts }) => {
      const look = watch(LATE);
      await look.look(never);
      assert.deepEqual(facts(), []);
      using _ = clockAhead(1.1 * HOUR);
      await look.look(never);
      assert.deepEqual(facts(), ["alert.raised missing"]);
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
