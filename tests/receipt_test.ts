/** Receipts: what must not be accepted. */
import assert from "node:assert/strict";
import { noteSigner } from "../adapters/keys/note.ts";
import { NotProven } from "../adapters/verify/library.ts";
import { checkReceipt, readReceipt } from "../adapters/verify/receipt.ts";
import { leaf, mth, path } from "./proofs_given.ts";

const log = noteSigner("log.example/orders", new Uint8Array(32).fill(1));
const other = noteSigner("log.example/orders", new Uint8Array(32).fill(2));
const entries = Array.from({ length: 9 }, (_, i) => new TextEncoder().encode(`{"entry":${i}}`));
const leaves = entries.map(leaf);

const receiptOf = (index: number, size = 9, signer = log): string =>
  [
    "c2sp.org/tlog-proof@v1",
    `extra ${entries[index]!.toBase64()}`,
    `index ${index}`,
    ...path(index, leaves.slice(0, size)).map((hash) => hash.toBase64()),
    "",
    signer.checkpoint(size, mth(leaves.slice(0, size)).toBase64()),
  ].join("\n");

Deno.test("a receipt of every entry of every size holds, and says what and where", () => {
  for (let size = 1; size <= 9; size++) {
    for (let index = 0; index < size; index++) {
      const { entry, root, ...rest } = checkReceipt(receiptOf(index, size), [log.vkey]);
      assert.deepEqual(rest, { index, origin: log.name, size, names: [log.name] });
      assert.deepEqual([...entry], [...entries[index]!]);
      assert.deepEqual(root, mth(leaves.slice(0, size)));
    }
  }
});

Deno.test("no receipt holds with a letter changed in what is proven", () => {
  const receipt = receiptOf(5);
  // All but names and comments of signatures of others, of which there are none here.
  for (let at = 0; at < receipt.length; at++) {
    const changed = receipt.slice(0, at) + (receipt[at] === "A" ? "B" : "A") + receipt.slice(at + 1);
    assert.throws(() => checkReceipt(changed, [log.vkey]), NotProven, `at ${at}: ${changed}`);
  }
});

Deno.test("what is not formed as a receipt is none", () => {
  const receipt = receiptOf(5);
  const lines = receipt.split("\n");
  const without = (line: number) => lines.toSpliced(line, 1).join("\n");
  const bad: Record<string, string> = {
    "nothing": "",
    "no first line": without(0),
    "another version": receipt.replace("@v1", "@v2"),
    "no index": without(2),
    "an index with a zero before it": receipt.replace("index 5", "index 05"),
    "a negative index": receipt.replace("index 5", "index -5"),
    "an index beyond numbers": receipt.replace("index 5", "index 9007199254740993"),
    "an index twice": receipt.replace("index 5", "index 5\nindex 5"),
    "extra data behind the index": receipt.replace(/(extra .*)\n(index 5)/, "$2\n$1"),
    "extra data that is not base64": receipt.replace(/extra ./, "extra !"),
    "a hash of another length": receipt.replace(lines[3]!, "AAAA"),
    "carriage returns": receipt.replaceAll("\n", "\r\n"),
    "no blank line": receipt.replace("\n\n", "\n"),
    "more hashes than any tree has": receipt.replace(lines[3]!, `${lines[3]}\n`.repeat(64).trimEnd()),
  };
  for (const [name, text] of Object.entries(bad)) {
    assert.equal(readReceipt(text), undefined, name);
    assert.throws(() => checkReceipt(text, [log.vkey]), NotProven, name);
  }
});

Deno.test("a receipt does not hold by another key, a shorter or longer proof, another tree, or without its entry", () => {
  const receipt = receiptOf(5);
  const lines = receipt.split("\n");
  const bad: Record<string, string> = {
    "signed by somebody else of that name": receiptOf(5, 9, other),
    "a truncated proof": receipt.replace(`${lines[6]}\n`, ""),
    "a padded proof": receipt.replace(`${lines[6]}\n`, `${lines[6]}\n${lines[6]}\n`),
    "another index": receipt.replace("index 5", "index 4"),
    "an index of the size": receipt.replace("index 5", "index 9"),
    "another entry": receipt.replace(lines[1]!, `extra ${entries[4]!.toBase64()}`),
    "no entry": receipt.replace(`${lines[1]}\n`, ""),
    "the checkpoint of a smaller tree": receipt.slice(0, receipt.indexOf("\n\n") + 2) +
      log.checkpoint(6, mth(leaves.slice(0, 6)).toBase64()),
    "a note that is no checkpoint": receipt.slice(0, receipt.indexOf("\n\n") + 2) + log.note("paid\n"),
  };
  for (const [name, text] of Object.entries(bad)) {
    assert.throws(() => checkReceipt(text, [log.vkey]), NotProven, name);
  }
  assert.equal(checkReceipt(receiptOf(5, 9, other), [log.vkey, other.vkey]).index, 5);
  assert.throws(() => checkReceipt(receipt, []), NotProven);
  for (const text of [receipt, "something else"]) {
    assert.throws(() => checkReceipt(text, ["no key"]), TypeError);
  }
});
