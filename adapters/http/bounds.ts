import { BLOB_LIMITS } from "../../events/blobs.ts";
import { LIMITS } from "../../events/log.ts";

/** Every bound of the server; each has a test that reaches it. Durations in ms. */
export const HTTP_LIMITS = {
  /** One request body, unless configured otherwise. Over it: 413. */
  body_bytes_max: 1_048_576,
  /** The body of a blob, which is not parsed; the log's own bound. Over it: 413. */
  blob_body_bytes_max: BLOB_LIMITS.blob_bytes_max,
  /** Blobs whose bodies are received or stored at the same time. Over it: 503. */
  blobs_receiving_max: 4,
  /** Nesting of a structured event or of a command's data within its event, the event itself counted. Over it: 400. */
  body_depth_max: 64,
  /** Path and query together. Over it: 414. */
  target_bytes_max: 8_192,
  /** From a request's header to its answer's, unless configured otherwise. Over it: 408 while the body is awaited, else 503. */
  request_ms_max: 30_000,
  /** Events of one page of `GET /events`, and their JSON together; a page that is cut short names `next`. */
  page_events_max: 1_000,
  page_bytes_max: 4_194_304,
  /** Rows of one page of a view. */
  page_rows_max: 1_000,
  /** What a stream has formatted and nobody has taken yet. */
  unsent_bytes_max: 262_144,
  /** A stream that nobody takes from for so long is closed. */
  stall_ms_max: 30_000,
  /** A follower hears at least this often, if only a comment. */
  comment_every_ms: 15_000,
  /** Streams open at the same time, all callers together. Over it: 429. */
  streams_max: 512,
  /** `?wait=` and commands: how long the answer may be waited for. */
  wait_ms_max: 10_000,
  /** CloudEvents extension attributes of one event, and the length of an attribute's name, which is the log's own bound. */
  extensions_max: 64,
  attribute_name_max: LIMITS.extension_name_max,
  /** Callers whose budgets are remembered at the same time; the least recently seen are forgotten. */
  callers_max: 10_000,
} as const;
