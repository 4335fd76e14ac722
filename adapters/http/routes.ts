/** The route table: what can be asked, of whom, and who answers. Tests walk it; OpenAPI is made from it. */
import { blobReceiver, oneBlob } from "./blobs.ts";
import { command } from "./commands.ts";
import { follow, listEvents, oneEvent } from "./events.ts";
import { ingest } from "./ingest.ts";
import { ofEntity, ofEvent, ofOwnTenant, ofStreamAsked, ofView } from "./resources.ts";
import { checkpoint, livez, metricsText, readyz } from "./probes.ts";
import { icon } from "./pages/layout.tsx";
import { login, loginPage, logout } from "./pages/login.tsx";
import type { Route } from "./route.ts";
import { consistency, entryBundle, hashTile, inclusion } from "./tree.ts";
import { listViews, oneRow, oneView } from "./views.ts";

export interface TableOptions {
  /** Checkpoint, hash tiles and proofs without a token: they hold sizes and hashes, nothing else. Default false. */
  readonly openCheckpoint?: boolean;
  /** Which parts are served beside the interface itself. Default: all. */
  readonly parts?: {
    /** Pages for people: status, signing in and out. */
    readonly pages?: boolean;
    /** `/openapi.json` and `/docs`. */
    readonly docs?: boolean;
    readonly metrics?: boolean;
  };
}

export const routeTable = (
  { openCheckpoint, parts: { pages = true, docs = true, metrics = true } = {} }: TableOptions,
): readonly Route[] => [
  ...core(openCheckpoint === true),
  ...(pages ? PAGES : []),
  ...(docs ? DOCS : []),
  ...(metrics ? METRICS : []),
];

const core = (openCheckpoint: boolean): readonly Route[] => [
  {
    method: "POST",
    path: "/events",
    action: "events.ingest",
    resource: ofOwnTenant,
    about: "Send observed events: all or none.",
    handle: ingest,
  },
  {
    method: "GET",
    path: "/events",
    page: true,
    action: "events.read",
    resource: ofStreamAsked,
    about: "A page of history, or all of it as NDJSON.",
    handle: listEvents,
  },
  {
    method: "GET",
    path: "/events/:position",
    page: true,
    action: "events.read",
    resource: ofEvent,
    about: "One event, or the exact bytes of its entry.",
    handle: oneEvent,
  },
  {
    method: "GET",
    path: "/follow",
    action: "events.read",
    resource: ofStreamAsked,
    about: "History from a position on, then live, as Server-Sent Events.",
    handle: follow,
  },
  {
    method: "POST",
    path: "/blobs",
    action: "blobs.store",
    resource: ofOwnTenant,
    about: "Store bytes beside the events, for events to name.",
    handle: blobReceiver(),
  },
  {
    method: "GET",
    path: "/blobs/:sha256{.+}",
    action: "blobs.read",
    about: "The bytes of a blob.",
    handle: oneBlob,
  },
  {
    method: "POST",
    path: "/commands/:type/:id{.+}",
    action: "commands.send",
    resource: ofEntity,
    about: "Ask an entity for something.",
    handle: command,
  },
  {
    method: "GET",
    path: "/views",
    page: true,
    action: "views.read",
    about: "Which views there are and how far they have come.",
    handle: listViews,
  },
  {
    method: "GET",
    path: "/views/:name",
    page: true,
    action: "views.read",
    resource: ofView,
    about: "Rows of a view.",
    handle: oneView,
  },
  {
    method: "GET",
    path: "/views/:name/:key{.+}",
    page: true,
    action: "views.read",
    resource: ofView,
    about: "One row of a view.",
    handle: oneRow,
  },
  {
    method: "GET",
    path: "/checkpoint",
    action: openCheckpoint ? "tree.read_open" : "tree.read",
    about: "The newest signed checkpoint of the log (C2SP tlog-checkpoint).",
    handle: checkpoint,
  },
  {
    method: "GET",
    path: "/tile/entries/:index{.+}",
    action: "events.read",
    about: "Up to 256 entries, their exact bytes (C2SP tlog-tiles).",
    handle: entryBundle,
  },
  {
    method: "GET",
    path: "/tile/:level/:index{.+}",
    action: openCheckpoint ? "tree.read_open" : "tree.read",
    about: "Up to 256 hashes of the log's tree (C2SP tlog-tiles).",
    handle: hashTile,
  },
  {
    method: "GET",
    path: "/proofs/inclusion",
    action: openCheckpoint ? "tree.read_open" : "tree.read",
    about: "That an entry is in the tree (RFC 9162 section 2.1.3).",
    handle: inclusion,
  },
  {
    method: "GET",
    path: "/proofs/consistency",
    action: openCheckpoint ? "tree.read_open" : "tree.read",
    about: "That a tree extends an older one (RFC 9162 section 2.1.4).",
    handle: consistency,
  },
  { method: "GET", path: "/livez", action: "probes.read", about: "Whether the process lives.", handle: livez },
  { method: "GET", path: "/readyz", action: "probes.read", about: "Whether it is ready for work.", handle: readyz },
];

/** What most processes are never asked for is loaded when somebody asks. */
const onFirstUse = (load: () => Promise<Route["handle"]>): Route["handle"] => async (exchange) =>
  await (await load())(exchange);

const PAGES: readonly Route[] = [
  {
    method: "GET",
    path: "/",
    action: "status.read",
    page: true,
    about: "How it is doing: a page for people, JSON for programs.",
    handle: onFirstUse(async () => (await import("./pages/status.tsx")).statusPage),
  },
  {
    method: "GET",
    path: "/live",
    action: "status.read",
    about: "The status page's parts as they change, as Server-Sent Events.",
    handle: onFirstUse(async () => (await import("./pages/status.tsx")).live),
  },
  { method: "GET", path: "/favicon.ico", action: "probes.read", about: "The icon.", handle: icon },
  { method: "GET", path: "/login", action: "signin.use", about: "The form to sign in with.", handle: loginPage },
  { method: "POST", path: "/login", action: "signin.use", about: "A session for a token.", handle: login },
  { method: "POST", path: "/logout", action: "signin.use", about: "Ends the session.", handle: logout },
];

const DOCS: readonly Route[] = [
  {
    method: "GET",
    path: "/openapi.json",
    action: "docs.read",
    about: "This interface as OpenAPI 3.1.",
    handle: onFirstUse(async () => (await import("./openapi.ts")).openapiDocument),
  },
  {
    method: "GET",
    path: "/docs",
    action: "docs.read",
    page: true,
    about: "This interface to read and try.",
    handle: onFirstUse(async () => (await import("./docs.ts")).docsPage),
  },
  {
    method: "GET",
    path: "/docs/:file",
    action: "docs.read",
    about: "Files of the documentation page.",
    handle: onFirstUse(async () => (await import("./docs.ts")).docsFile),
  },
];

const METRICS: readonly Route[] = [
  {
    method: "GET",
    path: "/metrics",
    action: "metrics.read",
    about: "Metrics as Prometheus text.",
    handle: metricsText,
  },
];
