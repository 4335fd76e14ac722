/** Rules for alerts: what they may say, and every mistake told with its place. */
import assert from "node:assert/strict";
import { allRules, rulesIn } from "../../adapters/program/alerts/file.ts";
import { ALERTING_LIMITS, type AlertRule, parseRules, problemText } from "../../config/alerting.ts";

const read = (rules: string) => {
  const text = `alerting:\n  rules:\n${rules.split("\n").map((line) => `    ${line}`).join("\n")}\n`;
  return parseRules(text, { file: "daybook.yaml", path: ["alerting", "rules"] });
};
const good = (rules: string): readonly AlertRule[] => {
  const parsed = read(rules);
  assert.ok(parsed.ok, parsed.ok ? "" : parsed.problems.map(problemText).join("\n"));
  return parsed.rules;
};
const bad = (rules: string): readonly string[] => {
  const parsed = read(rules);
  assert.ok(!parsed.ok, "expected problems");
  return parsed.problems.map(problemText);
};
const one = (more: string) => `it: { title: It is so, ${more} }`;
const WHEN = "when: { type: ci.job.failed }";

Deno.test("a rule is about events, how many there are, that there are none, or rows of a view", () => {
  const [event, rate, absence, view, metric] = good([
    "event: { title: A, when: { type: ci.job.failed, where: { data.branch: main } }, until: { type: [ci.job.passed] } }",
    `rate: { title: B, severity: critical, ${WHEN}, at_least: 5, within: 10m, per: [source, data.job], group_by: [source] }`,
    "absence: { title: C, when: { type: ci.job.passed }, absent_for: 24h, tell: data.why }",
    "view: { title: D, view: services.board, where: { state: failed }, show: [service], for: 5m }",
    "metric: { title: E, metric: jobs_waiting, service: worker, labels: { queue: mail }, above: 100, for: 30s }",
  ].join("\n"));
  assert.deepEqual(event, {
    name: "event",
    title: "A",
    severity: "error",
    for_ms: 0,
    is: "event",
    when: { type: ["ci.job.failed"], where: { "data.branch": { is: "main" } } },
    until: { type: ["ci.job.passed"] },
    per: [],
    group_by: [],
  });
  assert.deepEqual([rate!.is, rate!.severity], ["rate", "critical"]);
  assert.deepEqual([absence!.is, absence!.tell], ["absence", "data.why"]);
  assert.deepEqual([view!.is, view!.for_ms], ["view", 300_000]);
  assert.deepEqual(metric, {
    name: "metric",
    title: "E",
    severity: "error",
    for_ms: 30_000,
    is: "metric",
    metric: "jobs_waiting",
    service: "worker",
    labels: { queue: "mail" },
    above: 100,
  });
  // What nothing takes back is a reason to look for a day.
  assert.deepEqual(good(one(WHEN)).map((rule) => rule.is === "event" && rule.lasts), [86_400_000]);
});

Deno.test("each mistake has its file, line, path and what was expected", () => {
  const cases: readonly (readonly [string, string])[] = [
    [one("severity: bad, " + WHEN), "alerting.rules.it.severity: expected one of info, warning, error, critical"],
    [one("whem: { type: a.b.c }"), `alerting.rules.it.whem: expected a known key, found "whem"; did you mean "when"?`],
    [one(""), "alerting.rules.it: expected one of when, view and metric"],
    [one(`${WHEN}, view: a.b, where: { x: 1 }`), "alerting.rules.it: expected one of when, view and metric"],
    [one("metric: jobs_waiting"), "it.metric: expected above or below"],
    [one("metric: jobs-waiting, above: 3"), "it.metric: expected the name of a metric"],
    [one("metric: a, above: 3, per: [source]"), `it.per: expected nothing without "when"`],
    [one(`${WHEN}, above: 3`), `it.above: expected nothing without "metric"`],
    [one(`${WHEN}, at_least: 3`), "alerting.rules.it.at_least: expected both at_least and within, found 3"],
    [one(`${WHEN}, within: 3m`), "alerting.rules.it.within: expected both at_least and within"],
    [one(`${WHEN}, within: 3 minutes, at_least: 1`), "it.within: expected a span of time: 30s, 15m, 24h or 90d"],
    [one(`${WHEN}, at_least: 2, within: 1m, until: { type: a.b.c }`), `it.until: expected nothing beside "at_least"`],
    [one(`${WHEN}, absent_for: 1h, at_least: 2, within: 1m`), `it.absent_for: expected nothing beside "at_least"`],
    [one("view: services.board"), "it.where: expected what must hold of a row"],
    [one("view: services.board, where: { state: failed }, per: [source]"), `it.per: expected nothing without "when"`],
    [one(`${WHEN}, where: { state: failed }`), `it.where: expected nothing without "view"`],
    [one("when: { type: alerts.alert.raised }"), "it.when.type: expected no type of alerts itself"],
    [one("when: { type: failed }"), "it.when.type: expected a type of events"],
    [one("when: { type: a.b.c, where: { branch: main } }"), `it.when.where.branch: expected a field as it stands`],
    [one(`${WHEN}, per: [source], group_by: [data.x]`), "it.group_by.0: expected a field that is in per"],
    [one(`${WHEN}, for: 31d`), "it.for: expected a span of time of at most 30d"],
    [one(`${WHEN}, for: 5`), "it.for: expected a span of time"],
    [`It Is: { title: A, ${WHEN} }`, "expected a name of at most 63 small letters"],
    ["it: 7", "alerting.rules.it: expected a map, found 7"],
    [`it: { title: "a\\nb", ${WHEN} }`, "alerting.rules.it.title: expected a text of one line"],
    ["it: { title: A, title: B }", "expected YAML 1.2"],
  ];
  for (const [rules, said] of cases) {
    const problems = bad(rules);
    assert.ok(problems.some((text) => text.includes(said)), `${rules}\n${problems.join("\n")}`);
    for (const text of problems) assert.match(text, /^daybook\.yaml:3:\d+[ :]/);
  }
});

Deno.test("there are only so many rules, of a text of only so many characters", () => {
  const many = (count: number) => Array.from({ length: count }, (_, n) => `r${n}: { title: A, ${WHEN} }`).join("\n");
  assert.equal(good(many(ALERTING_LIMITS.rules_max)).length, ALERTING_LIMITS.rules_max);
  assert.match(bad(many(ALERTING_LIMITS.rules_max + 1))[0]!, /expected at most 200 rules, found 201/);
  const long = parseRules("#".repeat(ALERTING_LIMITS.file_chars_max + 1), { file: "daybook.yaml", path: [] });
  assert.ok(!long.ok && problemText(long.problems[0]!).includes("at most 1048576 characters"));
});

Deno.test("a rule names types, views and fields that there are; a type that nobody declared may come", () => {
  const reads = (rules: string) => rulesIn(undefined, `alerting:\n  rules:\n    ${rules}\n`, "daybook.yaml");
  assert.equal(reads(one("when: { type: doors.door.forced }")).rules.length, 1);
  for (
    const [rule, said] of [
      [
        "when: { type: services.instance.faild }",
        /:3:\d+ alerting\.rules\.it\.when\.type: expected a type of events that/,
      ],
      [
        "when: { type: a.b.c }, until: { type: kernel.no.such }",
        /rules\.it\.until\.type: expected a type of events that/,
      ],
      ["view: services.bord, where: { state: failed }", /rules\.it\.view: expected one of .*services\.board/],
      ["view: services.board, where: { stat: failed }", /rules\.it\.where\.stat: expected a field of services\.board/],
      [
        "view: services.board, where: { state: failed }, show: [nam]",
        /rules\.it\.show\.0: expected a field of services/,
      ],
      [
        "view: services.board, where: { state: failed }, tell: data.why",
        /rules\.it\.tell: expected a field of services/,
      ],
    ] as const
  ) assert.throws(() => reads(one(rule)), said, rule);
});

Deno.test("the rules that come with the program hold, and give way to those of the configuration", async () => {
  const own = await allRules(true);
  assert.ok(own.length >= 15 && own.every(({ title }) => title.length > 10));
  const failed = own.find(({ name }) => name === "service-failed")!;
  assert.deepEqual([failed.is, failed.severity], ["event", "critical"]);
  const text = `alerting:\n  rules:\n    service-failed: { enabled: false }\n    ${
    one(WHEN)
  }\n    sink-failing: { title: Mine, ${WHEN} }\n`;
  const rules = await allRules(true, rulesIn(undefined, text, "daybook.yaml"));
  assert.equal(rules.length, own.length);
  assert.equal(rules.find(({ name }) => name === "sink-failing")!.title, "Mine");
  assert.ok(!rules.some(({ name }) => name === "service-failed"));
  assert.deepEqual((await allRules(false, rulesIn(undefined, text, "x"))).map(({ name }) => name), [
    "it",
    "sink-failing",
  ]);
});
