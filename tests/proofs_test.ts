/** What other programs call to check trees, proofs, notes and checkpoints: mostly what must not be accepted. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import fc from "fast-check";
import {
  canonicalize,
  leafHash,
  merkleRoot,
  NotProven,
  parseCheckpoint,
  verifyConsistency,
  verifyInclusion,
  verifyNote,
} from "../main.ts";
import { consistency, extends_, type Hash, includes, INPUTS, leaf, mth, path, ROOTS } from "./proofs_given.ts";
import { signer, stranger } from "./verify_given.ts";

const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "hex"));
const base64 = (text: string): Uint8Array => Uint8Array.fromBase64(text);
const entry = (i: number): Uint8Array => new TextEncoder().encode(`entry ${i}`);
const leaves = (size: number): Hash[] => Array.from({ length: size }, (_, i) => leaf(entry(i)));

Deno.test("merkleRoot and leafHash give the published roots, as plain bytes", () => {
  for (const [size, root] of ROOTS.entries()) assert.deepEqual(merkleRoot(INPUTS.slice(0, size)), root);
  assert.deepEqual(leafHash(INPUTS[0]!), ROOTS[1]);
});

Deno.test("merkleRoot and leafHash take no text for bytes", () => {
  const strange = ["entry", "", undefined, null, 5, [1], new ArrayBuffer(3), Object.create(Uint8Array.prototype)];
  for (const entry of strange as unknown as Uint8Array[]) {
    assert.throws(() => leafHash(entry), { name: "TypeError", message: "an entry is a Uint8Array" });
    assert.throws(() => merkleRoot([entry]), { name: "TypeError", message: "an entry is a Uint8Array" });
  }
});

Deno.test("verifyInclusion and verifyConsistency accept the published proofs", () => {
  const [h1, n23, n4567] = [
    "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
    "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
  ].map(hex);
  const proof = [h1!, n23!, n4567!];
  assert.ok(verifyInclusion({ leafHash: ROOTS[1]!, index: 0, size: 8, proof, root: ROOTS[8]! }));
  assert.ok(verifyConsistency({ size1: 1, size2: 8, proof, root1: ROOTS[1]!, root2: ROOTS[8]! }));
});

/** What somebody changes who would like to be believed. */
const spoiled = (proof: readonly Hash[]): fc.Arbitrary<readonly Hash[]> =>
  fc.oneof(
    fc.constant(proof),
    fc.constant(proof.slice(1)),
    fc.constant(proof.slice(0, -1)),
    fc.constant([...proof, leaf(entry(0))]),
    fc.constant([leaf(entry(0)), ...proof]),
    fc.constant([...proof].reverse()),
    fc.tuple(fc.nat(Math.max(0, proof.length - 1)), fc.nat(255)).map(([at, bit]) =>
      proof.map((hash, i) => i === at ? hash.map((byte, k) => k === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte) : hash)
    ),
  );

Deno.test("verifyInclusion agrees with the definition, whatever is claimed", () => {
  const all = leaves(70);
  const one = fc.integer({ min: 1, max: 70 }).chain((size) =>
    fc.nat(size - 1).chain((index) =>
      fc.record({
        size: fc.oneof(fc.constant(size), fc.integer({ min: 0, max: 72 })),
        index: fc.oneof(fc.constant(index), fc.integer({ min: 0, max: 72 })),
        hash: fc.oneof(fc.constant(index), fc.nat(69)),
        root: fc.oneof(fc.constant(size), fc.integer({ min: 1, max: 70 })),
        proof: spoiled(path(index, all.slice(0, size))),
      })
    )
  );
  let accepted = 0;
  fc.assert(
    fc.property(one, ({ size, index, hash, root, proof }) => {
      const wanted = includes(index, size, all[hash]!, proof, mth(all.slice(0, root)));
      assert.equal(
        verifyInclusion({ leafHash: all[hash]!, index, size, proof, root: mth(all.slice(0, root)) }),
        wanted,
      );
      accepted += Number(wanted);
    }),
    { numRuns: 3_000, seed: 9162 },
  );
  assert.ok(accepted > 50, `${accepted} were true`);
});

Deno.test("verifyConsistency agrees with the definition, whatever is claimed", () => {
  const all = leaves(70);
  const one = fc.integer({ min: 1, max: 70 }).chain((size2) =>
    fc.integer({ min: 1, max: size2 }).chain((size1) =>
      fc.record({
        size1: fc.oneof(fc.constant(size1), fc.integer({ min: 0, max: 72 })),
        size2: fc.oneof(fc.constant(size2), fc.integer({ min: 0, max: 72 })),
        root1: fc.oneof(fc.constant(size1), fc.integer({ min: 1, max: 70 })),
        root2: fc.oneof(fc.constant(size2), fc.integer({ min: 1, max: 70 })),
        proof: spoiled(consistency(size1, all.slice(0, size2))),
      })
    )
  );
  let accepted = 0;
  fc.assert(
    fc.property(one, ({ size1, size2, root1: first, root2: second, proof }) => {
      const [root1, root2] = [mth(all.slice(0, first)), mth(all.slice(0, second))];
      const wanted = extends_(size1, size2, proof, root1, root2);
      assert.equal(verifyConsistency({ size1, size2, proof, root1, root2 }), wanted);
      accepted += Number(wanted);
    }),
    { numRuns: 3_000, seed: 9162 },
  );
  assert.ok(accepted > 50, `${accepted} were true`);
});

Deno.test("every true proof of a small tree is accepted, and with one bit turned anywhere none", () => {
  const all = leaves(20);
  for (let size = 1; size <= 20; size++) {
    const d = all.slice(0, size);
    const root = mth(d);
    for (let index = 0; index < size; index++) {
      const claim = { leafHash: d[index]!, index, size, proof: path(index, d), root };
      assert.ok(verifyInclusion(claim));
      for (const proof of turned(claim.proof)) assert.equal(verifyInclusion({ ...claim, proof }), false);
      const size1 = index + 1;
      const grown = { size1, size2: size, proof: consistency(size1, d), root1: mth(d.slice(0, size1)), root2: root };
      assert.ok(verifyConsistency(grown));
      for (const proof of turned(grown.proof)) assert.equal(verifyConsistency({ ...grown, proof }), false);
    }
  }
});

const turned = (proof: readonly Hash[]): readonly Hash[][] =>
  proof.map((_, at) => proof.map((hash, i) => i === at ? hash.map((byte, k) => k === 31 ? byte ^ 1 : byte) : hash));

Deno.test("verifyInclusion says no to what is not so", () => {
  const d = leaves(7);
  const root = mth(d);
  const claim = { leafHash: d[3]!, index: 3, size: 7, proof: path(3, d), root };
  assert.ok(verifyInclusion(claim));
  const no: Record<string, Partial<typeof claim>> = {
    "wrong root": { root: mth(d.slice(0, 6)) },
    "wrong index": { index: 2 },
    "wrong leaf": { leafHash: d[2]! },
    "an entry instead of its hash": { leafHash: entry(3) },
    "wrong size": { size: 3 },
    "size 0": { size: 0, index: 0 },
    "index of the size": { index: 7 },
    "index beyond the size": { index: 8 },
    "truncated proof": { proof: claim.proof.slice(0, -1) },
    "truncated proof, from below": { proof: claim.proof.slice(1) },
    "empty proof": { proof: [] },
    "padded proof": { proof: [...claim.proof, root] },
    "padded proof, from below": { proof: [claim.leafHash, ...claim.proof] },
  };
  for (const [name, change] of Object.entries(no)) assert.equal(verifyInclusion({ ...claim, ...change }), false, name);
  // RFC 6962 section 2.1: a node is not a leaf, so the root of two is not an entry of a tree of one.
  assert.equal(verifyInclusion({ ...claim, leafHash: mth(d.slice(2, 4)), index: 1, size: 4 }), false);
});

Deno.test("verifyConsistency says no to what is not so", () => {
  const d = leaves(11);
  const claim = {
    size1: 6,
    size2: 11,
    proof: consistency(6, d),
    root1: mth(d.slice(0, 6)),
    root2: mth(d),
  };
  assert.ok(verifyConsistency(claim));
  const other = [leaf(entry(99)), ...d.slice(1)];
  const no: Record<string, Partial<typeof claim>> = {
    "an old checkpoint with another history": { root1: mth(other.slice(0, 6)) },
    "a new tree with another history": { root2: mth(other) },
    "an old checkpoint with a new tree's proof": { ...claim, proof: consistency(6, other), root2: mth(other) },
    "swapped roots": { root1: claim.root2, root2: claim.root1 },
    "swapped sizes": { size1: 11, size2: 6 },
    "size 0": { size1: 0 },
    "size 0 with nothing to prove": { size1: 0, proof: [], root1: mth([]) },
    "both sizes 0": { size1: 0, size2: 0, proof: [], root1: mth([]), root2: mth([]) },
    "a tree that shrank": { size1: 12 },
    "truncated proof": { proof: claim.proof.slice(0, -1) },
    "empty proof": { proof: [] },
    "padded proof": { proof: [...claim.proof, claim.root2] },
    "the old root before the proof": { proof: [claim.root1, ...claim.proof] },
  };
  for (const [name, change] of Object.entries(no)) {
    assert.equal(verifyConsistency({ ...claim, ...change }), false, name);
  }
  const same = { size1: 11, size2: 11, proof: [], root1: claim.root2, root2: claim.root2 };
  assert.ok(verifyConsistency(same));
  assert.equal(verifyConsistency({ ...same, root1: claim.root1 }), false, "one size, two roots");
  assert.equal(verifyConsistency({ ...same, proof: [claim.root2] }), false, "one size, and a proof");
});

Deno.test("a proof that goes on above the root proves nothing, nor does one of an entry behind the last", () => {
  const d = leaves(4);
  const [first, second, above] = [d[0]!, d[1]!, d[3]!];
  assert.equal(verifyInclusion({ leafHash: first, index: 1, size: 1, proof: [], root: first }), false);
  const root = mth([first, second]);
  assert.equal(verifyInclusion({ leafHash: second, index: 0, size: 1, proof: [first], root }), false);
  const over = (hash: Hash) => mth([above, hash]);
  const grown = { size1: 3, size2: 4, proof: [...consistency(3, d), above] };
  assert.equal(verifyConsistency({ ...grown, root1: over(mth(d.slice(0, 3))), root2: over(mth(d)) }), false);
});

Deno.test("malformed claims are not proven and throw nothing", () => {
  const d = leaves(5);
  const inclusion = { leafHash: d[1]!, index: 1, size: 5, proof: path(1, d), root: mth(d) };
  const grown = { size1: 3, size2: 5, proof: consistency(3, d), root1: mth(d.slice(0, 3)), root2: mth(d) };
  const strange: readonly unknown[] = [
    undefined,
    null,
    "",
    "3",
    -1,
    0.5,
    NaN,
    Infinity,
    2 ** 53,
    3n,
    {},
    [],
    [[]],
    [null],
    d[1]!.slice(1),
    Buffer.concat([d[1]!, d[1]!]),
    [d[1]!.slice(1)],
    Array.from(d[1]!),
    { length: 32 },
    new Array(3),
    Object.assign(new Array(2), { 1: d[1] }),
    Object.create(Uint8Array.prototype),
    new Proxy(d[1]!, {}),
    d[1]!.slice().buffer,
    Symbol("s"),
  ];
  for (const value of strange) {
    for (const name of Object.keys(inclusion)) {
      if (name === "proof" && Array.isArray(value) && value.length === 0) continue;
      const claim = { ...inclusion, [name]: value } as typeof inclusion;
      assert.equal(verifyInclusion(claim), false, `${name}: ${Deno.inspect(value)}`);
    }
    for (const name of Object.keys(grown)) {
      const claim = { ...grown, [name]: value } as typeof grown;
      assert.equal(verifyConsistency(claim), false, `${name}: ${Deno.inspect(value)}`);
    }
    assert.equal(verifyInclusion(value as typeof inclusion), false);
    assert.equal(verifyConsistency(value as typeof grown), false);
  }
});

Deno.test("proofs of trees beyond 2^32 entries are followed without losing a bit", () => {
  // All leaves are alike, so that a path's hashes can be known without the tree.
  const same = leaf(entry(0));
  const proof: Hash[] = [];
  let hash = same;
  for (let level = 0; level < 52; level++) {
    proof.push(hash);
    hash = mth([hash, hash]);
  }
  const size = 2 ** 52;
  for (const index of [0, 1, 2 ** 32, 2 ** 51 + 12345, size - 1]) {
    assert.ok(verifyInclusion({ leafHash: same, index, size, proof, root: hash }), String(index));
  }
  assert.equal(
    verifyInclusion({ leafHash: same, index: 2 ** 32, size, proof: proof.slice(0, 20), root: proof[20]! }),
    false,
  );
  assert.ok(verifyConsistency({ size1: 2 ** 51, size2: size, proof: [proof[51]!], root1: proof[51]!, root2: hash }));
});

// The vectors of golang.org/x/mod/sumdb/note, of the Go checksum database and of C2SP tlog-cosignature.
const PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const ENOCH = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop";
const TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
const PETER_LINE =
  "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
const ENOCH_LINE =
  "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n";
const SUMDB = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";
const SUMDB_NOTE =
  "go.sum database tree\n6476701\nmb8QLQIs0Z0yP5Cstq6guj87oXWeC9gEM8oVikmm9Wk=\n\n— sum.golang.org Az3grsLX85Gz+s1SiTbgkuqxgItqFq7gsMUEyVnrsa9LM7Us9S+1xbFIGu95949rj4nPRYfvimWEPWL+o3GeoWwOoAw=\n";

Deno.test("verifyNote opens published notes and names who of the known has signed", () => {
  assert.deepEqual(verifyNote(`${TEXT}\n${PETER_LINE}${ENOCH_LINE}`, [ENOCH, PETER]), {
    text: TEXT,
    names: ["PeterNeumann", "EnochRoot"],
  });
  assert.deepEqual(verifyNote(`${TEXT}\n${PETER_LINE}${ENOCH_LINE}`, [ENOCH]).names, ["EnochRoot"]);
  const { text, names } = verifyNote(SUMDB_NOTE, [SUMDB, PETER]);
  assert.deepEqual(names, ["sum.golang.org"]);
  assert.deepEqual(parseCheckpoint(text), {
    origin: "go.sum database tree",
    size: 6476701,
    root: base64("mb8QLQIs0Z0yP5Cstq6guj87oXWeC9gEM8oVikmm9Wk="),
  });
});

Deno.test("verifyNote opens nothing that no known key has signed", () => {
  const note = `${TEXT}\n${PETER_LINE}`;
  const bad: Record<string, readonly [string, readonly string[]]> = {
    "no keys": [note, []],
    "another key": [note, [ENOCH]],
    "altered text": [note.replace("cryptography", "cryptographY"), [PETER]],
    "a signature of another text beside a good one": [
      `${TEXT}\n${ENOCH_LINE}${PETER_LINE.replace("x08go/ZJ", "x08go/ZK")}`,
      [ENOCH, PETER],
    ],
    "no signatures": [`${TEXT}\n`, [PETER]],
    "no text": [PETER_LINE, [PETER]],
    "no newline at the end": [note.slice(0, -1), [PETER]],
    "control characters": [`\u0001${note}`, [PETER]],
    "a carriage return": [note.replaceAll("\n", "\r\n"), [PETER]],
    "a lone surrogate": [`\ud800${note}`, [PETER]],
    "something behind the signatures": [`${note}more\n`, [PETER]],
    "a signature too short to be one": [`${TEXT}\n— PeterNeumann x08gow==\n`, [PETER]],
    "more signatures than are read": [`${TEXT}\n${PETER_LINE.repeat(101)}`, [PETER]],
    "nothing": ["", [PETER]],
  };
  for (const [name, [text, keys]] of Object.entries(bad)) assert.throws(() => verifyNote(text, keys), NotProven, name);
  assert.throws(() => verifyNote(undefined as unknown as string, [PETER]), NotProven);
  for (const key of [undefined, 5, new Uint8Array(8)] as unknown as string[]) {
    assert.throws(() => verifyNote(note, [key]), { name: "TypeError", message: /^a key is name/ });
  }
  for (const key of ["", "PeterNeumann", PETER.replace("c74f", "c74e"), PETER.replace("+AR", "+AB"), `${PETER}=`]) {
    assert.throws(() => verifyNote(note, [key]), TypeError, key);
  }
  // The same name with another key is somebody else.
  const checkpoint = signer.checkpoint(1, ROOTS[1]!.toBase64());
  assert.equal(signer.name, stranger.name);
  assert.throws(() => verifyNote(checkpoint, [stranger.vkey]), NotProven);
  assert.deepEqual(verifyNote(checkpoint, [stranger.vkey, signer.vkey]).names, [signer.name]);
});

Deno.test("verifyNote takes no key of another type, and no note with a signature that is too short to be one", () => {
  const note = `text\n\n${signer.signature("text\n")}`;
  assert.equal(verifyNote(note, [signer.vkey]).text, "text\n");
  const bytes = Buffer.from(signer.vkey.split("+")[2]!, "base64");
  bytes[0] = 2;
  const id = createHash("sha256").update(`${signer.name}\n`).update(bytes).digest("hex").slice(0, 8);
  assert.throws(() => verifyNote(note, [`${signer.name}+${id}+${bytes.toString("base64")}`]), TypeError);
  assert.throws(() => verifyNote(`${note}— a AAAAAA==\n`, [signer.vkey]), /not formed as a signed note/);
  assert.equal(verifyNote(`${note}— a AAAAAAA=\n`, [signer.vkey]).text, "text\n");
});

Deno.test("parseCheckpoint reads checkpoints and nothing else", () => {
  const root = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
  const read = { origin: "example.com/behind-the-sofa", size: 20852163, root: base64(root) };
  assert.deepEqual(parseCheckpoint(`example.com/behind-the-sofa\n20852163\n${root}\n`), read);
  assert.deepEqual(parseCheckpoint(`example.com/behind-the-sofa\n20852163\n${root}\nextension\n`), read);
  assert.equal(parseCheckpoint(`o\n0\n${root}\n`).size, 0);
  assert.equal(parseCheckpoint(`o\n${Number.MAX_SAFE_INTEGER}\n${root}\n`).size, Number.MAX_SAFE_INTEGER);
  for (
    const bad of [
      "",
      "\n",
      `o\n1\n${root}`,
      `\n1\n${root}\n`,
      `o\n\n${root}\n`,
      `o\n01\n${root}\n`,
      `o\n-1\n${root}\n`,
      `o\n+1\n${root}\n`,
      `o\n1.0\n${root}\n`,
      `o\n0x1\n${root}\n`,
      `o\n1 \n${root}\n`,
      `o\n9007199254740992\n${root}\n`,
      `o\n1\n\n`,
      `o\n1\n${root.slice(4)}\n`,
      `o\n1\n${root.slice(0, -1)}\n`,
      `o\n1\n${root.replace("2I=", "2J=")}\n`,
      `o\n1\n${root.replace("/", "_")}\n`,
      `o\n1\n${root}\n\n`,
      `o\n1\n${root}\n\nextension\n`,
      SUMDB_NOTE,
      undefined as unknown as string,
    ]
  ) {
    assert.throws(() => parseCheckpoint(bad), NotProven, JSON.stringify(bad));
  }
});

Deno.test("canonicalize writes RFC 8785 and throws on what I-JSON excludes", () => {
  assert.equal(
    canonicalize({ b: [1e30, 4.5, 2e-3, -0, 1e21], a: "€\u000f\n" }),
    '{"a":"€\\u000f\\n","b":[1e+30,4.5,0.002,0,1e+21]}',
  );
  const circle: unknown[] = [];
  circle.push(circle);
  for (
    const bad of [
      NaN,
      [Infinity],
      { a: -Infinity },
      "\ud800",
      { "\udfff": 1 },
      ["\ufffe"],
      { "\ufdd0": 1 },
      "\u{1ffff}",
      1n,
      undefined,
      () => 1,
      Symbol("a"),
      new Map(),
      new Date(0),
      [undefined],
      circle,
    ]
  ) {
    assert.throws(() => canonicalize(bad), { name: "CanonicalError" });
  }
});
