import assert from "node:assert/strict";
import { DEAD_LETTERS, DeadLetters } from "../../actors/kernel/dead_letters.ts";
import { FactRecorder, RECORDER } from "../../actors/kernel/recorder.ts";
import { MemoryLog } from "../../adapters/memory/log.ts";
import { type EventLog, LogFault, type NewEvent } from "../../events/log.ts";
import { rig } from "./rig.ts";

Deno.test("dead letters of one target leave those of others, now and after a start", async () => {
  const r = rig();
  const letters = new DeadLetters(r);
  const add = (target: string, message: unknown) => letters.add({ target, cause: "c", message, lasting: true });
  const many = DEAD_LETTERS.letters_max + 500;
  const few = [1, 2, 3].map((n) => add("sink:few", n));
  for (let i = 0; i < many; i++) add("sink:many", i);
  const ofFew = (from: DeadLetters) => from.list().filter(({ target }) => target === "sink:few").map(({ id }) => id);
  assert.deepEqual([letters.size, ofFew(letters)], [DEAD_LETTERS.letters_max, few]);
  assert.equal(letters.list()[3]!.message, many - (DEAD_LETTERS.letters_max - 3));
  // Large ones of a third take the room of who has most bytes: their own.
  for (let i = 0; i < 20; i++) add("sink:large", "x".repeat(1_000_000));
  assert.deepEqual(ofFew(letters), few);
  assert.ok(letters.bytes <= DEAD_LETTERS.bytes_max);

  const log = new MemoryLog({ now: () => 0 });
  const record = (facts: readonly { readonly type: string; readonly data: unknown }[]) =>
    log.append({
      events: facts.map((fact) => ({
        ...fact,
        id: r.random.id(),
        source: "kernel",
        stream: "kernel/dead_letters",
        version: 1,
        time: "2026-01-01T00:00:00.000Z",
        authtype: "system",
        authid: "kernel",
      })) as NewEvent[],
    });
  const written = r.facts.filter(({ data }) => (data as { target: string }).target !== "sink:large");
  for (let at = 0; at < written.length; at += 500) await record(written.slice(at, at + 500));
  const restored = () => {
    const next = new DeadLetters(r);
    next.restore(log);
    return next;
  };
  assert.deepEqual([restored().size, ofFew(restored())], [DEAD_LETTERS.letters_max, few]);
  assert.deepEqual(restored().list().map(({ message }) => message).slice(0, 5), [1, 2, 3, 503, 504]);
  // Further back than is read there are none.
  const one = {
    type: "kernel.message.dead_lettered",
    data: { letter: "l", target: "sink:many", cause: "c", bytes: 1 },
  };
  for (let left = DEAD_LETTERS.read_max - many; left > 0; left -= 500) {
    await record(
      Array.from(
        { length: Math.min(500, left) },
        (_, i) => ({ ...one, data: { ...one.data, letter: `l${left}-${i}` } }),
      ),
    );
  }
  assert.deepEqual([restored().size, ofFew(restored())], [DEAD_LETTERS.letters_max, []]);
});

Deno.test("what two facts tell of is one dead letter", async () => {
  const r = rig();
  const log = new MemoryLog({ now: () => 0 });
  const bytes = DEAD_LETTERS.bytes_max;
  for (const id of ["1", "2"]) {
    await log.append({
      events: [{
        type: "kernel.message.dead_lettered",
        id,
        source: "kernel",
        stream: "kernel/dead_letters",
        version: 1,
        time: "2026-01-01T00:00:00.000Z",
        authtype: "system",
        authid: "kernel",
        data: { letter: "same", target: "sink:a", cause: "c", bytes, message: id },
      }],
    });
  }
  const letters = new DeadLetters(r);
  letters.restore(log);
  assert.deepEqual(letters.list().map(({ id, message }) => [id, message]), [["same", "2"]]);
  letters.add({ target: "sink:a", cause: "c", message: "next", lasting: false });
  assert.deepEqual(letters.list().map(({ message }) => message), ["next"]);
});

Deno.test("letters that were redriven are none after a start, however many they were at a time", async () => {
  const { clock, random } = rig();
  const log = new MemoryLog({ now: () => clock.now() });
  const recorder = new FactRecorder({ clock, random, log });
  const letters = new DeadLetters({ clock, random, recorder });
  const taken: unknown[] = [];
  letters.route("sink:siem", ({ message }) => Promise.resolve(void taken.push(message)));
  const many = RECORDER.facts_per_child + 5;
  for (let n = 0; n < many; n++) letters.add({ target: "sink:siem", cause: "c", message: n, lasting: true });
  for (const { id } of letters.list()) {
    assert.deepEqual(await clock.until(letters.redrive(id)), { is: "delivered" });
  }
  assert.deepEqual([taken.length, letters.size], [many, 0]);
  // As after kill -9.
  const next = new DeadLetters({ clock, random, recorder });
  next.restore(log);
  assert.deepEqual(next.list(), []);
  await clock.until(recorder.end([], 1_000));
});

Deno.test("where letters lie in an archive that is not here, a start goes on without them", () => {
  const r = rig();
  const log: EventLog = Object.create(new MemoryLog(r.clock), {
    read: {
      value: () => {
        throw new LogFault("archived", "not attached");
      },
    },
  });
  const letters = new DeadLetters(r);
  letters.restore(log);
  assert.equal(letters.size, 0);
});

Deno.test("a letter is delivered when that is on record, and asked for twice it is delivered once", async () => {
  const r = rig();
  const written = Promise.withResolvers<void>();
  const letters = new DeadLetters({ ...r, recorder: { ...r.recorder, flush: () => written.promise } });
  let [delivered, told] = [0, 0];
  letters.route("sink", () => Promise.resolve(void delivered++));
  const id = letters.add({ target: "sink:a", cause: "c", message: 1, lasting: true });
  const redriven = [letters.redrive(id), letters.redrive(id)];
  for (const one of redriven) void one.then(() => told++);
  await r.clock.settle();
  assert.deepEqual([delivered, told], [1, 0]);
  written.resolve();
  assert.deepEqual(await Promise.all(redriven), [{ is: "delivered" }, { is: "delivered" }]);
  assert.deepEqual(await letters.redrive(id), { is: "unknown" });
});
