import type { StreamId } from "../../events/event.ts";

/**
 * What the index keeps of an event, read from its entry without parsing it. An entry is canonical, so its members are sorted and no
 * white space stands between them; a quote within a string is escaped, so what reads as a member is one; and all but `data` are
 * scalars, so the first member of a name stands before `data`, and the last one behind it, on the entry's own level.
 */
export interface Attributes {
  readonly source: string;
  readonly id: string;
  readonly stream: StreamId;
  readonly type: string;
  readonly correlationid?: string;
}

/** `entry` is its bytes, a character each. Undefined where only a parser reads them: with escapes, or letters beyond ASCII. */
export const attributesOf = (entry: string): Attributes | undefined => {
  const atSource = entry.lastIndexOf(',"source":"');
  const source = textAt(entry, atSource, 11);
  const id = textAt(entry, entry.lastIndexOf(',"id":"', atSource), 7);
  const atStream = entry.indexOf(',"stream":"', atSource);
  const stream = textAt(entry, atStream, 11) as StreamId | undefined;
  const type = textAt(entry, entry.indexOf(',"type":"', atStream), 9);
  if (source === undefined || id === undefined || stream === undefined || type === undefined) return undefined;
  const atCorrelation = entry.indexOf(',"correlationid":"');
  if (atCorrelation < 0) return { source, id, stream, type };
  const atData = entry.indexOf(',"data":');
  if (atData >= 0 && atData < atCorrelation) return { source, id, stream, type };
  const correlationid = textAt(entry, atCorrelation, 18);
  return correlationid === undefined ? undefined : { source, id, stream, type, correlationid };
};

const UNUSUAL = /[^\x20-\x5b\x5d-\x7e]/;

const textAt = (entry: string, member: number, prefix: number): string | undefined => {
  if (member < 0) return undefined;
  const from = member + prefix;
  const text = entry.slice(from, entry.indexOf('"', from));
  return UNUSUAL.test(text) ? undefined : text;
};
