import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createCipheriv } from "node:crypto";
import fc from "fast-check";
import { Gcm, type GcmText } from "../adapters/keys/gcm.ts";

const hex = (text: string): Buffer => Buffer.from(text, "hex");
const laid = (nonce: Uint8Array, aad: Uint8Array, text: Uint8Array): GcmText => ({
  nonce,
  aad,
  text: Buffer.from(text),
  tag: Buffer.alloc(16),
});

Deno.test("AES-256-GCM gives the published results", () => {
  // McGrew and Viega, "The Galois/Counter Mode of Operation (GCM)", appendix B, test cases 13 to 16.
  const key = hex("feffe9928665731c6d6a8f9467308308".repeat(2));
  const nonce = hex("cafebabefacedbaddecaf888");
  const plain = hex(
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255",
  );
  const cipher =
    "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad";
  const aad = hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
  const zero = new Gcm(Buffer.alloc(32)), other = new Gcm(key);
  const one = laid(Buffer.alloc(12), Buffer.alloc(0), Buffer.alloc(0));
  const two = laid(Buffer.alloc(12), Buffer.alloc(0), Buffer.alloc(16));
  const three = laid(nonce, Buffer.alloc(0), plain);
  const four = laid(nonce, aad, plain.subarray(0, 60));
  zero.seal([one, two]);
  other.seal([three, four]);
  const tags = [one, two, three, four].map(({ tag }) => Buffer.from(tag).toString("hex"));
  assert.deepEqual(tags, [
    "530f8afbc74536b9a963b4f1c4cb738b",
    "d0d1c8a799996bf0265b98b5d48ab919",
    "b094dac5d93471bdec1a502270e3cc6c",
    "76fc6ece0f4e1768cddf8853bb2d551b",
  ]);
  assert.equal(Buffer.from(two.text).toString("hex"), "cea7403d4d606b6e074ec5d3baf39d18");
  assert.equal(Buffer.from(three.text).toString("hex"), cipher);
  assert.equal(Buffer.from(four.text).toString("hex"), cipher.slice(0, 120));
  zero.close();
  other.close();
});

Deno.test("AES-256-GCM of any texts is what the platform's own gives, one by one, before and after close", () => {
  const bytes = (max: number, min = 0) => fc.uint8Array({ minLength: min, maxLength: max });
  const texts = fc.array(fc.record({ nonce: bytes(12, 12), aad: bytes(70), text: bytes(300) }), { maxLength: 6 });
  fc.assert(fc.property(bytes(32, 32), texts, fc.boolean(), (key, given, closed) => {
    const gcm = new Gcm(key);
    if (closed) gcm.close();
    const sealed = given.map(({ nonce, aad, text }) => laid(nonce, aad, text));
    gcm.seal(sealed);
    gcm.close();
    given.forEach(({ nonce, aad, text }, i) => {
      const cipher = createCipheriv("aes-256-gcm", key, nonce);
      cipher.setAAD(aad);
      const expected = Buffer.concat([cipher.update(text), cipher.final()]);
      assert.deepEqual(Buffer.from(sealed[i]!.text), expected);
      assert.deepEqual(Buffer.from(sealed[i]!.tag), Buffer.from(cipher.getAuthTag()));
    });
  }));
});

Deno.test("AES-256-GCM counts blocks beyond one byte", () => {
  const key = Buffer.alloc(32, 7), nonce = Buffer.alloc(12, 9), plain = Buffer.alloc(70_000, 1);
  const gcm = new Gcm(key), text = laid(nonce, plain, plain);
  gcm.seal([text]);
  gcm.close();
  const cipher = createCipheriv("aes-256-gcm", key, nonce);
  cipher.setAAD(plain);
  assert.equal(Buffer.compare(Buffer.from(text.text), Buffer.concat([cipher.update(plain), cipher.final()])), 0);
  assert.deepEqual(Buffer.from(text.tag), Buffer.from(cipher.getAuthTag()));
});
