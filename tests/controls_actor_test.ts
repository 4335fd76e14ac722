/** Exceptions from controls, decided. */
import { controls } from "../actors/controls.ts";
import { EXCEPTION_LIMITS } from "../events/controls.ts";
import { given } from "./given.ts";

const at = Date.UTC(2026, 0, 5, 9);
const later = (ms: number) => new Date(at + ms).toISOString();
const DAY = 86_400_000;
const why = "The new provider has no second factor yet";
const granted = { type: "controls.exception.granted", data: { until: later(DAY), why } } as const;

Deno.test("controls.exception.grant excepts a control until a time, and again", () => {
  const data = { until: later(DAY), why, approvedby: "u_second" };
  given(controls).when({ type: "controls.exception.grant", data }).accepted({
    type: "controls.exception.granted",
    data,
  });
  given(controls, granted).when({ type: "controls.exception.grant", data }).accepted({
    type: "controls.exception.granted",
    data,
  });
});

Deno.test("controls.exception.grant ends in the future, and not too far there", () => {
  const until = (ms: number) => ({ type: "controls.exception.grant", data: { until: later(ms), why } }) as const;
  const most = EXCEPTION_LIMITS.days_max * DAY;
  given(controls).when(until(0)).rejected("exception_over");
  given(controls).when(until(1)).accepted({ type: "controls.exception.granted", data: { until: later(1), why } });
  given(controls).when(until(most)).accepted({ type: "controls.exception.granted", data: { until: later(most), why } });
  given(controls).when(until(most + 1)).rejected("exception_too_long");
});

Deno.test("controls.exception.grant takes no time that is longer than any entry", () => {
  const until = (digits: number) => later(DAY).replace(".000", `.${"0".repeat(digits)}`).replace("Z", "+00:00");
  const grant = (digits: number) =>
    ({ type: "controls.exception.grant", data: { until: until(digits), why } }) as const;
  given(controls).when(grant(9)).accepted({ type: "controls.exception.granted", data: { until: until(9), why } });
  given(controls).when(grant(70_000)).invalid("/until");
});

Deno.test("controls.exception.grant is approved by somebody else, and says why", () => {
  const data = { until: later(DAY), why, approvedby: "u_tester" };
  given(controls).when({ type: "controls.exception.grant", data }).rejected("approved_by_oneself");
  const byKey = { by: "t_of_the_tester", account: "u_tester" };
  given(controls).when({ type: "controls.exception.grant", data }, byKey).rejected("approved_by_oneself");
  given(controls).when({ type: "controls.exception.grant", data }, { ...byKey, account: "u_other" })
    .accepted({ type: "controls.exception.granted", data });
  given(controls).when({ type: "controls.exception.grant", data: { until: later(DAY), why: "" } }).invalid("/why");
});

Deno.test("controls.exception.end ends what stands, and nothing else", () => {
  const end = { type: "controls.exception.end", data: { why: "It has one now" } } as const;
  given(controls, granted).when(end).accepted({ type: "controls.exception.ended", data: end.data });
  given(controls).when(end).rejected("no_exception");
  given(controls, granted).when(end, { at: at + DAY }).rejected("no_exception");
  given(controls, granted, { type: "controls.exception.ended", data: { why } }).when(end).rejected("no_exception");
});
