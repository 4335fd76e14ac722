/** What comes behind the log, its index and its checkpoints, where it cannot be written or signed for a while. */
import assert from "node:assert/strict";
import { inlineBackground } from "../../adapters/kv/background.ts";
import { KvLog } from "../../adapters/kv/log.ts";
import { TREE_KEY } from "../../adapters/kv/tree.ts";
import type { Clock } from "../../actors/kernel/world.ts";
import { MemoryStore } from "../../adapters/memory/store.ts";
import { systemClock } from "../../adapters/system/world.ts";
import { catalogue } from "../../events/catalogue.ts";
import { LogFault } from "../../events/log.ts";
import type { Batch, Store } from "../../events/store.ts";
import { until } from "../until.ts";
import { event } from "./log_contract.ts";

/** Who closes a log waits for what is behind it, but not for ever; a hundredth of that is enough here. */
const clock: Clock = { ...systemClock, schedule: (ms, call) => systemClock.schedule(ms / 100, call) };

const fenced = (error: unknown) => (error instanceof LogFault && error.kind === "fenced") || assert.fail(`${error}`);

/** Three times it has no room for the tree. */
class Scarce extends MemoryStore {
  private readonly faults = ["no room", "no room", "still none"];

  override commit(batch: Batch): Promise<boolean> {
    const message = batch.puts.some(([key]) => key === TREE_KEY) ? this.faults.shift() : undefined;
    return message === undefined ? super.commit(batch) : Promise.reject(new LogFault("full", message));
  }
}

Deno.test("a checkpoint that cannot be signed now is signed later, and the log goes on; one that contradicts an earlier one stops it", async () => {
  const signing = async (sign: (size: number, root: string) => string, store: Store = new MemoryStore()) => {
    const said: string[] = [];
    const log = await KvLog.open(store, {
      catalogue: catalogue(),
      clock,
      background: inlineBackground(store, clock),
      signer: { origin: "t", sign },
      trouble: (line) => said.push(line),
    });
    return { log, said };
  };
  let tries = 0;
  const { log, said } = await signing((size, root) => {
    if (++tries <= 2) throw new Error("no room for the keys");
    return `t\n${size}\n${root}\n`;
  });
  await log.append({ events: [event(1)] });
  const [checkpoint] = await Promise.all([log.checkpoint(1), log.append({ events: [event(2)] })]);
  assert.ok(checkpoint && checkpoint.size >= 1);
  // However often it was tried.
  assert.deepEqual(said, ["the checkpoint waits: no room for the keys"]);
  assert.ok((await log.append({ events: [event(3)] })).ok);
  await log.close();

  const scarce = await signing((size, root) => `t\n${size}\n${root}\n`, new Scarce());
  await scarce.log.append({ events: [event(1)] });
  assert.ok(await scarce.log.checkpoint(1));
  assert.deepEqual(scarce.said, ["the index waits for the disk: no room", "the index waits for the disk: still none"]);
  await scarce.log.close();

  const ended = await signing(() => {
    throw new Error("no room for the keys");
  });
  await ended.log.append({ events: [event(1)] });
  const never = ended.log.checkpoint(1);
  await until("it waits", () => ended.said.length > 0);
  await ended.log.close();
  assert.equal(await never, undefined);

  const forked = await signing(() => {
    throw new LogFault("fenced", "another checkpoint of this size is known");
  });
  await forked.log.append({ events: [event(1)] });
  assert.equal(await forked.log.checkpoint(1), undefined);
  await assert.rejects(forked.log.append({ events: [event(2)] }), fenced);
  await forked.log.close();
});
