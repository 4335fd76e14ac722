/** Sums of rows, against RFC 8439's key stream and against what `projections/digest.ts` says a sum is, written down plainly. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import fc from "fast-check";
import { FoldedRows, plainSumming, RowsSum, summingOf } from "../projections/digest.ts";
import { openSumming, SUM_BYTES } from "../projections/lthash.ts";
import { primitives } from "./projections_given.ts";

const empty = () => new Uint16Array(SUM_BYTES / 2);

Deno.test("the part of a row is the published key stream", () => {
  // RFC 8439 appendix A.1, test vectors 1 and 2: the key and the nonce are zero, the counter is 0 and 1.
  const sum = empty();
  openSumming()(sum, new Uint8Array(32), [1]);
  assert.equal(
    new Uint8Array(sum.buffer, 0, 128).toHex(),
    "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586" +
      "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f",
  );
});

Deno.test("side by side or by the platform, in and out, sums are the same", () => {
  const hashes = fc.uint8Array({ minLength: 32, maxLength: 32 });
  const rows = fc.array(fc.tuple(hashes, fc.constantFrom(1, -1)), { maxLength: 150, size: "max" });
  const [side, plain] = [openSumming(), plainSumming(primitives)];
  fc.assert(
    fc.property(rows, fc.uint8Array({ minLength: SUM_BYTES, maxLength: SUM_BYTES }), (rows, before) => {
      const all = Uint8Array.from(rows.flatMap(([hash]) => [...hash]));
      const signs = rows.map(([, sign]) => sign);
      const sums = [side, plain].map((summing) => {
        const sum = new Uint16Array(before.slice().buffer);
        summing(sum, all, signs);
        return sum;
      });
      assert.deepEqual(sums[0], sums[1]);
    }),
    { numRuns: 40 },
  );
});

Deno.test("where there are no vectors the platform sums", () => {
  const lacking = summingOf(primitives, () => {
    throw new WebAssembly.CompileError("no vectors");
  });
  const [sum, expected] = [empty(), empty()];
  const hash = new Uint8Array(32).fill(7);
  lacking(sum, hash, [1]);
  openSumming()(expected, hash, [1]);
  assert.deepEqual(sum, expected);
  assert.throws(() =>
    summingOf(primitives, () => {
      throw new RangeError("no memory");
    }), RangeError);
});

/** The sum of a set of rows, as the definition has it. */
const defined = (rows: ReadonlyMap<string, string>): Uint16Array => {
  const sum = empty();
  for (const [key, row] of rows) {
    const element = createHash("sha256");
    for (const text of [key, row]) {
      const bytes = new TextEncoder().encode(text);
      const length = new Uint8Array(4);
      new DataView(length.buffer).setUint32(0, bytes.length);
      element.update(length).update(bytes);
    }
    const part = new Uint16Array(primitives.chacha20(element.digest()).slice().buffer);
    for (let i = 0; i < sum.length; i++) sum[i]! += part[i]!;
  }
  return sum;
};

Deno.test("whatever becomes of rows, and whenever it is asked, the sum is that of the rows there are", () => {
  const key = fc.oneof(fc.constantFrom("a", "b", "ü/c"), fc.string({ unit: "binary", maxLength: 20 }));
  const row = fc.oneof(
    { weight: 8, arbitrary: fc.string({ unit: "binary", maxLength: 60 }) },
    // More than one message of several, more than fits among others, and more than may wait.
    { weight: 1, arbitrary: fc.integer({ min: 4_000, max: 5_000 }).map((length) => "x".repeat(length)) },
    { weight: 1, arbitrary: fc.constant("€".repeat(70_000)) },
  );
  const step = fc.oneof(
    { weight: 20, arbitrary: fc.record({ key, row: fc.option(row, { nil: undefined }) }) },
    { weight: 1, arbitrary: fc.constant("copied" as const) },
    { weight: 1, arbitrary: fc.constant("kept" as const) },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200, size: "max" }), (steps) => {
      const rows = new Map<string, string>();
      let sum = new RowsSum(primitives);
      for (const step of steps) {
        if (step === "copied") {
          const before = sum;
          sum = before.copy();
          before.add("not in the copy", "{}");
        } else if (step === "kept") sum = new RowsSum(primitives, sum.rows, sum.bytes().slice());
        else {
          sum.replace(step.key, rows.get(step.key), step.row);
          step.row === undefined ? rows.delete(step.key) : rows.set(step.key, step.row);
        }
      }
      assert.equal(sum.rows, rows.size);
      assert.deepEqual(new Uint16Array(sum.bytes().slice().buffer), defined(rows));
    }),
    { numRuns: 60 },
  );
});

Deno.test("working rows of a fold are read back and count for nothing", () => {
  const rows = new FoldedRows({}, primitives);
  const alone = new FoldedRows({}, primitives);
  for (const one of [rows, alone]) one.set({ key: "a", row: { n: 1 }, position: 0 });
  rows.set({ key: "~work", row: { n: 2 }, position: 0 });
  assert.deepEqual(rows.get("~work"), { n: 2 });
  assert.deepEqual(rows.digest(), alone.digest());
});
