/**
 * The power goes under load: of what was not flushed the disk has nothing, or any part. What strace tells of the program's calls says
 * which states there may be; started again in one of them, it has all that was answered, once and in its place, and all of it verifies.
 * Skipped with a word where strace is missing, which is a failure in CI.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { seededRandom } from "../../adapters/simulation/random.ts";
import { inFolder } from "../folder_given.ts";
import { installed } from "../installed_given.ts";
import { CALLS, DiskStates, filesIn, putBack } from "./disk_states.ts";
import { Lives } from "./lives.ts";

/** Lives that end by a cut; `deno task soak` has more of the same. */
const CUTS = Number(Deno.env.get("DAYBOOK_POWER_CUTS") ?? 4);
const FILTERS = ["-y", "-xx", "-s", "1000000", "-e", `trace=${CALLS}`];
const BUSY_MS_MAX = 250;

Deno.test({
  name: "when the power goes, all that was answered is on the disk, whatever else is",
  ignore: !installed("strace", "the power goes nowhere"),
  fn: () =>
    inFolder(async (dir) => {
      const random = seededRandom(Number(Deno.env.get("DAYBOOK_SIM_SEED") ?? 1));
      const lives = new Lives(dir, random);
      const { data } = lives;
      let [bytes, lost, known] = [0, 0, 0];
      for (let life = 0; life < CUTS; life++) {
        const before = filesIn(data);
        const busy = random.between(0, BUSY_MS_MAX);
        const calls = await lives.traced(
          FILTERS,
          (program) => void setTimeout(() => void program.end("SIGKILL"), busy),
        );
        const states = new DiskStates(data, before, calls);
        const all = filesIn(data);
        if (!states.unsure) {
          const told = states.state("all");
          assert.deepEqual([...told.keys()].toSorted(), [...all.keys()].toSorted());
          for (const [path, content] of all) {
            assert.ok(Buffer.compare(content, told.get(path)!) === 0, `trace of ${path}`);
          }
          known++;
        }
        // At first nothing that need not be there.
        const left = states.state(life % 2 === 0 ? "none" : random);
        for (const [path, content] of all) {
          bytes += content.length;
          lost += different(content, left.get(path) ?? new Uint8Array());
        }
        putBack(data, left);
        await lives.whole();
      }
      assert.ok(known > 0, "what the trace tells was never held against the files");
      console.log(`the power went ${CUTS} times, and with it ${lost} of ${bytes} bytes`);
    }),
});

const different = (a: Uint8Array, b: Uint8Array): number => {
  let count = Math.abs(a.length - b.length);
  for (let i = 0; i < Math.min(a.length, b.length); i++) if (a[i] !== b[i]) count++;
  return count;
};
