/** Requests to a provider: to its hosts and to nobody else's, within a time and a size, and not where an answer leads on to. */
import { fetchFailure } from "../../actors/kernel/fetch_failure.ts";

export const OUTWARD = {
  /** Whole answer of a provider. */
  body_bytes_max: 262_144,
  timeout_ms: 10_000,
} as const;

/** A provider answered something else than it may, or not at all. */
export class OutwardFault extends Error {
  override readonly name = "OutwardFault";
}

type Fetch = (url: string, options: RequestInit) => Promise<Response>;

/** `hosts`: `host` or `host:port`, as URLs have them. */
export const outward = (
  hosts: readonly string[],
  client: Deno.HttpClient | undefined,
  timeout_ms: number = OUTWARD.timeout_ms,
): Fetch =>
async (url, options) => {
  const { host } = new URL(url);
  if (!hosts.includes(host)) {
    throw new OutwardFault(`the provider names ${host}, which the configuration does not have among its hosts`);
  }
  const timeout = AbortSignal.timeout(timeout_ms);
  const signal = options.signal ? AbortSignal.any([options.signal, timeout]) : timeout;
  let response: Response;
  try {
    response = await fetch(url, { ...options, redirect: "manual", signal, ...(client && { client }) });
  } catch (cause) {
    throw new OutwardFault(`${host} cannot be asked: ${fetchFailure(cause as Error)}`, { cause });
  }
  const body = await bounded(response, host);
  const empty = response.status === 204 || response.status === 304;
  return new Response(empty ? null : body, { status: response.status, headers: response.headers });
};

const bounded = async (response: Response, host: string): Promise<Uint8Array<ArrayBuffer>> => {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const piece of response.body ?? []) {
      bytes += piece.length;
      if (bytes > OUTWARD.body_bytes_max) break;
      pieces.push(piece);
    }
  } catch (cause) {
    throw new OutwardFault(`${host} did not answer in time`, { cause });
  }
  if (bytes > OUTWARD.body_bytes_max) {
    throw new OutwardFault(`${host} answered more than ${OUTWARD.body_bytes_max} bytes`);
  }
  const whole = new Uint8Array(bytes);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
};
