/** SHA-256 of many messages at once, against published vectors and against the platform's. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { VERIFIER_HEAP } from "../adapters/process/reexec.ts";
import { HASH_BYTES, LANE_BYTES_MAX, type ManyHashes, manyHashes, sha256Each, sha256Pairs } from "../events/sha256.ts";

/** Pieces as `sha256Each` takes them, with a byte that is nobody's in front of each. */
const laid = (pieces: readonly Uint8Array[]): readonly [Uint8Array, Uint32Array] => {
  const starts = new Uint32Array(pieces.length + 1);
  let at = 1;
  pieces.forEach((piece, i) => {
    starts[i] = at;
    at += piece.length + 1;
  });
  starts[pieces.length] = at;
  const bytes = new Uint8Array(at).fill(0x2c);
  pieces.forEach((piece, i) => bytes.set(piece, starts[i]));
  return [bytes, starts];
};

const hexes = (hashes: Uint8Array): string[] =>
  Array.from(
    { length: hashes.length / HASH_BYTES },
    (_, i) => hashes.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES).toHex(),
  );
const platform = (prefix: number) => (piece: Uint8Array): Uint8Array =>
  createHash("sha256").update(Uint8Array.of(prefix)).update(piece).digest();
const pair = (left: Uint8Array, right: Uint8Array): Uint8Array => platform(1)(Buffer.concat([left, right]));
/** As on a processor without vectors. */
const plain = manyHashes(1, () => {
  throw new WebAssembly.CompileError("Wasm SIMD unsupported");
});
/** By fours, by eights, and one by one. */
const [wide, shared] = [manyHashes(2), { each: sha256Each, pairs: sha256Pairs }];
const all: readonly ManyHashes[] = [shared, wide, plain].map((many) => ({
  each: (...given) => many.each(...given),
  pairs: (...given) => many.pairs(...given),
}));
const expected = (prefix: number, piece: Uint8Array): string => platform(prefix)(piece).toHex();
const text = (letters: string): Uint8Array => new TextEncoder().encode(letters);

Deno.test("the published examples have their published hashes, side by side", () => {
  // https://csrc.nist.gov/projects/cryptographic-standards-and-guidelines/example-values, SHA-256; a million times "a" is of FIPS 180-2.
  const examples = [
    ["abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"],
    [
      "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
    ],
    ["a".repeat(1_000_000), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"],
    ["abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"],
  ] as const;
  const a = "a".charCodeAt(0);
  for (const { each } of all) {
    const hashes = each(a, ...laid(examples.map(([message]) => text(message.slice(1)))), platform(a));
    assert.deepEqual(hexes(hashes), examples.map(([, hash]) => hash));
  }
});

Deno.test("a message of each length around the edges of blocks and lanes has the platform's hash", () => {
  const lengths = [...Array.from({ length: 200 }, (_, n) => n), LANE_BYTES_MAX - 2, LANE_BYTES_MAX - 1, LANE_BYTES_MAX];
  const pieces = lengths.map((length) => new Uint8Array(length).fill(length));
  const wanted = pieces.map((piece) => expected(0, piece));
  for (const { each } of all) assert.deepEqual(hexes(each(0, ...laid(pieces), platform(0))), wanted);
});

Deno.test("however many messages of whatever lengths, each has the platform's hash", () => {
  const piece = fc.oneof(
    { weight: 20, arbitrary: fc.uint8Array({ maxLength: 700 }) },
    { weight: 1, arbitrary: fc.uint8Array({ minLength: 3_000, maxLength: 6_000 }) },
  );
  const pieces = fc.oneof(
    fc.array(piece, { maxLength: 60 }),
    // More than memory holds at a time, by number and by bytes.
    fc.array(fc.uint8Array({ maxLength: 3 }), { minLength: 1_000, maxLength: 2_100, size: "max" }),
    fc.array(fc.constant(new Uint8Array(4_000).fill(7)), { minLength: 15, maxLength: 40 }),
  );
  fc.assert(
    fc.property(pieces, fc.nat(255), fc.nat(9), (pieces, prefix, offset) => {
      const [bytes, starts] = laid(pieces);
      const moved = new Uint8Array(bytes.length + offset);
      moved.set(bytes, offset);
      const before = moved.slice();
      const wanted = pieces.map((piece) => expected(prefix, piece));
      for (const { each } of all) {
        const hashes = each(prefix, moved, starts.map((start) => start + offset), platform(prefix));
        assert.deepEqual(hexes(hashes), wanted);
      }
      assert.deepEqual(moved, before, "what is hashed was changed");
    }),
    { numRuns: 60 },
  );
});

Deno.test("neighbouring hashes make pairs, and one that is left over makes none", () => {
  for (const count of [0, 1, 2, 3, 8, 9, 255, 256, 1_999, 2_000, 2_003, 4_100]) {
    const hashes = new Uint8Array(count * HASH_BYTES);
    for (let at = 0; at < hashes.length; at += 65_536) crypto.getRandomValues(hashes.subarray(at, at + 65_536));
    const pairs = Array.from(
      { length: Math.floor(count / 2) },
      (_, i) => expected(1, Buffer.from(hashes.subarray(2 * i * HASH_BYTES, 2 * (i + 1) * HASH_BYTES))),
    );
    for (const many of all) assert.deepEqual(hexes(many.pairs(1, hashes, pair)), pairs, `${count} hashes`);
  }
});

Deno.test("eight side by side have the platform's hashes also where V8 makes one vector of two", async () => {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-q", "--no-check", VERIFIER_HEAP, fileURLToPath(new URL("./wide_hashes.ts", import.meta.url))],
    env: { NO_COLOR: "1" },
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  assert.equal(Number(new TextDecoder().decode(stdout)), 60 * 1_800);
});
