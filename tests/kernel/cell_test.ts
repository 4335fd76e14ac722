import assert from "node:assert/strict";
import type { Child } from "../../actors/kernel/child.ts";
import fc from "fast-check";
import { AskFailed, type Behaviour, CELL, Cell, Cells } from "../../actors/kernel/cells.ts";
import { DEAD_LETTERS, DeadLetters } from "../../actors/kernel/dead_letters.ts";
import { Deadlines, SLOT_MS, Waiting } from "../../actors/kernel/deadlines.ts";
import { Mailbox, type Overflow, TAKEN } from "../../actors/kernel/mailbox.ts";
import { TURN_MESSAGES } from "../../actors/kernel/turns.ts";
import { pause } from "../../actors/kernel/world.ts";
import { rig, supervise } from "./rig.ts";

type Sum = { readonly add: number } | { readonly get: (sum: number) => void } | { readonly crash: true };

const summing = (): Behaviour<Sum> => {
  let sum = 0;
  return (message) => {
    if ("add" in message) sum += message.add;
    else if ("get" in message) message.get(sum);
    else throw new Error("told to");
  };
};

const stage = () => {
  const r = rig();
  const deadLetters = new DeadLetters(r);
  const cells = new Cells({ clock: r.clock, deadLetters });
  const run = (...children: Child[]) =>
    supervise(r, { strategy: "one_for_one", restarts: { max: 5, within: 1_000 }, children });
  const get = (cell: Cell<Sum>) => r.clock.until(cell.ask<number>((reply) => ({ get: reply })));
  return { ...r, deadLetters, cells, run, get };
};

Deno.test("a cell handles what it is told in order, one at a time, and answers", async () => {
  const { cells, run, get, clock } = stage();
  const sum = cells.cell<Sum>({ id: "sum", begin: summing });
  sum.tell({ add: 1 }); // before it lives
  const { stop, run: running } = await run(sum);
  for (let i = 0; i < 100; i++) sum.tell({ add: 1 });
  assert.equal(await get(sum), 101);
  stop.abort();
  await clock.until(running);
});

Deno.test("a behaviour that waits keeps the next message waiting", async () => {
  const { cells, run, clock } = stage();
  const seen: string[] = [];
  const slow = cells.cell<number>({
    id: "slow",
    begin: () => async (n) => {
      seen.push(`+${n}`);
      await pause(clock, 10);
      seen.push(`-${n}`);
    },
  });
  const { stop, run: running } = await run(slow);
  for (const n of [1, 2, 3]) slow.tell(n);
  await clock.advance(100);
  assert.deepEqual(seen, ["+1", "-1", "+2", "-2", "+3", "-3"]);
  stop.abort();
  await clock.until(running);
});

Deno.test("a crash makes one dead letter, starts afresh, and keeps what waits", async () => {
  const { cells, run, get, clock, deadLetters, told } = stage();
  const sum = cells.cell<Sum>({ id: "sum", begin: summing });
  const { stop, run: running } = await run(sum);
  sum.tell({ add: 5 });
  sum.tell({ crash: true });
  sum.tell({ add: 7 });
  assert.equal(await get(sum), 7);
  assert.deepEqual(deadLetters.list().map(({ target, cause, message }) => ({ target, cause, message })), [
    { target: "cell:sum", cause: "told to", message: { crash: true } },
  ]);
  assert.deepEqual(told().filter((line) => line.endsWith(" sum")), ["started sum", "crashed sum", "restarted sum"]);
  const asking = sum.ask(() => ({ crash: true }));
  await assert.rejects(clock.until(asking), (error: AskFailed) => error.reason === "crashed");
  stop.abort();
  await clock.until(running);
});

Deno.test("an overflow is never silent, whatever the policy", async () => {
  const expected = { reject: [3, 4], drop_oldest: [1, 2], drop_newest: [2, 3] };
  for (const overflow of ["reject", "drop_oldest", "drop_newest"] as const) {
    const { cells, deadLetters } = stage();
    const cell = cells.cell<number>({ id: "c", begin: () => () => {}, mailbox: { capacity: 2, overflow } });
    for (const n of [1, 2, 3, 4]) cell.tell(n);
    assert.deepEqual(deadLetters.list().map(({ message }) => message), expected[overflow], overflow);
    assert.ok(deadLetters.list().every(({ cause }) => cause === "mailbox_full"));
    if (overflow !== "reject") continue;
    await assert.rejects(cell.ask(() => 5), (error: AskFailed) => error.reason === "mailbox_full");
  }
});

Deno.test("asks have a deadline, whether the cell is slow, silent or not there yet", async () => {
  const { cells, run, clock } = stage();
  const silent = cells.cell<(reply: number) => void>({ id: "silent", begin: () => () => {} });
  const slow = cells.cell<number>({ id: "slow", begin: () => () => pause(clock, 1_000) });
  const unborn = cells.cell<number>({ id: "unborn", begin: () => () => {} });
  const { stop, run: running } = await run(silent, slow);
  slow.tell(1);
  await clock.settle();
  const began = clock.monotonic();
  const asks = [
    silent.ask((reply: (value: number) => void) => reply, 200),
    slow.ask(() => 2, 200),
    unborn.ask(() => 3, 200),
  ];
  const late: number[] = [];
  const failed = asks.map((ask) =>
    ask.catch((error) => (late.push(clock.monotonic() - began), (error as AskFailed).reason))
  );
  assert.deepEqual(await clock.until(Promise.all(failed)), ["deadline", "deadline", "deadline"]);
  assert.ok(late.every((ms) => ms >= 200 && ms <= 200 + SLOT_MS));
  stop.abort();
  await clock.until(running);
  cells.close();
});

Deno.test("tell never throws: the dead, the stopped and the unknown make dead letters", async () => {
  const { cells, run, clock, deadLetters } = stage();
  const cell = cells.cell<number>({ id: "c", begin: () => () => {} });
  const { stop, run: running } = await run(cell);
  stop.abort();
  await clock.until(running);
  cell.tell(1);
  cells.tell("c", 2);
  cells.tell("nobody", 3);
  await assert.rejects(cell.ask(() => 4), (error: AskFailed) => error.reason === "stopped");
  assert.deepEqual(deadLetters.list().map(({ target, cause, message }) => `${target} ${cause} ${message}`), [
    "cell:c stopped 1",
    "cell:c stopped 2",
    "cell:nobody unknown 3",
  ]);
});

Deno.test("stopping handles what waits, and takes nothing new", async () => {
  const { cells, run, clock, deadLetters } = stage();
  const seen: number[] = [];
  const cell = cells.cell<number>({
    id: "c",
    begin: () => async (n) => {
      await pause(clock, 100);
      seen.push(n);
    },
  });
  const { stop, run: running } = await run(cell);
  for (const n of [1, 2, 3]) cell.tell(n);
  await clock.settle();
  stop.abort();
  await clock.settle();
  cell.tell(4);
  await clock.until(running);
  assert.deepEqual(seen, [1, 2, 3]);
  assert.deepEqual(deadLetters.list().map(({ message }) => message), [4]);
});

Deno.test("after a crash without a restart, what waits becomes dead letters in the end", async () => {
  const { cells, run, clock, deadLetters } = stage();
  const cell = cells.cell<Sum>({ id: "c", begin: summing, restart: "temporary" });
  const { stop, run: running } = await run(cell);
  cell.tell({ crash: true });
  cell.tell({ add: 1 });
  await clock.advance(CELL.lapse_ms - 1);
  assert.equal(deadLetters.size, 1);
  await clock.advance(2);
  assert.equal(deadLetters.size, 2);
  stop.abort();
  await clock.until(running);
});

Deno.test("death is watched, and watching the dead or unknown is answered at once", async () => {
  const { cells, run, clock } = stage();
  const heard: string[] = [];
  const cell = cells.cell<Sum>({ id: "c", begin: summing });
  cell.watch((how) => heard.push(`early ${how}`));
  cells.watch("nobody", (how) => heard.push(`nobody ${how}`));
  const { stop, run: running } = await run(cell);
  assert.deepEqual(heard, ["early not_running", "nobody unknown"]);
  cells.watch("c", (how) => heard.push(how));
  cell.watch((how) => heard.push(`never ${how}`))();
  cell.tell({ crash: true });
  await clock.settle();
  cells.watch("c", (how) => heard.push(how));
  stop.abort();
  await clock.until(running);
  assert.deepEqual(heard.slice(2), ["crashed", "stopped"]);
});

Deno.test("two cells that talk without end leave turns to others", async () => {
  const { cells, run, clock } = stage();
  let rallies = 0;
  const bat = (other: string): Behaviour<null> => () => {
    rallies++;
    cells.tell(other, null);
  };
  const ping = cells.cell<null>({ id: "ping", begin: () => bat("pong") });
  const pong = cells.cell<null>({ id: "pong", begin: () => bat("ping") });
  const { stop, run: running } = await run(ping, pong);
  ping.tell(null);
  await clock.settle();
  assert.equal(rallies, TURN_MESSAGES);
  stop.abort();
  await clock.until(running);
});

Deno.test("a name is given once, and is free again when it is forgotten", () => {
  const { cells } = stage();
  cells.cell({ id: "a", begin: () => () => {} });
  assert.throws(() => cells.cell({ id: "a", begin: () => () => {} }), /There is a cell "a" already/);
  cells.forget("a");
  cells.cell({ id: "a", begin: () => () => {} });
});

Deno.test("dead letters are bounded in number and in bytes, oldest gone first, and say so", () => {
  const r = rig();
  const letters = new DeadLetters(r);
  const add = (message: unknown) => letters.add({ target: "cell:x", cause: "c", message, lasting: false });
  for (let i = 0; i < DEAD_LETTERS.letters_max + 5; i++) add(i);
  assert.equal(letters.size, DEAD_LETTERS.letters_max);
  assert.equal(letters.list()[0]!.message, 5);
  assert.equal(letters.evicted, 5);
  for (let i = 0; i < 10; i++) add("x".repeat(1_000_000));
  assert.ok(letters.bytes <= DEAD_LETTERS.bytes_max);
  assert.equal(letters.list().at(-1)!.bytes, 1_000_002);
  add(new Map());
  assert.equal(letters.list().at(-1)!.bytes, DEAD_LETTERS.opaque_bytes);
});

Deno.test("a dead letter is redriven once; one that nobody takes, or that is unknown, stays or is said so", async () => {
  const { cells, run, clock, deadLetters, get, told } = stage();
  const sum = cells.cell<Sum>({ id: "sum", begin: summing });
  cells.forget("sum");
  cells.tell("sum", { add: 3 });
  const [letter] = deadLetters.list();
  assert.deepEqual(await deadLetters.redrive(letter!.id), { is: "failed", cause: 'there is no cell "sum"' });
  const again = cells.cell<Sum>({ id: "sum", begin: summing });
  const { stop, run: running } = await run(again);
  assert.deepEqual(await deadLetters.redrive(letter!.id), { is: "delivered" });
  assert.deepEqual(await deadLetters.redrive(letter!.id), { is: "unknown" });
  assert.equal(await get(again), 3);
  assert.ok(told().some((line) => line.startsWith("redriven")));
  const alien = deadLetters.add({ target: "mars:1", cause: "c", message: 1, lasting: false });
  assert.deepEqual(await deadLetters.redrive(alien), { is: "failed", cause: "nobody takes it" });
  stop.abort();
  await clock.until(running);
  assert.equal(sum.depth, 0);
});

Deno.test("a mailbox is a bounded queue, whatever its policy (model)", () => {
  const commands = fc.array(fc.oneof(fc.integer(), fc.constant("take" as const)), { maxLength: 200 });
  fc.assert(
    fc.property(
      commands,
      fc.integer({ min: 1, max: 9 }),
      fc.constantFrom<Overflow>("reject", "drop_oldest", "drop_newest"),
      (steps, capacity, overflow) => {
        const mailbox = new Mailbox<number>(capacity, overflow);
        const model: number[] = [];
        for (const step of steps) {
          if (step === "take") {
            assert.equal(mailbox.take(), model.shift());
            continue;
          }
          const gone = mailbox.offer(step);
          if (model.length < capacity) {
            assert.equal(gone, TAKEN);
            model.push(step);
          } else if (overflow === "reject") assert.equal(gone, step);
          else {
            assert.equal(gone, overflow === "drop_oldest" ? model.shift() : model.pop());
            model.push(step);
          }
          assert.equal(mailbox.size, model.length);
        }
      },
    ),
  );
  assert.throws(() => new Mailbox(0), /1 or more messages, not 0/);
});

Deno.test("deadlines never come early, at most a slot late, and one that is lifted never", async () => {
  const { clock, random } = rig(5);
  const deadlines = new Deadlines(clock);
  const late: number[] = [];
  class Item extends Waiting {
    constructor(readonly due: number, readonly lifted: boolean) {
      super();
    }
    override expire() {
      assert.ok(!this.lifted);
      late.push(clock.monotonic() - this.due);
    }
  }
  let lifted = 0;
  for (let i = 0; i < 500; i++) {
    const ms = random.between(0, 3_000);
    const item = new Item(clock.monotonic() + ms, random.strikes(0.5));
    deadlines.set(item, ms);
    if (item.lifted) {
      lifted++;
      deadlines.lift(item);
      deadlines.lift(item);
    }
    if (random.strikes(0.3)) await clock.advance(random.between(0, 30));
  }
  await clock.advance(4_000);
  assert.equal(late.length, 500 - lifted);
  assert.ok(late.every((ms) => ms >= 0 && ms <= SLOT_MS), String(Math.max(...late)));
  assert.equal(deadlines.size, 0);
  await assert.rejects(clock.until(new Promise(() => {})), /no timer is left/);
});
