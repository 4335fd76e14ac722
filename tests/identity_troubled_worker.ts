/** A thread that hashes, and dies over one password. */
import type { HashTask } from "../adapters/hash_wasm/formats.ts";
import { hashed } from "../adapters/hash_wasm/hashing.ts";
import { work } from "../adapters/system/worker_side.ts";

work({
  async message(data, reply) {
    const { job, task } = data as { readonly job: number; readonly task: HashTask };
    if (task.password === "die") throw new Error("it dies over this one");
    reply({ job, hashed: await hashed(task) });
  },
});
