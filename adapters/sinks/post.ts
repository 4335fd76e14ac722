/**
 * Receivers of HTTP for sinks: one request an event, posted anew until it is taken. What is in a request is for who makes it.
 */
import { type Connection, Later, type Parcel, type Refusal, type Transport } from "../../actors/kernel/transport.ts";
import { fetchFailure } from "../../actors/kernel/fetch_failure.ts";

export interface PostOptions {
  readonly url: string;
  /** Certificates of authorities to trust beside the platform's, PEM. */
  readonly ca?: string;
  /** Requests on their way at a time; those of one hand-over may then overtake each other. */
  readonly parallel: number;
  readonly request: (parcel: Parcel) => { readonly body: string; readonly headers?: Readonly<Record<string, string>> };
}

/** What is wrong with the message itself; all else may pass: a wrong address, a missing secret, too many at once. */
const REFUSED: readonly number[] = [400, 413, 415, 422];
const RETRY_AFTER_MS_MAX = 3_600_000;

export const postTransport = ({ url, ca, parallel, request }: PostOptions): Transport => {
  const post = async (parcel: Parcel, client: Deno.HttpClient, signal: AbortSignal): Promise<Refusal | undefined> => {
    const { position } = parcel;
    const { body, headers = {} } = request(parcel);
    const response = await fetch(url, {
      method: "POST",
      body,
      headers: { "content-type": "application/json", ...headers },
      redirect: "manual",
      signal,
      client,
    }).catch((error) => {
      throw new Error(unreachable(error));
    });
    await response.body?.cancel();
    if (response.ok) return undefined;
    const because = `the receiver answered ${response.status}`;
    if (REFUSED.includes(response.status)) return { position, because };
    const seconds = Number(response.headers.get("retry-after") ?? NaN);
    if (seconds > 0) throw new Later(Math.min(seconds * 1_000, RETRY_AFTER_MS_MAX), because);
    throw new Error(because);
  };

  return {
    connect() {
      const client = Deno.createHttpClient(ca === undefined ? {} : { caCerts: [ca] });
      let open = true;
      const connection: Connection = {
        settleMs: 0,
        stays: true,
        async send(parcels, signal, answered) {
          const refused: Refusal[] = [];
          const waiting = parcels.values();
          const stop = new AbortController();
          const lane = async () => {
            for (const parcel of waiting) {
              const refusal = await post(parcel, client, AbortSignal.any([signal, stop.signal]));
              if (refusal) refused.push(refusal);
              answered?.(parcel, refusal);
            }
          };
          try {
            await Promise.all(Array.from({ length: Math.min(parallel, parcels.length) }, lane));
          } finally {
            stop.abort();
          }
          return refused;
        },
        settle: () => Promise.resolve(),
        close() {
          if (open) client.close();
          open = false;
        },
      };
      return Promise.resolve(connection);
    },
  };
};

const unreachable = (error: unknown): string =>
  error instanceof Error ? fetchFailure(error) : "the receiver cannot be reached";
