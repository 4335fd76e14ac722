import assert from "node:assert/strict";
import { sealingOf } from "../adapters/keys/at_rest.ts";
import { bytesOf, KEY, OTHER_KEY } from "./at_rest_given.ts";

const place = Uint8Array.of(1, 2, 3);
const plain = Uint8Array.from({ length: 300 }, (_, i) => i);

Deno.test("what was sealed opens at its place, under its key, as it was", () => {
  const sealing = sealingOf(KEY);
  for (const clear of [0, 8, 300]) {
    for (const bytes of [plain, plain.subarray(0, clear)]) {
      const sealed = sealing.seal(place, bytes, clear);
      assert.equal(sealed.length, bytes.length + sealing.overhead);
      assert.deepEqual(sealed.subarray(0, clear), bytes.subarray(0, clear));
      assert.deepEqual(sealing.open(place, sealed, clear), bytes);
      assert.deepEqual(sealingOf(KEY).open(place, sealed, clear), bytes, "in another process");
    }
  }
});

Deno.test("nothing opens that was changed, cut, lengthened or moved, or under another key", () => {
  const sealing = sealingOf(KEY);
  const sealed = sealing.seal(place, plain, 8);
  for (let i = 0; i < sealed.length; i++) {
    const changed = sealed.slice();
    changed[i]! ^= 1 << (i % 8);
    assert.equal(sealing.open(place, changed, 8), undefined, `byte ${i}`);
  }
  for (let length = 0; length < sealed.length; length++) {
    assert.equal(sealing.open(place, sealed.subarray(0, length), 8), undefined, `${length} bytes`);
  }
  assert.equal(sealing.open(place, Uint8Array.of(...sealed, 0), 8), undefined);
  assert.equal(sealing.open(Uint8Array.of(1, 2, 4), sealed, 8), undefined);
  assert.equal(sealing.open(Uint8Array.of(1, 2), sealed, 8), undefined);
  assert.equal(sealing.open(place, sealed, 9), undefined);
  assert.equal(sealingOf(OTHER_KEY).open(place, sealed, 8), undefined);
});

Deno.test("no two values share key and nonce, and a key seals no more than it may", () => {
  const sealing = sealingOf(KEY, { sealsMax: 10, random: bytesOf(7) });
  const salts = new Map<string, number>();
  const nonces = new Set<string>();
  for (let n = 0; n < 95; n++) {
    const sealed = sealing.seal(place, plain);
    const salt = sealed.subarray(0, 16).toHex();
    salts.set(salt, (salts.get(salt) ?? 0) + 1);
    nonces.add(sealed.subarray(0, 28).toHex());
    assert.deepEqual(sealing.open(place, sealed), plain);
  }
  assert.deepEqual([...salts.values()], [...Array(9).fill(10), 5]);
  assert.equal(nonces.size, 95);
  const again = sealingOf(KEY).seal(place, plain);
  assert.ok(!salts.has(again.subarray(0, 16).toHex()), "another run takes another salt");
});

Deno.test("a key has 32 bytes, and its check tells it from others and not what it is", () => {
  assert.throws(() => sealingOf(KEY.subarray(1)), RangeError);
  assert.equal(sealingOf(KEY).check, sealingOf(KEY).check);
  assert.notEqual(sealingOf(KEY).check, sealingOf(OTHER_KEY).check);
  assert.match(sealingOf(KEY).check, /^[\w-]{22}$/);
});

// Made with pyca/cryptography from the description at the top of `at_rest.ts`, so that the format cannot change unseen.
Deno.test("a value that another program sealed opens", () => {
  const sealed = Uint8Array.fromHex(KNOWN);
  assert.deepEqual(sealingOf(KEY).open(place, sealed, 4), new TextEncoder().encode("DBK1 is clear, this is not"));
});
const KNOWN =
  "44424b31000102030405060708090a0b0c0d0e0f000102030405060708090a0bea9d18fd39df4e315d24b56e97b3ce50331efb11132b60872062696527e73fb6b067587d0494";
