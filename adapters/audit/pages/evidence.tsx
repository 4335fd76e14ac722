/** `evidence.html`: every event that the other pages speak of, with its place in the log and the hash that proves it. */
import { createHash } from "node:crypto";
import type { Event } from "../../../events/event.ts";
import { isSealed, SEALED_TEXT } from "../../../events/personal.ts";
import { TILE_WIDTH, tileName } from "../../../events/tiles.ts";
import { visible } from "../../../events/visible.ts";
import { PATHS, type Scope } from "../manifest.ts";
import { around, count, Time } from "./layout.tsx";

/** Of longer content only the beginning is shown; the entry itself is in the folder. */
const CONTENT_CHARS_MAX = 4_000;

/** Where entries are read. */
export interface CitedLog {
  entry(position: number): Uint8Array | undefined;
}

const utf8 = new TextDecoder();

/** `SHA-256(0x00 ‖ entry)` (RFC 9162 section 2.1.1). */
const leafOf = (entry: Uint8Array): string =>
  createHash("sha256").update(Uint8Array.of(0)).update(entry).digest("base64");

const shown = (content: unknown): string => {
  const text =
    JSON.stringify(content, (_, value) => typeof value === "string" && isSealed(value) ? SEALED_TEXT : value, 2) ?? "";
  return visible(text.length > CONTENT_CHARS_MAX ? `${text.slice(0, CONTENT_CHARS_MAX)}\n…` : text);
};

const Cited = ({ entry, size }: { readonly entry: Uint8Array; readonly size: number }) => {
  const event = JSON.parse(utf8.decode(entry)) as Event;
  const { position } = event;
  const index = Math.floor(position / TILE_WIDTH);
  const bundle = `${PATHS.log}/tile/entries/${
    tileName({ index, width: Math.min(TILE_WIDTH, size - index * TILE_WIDTH) })
  }`;
  return (
    <article id={`p${position}`}>
      <h2>
        <a href={`#p${position}`}>{count(position)}</a>
        {` ${visible(event.type)}`}
      </h2>
      <dl class="facts">
        <dt>Stream</dt>
        <dd class="mono">{`${visible(event.stream)}, revision ${event.revision}`}</dd>
        <dt>Recorded</dt>
        <dd>
          <Time at={event.recordedat} />
        </dd>
        <dt>Happened</dt>
        <dd>
          <Time at={event.time} />
        </dd>
        <dt>By</dt>
        <dd class="mono">{`${event.authtype} ${visible(event.authid)}`}</dd>
        <dt>Named</dt>
        <dd class="mono">{`${visible(event.id)} of ${visible(event.source)}`}</dd>
        <dt>Leaf hash</dt>
        <dd class="mono">{`${leafOf(entry)}, entry ${position % TILE_WIDTH} of ${bundle}`}</dd>
      </dl>
      {event.data !== undefined && <pre>{shown(event.data)}</pre>}
      {event.data_base64 !== undefined && <p class="faint">Content that is not JSON.</p>}
    </article>
  );
};

/** Piece by piece; `positions` ascending. */
export function* evidencePage(log: CitedLog, scope: Scope, positions: readonly number[]): Generator<string> {
  const [before, behind] = around(`Evidence, ${scope.origin}`, (gap) => (
    <>
      <header>
        <h1>Evidence</h1>
        <p>{`${count(positions.length)} events of ${scope.origin} that the audit speaks of`}</p>
        <nav aria-label="Pages">
          <ul>
            <li>
              <a href={PATHS.index}>Back to the audit</a>
            </li>
          </ul>
        </nav>
      </header>
      <main id="content">{gap}</main>
    </>
  ));
  yield before;
  for (const position of positions) {
    const entry = log.entry(position);
    if (entry && position < scope.size) yield `${<Cited entry={entry} size={scope.size} />}\n`;
  }
  yield behind;
}
