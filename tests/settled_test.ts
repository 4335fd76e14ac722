/** What is written behind the log is waited for as long as it gets on, and not for ever. */
import assert from "node:assert/strict";
import { settled, SETTLING } from "../adapters/program/settled.ts";
import { LogFault } from "../events/log.ts";

type Log = Parameters<typeof settled>[0];
interface Step {
  readonly indexed: number;
  readonly hindered?: Error;
}

/** Time passes by itself; how tree and index stand after so long. The work ends when the index has come to 10. */
const waiting = async (step: (ms: number) => Step) => {
  let now = 0;
  const arrived = Promise.withResolvers<void>();
  const clock = {
    now: () => now,
    monotonic: () => now,
    schedule: (ms: number, call: () => void) => {
      now += ms;
      if (step(now).indexed >= 10) arrived.resolve();
      queueMicrotask(call);
      return () => {};
    },
  };
  const log = {
    size: 10,
    tree: { size: 10 },
    get indexed() {
      return step(now).indexed;
    },
    get hindered() {
      return step(now).hindered;
    },
    checkpoint: () => Promise.resolve(undefined),
    settleIndex: () => arrived.promise,
  } as unknown as Log;
  await settled(log, 10, clock);
  return now;
};

const full = new LogFault("full", "database or disk is full");

Deno.test("what nothing hinders may wait for a minute and longer", async () => {
  const after = 2 * 60_000;
  assert.ok(await waiting((ms) => ({ indexed: ms < after ? 0 : 10 })) >= after);
});

Deno.test("what the disk hinders is waited for as long as something moves, or it is hindered for a moment only", async () => {
  const moves = (ms: number) => ({ indexed: Math.floor(ms / (SETTLING.hindered_ms - 1_000)), hindered: full });
  assert.ok(await waiting(moves) > 5 * SETTLING.hindered_ms);
  const after = 8 * SETTLING.hindered_ms;
  const nowAndThen = (ms: number) => ({
    indexed: ms < after ? 0 : 10,
    ...(Math.floor(ms / (SETTLING.hindered_ms / 2)) % 2 === 0 ? { hindered: full } : {}),
  });
  assert.ok(await waiting(nowAndThen) >= after);
});

Deno.test("what the disk hinders without a movement is given up, with what hinders it", async () => {
  let at = 0;
  await assert.rejects(waiting((ms) => ({ indexed: 3, hindered: (at = ms, full) })), {
    kind: "full",
    message: "tree and index of the log get no further: database or disk is full",
  });
  assert.ok(at >= SETTLING.hindered_ms && at < SETTLING.hindered_ms + 1_000, `${at}`);
});

Deno.test("what stands still though nothing hinders it is given up too, later", async () => {
  let at = 0;
  await assert.rejects(waiting((ms) => ({ indexed: (at = ms, 3) })), {
    kind: "io",
    message: "tree and index of the log get no further",
  });
  assert.ok(at >= SETTLING.still_ms && at < SETTLING.still_ms + 1_000, `${at}`);
});
