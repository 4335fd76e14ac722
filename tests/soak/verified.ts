/** What verifying takes as a log grows: its pace, and the most memory it has, in a process of its own. */
import { fileURLToPath } from "node:url";
import { VERIFIER_HEAP } from "../../adapters/process/reexec.ts";
import { fill, inFolder, openLog, rounded } from "./rig.ts";

export interface Verified {
  readonly size: number;
  readonly seconds: number;
  /** MiB. */
  readonly rss: number;
}

/** At each size of one log. */
export const verified = (sizes: readonly number[]): Promise<readonly Verified[]> =>
  inFolder(async (folder) => {
    const path = `${folder}/log.db`;
    const all: Verified[] = [];
    for (const size of sizes) {
      const { log } = await openLog(path);
      await fill(log, size);
      await log.close();
      all.push(await verify(path));
    }
    return all;
  });

const verify = async (path: string): Promise<Verified> => {
  const module = fileURLToPath(new URL("../../bench/verify_process.ts", import.meta.url));
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-q", VERIFIER_HEAP, "-A", module, path],
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  const { units, ms, rss } = JSON.parse(new TextDecoder().decode(stdout));
  return { size: units, seconds: rounded(ms / 1_000), rss };
};
