/** The rules for alerts that come with Daybook: each finds what it is for, in facts as they are recorded, and knows its end. */
import assert from "node:assert/strict";
import { allRules } from "../adapters/program/alerts/file.ts";
import { digestOf } from "../adapters/program/alerts/digest.ts";
import type { StreamId } from "../events/event.ts";
import { events } from "../events/mod.ts";
import { casesAmong, casesIn, ConditionsFold, type EventRule } from "../projections/alerts/mod.ts";
import { NOON } from "./alerts_given.ts";
import { eventOf } from "./siem_given.ts";

type Fact = readonly [type: string, data: object];

const of = { service: "api", replica: 0 };
const nonce = "n1";
const digest = "a".repeat(64);
const at = (seconds: number) => new Date(NOON + seconds * 1_000).toISOString();
const failed: Fact = ["services.instance.failed", { ...of, because: "code 3" }];
const lost: Fact = ["services.health.lost", { ...of, nonce, probe: "readiness", because: "status 500" }];
const neared: Fact = ["certificates.expiry.neared", { serial: "1f", not_after_ms: NOON }];
const ended: Fact = ["certificates.certificate.expired", { serial: "1f", not_after_ms: NOON }];
const cause = "it broke";
const gap = { source: "urn:ci", first: 3, last: 4 };
const dead: Fact = ["kernel.message.dead_lettered", { letter: "l1", target: "sink:chat", cause, bytes: 1 }];
const died: Fact = ["kernel.process.started", { version: "1", root: "daybook", clean: false }];
const stopped: Fact = ["kernel.projection.stopped", { projection: "audit.trail", version: 1, position: 7, cause }];
const verified = (ok: boolean): Fact => [
  "kernel.log.verified",
  { size: 7, root: `${"A".repeat(43)}=`, ok, failures: ok ? 0 : 1, anchored: 0, because: "asked" },
];
const threat = (score: number): Fact => ["threats.threat.detected", {
  rule: "spraying",
  evidence: [1],
  count: 5,
  first: at(0),
  last: at(1),
  subject: { kind: "address", id: "x" },
  score,
}];
const many = (count: number, fact: Fact): readonly Fact[] => Array.from({ length: count }, () => fact);

/** What raises it, and what ends it; `undefined`: time does. */
const STORIES: Readonly<Record<string, readonly [raises: readonly Fact[], ends: Fact | undefined]>> = {
  "service-failed": [[failed], ["services.instance.announced", { ...of, nonce, digest, attempt: 0 }]],
  "service-unhealthy": [[lost], ["services.health.confirmed", { ...of, nonce, probed: true, at_ms: NOON }]],
  "service-flapping": [many(5, lost), undefined],
  "service-update-failed": [
    [["services.update.failed", { service: "api", to: digest, because: "code 3" }]],
    ["services.update.completed", { service: "api", to: digest }],
  ],
  "resources-short": [
    [["services.resources.lacked", { ...of, nonce, resource: "disk", needed: 2, free: 1 }]],
    ["services.instance.refused", { ...of, nonce, because: "no such file" }],
  ],
  "certificate-ends-soon": [[neared], ended],
  "certificate-ended": [[ended], ["certificates.certificate.renewed", {
    serial: "2f",
    before: "1f",
    fingerprint: digest,
    not_before_ms: NOON,
    not_after_ms: NOON,
    names: ["localhost"],
    uses: ["server"],
    certificate: "PEM",
  }]],
  "log-not-as-it-was": [[verified(false)], verified(true)],
  "sink-failing": [
    [["kernel.sink.failed", { sink: "chat", cause, size: 3 }]],
    ["kernel.sink.recovered", { sink: "chat", failed_ms: 1, attempts: 1, size: 3 }],
  ],
  "dead-letters": [[dead], undefined],
  "part-given-up": [
    [["kernel.child.gave_up", { child: "daybook:sinks", because: "daybook:sinks:chat", cause, max: 5, within_ms: 1 }]],
    died,
  ],
  "view-stopped": [[stopped], died],
  "daybook-dies": [many(3, died), undefined],
  "source-silent": [
    [["kernel.silence.opened", { source: "urn:ci", since: at(0), due: at(1) }]],
    ["kernel.silence.closed", { source: "urn:ci", since: at(0) }],
  ],
  "events-missing": [
    [["kernel.gap.opened", { ...gap, missing: 2, before: { position: 3, time: at(0) } }]],
    ["kernel.gap.closed", gap],
  ],
  "accounts-locked": [
    many(5, ["identity.account.locked", { account: "u_aaaaaaaaaaaaaaaa", because: "failures", failures: 10 }]),
    undefined,
  ],
  "quota-used-up": [[["kernel.quota.reached", { tenant: "acme", quota: "events", max: 5 }]], undefined],
  "limits-crossed": [many(20, ["kernel.limit.crossed", { limit: "requests", max: 5, window_ms: 1 }]), undefined],
  "attack-seen": [[threat(50)], undefined],
};

const DAY = 86_400_000;
const rules = await allRules(true);

/** Other ends. */
const MORE: typeof STORIES = {
  "service-failed": [[failed], ["services.service.unwanted", { service: "api", because: "asked" }]],
};

for (const [name, [raises, ends]] of [...Object.entries(STORIES), ...Object.entries(MORE)]) {
  Deno.test(`${name} finds what it is for, and ${ends ? `knows its end, ${ends[0]}` : "ends with time"}`, () => {
    const rule = rules.find((rule) => rule.name === name) as EventRule | undefined;
    assert.ok(rule, "it is there");
    const fold = new ConditionsFold([rule], digestOf);
    fold.begin(NOON);
    let position = 0;
    const say = (seconds: number, [type, data]: Fact) => {
      events.spec(type)!.schema.parse(data);
      const stream = `${type.split(".")[0]}/one` as StreamId;
      fold.apply(eventOf(type, data, { position: position++, recordedat: at(seconds), stream }));
    };
    for (const [n, fact] of raises.entries()) say(n, fact);
    const [found, ...more] = fold.holding(NOON + 60_000)[0]!.cases;
    assert.deepEqual(more, []);
    assert.ok(found, "there is a case");
    // Whatever tells one case from another is in the facts.
    assert.ok(found.labels.every(({ value }) => value !== "" && value !== "null"), JSON.stringify(found.labels));
    if (rule.tell !== undefined) assert.notEqual(found.because, rule.title);
    if (ends) say(61, ends);
    assert.deepEqual(fold.holding(NOON + (ends ? 62_000 : 2 * DAY))[0]!.cases, []);
  });
}

Deno.test("a control that fails and metrics that cannot be read are cases as well", () => {
  const control = rules.find(({ name }) => name === "control-failed")!;
  assert.ok(control.is === "view");
  const found = casesIn(control, digestOf, () => at(0));
  const row = {
    key: "log-intact",
    row: { status: "fail", title: "The log is whole", because: "Event 7" },
    position: 7,
  };
  assert.deepEqual([found(row)!.because, found(row)!.labels.map(({ value }) => value)], [
    "Event 7",
    ["log-intact", "The log is whole"],
  ]);
  assert.equal(found({ ...row, row: { ...row.row, status: "pass" } }), undefined);
  const metrics = rules.find(({ name }) => name === "service-tells-no-metrics")!;
  assert.ok(metrics.is === "metric");
  const up = (value: number) => ({ service: "api", replica: 0, name: "up", labels: {}, value });
  const now = { digest: digestOf, now: at(0) };
  assert.deepEqual([casesAmong(metrics, [up(0)], now).length, casesAmong(metrics, [up(1)], now).length], [1, 0]);
});
