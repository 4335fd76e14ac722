import assert from "node:assert/strict";
import { sealingOf } from "../../adapters/keys/at_rest.ts";
import { inlineBackground } from "../../adapters/kv/background.ts";
import { KvLog } from "../../adapters/kv/log.ts";
import type { LogOptions } from "../../adapters/kv/log_options.ts";
import { SealedStore } from "../../adapters/kv/sealed_store.ts";
import { PARSED_BLOCKS_MAX } from "../../adapters/kv/reader.ts";
import { KvStore } from "../../adapters/kv/store.ts";
import { MemoryLog } from "../../adapters/memory/log.ts";
import { MemoryStore } from "../../adapters/memory/store.ts";
import { systemClock, systemRandom } from "../../adapters/system/world.ts";
import { catalogue } from "../../events/catalogue.ts";
import { KEY } from "../at_rest_given.ts";
import { openWithWorker } from "../log_given.ts";
import { logBounds } from "./log_bounds.ts";
import { all, appended, event, logContract, type Start } from "./log_contract.ts";

const settable = () => {
  const clock = { ms: Date.UTC(2026, 0, 1) };
  return { clock, port: { ...systemClock, now: () => clock.ms } };
};
const signer = { origin: "daybook/test", sign: (size: number, root: string) => `daybook/test\n${size}\n${root}\n` };

const held = (name: string, start: Start): void => {
  logContract(name, start);
  logBounds(name, start);
};

held("memory log", () => {
  const { clock, port } = settable();
  const log = new MemoryLog(port);
  return Promise.resolve({ log, clock, close: () => log.close() });
});

held("log over a memory store", async () => {
  const { clock, port } = settable();
  const store = new MemoryStore();
  const options: LogOptions = {
    catalogue: catalogue(),
    clock: port,
    background: inlineBackground(store, port),
    signer,
  };
  let log = await KvLog.open(store, options);
  const reopen = async () => {
    await log.close();
    return log = await KvLog.open(store, options);
  };
  return { log, clock, reopen, close: () => log.close() };
});

const onDenoKv = (key?: Uint8Array): Start => async () => {
  const { clock, port } = settable();
  const dir = await Deno.makeTempDir();
  const path = `${dir}/log.db`;
  const open = async () => {
    const file = await KvStore.open(path, { clock: systemClock, random: systemRandom });
    const store = key ? new SealedStore(file, sealingOf(key)) : file;
    return await openWithWorker(store, path, { catalogue: catalogue(), clock: port, signer, key });
  };
  let log = await open();
  const reopen = async () => {
    await log.close();
    return log = await open();
  };
  return {
    log,
    clock,
    reopen,
    async close() {
      await log.close();
      await Deno.remove(dir, { recursive: true });
    },
  };
};

held("log on Deno KV", onDenoKv());
held("sealed log on Deno KV", onDenoKv(KEY));

Deno.test("who reads the same block as others shares its events, and who reads many blocks leaves few behind", async () => {
  const { port } = settable();
  const store = new MemoryStore();
  const log = await KvLog.open(store, {
    catalogue: catalogue(),
    clock: port,
    background: inlineBackground(store, port),
  });
  try {
    for (let n = 0; n <= PARSED_BLOCKS_MAX; n++) await appended(log, event(n));
    const first = () => all(log, { limit: 1 })[0]!;
    const before = first();
    all(log, { until: PARSED_BLOCKS_MAX });
    assert.equal(first(), before);
    all(log);
    const after = first();
    assert.notEqual(after, before);
    assert.deepEqual(after, before);
  } finally {
    await log.close();
  }
});
