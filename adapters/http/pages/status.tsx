/** `GET /`: how it is doing, at a glance. Complete without scripts; `/live` sends the same rendering again when it changed. */
import { pause } from "../../../actors/kernel/world.ts";
import type { HealthNode, ProjectionState, Status } from "../../../actors/kernel/daybook.ts";
import type { Event } from "../../../events/event.ts";
import { visible } from "../../../events/visible.ts";
import { negotiate, prefersPage } from "../media.ts";
import { parameters, parseQuery } from "../query.ts";
import { type Exchange, json } from "../route.ts";
import { Events } from "./events.tsx";
import { Head } from "./head.tsx";
import { Page, page } from "./layout.tsx";
import { number } from "./value.tsx";
import { z } from "zod";

const EVENTS_SHOWN = 12;
const CHILDREN_SHOWN = 24;
const RATE_OVER_MS = 60_000;
const LIVE_EVERY_MS = 1_000;

interface Glance {
  readonly status: Status;
  readonly events: readonly Event[];
  /** Events a second over the last minute. */
  readonly rate: number;
}

const glance = ({ site }: Exchange): Glance => {
  const { log } = site.daybook;
  const since = new Date(site.clock.now() - RATE_OVER_MS).toISOString();
  const size = log.size;
  return {
    status: site.daybook.status(),
    events: [...log.read({ backward: true, limit: EVENTS_SHOWN })].flat(),
    rate: (size - Math.min(size, log.positionAt(since))) / (RATE_OVER_MS / 1000),
  };
};

const fine = new Intl.NumberFormat("en", { maximumSignificantDigits: 2 });
const bytes = (count: number): string => {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  for (; count >= 1024 && unit < units.length - 1; unit++) count /= 1024;
  return `${unit === 0 ? count : fine.format(count)} ${units[unit]}`;
};

const HUES: Readonly<Record<string, string>> = {
  ready: "good",
  running: "good",
  live: "good",
  starting: "warn",
  stopping: "warn",
  backoff: "warn",
  catching_up: "warn",
  rebuilding: "warn",
  down: "bad",
  stopped: "bad",
  unwritable: "bad",
};
const Dot = ({ state }: { readonly state: string }) => (
  <span class={`dot ${HUES[state] ?? ""}`} aria-hidden="true"></span>
);

const WORDS: Readonly<Record<Status["state"], string>> = {
  starting: "starting",
  ready: "ready",
  unwritable: "the log cannot be written; reading goes on",
  down: "the supervision tree has given up; nothing supervised runs",
  stopping: "stopping",
};

const Figures = ({ status, rate }: Glance) => (
  <dl class="figures">
    <div>
      <dt>Events</dt>
      <dd>
        {number.format(status.size)}
        <small>
          {status.durable
            ? `${bytes(status.bytes.log)} on disk, ${bytes(status.growth.bytes)} of it in ${status.growth.hours} hours`
            : "in memory, not durable"}
        </small>
      </dd>
    </div>
    <div>
      <dt>Appended</dt>
      <dd>
        {rate >= 10 ? number.format(rate) : fine.format(rate)}/s
        <small>over the last minute</small>
      </dd>
    </div>
    <div>
      <dt>Checkpoint</dt>
      <dd>
        {status.checkpoint ? number.format(status.checkpoint.size) : "none yet"}
        <small class="mono" title={status.checkpoint?.root}>
          {status.checkpoint ? status.checkpoint.root.slice(0, 12) + "…" : "nothing signed"}
        </small>
      </dd>
    </div>
    <div>
      <dt>Dead letters</dt>
      <dd>
        {number.format(status.deadLetters)}
        <small>{status.deadLetters === 0 ? "nothing undelivered" : "to be redriven"}</small>
      </dd>
    </div>
  </dl>
);

const Node = ({ node }: { readonly node: HealthNode }) => (
  <li>
    <div class="node">
      <Dot state={node.state} />
      <span>{node.id}</span>
      <span class="note">
        {node.state === "running" ? "" : `${node.state} `}
        {node.restarts > 0 ? `${node.restarts} ${node.restarts === 1 ? "restart" : "restarts"}` : ""}
      </span>
      {node.cause && <span class="cause">{visible(node.cause)}</span>}
    </div>
    {node.children && node.children.length > 0 && <Children nodes={node.children} />}
  </li>
);

/** The troubled first when there are more than fit. */
const Children = ({ nodes }: { readonly nodes: readonly HealthNode[] }) => {
  const shown = nodes.length <= CHILDREN_SHOWN
    ? nodes
    : nodes.toSorted((a, b) => rank(b) - rank(a)).slice(0, CHILDREN_SHOWN);
  return (
    <ul>
      {shown.map((child) => <Node key={child.id} node={child} />)}
      {shown.length < nodes.length && <li class="empty">and {number.format(nodes.length - shown.length)} more</li>}
    </ul>
  );
};
const rank = ({ state, restarts }: HealthNode): number => (state === "running" ? 0 : 1e9) + restarts;

const Projections = ({ projections }: { readonly projections: readonly ProjectionState[] }) =>
  projections.length === 0 ? <p class="empty">There are none.</p> : (
    <div class="wide">
      <table>
        <thead>
          <tr>
            <th>View</th>
            <th>State</th>
            <th class="number">Lag</th>
          </tr>
        </thead>
        <tbody>
          {projections.map((one) => (
            <tr>
              <td>
                <a href={`/views/${one.name}`}>{one.name}</a>
              </td>
              <td>
                <span
                  class="pill"
                  title={one.stoppedAt && `at position ${one.stoppedAt.position}: ${visible(one.stoppedAt.cause)}`}
                >
                  <Dot state={one.state} />
                  {one.state.replace("_", " ")}
                  {one.stoppedAt && ` at ${one.stoppedAt.position}`}
                </span>
              </td>
              <td class="number">{number.format(one.lag)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );

const Live = (props: Glance) => (
  <>
    <Figures {...props} />
    <div class="columns">
      <section>
        <h2>Health</h2>
        <ul class="tree">
          <Node node={props.status.health} />
        </ul>
      </section>
      <section>
        <h2>
          Views<small>events behind the log</small>
        </h2>
        <Projections projections={props.status.projections} />
      </section>
    </div>
    <section>
      <h2>
        <a href="/events?order=desc">Last events</a>
      </h2>
      {props.events.length === 0
        ? <p class="empty">Nothing has happened yet. Send an event to POST /events.</p>
        : <Events events={props.events} />}
    </section>
  </>
);

const StatusPage = (props: Glance) => (
  <Page title="Daybook" live>
    <Head>
      <span class="pill">
        <Dot state={props.status.state} />
        <span>{WORDS[props.status.state]}</span>
        <span aria-hidden="true">·</span>
        <span id="lamp" role="status">as of now</span>
      </span>
    </Head>
    <main id="live">
      <Live {...props} />
    </main>
  </Page>
);

/** For programs the same as JSON: `Status`. */
export const statusPage = (exchange: Exchange): Response => {
  parseQuery(z.strictObject({}), parameters(exchange.query));
  const { request, site } = exchange;
  if (prefersPage(request)) return page(exchange, 200, <StatusPage {...glance(exchange)} />);
  negotiate(request.headers.get("accept"), ["application/json", "text/html"]);
  return json(exchange, 200, site.daybook.status());
};

/** The inner part of the page as Server-Sent Events, at most one a second and only when something changed. */
export const live = (exchange: Exchange): Response => {
  const { site } = exchange;
  const rendering = async function* (signal: AbortSignal): AsyncGenerator<string> {
    let last = "";
    while (!signal.aborted) {
      const html = (<Live {...glance(exchange)} />).toString();
      if (html !== last) yield `data: ${(last = html).replaceAll("\n", "\ndata: ")}\n\n`;
      await pause(site.clock, LIVE_EVERY_MS, signal);
    }
  };
  const body = exchange.request.method === "HEAD"
    ? null
    : site.streams.start(rendering, { comment: ":\n\n", granted: () => exchange.granted() });
  return new Response(body, {
    headers: {
      "content-type": "text/event-stream",
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      "x-request-id": exchange.id,
      "x-accel-buffering": "no",
    },
  });
};
