/** The index is derived from the blocks, and the verifier holds it against them. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import fc from "fast-check";
import { encodeKey } from "../adapters/kv/key_encoding.ts";
import { copiesIn } from "../adapters/verify/copies.ts";
import { ENTRIES_MAX, INPUT_BYTES_MAX } from "../adapters/verify/header_scan.ts";
import { sharedScan } from "../adapters/verify/headers.ts";
import { newSecret, numberOf, type Secret, STEP, Sum } from "../adapters/verify/index_sums.ts";
import { repeatedNames } from "../adapters/verify/names.ts";
import { IndexFault, pagesIn } from "../adapters/verify/index_table.ts";
import { Rows } from "../adapters/verify/rows.ts";
import { FILTER_BLOCK_BYTES, type FilterBytes, FOUND, TableScan } from "../adapters/verify/table_code.ts";
import { verifyLog } from "../adapters/verify/verify.ts";
import { ALL } from "./sampled.ts";
import { chance, makeLog, signer, Tampered } from "./verify_given.ts";

interface Table {
  rows: number;
  body: { start: number; pages: number };
  fence: { start: number; pages: number };
  filter?: { start: number; pages: number };
}
interface Manifest {
  until: number;
  segments: { from: number; until: number; ids: Table; streams: Table; terms: Table }[];
}

type Tampering = (file: Tampered, manifest: Manifest, below: (n: number) => number) => void;

const doubles = (file: Tampered, page: number) => new Float64Array(file.get("index", page).slice().buffer);
const put = (file: Tampered, page: number, values: Float64Array) =>
  file.put(new Uint8Array(values.buffer), "index", page);
const editManifest = (edit: (manifest: Manifest) => void): Tampering => (file, manifest) => {
  edit(manifest);
  file.put(JSON.stringify(manifest), "manifest");
};
const editRow =
  (name: "ids" | "streams" | "terms", columns: number, column: number, by: number): Tampering =>
  (file, { segments }, below) => {
    const { body } = segments[0]![name];
    const page = body.start + below(body.pages);
    const values = doubles(file, page);
    values[below(values.length / columns) * columns + column]! += by;
    put(file, page, values);
  };
/** A page of entries that lie in the index once more: it holds text. */
const gathered = (file: Tampered, { segments }: Manifest): number => {
  for (let page = 0; page < segments[0]!.ids.body.start; page++) {
    if (file.text("index", page).startsWith("[{")) return page;
  }
  throw new Error("nothing was gathered");
};

const TAMPERINGS: Record<string, Tampering> = {
  "a position in ids": editRow("ids", 2, 1, 1),
  "a name in ids": editRow("ids", 2, 0, 0.5),
  "a position in streams": editRow("streams", 5, 1, 1),
  "a revision in streams": editRow("streams", 5, 2, 1),
  "a count in streams": editRow("streams", 5, 3, 1e15),
  "a place in streams": editRow("streams", 5, 4, 2 ** 32),
  "a block in terms": editRow("terms", 2, 1, 1),
  "a first key": (file, { segments }) => {
    const { fence } = segments[0]!.ids;
    const values = doubles(file, fence.start);
    values[values.length - 1]!++;
    put(file, fence.start, values);
  },
  "a filter of nothing": (file, { segments }) => {
    const { start } = segments[0]!.ids.filter!;
    file.put(new Uint8Array(file.get("index", start).length), "index", start);
  },
  "a bit more in a filter": (file, { segments }, below) => {
    const { start } = segments[0]!.ids.filter!;
    const bytes = file.get("index", start).slice();
    let at = below(bytes.length);
    while (bytes[at] === 255) at = (at + 1) % bytes.length;
    bytes[at] = bytes[at]! | (bytes[at]! + 1);
    file.put(bytes, "index", start);
  },
  "a page gone": (file, { segments }) => file.delete("index", segments[0]!.terms.body.start),
  "a page cut": (file, { segments }) =>
    file.put(file.get("index", segments[0]!.ids.body.start).subarray(0, 801), "index", segments[0]!.ids.body.start),
  "rows taken out, and counted": (file, manifest) => {
    const { ids } = manifest.segments[0]!;
    const page = ids.body.start + ids.body.pages - 1;
    const values = doubles(file, page);
    put(file, page, values.slice(0, -2));
    ids.rows--;
    file.put(JSON.stringify(manifest), "manifest");
  },
  "another text in a copy": (file, manifest) => {
    const page = gathered(file, manifest);
    file.put(file.text("index", page).replace('"text":"text', '"text":"tect'), "index", page);
  },
  "another revision in a copy": (file, manifest) => {
    const page = gathered(file, manifest);
    file.put(file.text("index", page).replace(/"revision":(\d)/g, '"revision":9'), "index", page);
  },
  "a copy that is no JSON": (file, manifest) => {
    const page = gathered(file, manifest);
    file.put(file.text("index", page).replace("{", "["), "index", page);
  },
  "a segment left out": editManifest((manifest) => manifest.segments.shift()),
  "tables left out": editManifest((manifest) => Reflect.deleteProperty(manifest.segments[0]!, "terms")),
  "a manifest gone": (file) => file.delete("manifest"),
  "a manifest of before": editManifest((manifest) => {
    const [first] = manifest.segments;
    Object.assign(manifest, { segments: [first], until: first!.until });
  }),
  "a manifest of nothing": (file) => file.put("nothing", "manifest"),
};

Deno.test("an index that says anything else than the blocks is found", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const appends = [...new Array<number>(8).fill(700), 1];
    const { path, size, root } = await makeLog(`${dir}/log.db`, { appends, streams: 50, segmentEvents: 2_000 });
    const sound = await verifyLog({ path, key: signer.vkey });
    assert.deepEqual([sound.failures, sound.size, sound.root, sound.streams], [[], size, root, 50]);
    for (const [i, [name, tampering]] of Object.entries(TAMPERINGS).entries()) {
      const random = chance(i);
      const copy = `${dir}/tampered.db`;
      await Deno.copyFile(path, copy);
      const file = new Tampered(copy);
      tampering(file, JSON.parse(file.text("manifest")), (n) => Math.floor(random() * n));
      file.close();
      const report = await verifyLog({ path: copy, key: signer.vkey });
      assert.deepEqual(report.failures.map(({ kind, position }) => [kind, position]), [["index", 0]], name);
      assert.equal(report.signed, size, "the entries are as they were");
    }
    const file = new Tampered(path);
    const from = file.blocks().at(-30)!;
    for (const first of file.blocks()) if (first >= from) file.delete("log", first);
    file.forget();
    file.close();
    // No checkpoint tells any more that the tail was cut, but the index had seen it.
    const { failures } = await verifyLog({ path });
    assert.deepEqual(failures.map(({ kind, position }) => [kind, position]), [["truncated", from]]);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("no byte of a row beside the blocks can be another", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const making = { appends: [80, 80, 80, 2], streams: 3, segmentEvents: 80, keep: [160] };
    const { path } = await makeLog(`${dir}/log.db`, making);
    const file = new Tampered(path);
    const rows = [["manifest"], ["tree"], ["checkpoint"], ["checkpoints", 160], ["format"], ["tile", 0, 0]] as const;
    for (const [i, row] of rows.entries()) {
      const bytes = file.get(...row).slice();
      // Every one of the short rows, of the others some.
      const step = Math.ceil(bytes.length / (ALL ? 150 : 40));
      for (let at = i % step; at < bytes.length; at += step) {
        file.put(bytes.with(at, bytes[at]! ^ 1 << at % 7), ...row);
        assert.equal((await verifyLog({ path, key: signer.vkey })).ok, false, `byte ${at} of ${row.join("/")}`);
      }
      file.put(bytes, ...row);
    }
    file.close();
    assert.deepEqual((await verifyLog({ path, key: signer.vkey })).failures, []);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("where an entry was changed, the index that differs by it is named there and not at its beginning", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const { path } = await makeLog(`${dir}/log.db`, { appends: [700, 700, 700, 1], streams: 5, segmentEvents: 2_000 });
    const file = new Tampered(path);
    const first = file.blocks().at(7)!;
    const entries = file.entries(first);
    entries[2] = { ...entries[2]!, id: "another" };
    file.write(first, entries);
    file.close();
    const { failures } = await verifyLog({ path, key: signer.vkey });
    assert.deepEqual([...new Set(failures.map(({ position }) => position))], [first + 2]);
    assert.ok(failures.some(({ kind }) => kind === "index"));
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("rows that are asked for in whatever order are those of their numbers, and few statements do for all", () => {
  const db = new DatabaseSync(":memory:");
  try {
    db.exec("create table kv (k blob primary key, v blob, v_encoding integer, expiration_ms integer) without rowid");
    const put = (key: Uint8Array, value: number) =>
      db.prepare("insert into kv values (?, ?, 3, -1)").run(key, Uint8Array.of(value));
    const there = (number: number) => number % 7 !== 3;
    for (let number = 0; number < 100; number++) {
      if (there(number)) put(encodeKey(["index", number]), number);
      // No number, and between two that are.
      if (number % 10 === 5) put(encodeKey(["index", number, "x"]), 255);
    }
    let prepared = 0;
    const rows = new Rows(
      new Proxy(db, {
        get: (target, name) => (sql: string) => {
          assert.equal(name, "prepare");
          prepared++;
          return target.prepare(sql);
        },
      }),
    );
    const pages = [pagesIn(rows), pagesIn(rows)];
    const random = chance(9);
    const below = (n: number) => Math.floor(random() * n);
    const before = prepared;
    for (let round = 0; round < 500; round++) {
      const all = pages[round % 2]!;
      const from = below(100);
      for (let number = from; number <= from + below(12); number++) {
        const found = all.get(number);
        assert.deepEqual(found, number < 100 && there(number) ? Uint8Array.of(number) : undefined, `${number}`);
      }
    }
    assert.ok(prepared - before <= pages.length, `${prepared - before} statements`);
  } finally {
    db.close();
  }
});

Deno.test("two texts of the same length or another have other sums, whatever bits differ", () => {
  const random = chance(7);
  const below = (n: number) => Math.floor(random() * n);
  const of = (secret: Secret, bytes: Uint8Array) => numberOf(secret, new DataView(bytes.buffer), 0, bytes.length);
  const flipped = (bytes: Uint8Array, ...bits: readonly (readonly [byte: number, bit: number])[]) => {
    const changed = bytes.slice();
    for (const [byte, bit] of bits) changed[byte]! ^= 1 << bit;
    return changed;
  };
  for (let round = 0; round < 300; round++) {
    const secret = newSecret();
    const bytes = Uint8Array.from({ length: 128 + below(100) }, () => below(256));
    const number = of(secret, bytes);
    // The highest bit of a word, and where a product and a shift by so many bits would take it in the next one.
    const word = 4 * below(8);
    for (let shift = 1; shift < 32; shift++) {
      const next = 31 - shift;
      const there: readonly [number, number] = [word + STEP + (next >>> 3), next & 7];
      for (const bits of [[there], [[word + STEP + 3, 7], there]] as const) {
        assert.notEqual(of(secret, flipped(bytes, [word + 3, 7], ...bits)), number, `${word}, ${shift}`);
      }
    }
    for (let at = 0; at < bytes.length; at++) assert.notEqual(of(secret, flipped(bytes, [at, below(8)])), number);
    // Behind the last whole step, one text may be the beginning of another.
    for (let length = 97; length < 128; length++) {
      const [short, long] = [bytes.slice(0, length), new Uint8Array(128)];
      long.set(bytes.subarray(0, 96));
      long.set(short.subarray(length - STEP), 96);
      long[0]! ^= length ^ 128;
      assert.notEqual(of(secret, long), of(secret, short));
    }
  }
});

Deno.test("copies are told apart and hashed as by definition, whatever is in them", () => {
  const scan = sharedScan()!;
  const utf8 = new TextEncoder();
  const text = fc.oneof(fc.string({ unit: "binary" }), fc.constantFrom("},{", "}", "{", '"},{"', "},", ",{", "]"));
  const entry = fc.record({ a: text, b: text, long: fc.string({ minLength: 20, maxLength: 900, size: "max" }) });
  let plain = 0;
  fc.assert(
    fc.property(fc.array(entry, { minLength: 1, maxLength: 40 }), (entries) => {
      const written = entries.map((entry) => utf8.encode(JSON.stringify(entry)));
      const bytes = utf8.encode(JSON.stringify(entries));
      const secret = newSecret();
      if (bytes.length > INPUT_BYTES_MAX) return;
      scan.memory.fill(0x7d, scan.input, scan.input + INPUT_BYTES_MAX);
      const { numbers, first } = copiesIn(bytes, entries.length, secret);
      const expected = written.map((one) => numberOf(secret, new DataView(one.buffer), 0, one.length));
      assert.deepEqual([...numbers.subarray(0, entries.length)], expected);
      assert.deepEqual(first, written[0]);
      if (entries.some(({ a, b, long }) => `${a} ${b} ${long}`.includes("},{"))) return;
      plain++;
      for (const count of [entries.length - 1, entries.length + 1]) {
        assert.throws(() => copiesIn(bytes, count, secret), IndexFault);
      }
    }),
    { numRuns: 300 },
  );
  assert.ok(plain > 50, `${plain} were told apart by what stands between them`);
  // As many as there is room for, and one more.
  for (const count of [ENTRIES_MAX - 1, ENTRIES_MAX, ENTRIES_MAX + 1]) {
    const entries = Array.from({ length: count }, (_, i) => ({ text: "another of many, and not short", i: 1_000 + i }));
    const { numbers } = copiesIn(utf8.encode(JSON.stringify(entries)), count, newSecret());
    assert.equal(new Set(numbers.subarray(0, count)).size, count);
  }
});

/** What `TableScan` answers, by definition. */
class PlainTable {
  private before = [-1, -1];
  private readonly made: Set<string> = new Set();
  readonly sum: Sum;

  constructor(private readonly columns: number, secret: Secret, private readonly filter?: FilterBytes) {
    this.sum = new Sum(secret);
  }

  private bitsOf(key: number): readonly (readonly [byte: number, bit: number])[] {
    const blocks = this.filter!.bytes.length / FILTER_BLOCK_BYTES;
    const low = key >>> 0;
    const block = Math.floor((low / 2 ** 32) * blocks);
    let mix = Math.imul(low ^ Math.floor(key / 2 ** 32), 0x9e3779b1);
    return Array.from({ length: this.filter!.probes }, () => {
      mix = Math.imul(mix ^ (mix >>> 15), 0x85ebca6b);
      const bit = (mix >>> 28) * 32 + ((mix >>> 23) & 31);
      return [block * FILTER_BLOCK_BYTES + (bit >>> 3), bit & 7];
    });
  }

  take(page: Float64Array): number {
    if (![...page].every((value) => Number.isSafeInteger(value) && value >= 0)) return FOUND.notWhole;
    for (let at = 0; at < page.length; at += this.columns) {
      const [key, beside] = [page[at]!, page[at + 1]!];
      const [keyBefore, besideBefore] = this.before as [number, number];
      if (key < keyBefore || (key === keyBefore && beside <= besideBefore)) return FOUND.disorder;
      if (this.filter) {
        const bits = this.bitsOf(key);
        if (bits.some(([byte, bit]) => (this.filter!.bytes[byte]! >>> bit & 1) === 0)) return FOUND.hidden;
        for (const [byte, bit] of bits) this.made.add(`${byte} ${bit}`);
      }
      this.sum.add(1, key, beside);
      this.before = [key, beside];
    }
    return FOUND.good;
  }

  get exact(): boolean {
    return [...this.filter!.bytes].every((byte, i) =>
      [0, 1, 2, 3, 4, 5, 6, 7].every((bit) => (byte >>> bit & 1) === (this.made.has(`${i} ${bit}`) ? 1 : 0))
    );
  }

  /** The filter of these keys. */
  static filterOf(keys: readonly number[], blocks: number, probes: number): Uint8Array {
    const bytes = new Uint8Array(blocks * FILTER_BLOCK_BYTES);
    const plain = new PlainTable(2, newSecret(), { bytes, probes });
    for (const key of keys) for (const [byte, bit] of plain.bitsOf(key)) bytes[byte]! |= 1 << bit;
    return bytes;
  }
}

Deno.test("rows are read where they lie as by definition, whatever they hold", () => {
  const value = fc.oneof(
    { weight: 30, arbitrary: fc.maxSafeNat() },
    { weight: 20, arbitrary: fc.nat(5) },
    { weight: 1, arbitrary: fc.constantFrom(-0, -1, 0.5, NaN, Infinity, 2 ** 53, 2 ** 53 - 1, 2 ** 32, 2 ** 64) },
  );
  const table = fc.record({
    columns: fc.constantFrom(2, 5),
    rows: fc.array(fc.tuple(value, value, value, value, value), { minLength: 1, maxLength: 40 }),
    sorted: fc.boolean(),
    split: fc.nat(39),
    filter: fc.option(fc.record({ blocks: fc.integer({ min: 1, max: 9 }), probes: fc.integer({ min: 1, max: 12 }) })),
    flip: fc.option(fc.nat(), { freq: 4 }),
  });
  const reached = new Map<string, number>();
  fc.assert(
    fc.property(table, ({ columns, rows, sorted, split, filter, flip }) => {
      if (sorted) rows.sort(([a, b], [c, d]) => a - c || b - d);
      const secret = newSecret();
      const values = rows.map((row) => row.slice(0, columns));
      const made = filter && {
        bytes: PlainTable.filterOf(
          values.map(([key]) => key!).filter(Number.isSafeInteger),
          filter.blocks,
          filter.probes,
        ),
        probes: filter.probes,
      };
      if (made && flip !== null) made.bytes[flip % made.bytes.length]! ^= 1 << (flip & 7);
      const scan = new TableScan(columns, secret, made ?? undefined);
      const plain = new PlainTable(columns, secret, made ?? undefined);
      let answer: number = FOUND.good;
      for (const part of [values.slice(0, split + 1), values.slice(split + 1)]) {
        if (part.length === 0 || answer !== FOUND.good) continue;
        const page = Float64Array.from(part.flat());
        answer = scan.take(new Uint8Array(page.buffer), columns === 2);
        assert.equal(answer, plain.take(page));
        assert.ok(Object.is(scan.first, page[0]));
      }
      if (answer === FOUND.good) {
        assert.deepEqual(scan.lanes, columns === 2 ? plain.sum.lanes : [0, 0]);
        if (made) assert.equal(scan.exact, plain.exact);
      }
      const outcome = `${answer} ${answer === FOUND.good && made ? scan.exact : ""}`;
      reached.set(outcome, (reached.get(outcome) ?? 0) + 1);
    }),
    { numRuns: 2_000 },
  );
  for (const outcome of ["0 ", "0 true", "0 false", "1 ", "2 ", "3 "]) assert.ok(reached.has(outcome), outcome);
});

Deno.test("names that repeat within a table, among tables and among others are found, once each", () => {
  const random = chance(5);
  const below = (n: number) => Math.floor(random() * n);
  let found = 0;
  for (let round = 0; round < 200; round++) {
    const pages: Uint8Array[] = [];
    const all: number[] = [];
    const sorted = (count: number) => Float64Array.from({ length: count }, () => below(300)).sort();
    const tables = Array.from({ length: below(4) }, () => {
      const names = sorted(below(40));
      const start = pages.length;
      all.push(...names);
      for (let at = 0; at < names.length;) {
        const page = names.subarray(at, at += 1 + below(9));
        pages.push(new Uint8Array(Float64Array.from([...page].flatMap((name, i) => [name, at + i])).buffer));
      }
      const body = { start, pages: pages.length - start };
      return { columns: 2, rows: names.length, body, fence: body };
    });
    const others = sorted(below(20));
    all.push(...others);
    const list = (_: string, from: number) =>
      pages.slice(from).map((value, i) => ({ number: from + i, value })).values();
    const rows = { list, get: (_: string, page: number) => pages[page] } as unknown as Rows;
    const expected = [...new Set(all.filter((name, i) => all.indexOf(name) !== i))].sort((a, b) => a - b);
    assert.deepEqual([...repeatedNames(rows, tables, others)], expected, `round ${round}`);
    found += expected.length;
  }
  assert.ok(found > 100);
});
