/** What is wrong with a log is named by what it is: where each check alone, or first, meets what somebody changed. */
import assert from "node:assert/strict";
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
