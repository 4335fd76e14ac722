/**
 * Errors as RFC 9457 problem details. The `type` is stable: programs branch on it; titles and details are for people.
 * `docs/problems.md` lists them, and a test keeps list and code equal.
 */
import type { Issue } from "../../actors/kernel/daybook.ts";

/** Status and title by code. `type` is `urn:daybook:problem:<code>`. Codes are only ever added. */
export const PROBLEMS = {
  malformed_json: [400, "The body is not JSON as RFC 7493 (I-JSON) has it"],
  invalid_utf8: [400, "The body is not UTF-8"],
  number_not_representable: [400, "A number cannot be kept to the digits given"],
  duplicate_key: [400, "An object has the same key twice"],
  lone_surrogate: [400, "A string holds half a character"],
  too_deep: [400, "The body is nested too deeply"],
  invalid_event: [400, "The event is not a CloudEvent as CloudEvents 1.0.2 has it"],
  server_attribute: [400, "An attribute was sent that only the server sets"],
  invalid_data: [400, "The data does not fit the schema of its type"],
  unknown_type: [400, "The type of the event is not known here"],
  invalid_query: [400, "A query parameter is not as it should be"],
  invalid_header: [400, "A header is not as it should be"],
  invalid_path: [400, "The path is not valid percent-encoded UTF-8"],
  unauthenticated: [401, "A token or a session is needed"],
  signin_refused: [401, "Nobody is let in with this"],
  refresh_refused: [401, "The refresh token does not count"],
  code_refused: [401, "The code does not count"],
  device_refused: [401, "The terminal is not signed in"],
  sign_on_refused: [401, "What the provider says lets nobody in"],
  forbidden: [403, "The token does not have the scope for this"],
  decided_type: [403, "Events of this type are recorded by their own actor only"],
  address_refused: [403, "This address may not ask here"],
  cross_origin: [403, "The request comes from another site"],
  csrf: [403, "The request does not prove that a page of this session sent it"],
  device_pending: [403, "Nobody has answered the terminal yet"],
  factor_wanted: [403, "A second factor is to be shown first"],
  password_wanted: [403, "The password is to be set anew first"],
  not_found: [404, "There is nothing here"],
  unknown_command: [404, "There is no such command"],
  unknown_view: [404, "There is no such view"],
  no_row: [404, "The view has no row with this key"],
  no_account: [404, "There is no such account"],
  no_event: [404, "There is no event at this position"],
  no_blob: [404, "There is no blob with this hash"],
  no_checkpoint: [404, "No checkpoint has been signed yet"],
  no_proof: [404, "There is no such proof"],
  method_not_allowed: [405, "This method is not for this path"],
  not_acceptable: [406, "None of the accepted media types can be made here"],
  slow_request: [408, "The request took too long to arrive"],
  rejected: [409, "The domain says no"],
  control_failed: [409, "A control that guards this is red"],
  id_conflict: [409, "The same source and id were used before for something else"],
  command_conflict: [409, "The same idempotency key was used before for something else"],
  revision_conflict: [409, "Somebody else was first"],
  no_passkeys: [409, "Passkeys are bound to a name, and this is an address"],
  archived: [410, "This part of the log was moved to an archive"],
  revision_mismatch: [412, "The entity is at another revision"],
  too_large: [413, "The request is too large"],
  target_too_long: [414, "The path and query are too long"],
  unsupported_media_type: [415, "The body's media type or coding is not one that is understood here"],
  misdirected: [421, "This host name is not served here"],
  weak_password: [422, "The password cannot be taken"],
  no_history: [422, "This view does not keep its past"],
  too_many_requests: [429, "Too many requests"],
  quota_exceeded: [429, "The tenant has used up what it may"],
  fault: [500, "Something is broken here"],
  newer: [501, "What is recorded is newer than this program"],
  overloaded: [503, "More is asked than can be done now"],
  provider_unavailable: [503, "The provider cannot be asked now"],
  unwritable: [503, "The log cannot be written now"],
  deadline: [503, "It was not done in time"],
  tree_behind: [503, "The tree has not come so far yet"],
  view_behind: [503, "The view has not come so far yet"],
  views_unavailable: [503, "The views cannot be read now"],
  stopping: [503, "The server is stopping"],
} as const satisfies Record<string, readonly [number, string]>;

export type ProblemCode = keyof typeof PROBLEMS;

export interface ProblemExtras {
  /** Further members of the problem, such as `position` or `revision`. */
  readonly members?: Readonly<Record<string, unknown>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** What did not fit, with JSON Pointers (RFC 6901) into the body, or `?name` for a query parameter. */
  readonly errors?: readonly Issue[];
}

/** An answer that is a refusal. `detail` is read by whoever sent the request: it names nothing of the inside. */
export class Problem extends Error {
  override readonly name = "Problem";
  constructor(readonly code: ProblemCode, readonly detail: string, readonly extras: ProblemExtras = {}) {
    super(`${code}: ${detail}`);
  }

  get status(): number {
    return PROBLEMS[this.code][0];
  }
}

/** The response to a problem; `request` is the request's id, so that a caller can quote it. */
export const problemResponse = (problem: Problem, request: string): Response => {
  const { status, code, detail, extras } = problem;
  const body = {
    type: `urn:daybook:problem:${code}`,
    title: PROBLEMS[code][1],
    status,
    detail,
    ...(extras.errors && { errors: extras.errors }),
    ...extras.members,
    instance: `urn:daybook:request:${request}`,
  };
  return new Response(JSON.stringify(body), {
    status,
    headers: {
      "content-type": "application/problem+json",
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      "x-request-id": request,
      ...extras.headers,
    },
  });
};
