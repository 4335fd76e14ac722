/** The inbox of alerts, on what happens to one of them. */
import assert from "node:assert/strict";
import { alertsInbox } from "../projections/alerts.ts";

type Row = ReturnType<typeof alertsInbox.row.parse>;
type Heard = Parameters<typeof alertsInbox.apply>[1];

const ABOUT = {
  alert: "a1",
  labels: [{ name: "service", value: "web" }, { name: "replica", value: "0" }],
  because: "it does not answer",
  since: "2026-01-01T00:00:00Z",
};
const SAID = { ...ABOUT, title: "web is down", severity: "critical" };

/** What becomes of the row, a fact a minute; the last may be no row. */
const rowAfter = (...facts: readonly (readonly [type: string, data: object, by?: string])[]): Row | undefined =>
  facts.reduce<Row | undefined>((row, [type, data, authid = "s_alerts"], minute) => {
    const time = `2026-01-01T00:0${minute + 1}:00Z`;
    const event = { type, data, time, authid, stream: "alerts/down" } as unknown as Heard;
    return alertsInbox.apply(row ?? alertsInbox.initial, event, "down/a1", () => undefined);
  }, undefined);

const begun = ["alerts.condition.begun", { ...SAID, until: "2026-01-01T00:05:00Z" }] as const;
const ended = ["alerts.condition.ended", { alert: "a1" }] as const;
const raised = ["alerts.alert.raised", SAID] as const;
const resolved = ["alerts.alert.resolved", { alert: "a1", because: "ended" }] as const;

const PENDING: Row = {
  rule: "down",
  alert: "a1",
  state: "pending",
  severity: "critical",
  title: "web is down",
  about: "service=web replica=0",
  because: "it does not answer",
  since: "2026-01-01T00:00:00Z",
  times: 0,
};

Deno.test("what holds for a while is pending, and is nothing where it ends before it is an alert", () => {
  assert.deepEqual(rowAfter(begun), PENDING);
  assert.equal(rowAfter(begun, ended), undefined);
});

Deno.test("what goes on is raised, with when and how often; what ends while it stands is for another fact to say", () => {
  const once: Row = { ...PENDING, state: "raised", raised: "2026-01-01T00:02:00Z", times: 1 };
  assert.deepEqual(rowAfter(begun, raised), once);
  assert.deepEqual(rowAfter(begun, raised, ended), once);
  assert.deepEqual(rowAfter(begun, raised, resolved, begun, raised), {
    ...once,
    raised: "2026-01-01T00:05:00Z",
    times: 2,
  });
});

Deno.test("what was an alert is over again, and not gone, where it holds for less than its time", () => {
  const over: Row = {
    ...PENDING,
    state: "resolved",
    since: "2026-01-01T00:05:00Z",
    raised: "2026-01-01T00:02:00Z",
    times: 1,
  };
  assert.deepEqual(rowAfter(begun, raised, resolved, begun, ended), over);
});

Deno.test("who acknowledged or resolved it is named with their note, until it is raised again", () => {
  const acknowledged = ["alerts.alert.acknowledged", { alert: "a1", note: "on it" }, "u_ada"] as const;
  const asked = ["alerts.alert.resolved", { alert: "a1", because: "asked", note: "mended" }, "u_eve"] as const;
  const seen = rowAfter(raised, acknowledged)!;
  assert.deepEqual([seen.state, seen.by, seen.note], ["acknowledged", "u_ada", "on it"]);
  const over = rowAfter(raised, acknowledged, asked)!;
  assert.deepEqual([over.state, over.by, over.note, over.resolved], ["resolved", "u_eve", "mended", "asked"]);
  const itself = rowAfter(raised, acknowledged, resolved)!;
  assert.deepEqual([itself.state, itself.by, itself.note, itself.resolved], [
    "resolved",
    undefined,
    undefined,
    "ended",
  ]);
  const again = rowAfter(raised, acknowledged, asked, raised)!;
  assert.deepEqual([again.state, again.by, again.note, again.resolved], ["raised", undefined, undefined, undefined]);
});
