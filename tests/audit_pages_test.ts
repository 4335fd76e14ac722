/** The pages of an audit folder: counts by day, week and month, charts, and content that is meant to be read as markup. */
import assert from "node:assert/strict";
import type { Assessment } from "../adapters/audit/assessment.ts";
import type { Scope } from "../adapters/audit/manifest.ts";
import { evidencePage } from "../adapters/audit/pages/evidence.tsx";
import { indexPage } from "../adapters/audit/pages/index.tsx";
import { Tally } from "../adapters/audit/tally.ts";
import type { Event } from "../events/event.ts";
import type { ControlResult } from "../projections/controls/mod.ts";

const DAY = 86_400_000;
const HOSTILE = `"><script>alert(1)</script><img src=x onerror=alert(1)>`;

const scope: Scope = {
  format: 1,
  program: { name: "daybook", version: "1.2.3" },
  origin: "audited",
  size: 3,
  root: "A".repeat(43) + "=",
  at: "2026-11-20T09:00:00.000Z",
  witnesses: [],
  cosigned: 0,
};

const result = (over: Partial<ControlResult> = {}): ControlResult => ({
  id: "one",
  title: "Something holds",
  frameworks: [{ name: "SOC 2", ref: "CC6.1" }],
  mode: "watch",
  status: "pass",
  because: "It was seen",
  considered: 3,
  violations: 0,
  evidence: [{ position: 1, note: "as it must be" }],
  ...over,
});

const assessment = (over: Partial<Assessment> = {}): Assessment => ({
  at: scope.at,
  results: [result()],
  sources: [],
  more_sources: 0,
  attestations: [],
  bins: [],
  ...over,
});

const event = (position: number, at: number, type = "tests.thing.happened", data: unknown = {}): Event => ({
  specversion: "1.0",
  id: `e${position}`,
  source: "urn:test",
  type: type as Event["type"],
  time: new Date(at).toISOString(),
  stream: "tests/one",
  revision: position,
  position,
  version: 1,
  recordedat: new Date(at).toISOString(),
  authtype: "user",
  authid: "u_1",
  data,
});

const tallied = (days: readonly number[], period: { from?: number; to?: number } = {}) => {
  const tally = new Tally({ from: period.from, to: period.to });
  days.forEach((day, position) => tally.add(event(position, day * DAY + 3_600_000)));
  return tally;
};

const daysOf = (from: string, count: number, step = 1): readonly number[] =>
  Array.from({ length: count }, (_, i) => Date.parse(from) / DAY + i * step);

Deno.test("a period is cut into days, weeks, months or years, so that no chart has more than 62 columns", () => {
  const froms = (from: string, days: number, step = 1) => {
    const bins = tallied(daysOf(from, Math.ceil(days / step), step)).bins([]);
    assert.ok(bins.length <= 62, `${bins.length} columns`);
    assert.equal(bins.reduce((sum, bin) => sum + bin.events, 0), Math.ceil(days / step), "nothing is lost");
    return bins.map((bin) => bin.from);
  };
  assert.deepEqual(froms("2026-11-19", 3), ["2026-11-19", "2026-11-20", "2026-11-21"]);
  assert.equal(froms("2026-01-01", 62).length, 62);
  const weeks = froms("2026-01-01", 63);
  assert.deepEqual([weeks[0], weeks[1], weeks.length], ["2025-12-29", "2026-01-05", 10]);
  const months = froms("2025-01-15", 500);
  assert.deepEqual([months[0], months[1]], ["2025-01-01", "2025-02-01"]);
  assert.deepEqual(froms("2000-06-01", 26 * 365, 30).slice(0, 2), ["2000-01-01", "2001-01-01"]);
  assert.deepEqual(tallied([]).bins([]), []);
});

Deno.test("days without events have a column, and what lies outside of the period is not counted", () => {
  const [from, to] = ["2026-11-02", "2026-11-05"].map((day) => Date.parse(day));
  const tally = tallied(daysOf("2026-11-01", 3, 3), { from, to });
  assert.deepEqual(tally.bins([]).map((bin) => [bin.from, bin.events]), [["2026-11-04", 1]]);
  assert.deepEqual(tally.span, { first: "2026-11-04T01:00:00.000Z", last: "2026-11-04T01:00:00.000Z" });
  const gap = tallied(daysOf("2026-11-01", 2, 2)).bins([]);
  assert.deepEqual(gap.map((bin) => [bin.from, bin.events]), [["2026-11-01", 1], ["2026-11-02", 0], ["2026-11-03", 1]]);
});

Deno.test("sign-ins are counted by their outcome, observed ones as often as they are told, findings on the day of their event", () => {
  const tally = new Tally({ from: undefined, to: undefined });
  const day = Date.parse("2026-11-20");
  const told: readonly (readonly [string, unknown])[] = [
    ["identity.signin.succeeded", {}],
    ["identity.signin.failed", {}],
    ["identity.signin.observed", { outcome: "failed", times: 5 }],
    ["identity.signin.observed", { outcome: "accepted" }],
    ["releases.deployment.finished", {}],
  ];
  told.forEach(([type, data], position) => tally.add(event(position, day + position, type, data)));
  tally.add(event(5, day + DAY));
  assert.deepEqual(tally.bins([{ position: 5 }, { position: 3 }, { position: 0 }]), [
    { from: "2026-11-20", events: 5, signins: 2, signins_failed: 6, deployments: 1, findings: 2 },
    { from: "2026-11-21", events: 1, signins: 0, signins_failed: 0, deployments: 0, findings: 1 },
  ]);
});

Deno.test("what an event or a source holds is text, whatever it looks like", () => {
  const index = indexPage(
    { ...scope, origin: HOSTILE, framework: HOSTILE },
    assessment({
      results: [result({ because: HOSTILE, by: HOSTILE, until: HOSTILE, status: "excepted" })],
      sources: [{ source: HOSTILE, vouched: [{ is: "gap", text: HOSTILE, position: 1 }] }],
      bins: tallied(daysOf("2026-11-20", 1)).bins([]),
    }),
  );
  const hostile = { ...event(1, Date.parse(scope.at), "tests.thing.happened", { text: HOSTILE }), source: HOSTILE };
  const entry = new TextEncoder().encode(JSON.stringify(hostile));
  const evidence = [...evidencePage({ entry: () => entry }, { ...scope, origin: HOSTILE }, [1])].join("");
  for (const page of [index, evidence]) {
    assert.doesNotMatch(page, /<script|<img/);
    assert.ok(page.includes("&lt;script&gt;"));
    assert.match(page, /^<!doctype html>\n<html lang="en">/);
    assert.match(
      page,
      /http-equiv="content-security-policy" content="default-src &#39;none&#39;; style-src &#39;sha256-/,
    );
    assert.doesNotMatch(page, /(href|src)="(https?:|\/\/|javascript:)/);
  }
});

Deno.test("pages of an audit show what turns or hides text as an escape", () => {
  const turned = "a\u202eb";
  const index = indexPage(scope, assessment({ sources: [{ source: turned, vouched: [{ is: "gap", text: turned }] }] }));
  const odd = { ...event(1, Date.parse(scope.at), turned, { text: turned }), id: `7 of /other${turned}` };
  const entry = new TextEncoder().encode(JSON.stringify(odd));
  const evidence = [...evidencePage({ entry: () => entry }, scope, [1])].join("");
  for (const page of [index, evidence]) assert.ok(page.includes("a\\u202eb") && !page.includes("\u202e"));
});

Deno.test("evidence shows what is sealed as such, and of long content the beginning", () => {
  const sealed = `sealed:1:s_0123456789abcdef:${"A".repeat(80)}`;
  const told = event(1, Date.parse(scope.at), "tests.thing.happened", { who: sealed, text: "x".repeat(10_000) });
  const entry = new TextEncoder().encode(JSON.stringify(told));
  const page = [...evidencePage({ entry: () => entry }, scope, [1])].join("");
  assert.ok(page.includes("[sealed]") && !page.includes(sealed));
  assert.ok(page.length < 20_000 && page.includes("\n…"));
  assert.ok(page.includes(`id="p1"`));
});

Deno.test("every event that the page speaks of is among the evidence, and every link leads to one", () => {
  const index = indexPage(scope, assessment());
  const linked = [...index.matchAll(/evidence\.html#p(\d+)/g)].map(([, position]) => Number(position));
  assert.deepEqual(linked, [1]);
  const empty = indexPage(scope, assessment({ results: [] }));
  assert.match(empty, /No control was asked for/);
});
