/** Reads a run of blocks out of a log's file and parses what is in them; see `decode.ts`. */
import { DatabaseSync } from "node:sqlite";

/** Keys of the store, the second left out. */
export interface Share {
  readonly path: string;
  readonly from: Uint8Array;
  readonly until: Uint8Array;
}

const HEADER = 56;
const RUN = 20;
const fromUtf8 = new TextDecoder();

/** How many events there were. */
export const decode = ({ path, from, until }: Share): number => {
  const db = new DatabaseSync(path, { readOnly: true });
  let events = 0;
  let types = 0;
  for (const { v } of db.prepare("select v from kv where k >= ? and k < ? order by k").iterate(from, until)) {
    const block = v as Uint8Array;
    const head = new DataView(block.buffer, block.byteOffset, HEADER);
    const [entries, runs] = [head.getUint32(48), head.getUint32(52)];
    const text = fromUtf8.decode(block.subarray(HEADER + runs * RUN + entries * 4));
    for (const { type } of JSON.parse(text) as readonly { readonly type: string }[]) {
      events++;
      types += type.length;
    }
  }
  db.close();
  if (types === 0) throw new Error(`there is nothing in ${path}`);
  return events;
};
