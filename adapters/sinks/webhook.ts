/**
 * A webhook as the receiver of a sink: one message an event, posted and signed as Standard Webhooks 1.0 has it. Messages of one
 * hand-over may overtake each other.
 */
import type { Transport } from "../../actors/kernel/transport.ts";
import type { Clock } from "../../actors/kernel/world.ts";
import { prefixOf } from "./ids.ts";
import { postTransport } from "./post.ts";
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

export const webhookTransport = ({ url, keys, ca, parallel, origin, clock }: WebhookOptions): Transport => {
  const prefix = `evt_${prefixOf(origin)}`;
  return postTransport({
    url,
    ca,
    parallel,
    request({ event, position, part, text }) {
      const id = part === 0 ? `${prefix}_${position}` : `${prefix}_${position}_${part}`;
      const body = `{"type":${JSON.stringify(event.type)},"timestamp":${JSON.stringify(event.time)},"data":${text}}`;
      return { body, headers: signedHeaders(keys, { id, at: clock.now(), body }) };
    },
  });
};
