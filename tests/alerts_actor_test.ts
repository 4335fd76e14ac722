/** What the alerts of a rule come to: when there is one, when somebody is told, and when nobody is. */
import assert from "node:assert/strict";
import { alerts } from "../actors/alerts/rule.ts";
import { newsOf } from "../actors/alerts/state.ts";
import { ALERT_LIMITS, type AlertFact } from "../events/alerts.ts";
import {
  at,
  caseOf,
  idOf,
  NOON,
  notified,
  notify,
  notifyAt,
  observe,
  raised,
  resolved,
  timeOf,
} from "./alerts_given.ts";
import { given } from "./given.ts";

Deno.test("what holds is an alert at once, and is told when the window of its group is over", () => {
  const { state } = given(alerts).when(observe([caseOf(1), caseOf(2)]), at(1))
    .accepted(raised(1), raised(2))
    .sets(notifyAt(31));
  assert.equal(Object.keys(state.alerts).length, 2);
  given(alerts, raised(1), raised(2)).when(notify, at(31))
    .accepted(notified("raised", { raised: [1, 2], standing: 2 }))
    .sets();
});

Deno.test("one more alert of a group that waits waits with it, and one of a group that was told waits anew", () => {
  given(alerts, raised(1)).when(observe([caseOf(2)]), at(5)).accepted(raised(2)).sets();
  given(alerts, raised(1), notified("raised", { raised: [1], standing: 1 })).when(observe([caseOf(2)]), at(50))
    .accepted(raised(2)).sets(notifyAt(80));
});

Deno.test("what is over before anybody was told is told to nobody", () => {
  given(alerts, raised(1)).when(observe([], [idOf(1)]), at(5)).accepted(resolved(1));
  given(alerts, raised(1), resolved(1)).when(notify, at(31)).accepted();
});

Deno.test("what was told is told to be over, with what stands still", () => {
  const history = [raised(1), raised(2), notified("raised", { raised: [1, 2], standing: 2 }), resolved(1)];
  given(alerts, ...history.slice(0, 3)).when(observe([], [idOf(1)]), at(60)).accepted(resolved(1)).sets(notifyAt(90));
  given(alerts, ...history).when(notify, at(90)).accepted(notified("raised", { resolved: [1], standing: 1 }));
  const { state } = given(
    alerts,
    ...history,
    notified("raised", { resolved: [1], standing: 1 }),
    resolved(2),
  ).when(notify, at(120)).accepted(notified("resolved", { resolved: [2] }));
  assert.deepEqual(state, alerts.initial);
});

Deno.test("one that comes back before its end was told is the same alert, of which nothing is told anew", () => {
  given(alerts, raised(1), notified("raised", { raised: [1], standing: 1 }), resolved(1), raised(1))
    .when(notify, at(90)).accepted();
});

const begun: AlertFact = {
  type: "alerts.condition.begun",
  data: {
    ...caseOf(1),
    title: "Something is not as it should be",
    severity: "error",
    until: timeOf(300),
  },
};
const ripen = { type: "alerts.condition.ripen", data: { alert: idOf(1) } } as const;

Deno.test("what must last for a while is an alert when it has, counted from when it began", () => {
  const waits = { for_ms: 300_000 };
  given(alerts).when(observe([caseOf(1)], [], waits), at(10))
    .accepted(begun)
    .sets({ set: `ripen:${idOf(1)}`, at: NOON + 300_000, command: ripen });
  given(alerts, begun).when(ripen, at(299)).accepted();
  given(alerts, begun).when(ripen, { at: NOON + 300_000, by: "kernel" }).accepted(raised(1)).sets(notifyAt(300));
  given(alerts).when(observe([caseOf(1)], [], waits), at(400)).accepted(raised(1)).sets(notifyAt(430));
});

Deno.test("a timer of a clock that was ahead has waited, though the clock that is set back says other", () => {
  const early = { at: NOON - 1_000, by: "kernel" };
  given(alerts, begun).when(ripen, early).accepted(raised(1)).sets(notifyAt(-1));
  given(alerts, silenced).when({ type: "alerts.silence.expire", data: {} }, early).accepted(over);
});

Deno.test("what ends in time was no alert, and its timer goes", () => {
  given(alerts, begun).when(observe([], [idOf(1)]), at(200))
    .accepted({ type: "alerts.condition.ended", data: { alert: idOf(1) } })
    .sets({ cancel: `ripen:${idOf(1)}` });
  given(alerts, begun, { type: "alerts.condition.ended", data: { alert: idOf(1) } }).when(ripen, at(300)).accepted();
});

Deno.test("who looks at it says so, everybody is told once, and resolving it by hand lasts until it has ended", () => {
  const acknowledge = { type: "alerts.alert.acknowledge", data: { alert: idOf(1), note: "mine" } } as const;
  const acknowledged: AlertFact = { type: "alerts.alert.acknowledged", data: { alert: idOf(1), note: "mine" } };
  const known = [raised(1), notified("raised", { raised: [1], standing: 1 })];
  given(alerts, ...known).when(acknowledge, at(60)).accepted(acknowledged).sets(notifyAt(60));
  given(alerts, ...known, acknowledged).when(acknowledge, at(61)).accepted();
  given(alerts, ...known, acknowledged).when(notify, at(60)).accepted(notified("acknowledged", { standing: 1 }));
  const resolve = { type: "alerts.alert.resolve", data: { alert: idOf(1) } } as const;
  given(alerts, ...known).when(resolve, at(70)).accepted(resolved(1, "asked")).sets(notifyAt(70));
  const asked = [...known, resolved(1, "asked"), notified("resolved", { resolved: [1] })];
  given(alerts, ...asked).when(resolve, at(71)).accepted();
  given(alerts, ...asked).when(observe([caseOf(1)]), at(80)).accepted();
  given(alerts, ...asked).when(observe([], [idOf(1)]), at(90))
    .accepted({ type: "alerts.condition.ended", data: { alert: idOf(1) } });
  given(alerts, ...asked, { type: "alerts.condition.ended", data: { alert: idOf(1) } })
    .when(observe([caseOf(1)]), at(95)).accepted(raised(1));
});

Deno.test("without a name all that stand are meant; where none does, that is said", () => {
  given(alerts, raised(1), raised(2)).when({ type: "alerts.alert.resolve", data: {} }, at(5))
    .accepted(resolved(1, "asked"), resolved(2, "asked"));
  given(alerts).when({ type: "alerts.alert.resolve", data: {} }, at(5)).rejected("no_such_alert");
  given(alerts, begun).when({ type: "alerts.alert.acknowledge", data: { alert: idOf(1) } }).rejected("no_such_alert");
});

Deno.test("with a name that alert alone is meant, with the note; one that waits or that nobody knows is none", () => {
  const [both, one] = [[raised(1), raised(2)], { alert: idOf(1), note: "mine" }];
  given(alerts, ...both).when({ type: "alerts.alert.acknowledge", data: one }, at(5))
    .accepted({ type: "alerts.alert.acknowledged", data: one });
  given(alerts, ...both).when({ type: "alerts.alert.resolve", data: one }, at(5))
    .accepted({ type: "alerts.alert.resolved", data: { alert: idOf(1), because: "asked", note: "mine" } });
  given(alerts, ...both).when({ type: "alerts.alert.resolve", data: { alert: idOf(3) } }).rejected("no_such_alert");
});

Deno.test("what is told of one group leaves another to be told of itself", () => {
  const elsewhere = "f".repeat(12);
  const { state } = given(alerts, raised(1), raised(2, { group: elsewhere })).when(notify, at(31))
    .accepted(notified("raised", { raised: [1], standing: 1 }));
  assert.deepEqual([state.alerts[idOf(1)]!.told, state.alerts[idOf(2)]!.told], ["raised", "nothing"]);
});

Deno.test("a notification names the oldest first, and those of one time by name", () => {
  const { state } = given(alerts, raised(1, { since: timeOf(10) }), raised(3), raised(2));
  const named = newsOf(state, notify.data.group, ALERT_LIMITS.told_max)!.raised.map(({ alert }) => alert);
  assert.deepEqual(named, [idOf(2), idOf(3), idOf(1)]);
});

const silence = { type: "alerts.silence.begin", data: { until: timeOf(600), why: "We know" } } as const;
const silenced: AlertFact = { type: "alerts.silence.begun", data: { until: timeOf(600), why: "We know" } };
const over: AlertFact = { type: "alerts.silence.ended", data: { because: "over" } };

Deno.test("of what is silenced nothing is told until the silence is over, by its time or by a person", () => {
  const expire = { type: "alerts.silence.expire", data: {} } as const;
  given(alerts).when(silence, at(0)).accepted(silenced)
    .sets({ set: "silence:all", at: NOON + 600_000, command: expire });
  given(alerts, silenced).when(observe([caseOf(1)]), at(5)).accepted(raised(1)).sets();
  given(alerts, silenced, raised(1)).when(notify, at(35)).accepted();
  given(alerts, silenced, raised(1)).when(expire, at(599)).accepted();
  given(alerts, silenced, raised(1)).when(expire, at(600)).accepted(over).sets(notifyAt(600));
  given(alerts, silenced, raised(1), over).when(notify, at(600))
    .accepted(notified("raised", { raised: [1], standing: 1 }));
  given(alerts, silenced, raised(1)).when({ type: "alerts.silence.end", data: {} }, at(50))
    .accepted({ type: "alerts.silence.ended", data: { because: "asked" } })
    .sets({ cancel: "silence:all" }, notifyAt(50));
  given(alerts).when({ type: "alerts.silence.end", data: {} }).rejected("not_silenced");
});

Deno.test("the end of what was told before a silence is told through it; one alert may be silenced by itself", () => {
  const known = [raised(1), raised(2), notified("raised", { raised: [1, 2], standing: 2 })];
  const one: AlertFact = { type: "alerts.silence.begun", data: { alert: idOf(1), until: timeOf(600), why: "We know" } };
  given(alerts, ...known, silenced, resolved(1)).when(notify, at(90))
    .accepted(notified("raised", { resolved: [1], standing: 0 }));
  given(alerts, ...known, one, resolved(2)).when(notify, at(90))
    .accepted(notified("raised", { resolved: [2], standing: 0 }));
});

Deno.test("of one alert a silence begins and ends by itself, and what ends it late ends nothing", () => {
  const data = { alert: idOf(1), until: timeOf(600), why: "We know" };
  const begun: AlertFact = { type: "alerts.silence.begun", data };
  const [set, expire] = [`silence:${idOf(1)}`, { type: "alerts.silence.expire", data: { alert: idOf(1) } } as const];
  given(alerts).when({ type: "alerts.silence.begin", data }, at(0)).accepted(begun)
    .sets({ set, at: NOON + 600_000, command: expire });
  given(alerts, begun).when({ type: "alerts.silence.end", data: { alert: idOf(1) } }, at(5))
    .accepted({ type: "alerts.silence.ended", data: { alert: idOf(1), because: "asked" } }).sets({ cancel: set });
  given(alerts, begun).when({ type: "alerts.silence.end", data: {} }, at(5)).rejected("not_silenced");
  given(alerts).when(expire, at(600)).accepted();
});

Deno.test("a silence ends within a year, and there are only so many", () => {
  const until = (seconds: number) => ({ ...silence, data: { ...silence.data, until: timeOf(seconds) } });
  given(alerts).when(until(-1), at(0)).rejected("silence_over");
  given(alerts).when(until(0), at(0)).rejected("silence_over");
  given(alerts).when(until(366 * 86_400), at(0)).accepted({ ...silenced, data: until(366 * 86_400).data } as AlertFact);
  given(alerts).when(until(367 * 86_400), at(0)).rejected("silence_too_long");
  const many = Array.from({ length: ALERT_LIMITS.standing_max }, (_, n): AlertFact => ({
    type: "alerts.silence.begun",
    data: { alert: idOf(n), until: timeOf(600), why: "We know" },
  }));
  given(alerts, ...many).when(silence, at(0)).rejected("too_many_silences");
  const again = { alert: idOf(7), until: timeOf(900), why: "We know" };
  given(alerts, ...many).when({ type: "alerts.silence.begin", data: again }, at(0))
    .accepted({ type: "alerts.silence.begun", data: again });
});

Deno.test("a silence takes no time that is longer than any entry", () => {
  const until = `${timeOf(600).slice(0, -1)}${"0".repeat(70_000)}Z`;
  given(alerts).when({ ...silence, data: { ...silence.data, until } }, at(0)).invalid("/until");
});

Deno.test("a rule has only so many alerts; that there are more is said once, and again when there was room", () => {
  const cases = Array.from({ length: ALERT_LIMITS.standing_max }, (_, n) => raised(n));
  const more = observe([caseOf(1_000), caseOf(1_001)]);
  const told: AlertFact = { type: "alerts.rule.saturated", data: { standing: ALERT_LIMITS.standing_max } };
  given(alerts, ...cases).when(more, at(1)).accepted(told);
  given(alerts, ...cases, told).when(more, at(2)).accepted();
  given(alerts, ...cases, told, resolved(0)).when(more, at(3)).accepted(raised(1_000), told);
});

Deno.test("a notification names only so many alerts and counts the others", () => {
  const { told_max } = ALERT_LIMITS;
  const cases = Array.from({ length: told_max + 5 }, (_, n) => raised(n));
  const outcome = given(alerts, ...cases).when(notify, at(31));
  const { state } = outcome;
  assert.ok(Object.values(state.alerts).every(({ told }) => told === "raised"));
  const numbers = cases.slice(0, told_max).map((_, n) => n);
  const said = notified("raised", { raised: numbers, standing: told_max + 5 });
  outcome.accepted({ ...said, data: { ...said.data, more: 5 } } as AlertFact);
});

Deno.test("what holds is said by who looks at the log alone, and a rule that is gone takes its alerts along", () => {
  given(alerts).when(observe([caseOf(1)]), { by: "u_somebody" }).rejected("not_the_watch");
  given(alerts, raised(1)).when(observe([], [idOf(1), idOf(2)], { dropped: true }), at(5))
    .accepted(resolved(1, "dropped"));
  given(alerts).when({ ...observe([]), data: { ...observe([]).data, began: [caseOf(1, { alert: "x" })] } }, at(1))
    .invalid("/began/0/alert");
});
