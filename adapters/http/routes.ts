/** The route table: what can be asked, of whom, and who answers. Tests walk it; OpenAPI is made from it. */
import { command } from "./commands.ts";
import { follow, listEvents, oneEvent } from "./events.ts";
import { ingest } from "./ingest.ts";
import { checkpoint, livez, metrics, readyz } from "./probes.ts";
import type { Route } from "./route.ts";
import { listViews, oneRow, oneView } from "./views.ts";

export interface TableOptions {
  /** `GET /checkpoint` without a token: a checkpoint holds a size and a hash, nothing else. Default false. */
  readonly openCheckpoint?: boolean;
}

export const routeTable = (options: TableOptions): readonly Route[] => [
  { method: "POST", path: "/events", needs: "ingest", about: "Send observed events: all or none.", handle: ingest },
  {
    method: "GET",
    path: "/events",
    needs: "read",
    about: "A page of history, or all of it as NDJSON.",
    handle: listEvents,
  },
  {
    method: "GET",
    path: "/events/:position",
    needs: "read",
    about: "One event, or the exact bytes of its entry.",
    handle: oneEvent,
  },
  {
    method: "GET",
    path: "/follow",
    needs: "read",
    about: "History from a position on, then live, as Server-Sent Events.",
    handle: follow,
  },
  {
    method: "POST",
    path: "/commands/:type/:id{.+}",
    needs: "command",
    about: "Ask an entity for something.",
    handle: command,
  },
  {
    method: "GET",
    path: "/views",
    needs: "read",
    about: "Which views there are and how far they have come.",
    handle: listViews,
  },
  { method: "GET", path: "/views/:name", needs: "read", about: "Rows of a view.", handle: oneView },
  { method: "GET", path: "/views/:name/:key{.+}", needs: "read", about: "One row of a view.", handle: oneRow },
  {
    method: "GET",
    path: "/checkpoint",
    needs: options.openCheckpoint ? "nothing" : "read",
    about: "The newest signed checkpoint of the log (C2SP tlog-checkpoint).",
    handle: checkpoint,
  },
  { method: "GET", path: "/livez", needs: "nothing", about: "Whether the process lives.", handle: livez },
  { method: "GET", path: "/readyz", needs: "nothing", about: "Whether it is ready for work.", handle: readyz },
  { method: "GET", path: "/metrics", needs: "read", about: "Metrics as Prometheus text.", handle: metrics },
];
