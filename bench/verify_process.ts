/** `verify_process.ts FILE`: verifies a log as the `verify` command does; prints `{ "units", "ms", "rss" }`, the last the most it had, in MiB. */
import { verifyLog } from "../adapters/verify/verify.ts";
import { events } from "../events/mod.ts";

const began = performance.now();
let rss = 0;
const look = () => void (rss = Math.max(rss, Deno.memoryUsage().rss));
// The command asks keys of each person; here there are none.
const subjects = { has: () => true, missed() {} };
const { ok, size, failures } = await verifyLog({
  path: Deno.args[0]!,
  catalogue: events,
  subjects,
  wide: true,
  progress: look,
});
if (!ok) throw new Error(JSON.stringify(failures));
look();
console.log(JSON.stringify({ units: size, ms: performance.now() - began, rss: Math.round(rss / 2 ** 20) }));
