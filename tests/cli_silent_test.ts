/** Commands beside a process that has the folder and answers nothing: one that was stopped, or hangs. */
import assert from "node:assert/strict";
import { connect } from "../adapters/cli/remote.ts";
import { LogFault } from "../events/log.ts";
import { givenStage } from "./cli_given.ts";
import { inFolder } from "./folder_given.ts";
import { until } from "./until.ts";

Deno.test("a process that listens on the folder's socket and answers nothing is not waited for", () =>
  inFolder(async (data) => {
    using stopped = Deno.listen({ transport: "unix", path: `${data}/control.sock` });
    const taken = stopped.accept();
    let asked = false;
    taken.then(() => asked = true, () => {});
    // On a busy machine the time may be over before anybody was asked.
    let answer_ms = 25;
    await until("it is asked", async () => {
      assert.equal(await connect(data, answer_ms *= 2), undefined);
      return asked;
    });
    (await taken).close();
  }));

Deno.test("who writes asks a process that answers nothing for some seconds, however often that would be", async () => {
  const stage = givenStage();
  const { runtime } = stage;
  let [passed, asked] = [0, 0];
  runtime.open = () => Promise.reject(new LogFault("locked", "Cannot open /data"));
  runtime.clock = { now: () => 0, monotonic: () => passed, schedule: (_, call) => (queueMicrotask(call), () => {}) };
  runtime.remote = () => {
    asked++;
    passed += 10_000;
    return Promise.resolve(undefined);
  };
  const { code, err } = await stage.type("send", "things.counter.raise", "a", `{"by":1}`);
  assert.deepEqual([code, /another process has this log/.test(err)], [3, true]);
  assert.equal(asked, 1);
});

Deno.test("a process that ends before it has answered, or in the midst of it, is told of as that", () =>
  inFolder(async (data) => {
    const head = "HTTP/1.1 200 OK\r\nconnection: close\r\n";
    const answers = [
      `${head}content-length: 0\r\n\r\n`,
      "",
      `${head}content-length: 99\r\n\r\n{"progress":`,
      `${head}\r\n{"progress":{"done":1}}\n`,
      `${head}content-length: 99\r\n\r\n{"rows":`,
    ];
    using listener = Deno.listen({ transport: "unix", path: `${data}/control.sock` });
    const serving = (async () => {
      for (const answer of answers) {
        using connection = await listener.accept();
        await connection.read(new Uint8Array(65_536));
        await connection.write(new TextEncoder().encode(answer));
      }
    })();
    const remote = (await connect(data))!;
    const closed = { kind: "closed", message: /ended before it answered; it may be done or not/ };
    for (let i = 0; i < 3; i++) await assert.rejects(remote.operate("erase-subject", {}, () => {}), closed);
    await assert.rejects(remote.view("audit.trail"), closed);
    await remote.close();
    await serving;
  }));
