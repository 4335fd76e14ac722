/** Which cases hold, as events tell it and time goes by. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { parseRules } from "../config/alerting.ts";
import { ALERT_LIMITS } from "../events/alerts.ts";
import {
  type Case,
  casesAmong,
  casesIn,
  CONDITION_LIMITS,
  ConditionsFold,
  type EventRule,
  type Rule,
} from "../projections/alerts/mod.ts";
import { NOON } from "./alerts_given.ts";
import { eventOf } from "./siem_given.ts";

const digest = (text: string) => createHash("sha256").update(text).digest("hex").slice(0, 12);

const rulesOf = (text: string): readonly Rule[] => {
  const parsed = parseRules(text, { file: "rules", path: [] });
  assert.ok(parsed.ok, JSON.stringify(parsed));
  return parsed.rules;
};

/** A log of one rule, in seconds from noon. */
class Told {
  readonly fold: ConditionsFold;
  private position = 0;

  constructor(rule: string) {
    this.fold = new ConditionsFold(rulesOf(`it: { title: It is so, ${rule} }`) as EventRule[], digest);
    this.fold.begin(NOON);
  }

  say(seconds: number, type: string, data: unknown = {}, more: Record<string, unknown> = {}): this {
    const recordedat = new Date(NOON + seconds * 1_000).toISOString();
    this.fold.apply(eventOf(type, data, { position: this.position++, recordedat, ...more } as never));
    return this;
  }

  holds(seconds: number): readonly Case[] {
    return this.fold.holding(NOON + seconds * 1_000)[0]!.cases;
  }

  named(seconds: number): readonly string[] {
    return this.holds(seconds).map(({ labels }) => labels.map(({ value }) => value).join("/"));
  }

  due(seconds: number): number {
    return (this.fold.due(NOON + seconds * 1_000) - NOON) / 1_000;
  }
}

Deno.test("a case holds from its event until one that ends it, each by itself", () => {
  const told = new Told(
    "when: { type: ci.job.failed }, until: { type: ci.job.passed }, per: [source, data.job], tell: data.why",
  );
  told.say(1, "ci.job.failed", { job: "build", why: "no disk" }, { source: "/a" })
    .say(2, "ci.job.failed", { job: "test" }, { source: "/a" })
    .say(3, "ci.job.failed", { job: "build", why: "again" }, { source: "/a" })
    .say(4, "ci.job.passed", { job: "test" }, { source: "/b" });
  assert.deepEqual(told.named(5), ["/a/build", "/a/test"]);
  const [build, test] = told.holds(5);
  assert.deepEqual([build!.because, build!.since, build!.position], ["again", "2026-11-20T12:00:01.000Z", 2]);
  assert.equal(test!.because, "It is so");
  assert.notEqual(build!.alert, test!.alert);
  assert.equal(build!.group, test!.group);
  assert.deepEqual(told.say(6, "ci.job.passed", { job: "test" }, { source: "/a" }).named(7), ["/a/build"]);
  // One that does not say which job is about all of them.
  assert.deepEqual(told.say(8, "ci.job.passed", {}, { source: "/a" }).named(9), []);
});

Deno.test("what is alike in group_by is told together, and nothing else is", () => {
  const told = new Told("when: { type: ci.job.failed }, per: [source, data.job], group_by: [source]");
  told.say(1, "ci.job.failed", { job: "a" }, { source: "/a" }).say(1, "ci.job.failed", { job: "b" }, { source: "/a" })
    .say(1, "ci.job.failed", { job: "a" }, { source: "/b" });
  const [a, b, c] = told.holds(2).map(({ group }) => group);
  assert.deepEqual([a === b, b === c], [true, false]);
});

Deno.test("what nothing takes back is over after a while, and says when", () => {
  const told = new Told("when: { type: ci.job.failed }, lasts: 10s").say(1, "ci.job.failed");
  assert.deepEqual([told.holds(11).length, told.due(2)], [1, 11.001]);
  assert.deepEqual([told.holds(11.001).length, told.due(12)], [0, Infinity]);
  told.say(20, "ci.job.failed").say(25, "ci.job.failed");
  assert.deepEqual(told.holds(35).map(({ since }) => since), ["2026-11-20T12:00:20.000Z"]);
});

Deno.test("so many within a span hold for as long as there are so many, counted by key", () => {
  const told = new Told("when: { type: ci.job.failed }, at_least: 3, within: 10s, per: [source]");
  for (const at of [1, 2, 11]) told.say(at, "ci.job.failed", {}, { source: "/a" });
  for (const at of [2, 3, 13.001]) told.say(at, "ci.job.failed", {}, { source: "/b" });
  assert.deepEqual(told.named(11), ["/a"]);
  assert.deepEqual(told.holds(11)[0]!.because, "3 of ci.job.failed");
  assert.deepEqual([told.due(11), told.named(11.001)], [11.001, []]);
  assert.deepEqual(told.say(12, "ci.job.failed", {}, { source: "/a" }).named(12), ["/a"]);
});

Deno.test("a case that was over and is back holds since it is back, whether anybody looked meanwhile or not", () => {
  const since = (told: Told, at: number) => told.holds(at).map(({ since }) => since);
  for (const looked of [true, false]) {
    const once = new Told("when: { type: ci.job.failed }, lasts: 10s").say(1, "ci.job.failed");
    if (looked) once.holds(15);
    assert.deepEqual(since(once.say(20, "ci.job.failed"), 21), ["2026-11-20T12:00:20.000Z"]);
    const often = new Told("when: { type: ci.job.failed }, at_least: 3, within: 10s");
    for (const at of [1, 2, 3]) often.say(at, "ci.job.failed");
    if (looked) often.holds(11.5);
    assert.deepEqual(since(often.say(12, "ci.job.failed"), 12), ["2026-11-20T12:00:12.000Z"]);
  }
});

Deno.test("what does not come holds from when it was due, and until it comes", () => {
  const told = new Told("when: { type: ci.job.passed }, absent_for: 60s");
  assert.deepEqual([told.holds(60).length, told.due(0)], [0, 60.001]);
  assert.deepEqual(told.holds(61).map(({ since, because }) => [since, because]), [
    ["2026-11-20T12:01:00.000Z", "no ci.job.passed"],
  ]);
  assert.equal(told.say(62, "ci.job.passed").holds(63).length, 0);
  // Cases that are told apart are missed once they were there.
  const each = new Told("when: { type: ci.job.passed }, absent_for: 60s, per: [source]");
  assert.deepEqual(each.named(100), []);
  assert.deepEqual(each.say(100, "ci.job.passed", {}, { source: "/a" }).named(161), ["/a"]);
});

Deno.test("what a person resolves is forgotten, and the next event is another", () => {
  const resolve = (told: Told, at: number, because: string) => {
    const [{ alert } = { alert: "" }] = told.holds(at);
    return told.say(at, "alerts.alert.resolved", { alert, because }, { stream: "alerts/it" });
  };
  const told = new Told("when: { type: ci.job.failed }, until: { type: ci.job.passed }").say(1, "ci.job.failed");
  assert.equal(resolve(told, 2, "ended").holds(2).length, 1);
  assert.equal(resolve(told, 3, "asked").holds(3).length, 0);
  assert.equal(told.say(4, "ci.job.failed").holds(4).length, 1);
  const other = told.holds(4)[0]!.alert;
  assert.equal(
    told.say(5, "alerts.alert.resolved", { alert: other, because: "asked" }, { stream: "alerts/x" }).holds(5).length,
    1,
  );
  // What does not come is missing all the same.
  assert.equal(resolve(new Told("when: { type: a.b.c }, absent_for: 1s"), 3, "asked").holds(3).length, 1);
});

Deno.test("what is told of values is one short line in clear, and nothing that is sealed", () => {
  const told = new Told("when: { type: ci.job.failed }, per: [data.who, data.text, data.list], tell: data.why");
  const sealed = "sealed:1:u_aaaaaaaaaaaaaaaa:Zm9v";
  told.say(1, "ci.job.failed", {
    who: sealed,
    text: "a\u0000\n" + "x".repeat(500),
    list: [1, "b"],
    why: "😀".repeat(300),
  });
  const [{ labels, because }] = told.holds(1) as [Case];
  assert.deepEqual(labels[0], { name: "who", value: "[sealed]" });
  assert.match(labels[1]!.value, /^a {2}x+$/);
  assert.equal(labels[1]!.value.length, ALERT_LIMITS.label_chars_max);
  assert.deepEqual(labels[2], { name: "list", value: `[1,"b"]` });
  assert.ok(because.length <= ALERT_LIMITS.because_chars_max && because.isWellFormed());
  told.say(2, "ci.job.failed", { who: sealed.replace("Zm9v", "YmFy"), text: "", list: [], why: sealed });
  assert.equal(told.holds(2)[1]!.because, "[sealed]");
  assert.equal(new Set(told.holds(2).map(({ alert }) => alert)).size, 2);
});

Deno.test("a rule remembers only so many cases, and says that there are more", () => {
  const told = new Told("when: { type: ci.job.failed }, per: [data.n]");
  for (let n = 0; n < CONDITION_LIMITS.keys_max; n++) told.say(1, "ci.job.failed", { n });
  assert.deepEqual(told.fold.overflowing, []);
  told.say(1, "ci.job.failed", { n: -1 });
  assert.deepEqual([told.fold.overflowing, told.holds(1).length], [["it"], CONDITION_LIMITS.keys_max]);
  const counted = new Told("when: { type: ci.job.failed }, per: [data.n], at_least: 10000, within: 1d");
  for (let n = 0; n < CONDITION_LIMITS.times_max; n++) counted.say(1, "ci.job.failed", { n: n % 100 });
  assert.deepEqual(counted.fold.overflowing, []);
  assert.deepEqual(counted.say(2, "ci.job.failed", { n: 100 }).fold.overflowing, ["it"]);
  // A case that has all its times goes on.
  assert.equal(counted.say(3, "ci.job.failed", { n: 1 }).holds(3).length, 100);
});

Deno.test("rows of a view are cases where all that is said of them holds", () => {
  const [rule] = rulesOf(
    "it: { title: It is so, view: services.board, where: { state: failed, starts: { at_least: 3 } }, show: [service], tell: because }",
  );
  assert.ok(rule?.is === "view");
  const caseIn = casesIn(rule, digest, (position) => `at ${position}`);
  const row = (more: object) => ({
    key: "main/api/0",
    row: { state: "failed", starts: 3, service: "api", ...more },
    position: 7,
  });
  assert.deepEqual(caseIn(row({ because: "no such file" })), {
    alert: digest(`it\n["main/api/0"]`),
    group: digest("it\n[]"),
    labels: [{ name: "key", value: "main/api/0" }, { name: "service", value: "api" }],
    because: "no such file",
    since: "at 7",
    position: 7,
  });
  assert.equal(caseIn(row({}))!.because, "It is so");
  assert.equal(caseIn(row({ starts: 2 })), undefined);
  assert.equal(caseIn(row({ state: "healthy" })), undefined);
});

Deno.test("series whose value is not as it may be are cases, told apart by service, replica and labels", () => {
  const [rule] = rulesOf("it: { title: It is so, metric: waiting, labels: { queue: mail }, above: 10, below: 1 }");
  assert.ok(rule?.is === "metric");
  const series = (value: number, more: object = {}) => ({
    service: "worker",
    replica: 0,
    name: "waiting",
    labels: { queue: "mail", zone: "b" },
    value,
    ...more,
  });
  const cases = (...all: readonly ReturnType<typeof series>[]) => casesAmong(rule, all, { digest, now: "now" });
  const [high, low] = cases(series(11), series(0.5, { replica: 1 }), series(10), series(1), series(NaN));
  assert.deepEqual([high!.because, low!.because], ["waiting is 11, above 10", "waiting is 0.5, below 1"]);
  assert.deepEqual(high!.labels.map(({ name, value }) => `${name}=${value}`), [
    "service=worker",
    "replica=0",
    "queue=mail",
    "zone=b",
  ]);
  assert.ok(high!.alert !== low!.alert && high!.group === low!.group && high!.since === "now");
  assert.equal(cases(series(99, { labels: { zone: "b", queue: "mail" } }))[0]!.alert, high!.alert);
  assert.deepEqual(
    cases(series(99, { name: "other" }), series(99, { labels: {} }), series(99, { labels: { queue: "web" } })),
    [],
  );
  const [only] = rulesOf("it: { title: It is so, metric: waiting, service: api, above: 10 }");
  assert.ok(only?.is === "metric");
  assert.deepEqual(casesAmong(only, [series(11)], { digest, now: "now" }), []);
  assert.equal(casesAmong(only, [series(Infinity, { service: "api" })], { digest, now: "now" }).length, 1);
});
