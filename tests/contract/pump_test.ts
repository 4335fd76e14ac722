/** Who goes with whom in one commit, and whether the thread that asks may make it. */
import assert from "node:assert/strict";
import { inlineBackground } from "../../adapters/kv/background.ts";
import { Block } from "../../adapters/kv/block.ts";
import { KvLog } from "../../adapters/kv/log.ts";
import { MemoryStore } from "../../adapters/memory/store.ts";
import { systemClock } from "../../adapters/system/world.ts";
import { catalogue } from "../../events/catalogue.ts";
import type { Batch } from "../../events/store.ts";
import { event } from "./log_contract.ts";

interface Made {
  readonly events: number;
  readonly idle: boolean | undefined;
}

/** A store whose commits take a turn of the event loop, and what was asked of it. */
class SlowStore extends MemoryStore {
  readonly made: Made[] = [];

  override async commit(batch: Batch): Promise<boolean> {
    const blocks = batch.puts.filter(([[name]]) => name === "log");
    const events = blocks.reduce((sum, [[, first], bytes]) => sum + new Block(bytes, Number(first)).count, 0);
    if (events > 0) this.made.push({ events, idle: batch.idle });
    await turn();
    return await super.commit(batch);
  }
}

const turn = () => new Promise<void>((resolve) => setTimeout(resolve, 0));

const opened = async (body: (log: KvLog, made: Made[]) => Promise<void>) => {
  const store = new SlowStore();
  const background = inlineBackground(store, systemClock);
  const log = await KvLog.open(store, { catalogue: catalogue(), clock: systemClock, background });
  await body(log, store.made);
  await log.close();
};

let made = 0;

/** So many append so often, each again once it was answered; `pause` is what each does in between. */
const writers = (log: KvLog, count: number, often: number, { pause, bytes = 1 }: {
  readonly pause?: () => Promise<void>;
  readonly bytes?: number;
} = {}) =>
  Promise.all(Array.from({ length: count }, async (_, w) => {
    for (let n = 0; n < often; n++) {
      const appended = await log.append({ events: [event(`${w}.${made++}`, { data: { text: "x".repeat(bytes) } })] });
      assert.ok(appended.ok);
      await pause?.();
    }
  }));

Deno.test("up to 256 who come back as soon as they are answered go together, and the thread that asks may write", () =>
  opened(async (log, made) => {
    await writers(log, 256, 10);
    assert.deepEqual(made.slice(2, -1), made.slice(2, -1).map(() => ({ events: 256, idle: true })));
    assert.equal(made.reduce((sum, { events }) => sum + events, 0), 2_560);
  }));

for (const [name, count, bytes] of [["more than 256", 257, 1], ["those with more bytes", 200, 2_000]] as const) {
  Deno.test(`of ${name} half are made ready while the other half is written`, () =>
    opened(async (log, made) => {
      await writers(log, count, 10, { bytes });
      assert.ok(
        made.every(({ events, idle }) => events <= Math.ceil(count / 2) && idle === false),
        JSON.stringify(made),
      );
    }));
}

Deno.test("who comes back later is not waited for, and another thread may write", () =>
  opened(async (log, made) => {
    await writers(log, 20, 10, { pause: turn });
    const [first, ...others] = made;
    assert.deepEqual(first, { events: 20, idle: false });
    assert.ok(others.every(({ events, idle }) => events > 1 ? !idle : true), JSON.stringify(made));
  }));

Deno.test("whoever is alone may write by the thread that asks; after company not before some commits alone", () =>
  opened(async (log, made) => {
    const alone = async (often: number) => {
      const from = made.length;
      await writers(log, 1, often, { pause: turn });
      return made.slice(from).map(({ idle }) => idle);
    };
    assert.deepEqual(await alone(3), [true, true, true]);
    await writers(log, 5, 1, { pause: turn });
    assert.deepEqual(await alone(6), [false, false, false, false, true, true]);
  }));

for (const [name, expected] of [["repeats", undefined], ["appends that come too late", 7]] as const) {
  Deno.test(`who only ever sends ${name} leaves the event loop its turns`, () =>
    opened(async (log) => {
      await log.append({ events: [event(0)] });
      let isTurn = false;
      const turns = setTimeout(() => isTurn = true, 5);
      // Nothing is written: without a turn there is no end of it.
      const ended = performance.now() + 20_000;
      while (!isTurn && performance.now() < ended) {
        await log.append({
          events: [event(expected === undefined ? 0 : `late ${made++}`)],
          ...(expected === undefined ? {} : { expected: [["tests/one", expected]] }),
        });
      }
      clearTimeout(turns);
      assert.ok(isTurn);
    }));
}
