/** `GET /events` and one event, as pages; programs are given the same as JSON. */
import type { Event } from "../../../events/event.ts";
import { correlationOf } from "../../../events/event.ts";
import { visible } from "../../../events/visible.ts";
import type { Exchange } from "../route.ts";
import { Head } from "./head.tsx";
import { Page, page } from "./layout.tsx";
import { counted, Members, number } from "./value.tsx";

const listOf = (filter: Readonly<Record<string, string>>): string =>
  `/events?${new URLSearchParams({ order: "desc", ...filter })}`;

/** The newest of them, as the status page shows them, and every other list. */
export const Events = ({ events }: { readonly events: readonly Event[] }) => (
  <table class="events">
    <thead>
      <tr>
        <th class="number">Position</th>
        <th>Type</th>
        <th>Stream</th>
        <th class="number">Recorded (UTC)</th>
      </tr>
    </thead>
    <tbody data-newest={events[0]?.position}>
      {events.map((event) => (
        <tr data-position={event.position}>
          <td class="number position">
            <a href={`/events/${event.position}`}>{event.position}</a>
          </td>
          <td class="type">{visible(event.type)}</td>
          <td class="mono stream">{visible(event.stream)}</td>
          <td class="number time">
            <time datetime={event.recordedat}>
              <span class="date">{event.recordedat.slice(0, 10)}</span> {event.recordedat.slice(11, 19)}
            </time>
          </td>
        </tr>
      ))}
    </tbody>
  </table>
);

const FILTERS = ["type", "stream", "correlation", "from", "until"] as const;

export const eventsPage = (
  exchange: Exchange,
  { events, size, next, given }: {
    readonly events: readonly Event[];
    readonly size: number;
    /** The same question from where these end. */
    readonly next: string | undefined;
    readonly given: Readonly<Record<string, string>>;
  },
): Response => {
  const isDown = given.order === "desc";
  const { from: _, until: __, ...question } = given;
  return page(
    exchange,
    200,
    <Page title="Events · Daybook">
      <Head here="Events" />
      <main>
        <section>
          <h2>
            Events<small>{isDown ? "the newest first" : "the oldest first"}</small>
          </h2>
          <details class="question" open={FILTERS.some((name) => given[name] !== undefined)}>
            <summary>Ask</summary>
            <form method="get" action="/events">
              {FILTERS.map((name) => (
                <label>
                  <span>{name}</span>
                  <input
                    name={name}
                    value={given[name] ?? ""}
                    {...(name === "from" || name === "until" ? { placeholder: "position", inputmode: "numeric" } : {})}
                  />
                </label>
              ))}
              <input type="hidden" name="order" value={given.order ?? "asc"} />
              {given.limit !== undefined && <input type="hidden" name="limit" value={given.limit} />}
              <button type="submit">Show</button>
            </form>
          </details>
          {events.length === 0 ? <p class="empty">There are none.</p> : <Events events={events} />}
          <p class="below">
            <span>
              {number.format(events.length)} shown; the log has {counted(size, "event")}
            </span>
            <a href={`/events?${new URLSearchParams({ ...question, order: isDown ? "asc" : "desc" })}`}>
              {isDown ? "Oldest first" : "Newest first"}
            </a>
            {next !== undefined && <a href={next}>{isDown ? "Older" : "Newer"}</a>}
          </p>
        </section>
      </main>
    </Page>,
  );
};

/** What has a place of its own on the page, or would be said twice. */
const ELSEWHERE: ReadonlySet<string> = new Set(["data", "type", "specversion"]);

/** `events`: what upcasts made of the one at that position. */
export const eventPage = (
  exchange: Exchange,
  { position, size, events }: {
    readonly position: number;
    readonly size: number;
    readonly events: readonly Event[];
  },
): Response =>
  page(
    exchange,
    200,
    <Page title={`Event ${position} · Daybook`}>
      <Head here="Events" />
      <main>
        {events.map((event) => (
          <section>
            <h2>
              {visible(event.type)}
              <small>event {position}</small>
            </h2>
            <Members of={[["data", event.data], ...Object.entries(event).filter(([name]) => !ELSEWHERE.has(name))]} />
            <p class="below">
              <a href={listOf({ stream: event.stream })}>Of this stream</a>
              <a href={listOf({ type: event.type })}>Of this type</a>
              <a href={listOf({ correlation: correlationOf(event) })}>What belongs together</a>
              <a href={`/proofs/inclusion?position=${position}`}>Proof</a>
            </p>
          </section>
        ))}
        <p class="below">
          {position > 0 && <a href={`/events/${position - 1}`}>Before it</a>}
          {position + 1 < size && <a href={`/events/${position + 1}`}>After it</a>}
        </p>
      </main>
    </Page>,
  );
