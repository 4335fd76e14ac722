/** Where a log tells of a person: reads it from one end to the other, some events at a time. */
import { pause } from "../../../actors/kernel/world.ts";
import type { Event } from "../../../events/event.ts";
import { subjectOf } from "../../../events/personal.ts";
import type { Reader } from "../../cli/reader.ts";
import type { OnProgress } from "../../cli/io.ts";
import { subjectOfBlob } from "../../keys/blob.ts";
import { systemClock } from "../../system/world.ts";

/** A value about a person, as it lies in the log. */
export interface SealedValue {
  /** JSON Pointer (RFC 6901) from the root of `data`. */
  readonly pointer: string;
  readonly text: string;
}

/** An event with values about a person; of an old shape that is read as several events, each of them. */
export interface Mention {
  readonly event: Event;
  readonly values: readonly SealedValue[];
}

/** Everything sealed under this person's key in a JSON value. */
export const sealedOf = (value: unknown, subject: string, pointer = ""): readonly SealedValue[] => {
  if (typeof value === "string") return subjectOf(value) === subject ? [{ pointer, text: value }] : [];
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, member]) =>
    sealedOf(member, subject, `${pointer}/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`)
  );
};

/** Every event before `until` that tells of the person, in order; others get their turn between. */
export async function* mentions(
  reader: Pick<Reader, "read">,
  { subject, until, progress }: {
    readonly subject: string;
    readonly until: number;
    readonly progress: OnProgress;
  },
): AsyncGenerator<Mention> {
  for (const batch of reader.read({ until })) {
    for (const event of batch) {
      const values = sealedOf(event.data, subject);
      if (values.length > 0) yield { event, values };
    }
    const last = batch.at(-1);
    if (last) progress({ done: last.position + 1, total: until, unit: "events" });
    await pause(systemClock, 0);
  }
}

/** A blob that is sealed under the person's key. */
export interface SealedBlob {
  /** As events name it: base64. */
  readonly sha256: string;
  readonly bytes: number;
  read(): Uint8Array;
}

/** Every blob of the log that is sealed under the person's key. Of others the first piece alone is read. */
export function* blobsOf(reader: Pick<Reader, "blobs">, subject: string): Generator<SealedBlob> {
  for (const blob of reader.blobs()) {
    const [first] = blob.chunks();
    if (first && subjectOfBlob(first) === subject) yield blob;
  }
}

/** Positions as runs, `[first, last]`. */
export class Runs {
  readonly runs: [number, number][] = [];
  count = 0;

  add(position: number): void {
    const last = this.runs.at(-1);
    if (last && last[1] === position) return; // an old shape that became several events
    this.count++;
    if (last && last[1] === position - 1) last[1] = position;
    else this.runs.push([position, position]);
  }
}
