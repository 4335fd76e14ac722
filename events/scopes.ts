/** What a token may be for. */

/**
 * `ingest` sends observed events, `command` asks actors, `read` reads all but plain personal data, `personal` reads that
 * too. `admin` may do what `ingest`, `command` and `read` may, and what only it may; `personal` is never implied.
 */
export const SCOPES = ["ingest", "command", "read", "personal", "admin"] as const;
export type Scope = typeof SCOPES[number];
