/** The end of a file that is being written, read piece by piece: no character is cut, wherever a piece ends. */
import assert from "node:assert/strict";
import { pageBytesIn } from "../adapters/process/agent/proc.ts";
import { terminal } from "../adapters/cli/terminal.ts";
import { inFolder } from "./folder_given.ts";

const TEXT = "a é ‰ 😀𝄞 end\n";

Deno.test("however a text is cut into what is there at each look, it is read as it was written", () =>
  inFolder(async (folder) => {
    const { readTail } = terminal(() => undefined);
    const bytes = new TextEncoder().encode(TEXT);
    for (let cut = 0; cut <= bytes.length; cut++) {
      const path = `${folder}/${cut}`;
      let [text, at] = ["", 0];
      for (const until of [cut, Math.min(cut + 1, bytes.length), bytes.length]) {
        await Deno.writeFile(path, bytes.subarray(0, until));
        const read = await readTail(path, 1_000, at);
        [text, at] = [text + read.text, read.end];
      }
      assert.equal(text, TEXT, `cut at ${cut}`);
      assert.equal(at, bytes.length);
    }
  }));

Deno.test("a tail begins with a whole character; what is none, and what will never be whole, holds nothing up", () =>
  inFolder(async (folder) => {
    const { readTail } = terminal(() => undefined);
    const bytes = new TextEncoder().encode(TEXT);
    await Deno.writeFile(`${folder}/text`, bytes);
    for (let length = 1; length <= bytes.length; length++) {
      const { text } = await readTail(`${folder}/text`, length);
      assert.ok(TEXT.endsWith(text) && !text.includes("\ufffd"), `${length}: ${text}`);
    }
    await Deno.writeFile(`${folder}/binary`, new Uint8Array([0xff, 0xfe, 0x80, 0xf0, 0x9f]));
    const { text, end } = await readTail(`${folder}/binary`, 1_000, 0);
    assert.deepEqual([text, end], ["\ufffd\ufffd\ufffd", 3]);
    await Deno.writeFile(`${folder}/binary`, new Uint8Array([0xff, 0xfe, 0x80, 0xf0, 0x9f, 0x0a]));
    assert.deepEqual(await readTail(`${folder}/binary`, 1_000, 3), { text: "\ufffd\n", end: 6 });
    assert.deepEqual(await readTail(`${folder}/missing`, 1_000), { text: "", end: 0 });
  }));

Deno.test("memory is counted in pages of this kernel's size", async () => {
  const told = new TextDecoder().decode((await new Deno.Command("getconf", { args: ["PAGESIZE"] }).output()).stdout);
  const { stdout } = await new Deno.Command("cat", { args: ["/proc/self/auxv"] }).output();
  assert.equal(pageBytesIn(stdout), Number(told));
  const auxv = new Uint8Array(new BigUint64Array([3n, 7n, 6n, 65_536n, 0n, 0n]).buffer);
  assert.equal(pageBytesIn(auxv), 65_536);
  assert.equal(pageBytesIn(auxv.subarray(0, 20)), 4_096);
});
