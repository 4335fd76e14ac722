/** Lines of an auth log read for what they say, beside a loop that only finds the lines. */
import { checkLogs } from "../adapters/sshd/import.ts";
import type { Measured, Stand } from "./row.ts";

const LINES = 300_000;
const LINES_A_MINUTE = 3_000;
const SAMPLE = new URL("../tests/sshd/auth.log", import.meta.url);

/** What a real server wrote, again and again, as if it had gone on for hours: each line with a time and a process of its own. */
const madeOf = (sample: readonly string[]): string =>
  Array.from({ length: LINES }, (_, n) => {
    const minutes = Math.floor(n / LINES_A_MINUTE);
    const seconds = Math.floor((n % LINES_A_MINUTE) * 60 / LINES_A_MINUTE);
    const time = [Math.floor(minutes / 60), minutes % 60, seconds].map((part) => String(part).padStart(2, "0")).join(
      ":",
    );
    return `Nov 20 ${time}${sample[n % sample.length]!.slice(15).replace(/\[\d+\]/, `[${n}]`)}\n`;
  }).join("");

const timed = async (work: () => Promise<number>): Promise<Measured> => {
  const began = performance.now();
  const units = await work();
  return { units, ms: performance.now() - began };
};

export const readingSshd = async (): Promise<Stand> => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/auth.log`;
  const sample = (await Deno.readTextFile(SAMPLE)).split("\n").filter((line) => line !== "");
  await Deno.writeTextFile(path, madeOf(sample));
  return {
    ours: () =>
      timed(async () => {
        const { files, problems } = await checkLogs([path], { zone: "UTC", told: () => {} });
        if (files[0]?.lines !== LINES) throw new Error(`${files[0]?.lines} lines: ${problems}`);
        return LINES;
      }),
    baseline: () =>
      timed(async () => {
        let [lines, rest] = [0, ""];
        for await (const piece of (await Deno.open(path)).readable.pipeThrough(new TextDecoderStream())) {
          const found = (rest + piece).split("\n");
          rest = found.pop()!;
          for (const line of found) if (line !== "") lines++;
        }
        return lines;
      }),
    close: () => Deno.remove(folder, { recursive: true }),
    abandon: () => Deno.removeSync(folder, { recursive: true }),
  };
};
