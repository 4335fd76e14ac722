/**
 * Every way of changing a log that we could think of, many times each under a seed: each is found, and the first bad
 * position is the right one. Whoever tampers has the file, SQLite and the writer's own code.
 */
import assert from "node:assert/strict";
import { type Against, type LogReport, verifyLog } from "../adapters/verify/verify.ts";
import { encodeKey } from "../adapters/kv/key_encoding.ts";
import { chance, type Made, makeLog, ones, signer, stranger, Tampered } from "./verify_given.ts";

interface Found {
  /** What the first failure may be called. */
  readonly kind: string | readonly string[];
  /** Where it must be: exactly, or between two positions (inclusive). */
  readonly at: number | readonly [number, number];
}

interface Scene {
  readonly file: Tampered;
  readonly made: Made;
  readonly blocks: readonly number[];
  /** A whole number below `n`. */
  below(n: number): number;
  /** One of the blocks, by its first position; with `skip` not one of the first so many. */
  pick(skip?: number): number;
}

/** No answer: this log has nothing that could be changed so. */
type Tampering = (scene: Scene) => Found | undefined;

const blockEnd = ({ blocks, made }: Scene, first: number): number => blocks.find((other) => other > first) ?? made.size;
const another = (value: string): string => (value === "x" ? "y" : "x") + value.slice(1);

/** An entry changed so that it is still an event in canonical form. */
const rewrite = (scene: Scene, first: number) => {
  const entries = scene.file.entries(first);
  const index = scene.below(entries.length);
  const entry = entries[index]!;
  entries[index] = {
    ...entry,
    data: { ...(entry.data as object), text: another(String((entry.data as { text: string }).text)) },
  };
  scene.file.write(first, entries);
  return first + index;
};

/** What only the tree can tell is at or before the change: at the start of the subtree that holds it. */
const upTo = (position: number): readonly [number, number] => [0, position];

/** With the checkpoints as they were. */
const behindCheckpoint: Record<string, Tampering> = {
  "a byte of a block flipped": (scene) => {
    const first = scene.pick();
    const bytes = scene.file.get("log", first).slice();
    bytes[scene.below(bytes.length)]! ^= 1 << scene.below(8);
    scene.file.put(bytes, "log", first);
    const last = first === scene.blocks.at(-1);
    return {
      kind: [
        "block",
        "link",
        "entry",
        "order",
        "foreign",
        "newer",
        "checkpoint",
        "tree",
        "revision",
        "time",
        "duplicate",
      ],
      at: [last ? 0 : first, blockEnd(scene, first) - 1],
    };
  },
  "a block deleted": (scene) => {
    const first = scene.blocks[scene.below(scene.blocks.length - 1)]!;
    scene.file.delete("log", first);
    return { kind: "missing_block", at: first };
  },
  "two blocks swapped": (scene) => {
    const one = scene.below(scene.blocks.length - 1);
    const [a, b] = [scene.blocks[one]!, scene.blocks[one + 1 + scene.below(scene.blocks.length - one - 1)]!];
    const kept = scene.file.get("log", a).slice();
    scene.file.put(scene.file.get("log", b), "log", a);
    scene.file.put(kept, "log", b);
    return { kind: "order", at: a };
  },
  "a block once more at the end": (scene) => {
    scene.file.put(scene.file.get("log", scene.pick()), "log", scene.made.size);
    return { kind: "order", at: scene.made.size };
  },
  "a block that lies within another": (scene) => {
    const first = scene.blocks.find((first) => blockEnd(scene, first) - first > 1);
    if (first === undefined) return undefined;
    scene.file.write(first, scene.file.entries(first));
    scene.file.put(scene.file.get("log", first), "log", first + 1);
    return { kind: "order", at: first + 1 };
  },
  "the tail cut off": (scene) => {
    const from = scene.pick();
    scene.file.run("delete from kv where k >= ? and k < ?", encodeKey(["log", from]), encodeKey(["log", 2 ** 52]));
    return { kind: "truncated", at: from };
  },
  "an entry edited": (scene) => {
    const first = scene.blocks[scene.below(scene.blocks.length - 1)]!;
    // Its block no longer has the hash that the next one links to; which of its entries it was, the tiles tell.
    return { kind: "entry", at: rewrite(scene, first) };
  },
  "an entry of the last block edited": (scene) => ({ kind: "entry", at: rewrite(scene, scene.blocks.at(-1)!) }),
  "an entry and its tile edited": (scene) => {
    const position = rewrite(scene, scene.pick());
    scene.file.rechain();
    const tile = scene.file.get("tile", 0, Math.floor(position / 256)).slice();
    tile[position % 256 * 32]! ^= 1;
    scene.file.put(tile, "tile", 0, Math.floor(position / 256));
    // Nothing is left that knows what it was.
    return { kind: ["tile", "checkpoint", "tree"], at: upTo(position) };
  },
  "an entry edited and everything chained again": (scene) => {
    const position = rewrite(scene, scene.pick());
    scene.file.rechain();
    return { kind: "entry", at: position };
  },
  "two entries of a block in the other order": (scene) => {
    const first = scene.blocks.find((first) => blockEnd(scene, first) - first > 2);
    if (first === undefined) return undefined;
    const entries = scene.file.entries(first);
    const at = scene.below(entries.length - 1);
    [entries[at], entries[at + 1]] = [entries[at + 1]!, entries[at]!];
    scene.file.write(first, entries);
    scene.file.rechain();
    return { kind: "entry", at: first + at };
  },
  "lengths that move the border of two entries": (scene) => {
    const first = scene.blocks.find((first) => blockEnd(scene, first) - first > 2);
    if (first === undefined) return undefined;
    const bytes = scene.file.get("log", first).slice();
    const view = new DataView(bytes.buffer);
    const at = 56 + view.getUint32(52) * 20;
    view.setUint32(at, view.getUint32(at) + 1);
    view.setUint32(at + 4, view.getUint32(at + 4) - 1);
    scene.file.put(bytes, "log", first);
    scene.file.rechain();
    return { kind: "block", at: first };
  },
  "a run that counts otherwise": (scene) => {
    const first = scene.pick();
    const bytes = scene.file.get("log", first).slice();
    const view = new DataView(bytes.buffer);
    view.setUint32(56 + 16, view.getUint32(56 + 16) + 1);
    scene.file.put(bytes, "log", first);
    scene.file.rechain();
    return { kind: "block", at: [first, blockEnd(scene, first) - 1] };
  },
  "a run of another stream": (scene) => {
    const first = scene.pick();
    const bytes = scene.file.get("log", first).slice();
    bytes[56 + scene.below(16)]! ^= 1;
    scene.file.put(bytes, "log", first);
    scene.file.rechain();
    return { kind: "block", at: first };
  },
  "another link": (scene) => {
    const first = scene.pick(1);
    const bytes = scene.file.get("log", first).slice();
    bytes[8 + scene.below(32)]! ^= 1;
    scene.file.put(bytes, "log", first);
    // The root clears the block before, so it is this one's link.
    return { kind: "link", at: first };
  },
  "bytes behind the codec": (scene) => {
    const first = scene.pick();
    const bytes = scene.file.get("log", first).slice();
    bytes[5 + scene.below(3)] = 1 + scene.below(255);
    scene.file.put(bytes, "log", first);
    return { kind: "block", at: first };
  },
  "a codec nobody knows": (scene) => {
    const first = scene.pick();
    const bytes = scene.file.get("log", first).slice();
    bytes[4] = 1 + scene.below(255);
    scene.file.put(bytes, "log", first);
    return { kind: "newer", at: first };
  },
  "a block of nothing": (scene) => {
    const first = scene.pick();
    scene.file.put(new Uint8Array(scene.below(60)), "log", first);
    return { kind: ["block", "foreign"], at: first };
  },
  "a block of noise": (scene) => {
    const first = scene.pick();
    scene.file.put(Uint8Array.from({ length: 300 }, () => scene.below(256)), "log", first);
    return { kind: "foreign", at: first };
  },
  "a block that is no bytes": (scene) => {
    const first = scene.pick();
    scene.file.run("update kv set v_encoding = ? where k = ?", scene.below(2) + 1, encodeKey(["log", first]));
    return { kind: "unreadable", at: first };
  },
  "a block that expires": (scene) => {
    const first = scene.pick();
    scene.file.run("update kv set expiration_ms = 4000000000000 where k = ?", encodeKey(["log", first]));
    return { kind: "unreadable", at: first };
  },
  "a key between the positions": (scene) => {
    scene.file.put(scene.file.get("log", 0), "log", scene.pick() + 0.5);
    return { kind: "order", at: [0, scene.made.size] };
  },
  "a row that no log has": ({ file, below }) => {
    file.put("something", ["a", "logs", "trees", "log", "zzz"][below(5)]!, ...(below(2) ? [below(9)] : []), "x");
    return { kind: ["foreign", "order"], at: [0, 100] };
  },
  "a format from the future": ({ file }) => {
    file.put('{"format":2}', "format");
    return { kind: "newer", at: 0 };
  },
  "no format": ({ file }) => {
    file.delete("format");
    return { kind: "foreign", at: 0 };
  },
  "the newest checkpoint gone": ({ file, made }) => {
    file.delete("checkpoint");
    return { kind: ["signature", "checkpoint", "tree"], at: made.size - 1 };
  },
  "the newest checkpoint of another size": ({ file, made, below }) => {
    const size = 1 + below(made.size - 1);
    file.put(file.text("checkpoint").replaceAll(`"size":${made.size}`, `"size":${size}`), "checkpoint");
    return { kind: ["checkpoint", "tree"], at: made.size - 1 };
  },
  "the checkpoint's text edited": ({ file, made }) => {
    file.put(file.text("checkpoint").replaceAll(`\\n${made.size}\\n`, `\\n${made.size - 1}\\n`), "checkpoint");
    return { kind: ["signature", "checkpoint", "tree"], at: [0, made.size - 1] };
  },
  "a byte of the checkpoint flipped": ({ file, made, below }) => {
    const bytes = file.get("checkpoint").slice();
    bytes[below(bytes.length)]! ^= 1 << below(7);
    file.put(bytes, "checkpoint");
    return { kind: ["signature", "checkpoint", "tree", "truncated"], at: [0, made.size] };
  },
  "the checkpoint signed by a stranger": ({ file, made }) => {
    const note = stranger.checkpoint(made.size, made.root);
    file.put(JSON.stringify({ origin: stranger.name, size: made.size, root: made.root, note }), "checkpoint");
    return { kind: "signature", at: made.size - 1 };
  },
  "the tree's frontier edited": ({ file, below, made }) => {
    const tree = JSON.parse(file.text("tree")) as { size: number; nodes: string[] };
    const at = below(tree.nodes.length);
    const hash = Uint8Array.fromBase64(tree.nodes[at]!);
    hash[below(32)]! ^= 1;
    tree.nodes[at] = hash.toBase64();
    file.put(JSON.stringify(tree), "tree");
    return { kind: "tree", at: [0, made.size - 1] };
  },
  "the tree's frontier of another size": ({ file, made, below }) => {
    const tree = JSON.parse(file.text("tree")) as { size: number; nodes: string[] };
    file.put(JSON.stringify({ ...tree, size: below(made.size) }), "tree");
    return { kind: "tree", at: [0, made.size - 1] };
  },
  "a kept checkpoint that was never": ({ file, made, below }) => {
    const size = 1 + below(made.size);
    file.put(stranger.checkpoint(size, made.root), "checkpoints", size);
    return { kind: ["signature", "checkpoint"], at: [0, made.size - 1] };
  },
};

/** Without any checkpoint in the file, everything chained again: what the rules between entries show by themselves. */
const change = (
  pick: (scene: Scene) => number,
  edit: (entry: Record<string, unknown>, scene: Scene) => Record<string, unknown>,
  kind: string,
): Tampering =>
(scene) => {
  const position = pick(scene);
  const first = scene.blocks.findLast((first) => first <= position)!;
  const entries = scene.file.entries(first);
  entries[position - first] = edit(entries[position - first]!, scene);
  scene.file.write(first, entries);
  scene.file.rechain();
  scene.file.forget();
  return { kind, at: position };
};
const anywhere = ({ made, below }: Scene) => below(made.size);
const later = ({ made, below }: Scene) => 6 + below(made.size - 6);

const withoutCheckpoint: Record<string, Tampering> = {
  "a revision skipped": change(
    anywhere,
    (entry) => ({ ...entry, revision: (entry.revision as number) + 1 }),
    "revision",
  ),
  "a revision repeated": change(later, (entry) => ({ ...entry, revision: (entry.revision as number) - 1 }), "revision"),
  "another position": change(
    anywhere,
    (entry, { below }) => ({ ...entry, position: (entry.position as number) + 1 + below(9) }),
    "entry",
  ),
  "another stream": change(later, (entry) => ({ ...entry, stream: "tests/new" }), "revision"),
  "the id of an earlier event": change(later, (entry, { file, below }) => {
    const { source, id } = file.entries(0)[below(file.entries(0).length)]!;
    return { ...entry, source, id };
  }, "duplicate"),
  "recorded in the past": change(later, (entry) => ({ ...entry, recordedat: "2001-01-01T00:00:00.000Z" }), "time"),
  "recorded at a time that is none": change(anywhere, (entry) => ({ ...entry, recordedat: "yesterday" }), "time"),
  "a header that lacks something": change(anywhere, ({ authid: _, ...entry }) => entry, "entry"),
  "a header of another kind": change(anywhere, (entry) => ({ ...entry, version: "1" }), "entry"),
  "an entry that is not canonical": (scene) => {
    const first = scene.pick();
    const entries: (Record<string, unknown> | string)[] = scene.file.entries(first);
    const index = scene.below(entries.length);
    const { authid, ...rest } = entries[index] as Record<string, unknown>;
    const text = JSON.stringify(entries[index]);
    entries[index] = [
      () => JSON.stringify({ ...rest, authid }),
      () => text.replace('":"', '": "'),
      () => text.replace('"version":1', '"version":1.0'),
      () => text.replace('"version":1', '"version":1,"version":1'),
      () => text.replace('"authid":"test"', '"authid":"\\u0074est"'),
      () => text.replace('"authid":"test"', '"authid":"\\ud800"'),
      () => text.replace('"data":{', '"data":{"10":1,"9":1,'),
      () => text.replace('"data":{', '"data":{"9":1,"10":1,'),
      () => text.replace('"data":{', '"data":{"a":-0,'),
      () => text.replace('"data":{', '"data":{"a":12345678901234567890,'),
    ].map((make) => make()).filter((made) => made !== text)[scene.below(7)]!;
    const before = entries[index] as string;
    scene.file.write(first, entries);
    scene.file.rechain();
    scene.file.forget();
    // Keys that look like numbers stand in the order of letters: this one is canonical, and only a checkpoint could
    // tell.
    return before.includes('"10":1,"9":1') ? { kind: "none", at: -1 } : { kind: "entry", at: first + index };
  },
};

/** Perfectly made again from some entry on; only what is kept elsewhere can tell. */
const madeAgain: Record<string, Tampering> = {
  "an entry edited": (scene) => {
    const position = rewrite(scene, scene.pick());
    scene.file.rechain();
    scene.file.forget();
    return { kind: "forked", at: upTo(position) };
  },
  "the tail cut off with its checkpoints": (scene) => {
    const from = scene.pick();
    scene.file.run("delete from kv where k >= ? and k < ?", encodeKey(["log", from]), encodeKey(["log", 2 ** 52]));
    scene.file.forget();
    return { kind: "truncated", at: from };
  },
  "an event dropped and all others moved up": (scene) => {
    const dropped = scene.below(scene.made.size - 1);
    const events = scene.blocks.flatMap((first) => scene.file.entries(first));
    const [gone] = events.splice(dropped, 1);
    for (const first of scene.blocks) scene.file.delete("log", first);
    const moved = events.map((entry, position) => ({
      ...entry,
      position,
      revision: (entry.revision as number) - (position >= dropped && entry.stream === gone!.stream ? 1 : 0),
    }));
    scene.file.write(0, moved, new Uint8Array(32));
    scene.file.forget();
    return { kind: "truncated", at: scene.made.size - 1 };
  },
};

const shapes: readonly { readonly appends: readonly number[]; readonly streams: number }[] = [
  { appends: ones(24), streams: 3 },
  { appends: [7, 9, 5, 13, 1, 6], streams: 2 },
  { appends: [3, ...ones(4), 30, 2], streams: 5 },
];

const check = ({ failures, ok }: LogReport, { kind, at }: Found, what: string) => {
  if (kind === "none") return assert.deepEqual(failures, [], what);
  const [first] = failures;
  assert.ok(first && !ok, `${what}: nothing was found`);
  const seen = `${what}: ${JSON.stringify(failures.slice(0, 4))}`;
  assert.ok([kind].flat().includes(first.kind), seen);
  const [low, high] = typeof at === "number" ? [at, at] : at;
  assert.ok(first.position >= low && first.position <= high, `${seen}; expected at ${low} to ${high}`);
};

/** `rounds`: of each tampering on each shape, which before it is found sound. */
const tamper = async (
  all: Record<string, Tampering>,
  rounds: number,
  options: (made: Made) => { readonly key?: string; readonly against?: readonly Against[] },
  test?: Deno.TestContext,
) => {
  const dir = await Deno.makeTempDir();
  let count = 0;
  try {
    const logs: Made[] = [];
    for (const [s, shape] of shapes.entries()) {
      const made = await makeLog(`${dir}/${s}.db`, shape);
      assert.deepEqual((await verifyLog({ path: made.path, ...options(made) })).failures, [], "a false alarm");
      logs.push(made);
    }
    for (const [name, tampering] of Object.entries(all)) {
      const run = async () => {
        for (const [s, made] of logs.entries()) {
          for (let round = 0; round < rounds; round++) {
            count += await tamperOnce(name, tampering, { made, dir, seed: 1_000 * s + round, options: options(made) });
          }
        }
      };
      if (test) await test.step(name, run);
      else await run();
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
  return count;
};

/** How many were made and found: 1, or 0 where the log has nothing that could be changed so. */
const tamperOnce = async (
  name: string,
  tampering: Tampering,
  { made, dir, seed, options }: {
    readonly made: Made;
    readonly dir: string;
    readonly seed: number;
    readonly options: { readonly key?: string; readonly against?: readonly Against[] };
  },
): Promise<number> => {
  const random = chance(seed);
  const below = (n: number) => Math.floor(random() * n);
  const path = `${dir}/tampered.db`;
  await Deno.copyFile(made.path, path);
  const file = new Tampered(path);
  const blocks = file.blocks();
  const pick = (skip = 0) => blocks[skip + below(blocks.length - skip)]!;
  const found = tampering({ file, made, blocks, below, pick });
  file.close();
  if (!found) return 0;
  check(await verifyLog({ path, ...options }), found, `${name}, seed ${seed}`);
  return 1;
};

Deno.test("tampering behind a signed checkpoint is found, and where", async (test) => {
  const count = await tamper(behindCheckpoint, 6, () => ({ key: signer.vkey }), test);
  assert.ok(count >= 500, `${count} tamperings`);
});

Deno.test("what breaks the rules between entries is found without any checkpoint, and where", async (test) => {
  const count = await tamper(withoutCheckpoint, 4, () => ({}), test);
  assert.ok(count >= 100, `${count} tamperings`);
});

Deno.test("a log made again from its middle is found by a checkpoint that was kept elsewhere", async () => {
  const witness = (made: Made): Against => ({ text: made.note!, name: "witness.txt", elsewhere: true });
  await tamper(madeAgain, 4, (made) => ({ against: [witness(made)] }));
  // The newest checkpoint that the keys remember lies in the same folder, and tells it too.
  await tamper(madeAgain, 1, (made) => ({ against: [{ ...witness(made), elsewhere: false }] }));
});

Deno.test("an older copy of the whole file is sound by itself, and too short for what is known", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const { size, path } = await makeLog(`${dir}/log.db`, { appends: [5, 5] });
    await Deno.copyFile(path, `${dir}/older.db`);
    const { note } = await makeLog(path, { appends: [4] });
    const older = `${dir}/older.db`;
    const alone = await verifyLog({ path: older, key: signer.vkey });
    assert.deepEqual([alone.ok, alone.anchored, alone.unanchored], [true, 0, size]);
    const against = [{ text: note!, name: "the key database", elsewhere: false }];
    const { failures, anchored, signed } = await verifyLog({ path: older, key: signer.vkey, against });
    assert.deepEqual(failures.map(({ kind, position }) => [kind, position]), [["truncated", size]]);
    assert.deepEqual([anchored, signed], [0, size]);
    const foreign = [{ text: note!.replaceAll(signer.name, "someone/else"), name: "another log", elsewhere: true }];
    assert.deepEqual((await verifyLog({ path, against: foreign })).failures.map(({ kind }) => kind), ["checkpoint"]);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
