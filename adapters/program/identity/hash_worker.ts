/** A thread that hashes passwords, one after the other; see `hashing.ts`. */
import type { Hashed, HashTask } from "../../hash_wasm/formats.ts";
import { hashed } from "../../hash_wasm/hashing.ts";
import { work } from "../../system/worker_side.ts";

interface Job {
  readonly job: number;
  readonly task: HashTask;
}

/** What came of a job; without `hashed` it failed, and the thread goes on. */
export interface HashAnswer {
  readonly job: number;
  readonly hashed?: Hashed;
  readonly cause?: string;
}

work({
  async message(data, reply) {
    const { job, task } = data as Job;
    try {
      reply({ job, hashed: await hashed(task) } satisfies HashAnswer);
    } catch (error) {
      reply({ job, cause: String(error) } satisfies HashAnswer);
    }
  },
});
