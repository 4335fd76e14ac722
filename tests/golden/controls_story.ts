/** Releases, sources that count, controls and what became of them, in every form that readers tell apart. */
import type { ControlFact } from "../../events/controls.ts";
import type { StreamId } from "../../events/event.ts";
import type { ControlKernelFact } from "../../events/kernel_controls.ts";
import type { NewEvent } from "../../events/log.ts";

type Told = (at: number) => NewEvent;

const SHA = "0123456789abcdef0123456789abcdef01234567";
const instant = (at: number): string => new Date(at).toISOString();
const CI = "https://ci.example.org/garden";
const COUNTING = "urn:golden:meter";

const observed = (type: string, id: string, data: unknown, more: Partial<NewEvent> = {}): Told => (at) => ({
  type,
  id,
  source: CI,
  stream: "releases/ci.example.org:garden",
  time: instant(at - 1_000),
  version: 1,
  authtype: "api_key",
  authid: "t_golden",
  data,
  ...more,
});

const counted = (number: number, type: string, data: unknown, stream: StreamId = "sources/urn:golden:meter"): Told =>
  observed(type, `meter-${number}`, data, {
    source: COUNTING,
    stream,
    extensions: { sequence: String(number), sequencetype: "Integer" },
  });

let facts = 0;
const kernel = (fact: ControlKernelFact, stream: StreamId = "kernel/controls"): Told => (at) => ({
  ...fact,
  id: `controls-${facts++}`,
  source: "kernel",
  authtype: "system",
  authid: "kernel",
  stream,
  time: instant(at),
  version: 1,
});

const exception = (fact: ControlFact, id: string): Told => (at) => ({
  ...fact,
  id: `u_golden:${id}/0`,
  source: "controls/deployment-after-gates",
  stream: "controls/deployment-after-gates",
  authtype: "user",
  authid: "u_golden",
  time: instant(at),
  version: 1,
});

const change = {
  control: "deployment-after-gates",
  title: "Only a commit that passed its tests is deployed to production",
  mode: "enforce" as const,
  frameworks: [{ name: "SOC 2", ref: "CC8.1" }],
  considered: 1,
  violations: 0,
};
const ROOT = `${"A".repeat(43)}=`;

/** One step each. */
export const controlsStory = (): readonly (readonly Told[])[] => {
  facts = 0;
  const control = "deployment-after-gates";
  const deployment = { deployment: "d-1", commit: SHA, environment: "production" };
  return [
    [observed("releases.gate.failed", "g-1", { commit: SHA, gate: "tests" })],
    [observed("releases.gate.passed", "g-2", { commit: SHA, gate: "tests", url: "https://ci.example.org/runs/2" })],
    [observed("releases.release.published", "r-1", {
      version: "1.0.0",
      commit: SHA,
      digest: `sha256:${"b".repeat(64)}`,
    })],
    [observed("releases.deployment.started", "d-1", {
      ...deployment,
      version: "1.0.0",
      by: "ada",
      approvedby: "grace",
    })],
    [observed("releases.deployment.finished", "d-1/end", { deployment: "d-1", outcome: "rolled_back" })],
    [counted(1, "sources.source.declared", { first: 1, heartbeat_s: 60 })],
    [
      counted(2, "meter.reading.taken", { kwh: 7 }, "inbox/urn:golden:meter"),
      counted(5, "meter.reading.taken", { kwh: 9 }, "inbox/urn:golden:meter"),
    ],
    [counted(4, "meter.reading.taken", { kwh: 8 }, "inbox/urn:golden:meter")],
    [counted(6, "sources.heartbeat.sent", { last: 5 })],
    [counted(7, "sources.window.closed", { from: "2026-01-01T00:00:00Z", until: "2026-01-02T00:00:00Z", last: 9 })],
    [kernel({
      type: "kernel.log.verified",
      data: { size: 10, root: ROOT, ok: true, failures: 0, anchored: 8, because: "asked" },
    }, "kernel/log")],
    [kernel({
      type: "kernel.control.enforced",
      data: { control, guards: ["releases.deployment.started"], stated: { id: control } },
    })],
    [kernel({
      type: "kernel.control.turned",
      data: {
        at: "2026-01-01T09:00:00.000Z",
        size: 20,
        changes: [
          { ...change, status: "pass", because: "1 considered, 0 against the rule", newest: 12 },
          {
            ...change,
            control: "gone-soon",
            mode: "watch",
            frameworks: [],
            status: "no_evidence",
            because: "Nothing was seen",
          },
        ],
      },
    })],
    [kernel({
      type: "kernel.action.declined",
      data: { control, action: "releases.deployment.started", target: "releases/x", because: "Red" },
    })],
    [exception({
      type: "controls.exception.granted",
      data: { until: "2026-02-01T00:00:00Z", why: "Moving", approvedby: "u_second" },
    }, "x-1")],
    [kernel({
      type: "kernel.control.turned",
      data: {
        at: "2026-01-01T09:10:00.000Z",
        size: 23,
        changes: [{
          ...change,
          from: "pass",
          status: "excepted",
          because: "Red",
          until: "2026-02-01T00:00:00Z",
          by: "u_golden",
        }],
      },
    })],
    [exception({ type: "controls.exception.ended", data: { why: "Moved" } }, "x-2")],
    [kernel({
      type: "kernel.gap.opened",
      data: {
        source: COUNTING,
        first: 3,
        last: 3,
        missing: 1,
        after: { position: 4, time: "2026-01-01T09:00:00Z" },
        before: { position: 5, time: "2026-01-01T09:01:00+01:00" },
      },
    }, "kernel/sources")],
    [kernel({ type: "kernel.gap.closed", data: { source: COUNTING, first: 3, last: 3 } }, "kernel/sources")],
    [kernel({
      type: "kernel.silence.opened",
      data: { source: COUNTING, since: "2026-01-01T09:00:00Z", due: "2026-01-01T09:01:00Z" },
    }, "kernel/sources")],
    [kernel(
      { type: "kernel.silence.closed", data: { source: COUNTING, since: "2026-01-01T09:00:00Z" } },
      "kernel/sources",
    )],
    [kernel({ type: "kernel.control.relaxed", data: { control } })],
    [kernel({ type: "kernel.control.dropped", data: { control: "gone-soon" } })],
  ];
};
