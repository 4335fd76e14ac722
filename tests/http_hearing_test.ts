/** A listener that finds out by itself that it takes no connections any more. */
import assert from "node:assert/strict";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { HEARING, Hearing } from "../adapters/http/hearing.ts";
import { SimulatedClock } from "../adapters/simulation/clock.ts";
import { seededRandom } from "../adapters/simulation/random.ts";
import { heard, signal, until, within } from "./until.ts";

const CROWDED = fileURLToPath(new URL("./http_crowded_program.ts", import.meta.url));
const CONFIG = fileURLToPath(new URL("../deno.json", import.meta.url));

Deno.test({
  name: "a listener over TLS that was given up for too many open files says so, and ends every connection",
  ignore: Deno.build.os === "windows",
  async fn() {
    const child = new Deno.Command("sh", {
      args: ["-c", `ulimit -n 100; exec "$0" run -q -A --config "$1" "$2"`, Deno.execPath(), CONFIG, CROWDED],
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    const crowd: Socket[] = [];
    try {
      const told = await heard("a port", reader, (text) => text.endsWith("\n"));
      const port = Number(/listening on (\d+)/.exec(told)![1]);
      for (let i = 0; i < 150; i++) {
        crowd.push(connect({ host: "127.0.0.1", port }).on("error", () => {}));
      }
      const said = await heard("closed", reader, (text) => text.includes("closed\n"), { seconds: 20 });
      assert.match(said, /^lost: .*EMFILE/);
      assert.equal((await within("its end", child.status)).code, 0);
    } finally {
      for (const socket of crowd) socket.destroy();
      signal(child, "SIGKILL");
      await child.status;
      await reader.cancel();
    }
  },
});

/** A listener, or a port that the kernel alone answers on; looked at by a clock that is turned. */
const withListener = async (
  work: (given: {
    readonly hearing: Hearing;
    readonly clock: SimulatedClock;
    readonly taken: () => number;
    readonly deaf: readonly string[];
  }) => Promise<void>,
  { takes }: { readonly takes: boolean },
) => {
  const clock = new SimulatedClock(seededRandom(1));
  const open = new Set<Socket>();
  const deaf: string[] = [];
  let taken = 0;
  const server = createServer((socket) => {
    taken++;
    open.add(socket.on("close", () => open.delete(socket)));
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", () => resolve()));
  const { port } = server.address() as AddressInfo;
  const hearing = new Hearing(takes ? server : createServer(), {
    host: "127.0.0.1",
    clock,
    deaf: ({ message }) => void deaf.push(message),
  });
  hearing.begin(port);
  try {
    await work({ hearing, clock, taken: () => taken, deaf });
  } finally {
    hearing.stop();
    for (const socket of open) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  }
};

Deno.test("a listener that nobody asks asks itself, and that is no connection of others", () =>
  withListener(async ({ hearing, clock, taken, deaf }) => {
    for (let times = 1; times <= 3; times++) {
      assert.equal(hearing.isOwn(), false);
      await clock.advance(HEARING.quiet_ms);
      await until("its own connection is taken", taken, (count) => count === times);
      await until("it is known for its own", () => hearing.isOwn());
      await clock.advance(HEARING.within_ms);
    }
    assert.deepEqual(deaf, []);
  }, { takes: true }));

Deno.test("a listener that takes nothing is told of once", () =>
  withListener(async ({ hearing, clock, taken, deaf }) => {
    await clock.advance(HEARING.quiet_ms);
    await until("the connection is made", taken, (count) => count === 1);
    assert.deepEqual(deaf, []);
    await clock.advance(HEARING.within_ms);
    assert.equal(deaf.length, 1);
    assert.match(deaf[0]!, /takes no connections/);
    await clock.advance(10 * HEARING.quiet_ms);
    assert.equal(deaf.length, 1);
    hearing.stop();
  }, { takes: false }));
