/** What is wrong with a log is named by what it is: where each check alone, or first, meets what somebody changed. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { encodeKey } from "../adapters/kv/key_encoding.ts";
import { verifyLog } from "../adapters/verify/verify.ts";
import { canonical } from "../events/canonical.ts";
import { inFolder } from "./folder_given.ts";
import { makeLog, type Making, Tampered } from "./verify_given.ts";

/** The first three blocks are of four, three and two entries, each entry of another stream than the one before. */
const FEW: Making = { appends: [4, 3, 2, 1], keep: [4, 7] };
/** Where the second block begins. */
const AT = 4;

type Said = readonly [position: number, kind: string, expected: string, found: string];
type Change = (file: Tampered) => void;
type Cases = Record<string, readonly [change: Change, said: Said]>;

const namedIn = (making: Making, cases: Cases) =>
  inFolder(async (dir) => {
    const { path } = await makeLog(`${dir}/log.db`, making);
    assert.deepEqual((await verifyLog({ path })).failures, []);
    for (const [name, [change, said]] of Object.entries(cases)) {
      const changed = `${dir}/changed.db`;
      Deno.copyFileSync(path, changed);
      const file = new Tampered(changed);
      change(file);
      file.close();
      const { failures } = await verifyLog({ path: changed });
      const all = failures.map(({ position, kind, expected, found }): Said => [position, kind, expected, found]);
      const seen = all.some((one) =>
        one.every((part, i) => i < 2 ? part === said[i] : `${part}`.includes(`${said[i]}`))
      );
      assert.ok(seen, `${name}: ${JSON.stringify(all)}`);
    }
  });

/** The second block in other bytes. */
const bytes = (edit: (bytes: Uint8Array<ArrayBuffer>, view: DataView) => Uint8Array | void): Change => (file) => {
  const block = new Uint8Array(file.get("log", AT));
  file.put(edit(block, new DataView(block.buffer)) ?? block, "log", AT);
};

/** The same, with another first entry, which is made of the one that is there. */
const entry = (make: (entry: Record<string, unknown>) => string | Uint8Array): Change => (file) => {
  const made = make(file.entries(AT)[0]!);
  const text = typeof made === "string" ? new TextEncoder().encode(made) : made;
  bytes((block, view) => {
    const [lengths, body] = [56 + 3 * 20, 56 + 3 * 20 + 3 * 4];
    const length = view.getUint32(lengths);
    view.setUint32(lengths, text.length);
    return Uint8Array.of(...block.subarray(0, body + 1), ...text, ...block.subarray(body + 1 + length));
  })(file);
};

/** With other attributes. */
const attributes = (more: Record<string, unknown>): Change => entry((before) => canonical({ ...before, ...more }));

const row = (value: string | Uint8Array, ...key: (string | number)[]): Change => (file) => file.put(value, ...key);

/** The newest checkpoint, or the tree beside it, with other members. */
const member = (name: "checkpoint" | "tree", more: Record<string, unknown>): Change => (file) =>
  file.put(JSON.stringify({ ...JSON.parse(file.text(name)), ...more }), name);

const both = (...changes: readonly Change[]): Change => (file) => changes.forEach((change) => change(file));

const gone = (...key: (string | number)[]): Change => (file) => file.delete(...key);

const ENTRIES = "entries, and no more runs than entries";

Deno.test("what is wrong with a block's bytes is named", () =>
  namedIn(FEW, {
    "too many": [
      bytes((block) => Uint8Array.of(...block, ...new Uint8Array(64_001 - block.length))),
      [AT, "block", "at most 64000 bytes", "64001 bytes"],
    ],
    "too few": [bytes((block) => block.subarray(0, 57)), [AT, "block", "at least 58 bytes", "57 bytes"]],
    "no entries": [bytes((_, view) => view.setUint32(48, 0)), [AT, "block", ENTRIES, "0 entries in 3 runs"]],
    "no runs": [bytes((_, view) => view.setUint32(52, 0)), [AT, "block", ENTRIES, "3 entries in 0 runs"]],
    "more runs": [bytes((_, view) => view.setUint32(52, 4)), [AT, "block", ENTRIES, "3 entries in 4 runs"]],
    "less than its header": [
      bytes((block) => block.subarray(0, 129)),
      [AT, "block", "3 entries in 3 runs", "129 bytes, too few for their header"],
    ],
    "a length past the end": [
      bytes((block, view) => {
        view.setUint32(56 + 3 * 20, 0xffff_ffff);
        return block.subarray(0, 300);
      }),
      [AT, "block", "lengths that add up to 300 bytes", "more at entry 0"],
    ],
    "a byte behind the lengths": [
      bytes((block) => Uint8Array.of(...block.subarray(0, 500), ...block.subarray(500), 0x5d)),
      [AT, "block", "lengths that add up to", "they add up to"],
    ],
    "another bracket": [
      bytes((block) => void (block[block.length - 1] = 0x20)),
      [AT, "block", "entries in brackets", "none"],
    ],
    "a run too few": [
      bytes((block, view) => {
        view.setUint32(52, 2);
        return Uint8Array.of(...block.subarray(0, 56 + 40), ...block.subarray(56 + 60));
      }),
      [AT + 2, "block", "as many runs as streams follow each other", "runs that say otherwise"],
    ],
  }));

const HEADER = "an event with a whole header";

Deno.test("what is wrong with an entry is named", () =>
  namedIn(FEW, {
    "other than UTF-8": [
      entry((before) => new TextEncoder().encode(canonical(before)).with(20, 0xff)),
      [AT, "entry", "the canonical JSON of an event", "bytes that are not UTF-8"],
    ],
    "a blank in it": [
      entry((before) => canonical(before).replace(",", ", ")),
      [AT, "entry", "the canonical JSON of an event", "other than canonical from character"],
    ],
    "a list": [entry(() => "[]"), [AT, "entry", HEADER, "no JSON object"]],
    "nothing": [entry(() => "null"), [AT, "entry", HEADER, "no JSON object"]],
    "another version of the envelope": [attributes({ specversion: "2.0" }), [AT, "entry", HEADER, "specversion 2.0"]],
    ...Object.fromEntries(
      ["authid", "authtype", "id", "source", "stream", "time", "type", "recordedat"].map((name) => [
        `no ${name}`,
        [attributes({ [name]: "" }), [AT, "entry", HEADER, `${name} `]],
      ]),
    ),
    ...Object.fromEntries(
      ["position", "revision", "version"].map((name) => [
        `${name} below zero`,
        [attributes({ [name]: -1 }), [AT, "entry", HEADER, `${name} -1`]],
      ]),
    ),
    "a stream of no domain": [attributes({ stream: "tests" }), [AT, "entry", HEADER, "stream tests"]],
    "more bytes than an entry has": [
      attributes({ data: "x".repeat(60_000) }),
      [AT, "entry", HEADER, "more than 60000"],
    ],
    "another place": [attributes({ position: 5 }), [AT, "entry", "position 4", "position 5"]],
    "no time": [
      attributes({ recordedat: "2026-01-01T00:00:00Z" }),
      [AT, "time", "a UTC time with milliseconds", "2026-01-01T00:00:00Z"],
    ],
    "an earlier time": [
      attributes({ recordedat: "2020-01-01T00:00:00.000Z" }),
      [AT, "time", "or later", "2020-01-01T00:00:00.000Z"],
    ],
  }));

const LAST = 9;

Deno.test("what is wrong with a checkpoint, the tree or the format is named", () =>
  namedIn(FEW, {
    "no JSON": [
      both(row("{", "checkpoint"), gone("tree")),
      [LAST, "checkpoint", 'a row "checkpoint" that can be read', "JSON"],
    ],
    "no object": [row("null", "tree"), [LAST, "tree", 'a row "tree" that can be read', "null"]],
    "no note": [
      both(member("checkpoint", { note: 1 }), gone("tree")),
      [LAST, "checkpoint", 'a note in the row "checkpoint"', "1"],
    ],
    "no checkpoint in the note": [
      both(member("checkpoint", { note: "x" }), gone("tree")),
      [LAST, "checkpoint", "the text of a checkpoint", "is not a checkpoint"],
    ],
    "a kept one that is no text": [
      row(Uint8Array.of(0xff), "checkpoints", 7),
      [LAST, "checkpoint", "the checkpoint kept at 7 to be text", ""],
    ],
    "a kept one at another size": [
      (file) => {
        file.put(file.get("checkpoints", 7).slice(), "checkpoints", 6);
        file.delete("checkpoints", 7);
      },
      [LAST, "checkpoint", "the checkpoint kept at 6 to be of that size", "it is of 7"],
    ],
    "a tree of an earlier size": [
      // Of four entries the one hash is the root.
      (file) => file.put(JSON.stringify({ size: 4, nodes: [file.text("checkpoints", 4).split("\n")[2]] }), "tree"),
      [LAST, "tree", "a frontier of the newest checkpoint's size", "frontier 4, checkpoint 10"],
    ],
    "a tree of more hashes": [
      (file) => {
        const { nodes } = JSON.parse(file.text("tree")) as { nodes: string[] };
        member("tree", { nodes: [...nodes, nodes[0]!] })(file);
      },
      [LAST, "tree", "2 hashes for size 10", "3"],
    ],
    "a tree of more entries": [
      (file) => {
        const { nodes } = JSON.parse(file.text("tree")) as { nodes: string[] };
        member("tree", { size: 12, nodes })(file);
      },
      [LAST + 1, "truncated", "12 entries, which the tree covers", "10"],
    ],
    "a format of another kind": [row('{"format":"1"}', "format"), [0, "foreign", "format 1", '{"format":"1"}']],
    "a tile of halves": [row(new Uint8Array(48), "tile", 0, 0), [
      0,
      "tile",
      "a tile 0/0 of 1 to 256 hashes",
      "48 bytes",
    ]],
  }));

interface Table {
  columns: number;
  rows: number;
  body: { start: number; pages: number };
  fence: { start: number; pages: number };
  filter: { start: number; pages: number };
}
interface Manifest {
  format: number;
  until: number;
  segments: { from: number; until: number; ids: Table; streams: Table; terms: Table }[];
}

const manifestOf = (file: Tampered) => JSON.parse(file.text("manifest")) as Manifest;

const manifest = (edit: (manifest: Manifest) => unknown): Change => (file) => {
  const made = manifestOf(file);
  edit(made);
  file.put(JSON.stringify(made), "manifest");
};

/** Pages of the first segment's table of ids. */
const page = (part: "body" | "fence" | "filter", value: Uint8Array): Change => (file) =>
  file.put(value, "index", manifestOf(file).segments[0]!.ids[part].start);

/** Rows of a page of the first segment. */
const rowsIn = (table: "ids" | "streams", edit: (values: Float64Array) => void): Change => (file) => {
  const { start } = manifestOf(file).segments[0]![table].body;
  const values = new Float64Array(file.get("index", start).slice().buffer);
  edit(values);
  file.put(new Uint8Array(values.buffer), "index", start);
};

/** Where the counts of runs are whose entries lie there once more. */
const gathered = (values: Float64Array): readonly number[] => {
  const found = [...values.keys()].filter((i) => i % 5 === 3 && values[i + 1] !== 0);
  assert.ok(found.length > 1);
  return found;
};

/** The first page of the first segment's runs. */
const streamsOf = (file: Tampered): Float64Array =>
  new Float64Array(file.get("index", manifestOf(file).segments[0]!.streams.body.start).slice().buffer);

const SEGMENTS = "a manifest of segments without a gap";
const SAME = "to say what the blocks say";

Deno.test("what is wrong with the index is named", () =>
  namedIn({ appends: new Array<number>(15).fill(10), streams: 2, segmentEvents: 32 }, {
    "no bytes": [
      (file) => file.run("update kv set v_encoding = 1 where k = ?", encodeKey(["manifest"])),
      [0, "index", SEGMENTS, "a value of encoding 1"],
    ],
    "another format": [manifest((made) => made.format = 3), [0, "index", SEGMENTS, "format 3"]],
    "no list": [manifest((made) => made.segments = {} as never), [0, "index", SEGMENTS, "no segments"]],
    "a gap": [manifest((made) => made.segments[0]!.from = 1), [0, "index", SEGMENTS, "a segment from 1 to "]],
    "another table": [
      manifest((made) => made.segments[0]!.ids.columns = 3),
      [0, "index", SEGMENTS, "tables of the segment from 0"],
    ],
    "another end": [manifest((made) => made.until++), [0, "index", SEGMENTS, "said to reach to"]],
    "a page that is not there": [
      (file) => file.delete("index", manifestOf(file).segments[0]!.ids.body.start),
      [0, "index", SAME, "is not there"],
    ],
    "a page that is no bytes": [
      (file) =>
        file.run(
          "update kv set v_encoding = 1 where k = ?",
          encodeKey(["index", manifestOf(file).segments[0]!.ids.body.start]),
        ),
      [0, "index", SAME, "is a value of encoding 1"],
    ],
    "first keys of nine bytes": [page("fence", new Uint8Array(9)), [0, "index", SAME, "9 bytes are not doubles"]],
    "no first keys": [page("fence", new Uint8Array()), [0, "index", SAME, "0 first keys for 1 pages"]],
    "another first key": [page("fence", new Uint8Array(8)), [0, "index", SAME, "does not begin with its first key"]],
    "a filter of three bytes": [page("filter", new Uint8Array(3)), [0, "index", SAME, "a filter of 3 bytes"]],
    "a filter of nothing": [page("filter", new Uint8Array(64)), [0, "index", SAME, "the filter hides a row"]],
    "a filter of all": [
      page("filter", new Uint8Array(64).fill(255)),
      [0, "index", SAME, "the filter lets keys through that no row has"],
    ],
    "a page of half a row": [page("body", new Uint8Array(24)), [0, "index", SAME, "24 bytes, not whole rows"]],
    "half a number": [
      rowsIn("ids", (values) => values[1]! += 0.5),
      [0, "index", SAME, "holds other than whole numbers"],
    ],
    "rows in another order": [
      rowsIn("ids", (values) => values.set([values[0]!, 2 ** 50], 2)),
      [0, "index", SAME, ""],
    ],
    "more rows said": [manifest((made) => made.segments[0]!.ids.rows++), [0, "index", SAME, "rows, not"]],
    "a run that is longer than the segment": [
      rowsIn("streams", (values) => values[3] = 1e9),
      [0, "index", SAME, "a run of 1000000000 from "],
    ],
  }));

Deno.test("what is wrong with entries that lie in the index once more is named", () =>
  namedIn({ appends: new Array<number>(8).fill(500), streams: 50, segmentEvents: 1_500 }, {
    "a copy that is none": [
      rowsIn("streams", (values) => values[gathered(values)[0]! + 1]! += 1 - 0x1_0000),
      [0, "index", SAME, "a copy of entries that cannot be read"],
    ],
    // Whoever reads it parses it; its entries are where they were.
    "a copy without its bracket": [
      (file) => {
        const [at] = gathered(streamsOf(file));
        const place = streamsOf(file)[at! + 1]!;
        const number = Math.floor(place / 2 ** 32);
        const bytes = file.get("index", number).slice();
        bytes[Math.floor(place % 2 ** 32 / 2 ** 16)] = 0x20;
        file.put(bytes, "index", number);
      },
      [0, "index", SAME, "a copy of entries that cannot be read"],
    ],
    "a copy of more entries": [
      rowsIn("streams", (values) => values[gathered(values)[0]!]!++),
      [0, "index", SAME, "entries, not"],
    ],
    "a copy of other entries": [
      rowsIn("streams", (values) => {
        const [one, other] = gathered(values);
        [values[one!], values[one! + 1]] = [values[other!]!, values[other! + 1]!];
      }),
      [0, "index", SAME, "other entries than the "],
    ],
  }));

/** A blob of three chunks, in whole but for what is changed. */
const blob = (edit: (file: Tampered, hex: string) => void): Change => (file) => {
  const whole = new Uint8Array(130_000).fill(7);
  const hex = createHash("sha256").update(whole).digest("hex");
  file.put(JSON.stringify({ bytes: whole.length, chunks: 3 }), "blob", hex);
  for (let n = 0; n < 3; n++) file.put(whole.subarray(n * 60_000, (n + 1) * 60_000), "blob", hex, n);
  edit(file, hex);
};

const BLOB = "the blob with SHA-256 ";

Deno.test("what is wrong with a blob is named", () =>
  namedIn(FEW, {
    "a chunk that is no bytes": [
      blob((file, hex) => file.run("update kv set v_encoding = 1 where k = ?", encodeKey(["blob", hex, 1]))),
      [0, "blob", BLOB, "chunk 1 is a value of encoding 1"],
    ],
    "no chunk": [blob((file, hex) => file.delete("blob", hex, 1)), [0, "blob", BLOB, "chunk 1 is missing"]],
    "a chunk of ten bytes": [
      blob((file, hex) => file.put(new Uint8Array(10), "blob", hex, 0)),
      [0, "blob", BLOB, "chunk 0 has 10 bytes"],
    ],
    "no last chunk": [blob((file, hex) => file.delete("blob", hex, 2)), [0, "blob", BLOB, "2 chunks of 3"]],
    "a last chunk that is shorter": [
      blob((file, hex) => file.put(new Uint8Array(9_999), "blob", hex, 2)),
      [0, "blob", BLOB, "129999 bytes of 130000"],
    ],
    "other bytes": [
      blob((file, hex) => file.put(new Uint8Array(10_000), "blob", hex, 2)),
      [0, "blob", BLOB, "bytes whose hash is "],
    ],
  }));
