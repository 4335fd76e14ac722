/** What a log does, in as few words as it takes: a list. It shares no code with the logs that are held against it. */
import { isDeepStrictEqual } from "node:util";
import type { Event, StreamId } from "../../events/event.ts";
import type { Append, Appended, NewEvent, Range, Receipt } from "../../events/log.ts";

type Listed = NewEvent & { readonly revision: number; readonly position: number; readonly recordedat: string };

/** What the sender says of an event; where it lies and who sent it are not part of that. */
const said = ({ id, source, type, time, data, correlationid }: NewEvent) =>
  JSON.parse(JSON.stringify({ id, source, type, time, data, correlationid }));

export class LogModel {
  private listed: readonly Listed[] = [];

  constructor(private readonly now: () => number) {}

  head = (stream: StreamId, events = this.listed): number => events.filter((e) => e.stream === stream).length - 1;

  append({ events, expected = [] }: Append): Appended {
    const clock = new Date(this.now()).toISOString();
    const recordedat = [clock, this.listed.at(-1)?.recordedat ?? clock].sort()[1]!;
    let after = this.listed;
    const receipts: Receipt[] = [];
    for (const event of events) {
      const { id, source, stream } = event;
      const before = after.find((other) => other.source === source && other.id === id);
      if (before && !isDeepStrictEqual(said(before), said(event))) {
        return { ok: false, conflict: "id", source, id, position: before.position };
      }
      const at = before ?? { ...event, recordedat, revision: this.head(stream, after) + 1, position: after.length };
      if (!before) after = [...after, at];
      receipts.push({
        id,
        source,
        stream: at.stream,
        revision: at.revision,
        position: at.position,
        duplicate: !!before,
      });
    }
    const accepted = after.length - this.listed.length;
    for (const [stream, want] of accepted > 0 ? expected : []) {
      const revision = this.head(stream);
      const met = want === "any" || want === revision ||
        (want === "none" ? revision < 0 : want === "exists" && revision >= 0);
      if (!met) return { ok: false, conflict: "revision", stream, expected: want, revision };
    }
    this.listed = after;
    const answer = { ok: true, receipts, accepted, duplicates: events.length - accepted, size: after.length } as const;
    return accepted > 0 ? { ...answer, recordedat } : answer;
  }

  read({ from = 0, until = Infinity, stream, revision = 0, types, correlation, backward, limit }: Range): Event[] {
    const found = this.listed.filter((e) =>
      e.position >= from && e.position < until && (!stream || (e.stream === stream && e.revision >= revision)) &&
      (!types || types.includes(e.type)) && (!correlation || (e.correlationid ?? e.id) === correlation)
    );
    return (backward ? found.toReversed() : found).slice(0, limit) as unknown as Event[];
  }
}
