/** Waiting has an end, and says what it waited for. */
import assert from "node:assert/strict";
import { ended, heard, until, within } from "./until.ts";

const soon = { seconds: 0.05, every_ms: 5 };

Deno.test("what never becomes so fails with what was waited for and what was seen last", async () => {
  let looks = 0;
  await assert.rejects(until("the moon", () => ({ looks: ++looks }), () => false, soon), (error: Error) => {
    assert.match(error.message, /^not within 0\.05 s: the moon; seen last: \{ looks: \d+ \}$/);
    return true;
  });
  assert.ok(looks > 1);
});

Deno.test("a look that does not come back is late too; one that fails is not looked at again", async () => {
  await assert.rejects(
    until("an answer", () => new Promise<boolean>(() => {}), Boolean, soon),
    /s: an answer; seen last/,
  );
  let looks = 0;
  const failing = () => Promise.reject(new Error(`look ${++looks}`));
  await assert.rejects(until("an answer", failing, Boolean, soon), /^Error: look 1$/);
});

Deno.test("what becomes so is answered with what was seen then", async () => {
  let looks = 0;
  assert.equal(await until("the third", () => ++looks, (seen) => seen === 3, { every_ms: 0 }), 3);
  assert.equal(await within("it", Promise.resolve("it")), "it");
});

Deno.test("a stream that ends or falls silent before it said so fails with what it had said", async () => {
  const silent = new ReadableStream<string>({ start: (out) => out.enqueue("half of ") }).getReader();
  await assert.rejects(
    heard("the line", silent, (text) => text.endsWith("\n"), soon),
    /the line; seen last: half of $/,
  );
  const over = ReadableStream.from(["half of ", "it"]).getReader();
  await assert.rejects(
    heard("the line", over, (text) => text.endsWith("\n")),
    /^Error: it ended before the line: half of it$/,
  );
});

Deno.test("a program that never ends is killed, and what it had said by then is told", async () => {
  const child = new Deno.Command("sh", {
    args: ["-c", "echo said; echo told >&2; exec sleep 600"],
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  await assert.rejects(
    ended("sh", child, { seconds: 1 }),
    /the end of sh; seen last: \{ out: "said\\n", err: "told\\n" \}$/,
  );
  assert.equal((await child.status).signal, "SIGKILL");
});
