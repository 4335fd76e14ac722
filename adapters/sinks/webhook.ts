/**
 * A webhook as the receiver of a sink: one message an event, posted and signed as Standard Webhooks 1.0 has it. Messages of one
 * hand-over may overtake each other.
 */
import { createHash } from "node:crypto";
import { type Connection, Later, type Parcel, type Refusal, type Transport } from "../../actors/kernel/transport.ts";
import type { Clock } from "../../actors/kernel/world.ts";
import { signedHeaders } from "./signing.ts";

export interface WebhookOptions {
  readonly url: string;
  readonly keys: readonly Uint8Array[];
  /** Certificates of authorities to trust beside the platform's, PEM. */
  readonly ca?: string;
  /** Messages on their way at a time. */
  readonly parallel: number;
  /** Name of the log, so that ids of two logs differ. */
  readonly origin: string;
  readonly clock: Clock;
}

/** What is wrong with the message itself; all else may pass: a wrong address, a missing secret, too many at once. */
const REFUSED: readonly number[] = [400, 413, 415, 422];
const RETRY_AFTER_MS_MAX = 3_600_000;

export const webhookTransport = ({ url, keys, ca, parallel, origin, clock }: WebhookOptions): Transport => {
  const prefix = `evt_${createHash("sha256").update(origin).digest("base64url").slice(0, 12)}`;

  const post = async (parcel: Parcel, client: Deno.HttpClient, signal: AbortSignal): Promise<Refusal | undefined> => {
    const { event, position, part, text } = parcel;
    const id = part === 0 ? `${prefix}_${position}` : `${prefix}_${position}_${part}`;
    const body = `{"type":${JSON.stringify(event.type)},"timestamp":${JSON.stringify(event.time)},"data":${text}}`;
    const response = await fetch(url, {
      method: "POST",
      body,
      headers: {
        "content-type": "application/json",
        ...signedHeaders(keys, { id, at: clock.now(), body }),
      },
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
        async send(parcels, signal) {
          const refused: Refusal[] = [];
          const waiting = parcels.values();
          const stop = new AbortController();
          const lane = async () => {
            for (const parcel of waiting) {
              const refusal = await post(parcel, client, AbortSignal.any([signal, stop.signal]));
              if (refusal) refused.push(refusal);
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

/** The platform repeats the URL, which may hold what is nobody's business. */
const unreachable = (error: unknown): string => {
  if (!(error instanceof Error)) return "the receiver cannot be reached";
  const { message } = error.cause instanceof Error ? error.cause : error;
  return message.replace(/ for url \([^)]*\)/g, "");
};
