/** How a log ends, and where it does not begin. */
import assert from "node:assert/strict";
import { inlineBackground } from "../../adapters/kv/background.ts";
import { KvLog } from "../../adapters/kv/log.ts";
import { MemoryStore } from "../../adapters/memory/store.ts";
import { systemClock } from "../../adapters/system/world.ts";
import { catalogue } from "../../events/catalogue.ts";
import { LogFault } from "../../events/log.ts";
import type { Batch, Store } from "../../events/store.ts";
import { event } from "./log_contract.ts";

Deno.test("a log that is closed writes what it has taken, events and blobs, before its store closes", async () => {
  class Slow extends MemoryStore {
    private closed = false;
    override async commit(batch: Batch): Promise<boolean> {
      await new Promise((resolve) => setTimeout(resolve, 1));
      if (this.closed) throw new LogFault("closed", "the store is closed");
      return await super.commit(batch);
    }
    override close(): Promise<void> {
      this.closed = true;
      return super.close();
    }
  }
  for (const what of ["events", "a blob"] as const) {
    const store = new Slow();
    const background = inlineBackground(store, systemClock);
    const log = await KvLog.open(store, { catalogue: catalogue(), clock: systemClock, background });
    const taken = what === "events"
      ? [1, 2, 3].map((n) => log.append({ events: [event(n)] }).then(({ ok }) => ok))
      : [log.putBlob(new Uint8Array(10)).then(({ bytes }) => bytes === 10)];
    const closed = log.close();
    assert.ok((await Promise.all(taken)).every((ok) => ok), what);
    await closed;
  }
});

Deno.test("a block of another log is named with its position, and the log does not open", async () => {
  const options = (store: Store) => ({
    catalogue: catalogue(),
    clock: systemClock,
    background: inlineBackground(store, systemClock),
  });
  const written = async (first: string) => {
    const store = new MemoryStore();
    const log = await KvLog.open(store, options(store));
    for (const id of [first, "second", "third"]) await log.append({ events: [event(id)] });
    return store;
  };
  const [ours, theirs] = [await written("one"), await written("two")];
  await ours.commit({ puts: [[["log", 1], theirs.get(["log", 1])!]] });
  await assert.rejects(
    KvLog.open(ours, options(ours)),
    (error: Error) =>
      error instanceof LogFault && error.kind === "truncated" &&
      /position 1 does not link to the one before it/.test(error.message),
  );
});
