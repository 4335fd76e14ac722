/** A block's runs: as many entries of one stream as follow each other, by the stream's fingerprint and first revision. */
import type { Event } from "../../events/event.ts";
import type { StoredBlock } from "./block.ts";
import { type Failures, shown } from "./failures.ts";
import { streamFingerprint } from "./fingerprint.ts";

/**
 * Holds the runs against the entries. Answers the fingerprint of each entry's stream, 0 from where it is not known: at the
 * first run that is wrong, or the first entry that is none.
 */
export const checkRuns = (
  block: StoredBlock,
  events: readonly (Event | undefined)[],
  failures: Failures,
): Float64Array => {
  const streams = new Float64Array(block.count);
  const wrong = (index: number, expected: string): Float64Array => {
    failures.add(block.first + index, "block", expected, "runs that say otherwise");
    return streams;
  };
  let run = -1;
  let left = 0;
  let stream: string | undefined;
  let fingerprint = 0;
  for (let i = 0; i < block.count; i++) {
    const event = events[i];
    // An entry that is none says nothing about runs, and has been named.
    if (!event) return streams;
    const starts = event.stream !== stream;
    if (starts !== (left === 0)) return wrong(i, "a run for each change of stream");
    if (starts) {
      stream = event.stream;
      fingerprint = streamFingerprint(stream);
      if (++run >= block.runs) return wrong(i, "as many runs as streams follow each other");
      const said = block.run(run);
      left = said.count;
      if (said.fingerprint !== fingerprint || said.revision !== event.revision || said.count === 0) {
        return wrong(i, `a run of ${shown(stream)} from revision ${event.revision}`);
      }
    }
    left--;
    streams[i] = fingerprint;
  }
  if (left !== 0 || run !== block.runs - 1) return wrong(block.count - 1, "runs that end with the entries");
  return streams;
};
