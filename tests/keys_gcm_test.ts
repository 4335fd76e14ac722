import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createCipheriv, createHash } from "node:crypto";
import fc from "fast-check";
import { KeyDatabase } from "../adapters/keys/database.ts";
import { Ciphers, CIPHERS_CACHED_MAX, Gcm, NONCE, type Place, TAG } from "../adapters/keys/gcm.ts";
import { periodId, RetentionPeriods } from "../adapters/keys/retention_periods.ts";
import { open, parts, placeOf, sealFields } from "../adapters/keys/seal.ts";
import { derive, Subjects } from "../adapters/keys/subjects.ts";
import { MAY } from "./keys_given.ts";

interface Given {
  readonly nonce: Uint8Array;
  readonly associated: Uint8Array;
  readonly text: Uint8Array;
}

/** Ciphertexts with their tags, of all texts in one call. */
const sealedBy = (key: Uint8Array, given: readonly Given[]): Uint8Array[] => {
  const bytes = Buffer.concat(given.flatMap((each) => [each.nonce, each.associated, each.text, Buffer.alloc(TAG)]));
  let at = 0;
  const places = given.map(({ associated, text }): Place => {
    const start = at + NONCE + associated.length;
    const place = { nonce: at, associated: at + NONCE, text: start, tag: start + text.length };
    at = place.tag + TAG;
    return place;
  });
  const gcm = new Gcm(key);
  gcm.seal(bytes, places);
  gcm.close();
  return places.map(({ text, tag }) => bytes.subarray(text, tag + TAG));
};

const sealedByPlatform = (key: Uint8Array, { nonce, associated, text }: Given): Uint8Array => {
  const cipher = createCipheriv("aes-256-gcm", key, nonce);
  cipher.setAAD(associated);
  return Buffer.concat([cipher.update(text), cipher.final(), cipher.getAuthTag()]);
};

const hex = (text: string): Uint8Array => Buffer.from(text, "hex");
const KEY = hex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308");
const TEXT = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525" +
  "b16aedf5aa0de657ba637b391aafd255";
const SEALED = "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838" +
  "c5f61e6393ba7a0abcc9f662898015ad";

// By the AES-GCM of the platform, before docs/decisions/0189.
const WRITTEN = [
  "sealed:1:s_0123456789abcdef:OezYYdFCv8XJvjIFeAPUFP5C-dhNItrxyCyx5AAML2F1dGhvci9uYW1lK9RonsncJ3-7yNGnsjxW-fIG5VODArbKF4HOAw",
  "sealed:1:s_0123456789abcdef:OezYYdFCv8XJvjIGeAPUFP5C-dhNItrxyCyx5AANL2F1dGhvci9lbWFpbIagS1CoXMVLINjTodqfkqyjp-JkbCn24VLlvXRwmz4",
  "sealed:1:s_fedcba9876543210:OezYYdFCv8XJvjIHeAPUFP5C-dhNItrxyCyx5AAPL2NvbW1pdHRlci9uYW1lTiWxJm4MMuWcyOhDTalCNP25pU4nkg",
  "sealed:1:s_0000000000000000:erased",
];

Deno.test("the published cases of AES-256-GCM come out as published", () => {
  // D. McGrew and J. Viega, The Galois/Counter Mode of Operation, appendix B, test cases 13 to 16.
  const none = { nonce: new Uint8Array(NONCE), associated: new Uint8Array(0) };
  const nonce = hex("cafebabefacedbaddecaf888");
  const associated = hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
  for (
    const [key, given, expected] of [
      [new Uint8Array(32), { ...none, text: hex("") }, "530f8afbc74536b9a963b4f1c4cb738b"],
      [
        new Uint8Array(32),
        { ...none, text: new Uint8Array(16) },
        "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919",
      ],
      [KEY, { ...none, nonce, text: hex(TEXT) }, `${SEALED}b094dac5d93471bdec1a502270e3cc6c`],
      [
        KEY,
        { nonce, associated, text: hex(TEXT.slice(0, 120)) },
        `${SEALED.slice(0, 120)}76fc6ece0f4e1768cddf8853bb2d551b`,
      ],
    ] as const
  ) assert.equal(Buffer.from(sealedBy(key, [given])[0]!).toString("hex"), expected);
});

Deno.test("any texts under any key come out as the platform has them", () => {
  const bytes = (min: number, max: number) => fc.uint8Array({ minLength: min, maxLength: max });
  const given = fc.record({ nonce: bytes(NONCE, NONCE), associated: bytes(0, 70), text: bytes(0, 100) });
  fc.assert(
    fc.property(
      bytes(32, 32),
      fc.array(given, { minLength: 1, maxLength: 5 }),
      (key, all) =>
        sealedBy(key, all).forEach((sealed, i) =>
          assert.deepEqual(Buffer.from(sealed), Buffer.from(sealedByPlatform(key, all[i]!)))
        ),
    ),
    { numRuns: 1_000 },
  );
  // Keys and texts of ones, where every carry happens, and one longer than the reused buffer.
  const ones = { nonce: new Uint8Array(NONCE).fill(255), associated: new Uint8Array(33).fill(255) };
  for (const key of [new Uint8Array(32), new Uint8Array(32).fill(255)]) {
    // Around what is hashed at a time, too.
    for (const length of [0, 1, 15, 16, 17, 255, 4_031, 4_032, 4_033, 4_047, 4_048, 4_049, 4_096, 8_144, 100_000]) {
      const one = { ...ones, text: new Uint8Array(length).fill(255) };
      assert.deepEqual(Buffer.from(sealedBy(key, [one])[0]!), Buffer.from(sealedByPlatform(key, one)), `${length}`);
    }
  }
});

Deno.test("an event seals to the bytes that earlier versions wrote", () => {
  const ada = { id: "s_0123456789abcdef", keys: derive(new Uint8Array(32).fill(7)) };
  const grace = { id: "s_fedcba9876543210", keys: derive(new Uint8Array(32).fill(9)) };
  const fields = [
    { subject: ada, text: "Ada Lovelace", pointer: "/author/name" },
    { subject: ada, text: "ada@example.com", pointer: "/author/email" },
    { subject: grace, text: "Grâce", pointer: "/committer/name" },
    { subject: { id: "s_0000000000000000", keys: undefined }, text: "Eda", pointer: "/reviewer/name" },
  ];
  const ciphers = new Ciphers({ whenChanged: () => {} });
  assert.deepEqual(sealFields("people/house", "c0ffee", fields, ciphers), WRITTEN);
  ciphers.forget();
});

Deno.test("a place is SHA-256 as the platform has it, of any name", () => {
  const expected = (stream: string, id: string) =>
    createHash("sha256").update(`${stream.length}:${stream}${id}`).digest().subarray(0, 16);
  fc.assert(fc.property(fc.string({ unit: "binary" }), fc.string({ maxLength: 200 }), (stream, id) => {
    assert.deepEqual(Buffer.from(placeOf(stream, id)), expected(stream, id));
  }));
  const long = "é".repeat(50_000);
  assert.deepEqual(Buffer.from(placeOf("people/house", long)), expected("people/house", long));
});

Deno.test("more keys than are held ready seal all the same, and none outlives its erasure", () => {
  const db = new KeyDatabase({ path: ":memory:", clock: { now: () => MAY } });
  const subjects = new Subjects(db);
  const ciphers = new Ciphers(db);
  const names = Array.from({ length: CIPHERS_CACHED_MAX + 1 }, (_, i) => `${i}@example.com`);
  const all = [...subjects.keep(db.write("create subject keys", () => subjects.create(names))).values()];
  const roundTrip = (from: number) => {
    const fields = all.slice(from, from + 3).map((subject) => ({ subject, text: subject.id, pointer: "/a" }));
    const texts = sealFields("people/house", "1", fields, ciphers);
    texts.forEach((text, i) => assert.equal(open(fields[i]!.subject.keys!.key, parts(text)!), fields[i]!.subject.id));
  };
  for (let from = 0; from < all.length; from += 3) roundTrip(from);
  assert.equal(ciphers.cached, CIPHERS_CACHED_MAX);
  roundTrip(0);
  assert.equal(ciphers.cached, CIPHERS_CACHED_MAX);
  subjects.erase([all[0]!.id]);
  assert.equal(ciphers.cached, 0);
  roundTrip(3);
  const periods = new RetentionPeriods(db);
  const month = { type: "people.person.met", period: "202605" };
  db.write("create the key of a period", () => periods.create([month]));
  const kept = () => periods.within(all[3]!, periodId(month));
  sealFields("people/house", "1", [{ subject: kept(), text: "Ada", pointer: "/a" }], ciphers);
  periods.destroy(month);
  assert.deepEqual([ciphers.cached, kept().keys], [0, undefined]);
  roundTrip(3);
  db.close();
  assert.equal(ciphers.cached, 0, "what the platform holds for a key is given back");
});
