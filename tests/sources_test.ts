/** What a source that numbers its events can be vouched for, against a small model: the numbers that were sent, and those that came. */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { Event, FactType } from "../events/event.ts";
import { events } from "../events/mod.ts";
import { vouchedFor } from "../projections/controls/mod.ts";
import { folder } from "../projections/fold.ts";
import {
  type Count,
  missingIn as allMissing,
  SOURCE_BOUNDS,
  type SourceState,
  sourceState,
  trackSource,
  UNSEEN,
} from "../projections/source_numbers.ts";
import { auditSources, type SourceRow, SOURCES_MAX } from "../projections/sources.ts";

const BEGAN = Date.UTC(2026, 0, 1);
const SECOND = 1_000;
const SOURCE = "urn:camera:1";

interface Told {
  readonly type?: string;
  readonly data?: unknown;
  readonly number?: number | string | boolean;
  readonly integer?: boolean;
  readonly source?: string;
  /** Seconds since the beginning; recorded then, too, unless something else is said. */
  readonly at?: number;
  readonly stream?: Event["stream"];
}

const eventOf = (
  { type = "frames.frame.seen", data = {}, source = SOURCE, ...told }: Told,
  position: number,
): Event => {
  const { number, integer = true, at = position, stream = "inbox/x" } = told;
  const time = new Date(BEGAN + at * SECOND).toISOString();
  events.spec(type)?.schema.parse(data);
  return {
    specversion: "1.0",
    id: `e${position}`,
    source,
    type: type as FactType,
    time,
    recordedat: time,
    stream,
    revision: position,
    position,
    version: 1,
    authtype: "api_key",
    authid: "t_1",
    data,
    ...(number === undefined ? {} : { sequence: typeof number === "boolean" ? number : String(number) }),
    ...(number === undefined || !integer ? {} : { sequencetype: "Integer" }),
  };
};

const tracked = (...told: readonly Told[]): SourceState =>
  told.map(eventOf).reduce<SourceState>((state, event) => trackSource(state, event), UNSEEN);

/** What an auditor is told of it. */
const tellings = (state: SourceState): readonly string[] =>
  vouchedFor({ ...state, missing: 0 }, BEGAN).map(({ text }) => text);

/** Every number that is missing, one by one. */
const missingIn = ({ gaps }: Count): readonly number[] =>
  gaps.flatMap(({ first, last }) => Array.from({ length: last - first + 1 }, (_, i) => first + i));

const range = (first: number, last: number) =>
  Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => first + i);

/** What is missing by the model: what was owed and did not come. */
const modelled = (came: ReadonlySet<number>, { first, last }: { readonly first?: number; readonly last?: number }) => {
  const all = [...came, ...(last === undefined ? [] : [last])];
  if (came.size === 0 && first === undefined) return undefined;
  const from = Math.min(...came, first ?? Infinity);
  return range(from, Math.max(...all, from - 1)).filter((number) => !came.has(number));
};

/** Numbers as they come: in any order, some lost, some twice; and what the source says of them. */
const journeys = fc.record({
  began: fc.constantFrom(1, 0, 5, 1_000, -3, 2 ** 31 - 8),
  numbers: fc.array(fc.integer({ min: 0, max: 30 }), { maxLength: 40 }),
  declared: fc.boolean(),
  said: fc.option(fc.integer({ min: 0, max: 35 }), { nil: undefined }),
});

const wrapped = (number: number) => number >= 2 ** 31 ? number - 2 ** 32 : number;
/** How often a count had wrapped around before its first event nobody can know: numbers are the same that differ by whole turns. */
const turned = (numbers: readonly number[] | undefined) => numbers?.map((number) => (number + 2 ** 33) % 2 ** 32);

Deno.test("any interleaving, loss and repetition of numbered events gives exactly the missing numbers, at every step", () => {
  fc.assert(
    fc.property(journeys, ({ began, numbers, declared, said }) => {
      let state: SourceState = UNSEEN;
      let position = 0;
      const take = (told: Told) => state = trackSource(state, eventOf(told, position++));
      if (declared) take({ type: "sources.source.declared", data: { first: wrapped(began) } });
      const came = new Set<number>();
      let repeated = 0;
      for (const offset of numbers) {
        const number = began + offset;
        take({ number: wrapped(number) });
        repeated += came.has(number) ? 1 : 0;
        came.add(number);
        const first = declared ? began : undefined;
        assert.deepEqual(turned(missingIn(state.count!)), turned(modelled(came, { first })));
        assert.equal(state.count!.missing, modelled(came, { first })!.length);
        assert.equal(state.count!.repeated, repeated);
        const ends = [Math.min(...came, first ?? Infinity), Math.max(...came)];
        assert.deepEqual(turned([state.count!.first, state.count!.last]), turned(ends));
      }
      // A heartbeat tells of those that were lost at the end.
      if (said === undefined) return;
      const last = began + said;
      take({ type: "sources.heartbeat.sent", data: { last: wrapped(last) } });
      const missing = modelled(came, { ...(declared ? { first: began } : {}), last });
      assert.deepEqual(
        turned(state.count && missingIn(state.count)),
        // Of which none came before, nothing is known but where it is now.
        came.size > 0 || declared ? turned(missing) : [],
      );
    }),
    { numRuns: 500 },
  );
});

Deno.test("what comes after all closes every gap, in whatever order", () => {
  fc.assert(
    fc.property(fc.shuffledSubarray(range(2, 40)), fc.infiniteStream(fc.nat()), (lost, chance) => {
      const first = [1, ...range(2, 41).filter((number) => !lost.includes(number))].map((number) => ({ number }));
      const late = lost.toSorted(() => chance.next().value! % 2 === 0 ? 1 : -1).map((number) => ({ number }));
      assert.equal(tracked(...first).count!.missing, lost.length);
      const { count } = tracked(...first, ...late);
      assert.deepEqual([count!.first, count!.last, count!.missing, count!.gaps], [1, 41, 0, []]);
    }),
    { numRuns: 100 },
  );
});

Deno.test("more gaps than are told apart are told together: what is missing is still counted, and never more than it is", () => {
  const numbers = range(0, 2 * SOURCE_BOUNDS.gaps_max + 40).map((i) => ({ number: 1 + 2 * i }));
  const { count } = tracked(...numbers);
  assert.equal(count!.gaps.length, SOURCE_BOUNDS.gaps_max);
  assert.equal(count!.inexact, true);
  assert.equal(count!.missing, numbers.length - 1);
  assert.equal(count!.gaps.reduce((sum, { missing }) => sum + missing, 0), count!.missing);
  // The oldest of them hold two numbers apart from each other, and what came between is not missing.
  const filled = tracked(...numbers, { number: 2 }).count!;
  assert.equal(filled.missing, count!.missing - 1);
  const text = vouchedFor({ ...UNSEEN, count, missing: count!.missing }, BEGAN).map(({ text }) => text).join("\n");
  assert.match(text, /more than 128 gaps: the oldest are told together/);
});

Deno.test("a count wraps around as the specification says, and goes on", () => {
  const { count } = tracked({ number: 2 ** 31 - 1 }, { number: -(2 ** 31) }, { number: -(2 ** 31) + 2 });
  assert.deepEqual([count!.missing, missingIn(count!)], [1, [2 ** 31 + 1]]);
});

Deno.test("a gap is told with what lies on both sides of it, and when it was noticed", () => {
  const { count } = tracked({ number: 1, at: 10 }, { number: 5, at: 60 }, { number: 3, at: 90 });
  const at = (seconds: number) => new Date(BEGAN + seconds * SECOND).toISOString();
  assert.deepEqual(
    count!.gaps.map(({ first, last, after, before, noticed }) => [first, last, after!.time, before.time, noticed]),
    [
      [2, 2, at(10), at(90), at(60)],
      [4, 4, at(90), at(60), at(60)],
    ],
  );
});

Deno.test("a sequence that nobody can read is no count: without a type, with another, or too large", () => {
  for (const odd of [{ number: "7", integer: false }, { number: "zz" }, { number: 2 ** 31 }, { number: "1e3" }]) {
    const state = tracked(odd);
    assert.deepEqual([state.numbering, state.count], ["unknown", undefined], JSON.stringify(odd));
  }
  // Digits count where the source has said that they do, leading zeros or not.
  const declared = { type: "sources.source.declared", data: { numbered: true } };
  const { count, numbering } = tracked(declared, { number: "0007", integer: false }, {
    number: "0009",
    integer: false,
  });
  assert.deepEqual([numbering, missingIn(count!)], ["declared", [8]]);
});

Deno.test("a number that cannot be one of its count is told, and the count goes on without it", () => {
  const odd: readonly Told[] = [
    { number: 1_500_000_000 },
    { number: 2 ** 31 },
    { number: "9".repeat(30) },
    { number: "NaN" },
    { number: "" },
    { number: "3", integer: false },
    { number: true },
    { number: 2.5 },
  ];
  for (const one of odd) {
    const state = tracked({ number: 1 }, one, { number: 2 });
    assert.deepEqual([state.numbering, missingIn(state.count!), state.unreadable], ["integer", [], 1], `${one.number}`);
    assert.deepEqual(tellings(state).slice(1), ["1 event has a number that cannot be read as one of its count"]);
  }
});

Deno.test("numbers count up to the last that a double says to the digit, and one beyond it is told as unreadable", () => {
  const last = Number.MAX_SAFE_INTEGER;
  const declared = { type: "sources.source.declared", data: { numbered: true } };
  const digits = (number: string): Told => ({ number, integer: false });
  const before = tracked(declared, digits(`${last - 3}`), digits(`${last}`), digits(`${last - 1}`));
  assert.deepEqual([before.count!.last, missingIn(before.count!), before.unreadable], [last, [last - 2], 0]);
  const beyond: readonly Told[] = [
    digits("9007199254740992"),
    digits("9007199254740993"),
    // Nearest to the last that are the same modulo 2^32.
    { number: 0 },
    { number: 5 },
    { number: 2 ** 31 - 1 },
  ];
  const lost = digits(`${last - 2}`);
  for (const one of beyond) {
    const state = sourceState.parse([one, lost].map((told, i) => eventOf(told, 10 + i)).reduce(trackSource, before));
    const { count, unreadable } = state;
    assert.deepEqual([count!.last, count!.gaps, unreadable], [last, [], 1], `${one.number}`);
  }
  // What such a source says of its numbers is not understood either, and -1 is the very last one.
  const wraps: SourceState = { ...before, numbering: "integer" };
  const window = { from: "2026-01-01T00:00:00Z", until: "2026-01-02T00:00:00Z", first: 0, last: 7 };
  const said = [
    { type: "sources.heartbeat.sent", data: { last: 7 } },
    { type: "sources.window.closed", data: window },
    { number: -1 },
  ].map((told, i) => eventOf(told, 20 + i)).reduce(trackSource, wraps);
  const { count } = sourceState.parse(said);
  assert.deepEqual([count!.last, count!.missing, count!.repeated, said.unreadable], [last, 1, 1, 0]);
  assert.equal(said.windows[0]!.missing, 1);
});

Deno.test("more are missing than a double says to the digit: as many as it says", () => {
  const most = Number.MAX_SAFE_INTEGER;
  const { count, ...state } = tracked({ number: 1 }, { number: 4 });
  const [gap] = count!.gaps;
  const gaps = Array.from({ length: SOURCE_BOUNDS.gaps_max }, () => ({ ...gap!, missing: most - 1 }));
  const full = { ...count!, gaps, missing: most - 1 };
  const next = trackSource({ ...state, count: full, earlier: [full] }, eventOf({ number: 9 }, 2));
  const row = sourceState.parse(next);
  assert.deepEqual([row.count!.missing, row.count!.gaps[0]!.missing, allMissing(row)], [most, most, most]);
});

Deno.test("numbers that a source says it has sent are missing until they come, though none ever came", () => {
  const window = { from: "2025-12-31T00:00:00Z", until: "2026-01-01T00:00:00Z" };
  const closed = (data: object): Told => ({ type: "sources.window.closed", data: { ...window, ...data } });
  const lost = tracked(closed({ first: 1, last: 10 }));
  assert.deepEqual(missingIn(lost.count!), range(1, 10));
  assert.deepEqual(tellings(lost), [
    "numbered from 1 (2026-01-01T00:00:00.000Z) to 10 (2026-01-01T00:00:00.000Z), 10 of 10 missing",
    "missing: 1 to 10, between the beginning of the count and 2026-01-01T00:00:00.000Z",
    "window closed from 2025-12-31T00:00:00Z to 2026-01-01T00:00:00Z, with 10 missing then",
  ]);
  // The first of a window that lies before all that came.
  const begun = tracked({ number: 5 }, closed({ first: 1, last: 6 }));
  assert.deepEqual([missingIn(begun.count!), begun.windows[0]!.missing], [[1, 2, 3, 4, 6], 5]);
  // Between a sign of life that says 10 and what came next, 11 was lost.
  const beat: Told = { type: "sources.heartbeat.sent", data: { last: 10 } };
  assert.deepEqual(tellings(tracked(beat)), [
    "its numbers had come to 10 at 2026-01-01T00:00:00.000Z, as it says; none was recorded",
  ]);
  assert.deepEqual(missingIn(tracked(beat, { number: 12 }).count!), [11]);
  // Where a source has declared its beginning, an earlier one is none of this count's.
  const declared: Told = { type: "sources.source.declared", data: { first: 5 } };
  assert.deepEqual(missingIn(tracked(declared, { number: 5 }, closed({ first: 1, last: 5 })).count!), []);
  // Of numbers that nobody knows how to read nothing is missing, whatever else it says.
  const unknown = tracked(beat, { number: "11", integer: false }, { ...beat, data: { last: 12 } });
  assert.deepEqual([unknown.numbering, unknown.count], ["unknown", undefined]);
});

Deno.test("what was on its way when a new count was declared belongs to the one before", () => {
  const { earlier, count } = tracked(
    { number: 1 },
    { number: 4 },
    { type: "sources.source.declared", data: { first: 5 } },
    { number: 5 },
    { number: 2 },
    { number: 4 },
  );
  assert.deepEqual([earlier.map(missingIn), earlier[0]!.repeated], [[[3]], 1]);
  assert.deepEqual([count!.first, count!.last, missingIn(count!)], [5, 5, []]);
});

Deno.test("of each count it is told by itself whether its beginning was declared", () => {
  const state = tracked({ number: 7 }, { type: "sources.source.declared", data: { first: 3 } }, { number: 3 });
  assert.deepEqual(tellings(state), [
    "complete from 7 (2026-01-01T00:00:00.000Z) to 7 (2026-01-01T00:00:00.000Z)",
    "no count from before 7 was declared: nothing can be said of it",
    "complete from 3 (2026-01-01T00:00:01.000Z) to 3 (2026-01-01T00:00:02.000Z)",
  ]);
});

Deno.test("a new declaration begins a new count; what the one before lacks stays told", () => {
  const { earlier, count } = tracked(
    { number: 1 },
    { number: 4 },
    { type: "sources.source.declared", data: { first: 1 } },
    { number: 2 },
  );
  assert.deepEqual(earlier.map(missingIn), [[2, 3]]);
  assert.deepEqual(missingIn(count!), [1]);
});

Deno.test("a silence longer than promised is told with its span, and one that lasts by the time it is asked", () => {
  const state = tracked(
    { type: "sources.source.declared", data: { heartbeat_s: 60 }, at: 0 },
    { type: "sources.heartbeat.sent", at: 60 },
    { at: 180 },
    { at: 181 },
  );
  const at = (seconds: number) => new Date(BEGAN + seconds * SECOND).toISOString();
  assert.deepEqual(state.silences, [{ since: at(60), until: at(180), position: 2 }]);
  const told = (seconds: number) =>
    vouchedFor({ ...state, missing: 0 }, BEGAN + seconds * SECOND).map(({ text }) => text);
  assert.ok(!told(241).includes(`silent since ${at(181)}`));
  assert.ok(told(242).includes(`silent since ${at(181)}`));
});

Deno.test("a window that is closed says what was missing of it then", () => {
  const window = { from: "2026-01-01T00:00:00Z", until: "2026-01-02T00:00:00Z" };
  const { windows, count } = tracked(
    { number: 1 },
    { type: "sources.window.closed", data: { ...window, first: 1, last: 3 } },
    { number: 3 },
  );
  assert.deepEqual(windows, [{ ...window, position: 1, missing: 2, late: 1 }]);
  assert.deepEqual(missingIn(count!), [2]);
});

Deno.test("a window tells what is missing of its own numbers, what came after it was closed, and that it is none", () => {
  const closed = (from: string, until: string, data: object = {}): Told => ({
    type: "sources.window.closed",
    data: { from: `2026-01-01T00:00:${from}Z`, until: `2026-01-01T00:00:${until}Z`, ...data },
  });
  const state = tracked(
    { number: 1, at: 1 },
    { number: 3, at: 2 },
    { number: 4, at: 11 },
    { ...closed("00", "10", { first: 1, last: 3 }), at: 12 },
    { ...closed("10", "20", { first: 4, last: 4 }), at: 21 },
    { number: 5, at: 9 },
    { number: 6, at: 25 },
    { ...closed("40", "30"), at: 41 },
  );
  assert.deepEqual(state.windows.map(({ missing, late }) => [missing, late]), [[1, 1], [0, 0], [1, 0]]);
  assert.deepEqual(tellings(state).slice(-3), [
    "window closed from 2026-01-01T00:00:00Z to 2026-01-01T00:00:10Z, with 1 missing then; 1 event of it came after that",
    "window closed from 2026-01-01T00:00:10Z to 2026-01-01T00:00:20Z",
    "a window was closed that ends before it begins, from 2026-01-01T00:00:40Z to 2026-01-01T00:00:30Z",
  ]);
  // Of one that does not number its events as well.
  const plain = tracked({ ...closed("00", "10"), at: 12 }, { at: 5 }, { at: 15 });
  assert.deepEqual(plain.windows.map(({ late }) => late), [1]);
});

/** Rows of the view after these events. */
const rowsOf = (told: Iterable<Told>): ReadonlyMap<string, SourceRow> => {
  const rows = new Map<string, SourceRow>();
  const fold = folder(auditSources, {
    get: (key) => rows.get(key),
    set: ({ key, row }) => void rows.set(key, row as SourceRow),
  });
  let position = 0;
  for (const one of told) fold(eventOf(one, position++));
  return rows;
};

Deno.test("audit.sources has a row for every source, says of one without numbers that nothing can be said, and none of our own", () => {
  const rows = rowsOf([
    { source: "https://example.org/a" },
    { source: "https://example.org/a" },
    { source: "~tilde" },
    { source: "commits/x", stream: "commits/x" },
    { source: "kernel" },
    { number: 1 },
    { number: 3 },
  ]);
  assert.deepEqual([...rows.keys()].filter((key) => !key.startsWith("~")), [
    "https://example.org/a",
    "%7Etilde",
    SOURCE,
  ]);
  assert.deepEqual(vouchedFor(rows.get("%7Etilde")!, BEGAN).map(({ text }) => text), [
    "not numbered: nothing can be said",
  ]);
  assert.equal(rows.get(SOURCE)!.missing, 1);
  assert.deepEqual(vouchedFor(rows.get(SOURCE)!, BEGAN).map(({ is, text }) => [is, text]), [
    ["complete", "numbered from 1 (2026-01-01T00:00:05.000Z) to 3 (2026-01-01T00:00:06.000Z), 1 of 3 missing"],
    ["gap", "missing: 2, between 2026-01-01T00:00:05.000Z and 2026-01-01T00:00:06.000Z"],
  ]);
});

Deno.test("audit.sources holds a bounded number of sources, and one row for all others", () => {
  const rows = rowsOf(range(1, SOURCES_MAX + 3).map((i) => ({ source: `urn:s:${i}` })));
  assert.equal(rows.size, SOURCES_MAX + 2);
  assert.equal(rows.get("(others)")!.numbering, "unknown");
  assert.equal(rows.get("~held")!.held, SOURCES_MAX);
});
