/** A peer's side of the talk with who measures it; see `peer.ts`. */
import { createInterface } from "node:readline";
import process from "node:process";

/** Says that it is ready, answers each line with one line of JSON, and ends with the input. */
export const answerLines = async (answer: (line: string) => Promise<unknown>): Promise<void> => {
  console.log("ready");
  for await (const line of createInterface({ input: process.stdin })) console.log(JSON.stringify(await answer(line)));
};
