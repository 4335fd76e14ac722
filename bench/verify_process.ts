/** `verify_process.ts FILE`: verifies a log as the `verify` command does; prints `{ "units", "ms" }`. */
import { verifyLog } from "../adapters/verify/verify.ts";
import { events } from "../events/mod.ts";

const began = performance.now();
const { ok, size, failures } = await verifyLog({ path: Deno.args[0]!, catalogue: events });
if (!ok) throw new Error(JSON.stringify(failures));
console.log(JSON.stringify({ units: size, ms: performance.now() - began }));
