/** A block's runs: as many entries of one stream as follow each other, by the stream's fingerprint and first revision. */
import type { StoredBlock } from "./block.ts";
import { type Failures, shown } from "./failures.ts";
import type { Headers } from "./headers.ts";

/** Holds the runs against the entries, up to the first that is none. */
export const checkRuns = (block: StoredBlock, headers: Headers, failures: Failures): void => {
  const { sound, changes, stream, revision } = headers;
  const wrong = (index: number, expected: string): void =>
    failures.add(block.first + index, "block", expected, "runs that say otherwise");
  let run = -1;
  let left = 0;
  for (let i = 0; i < block.count; i++) {
    // An entry that is none says nothing about runs, and has been named.
    if (sound[i] === 0) return;
    const starts = changes[i] === 1;
    if (starts !== (left === 0)) return wrong(i, "a run for each change of stream");
    if (starts) {
      if (++run >= block.runs) return wrong(i, "as many runs as streams follow each other");
      const said = block.run(run);
      left = said.count;
      if (said.fingerprint !== stream[i] || said.revision !== revision[i] || said.count === 0) {
        return wrong(i, `a run of ${shown(headers.event(i).stream)} from revision ${revision[i]}`);
      }
    }
    left--;
  }
  if (left !== 0 || run !== block.runs - 1) wrong(block.count - 1, "runs that end with the entries");
};
