/**
 * A receiver of syslog over TCP (RFC 6587 section 3.4.1, octet counting) or TLS (RFC 5425), which frames alike.
 *
 * Neither has an acknowledgement. What stands in for one: after the last message the connection must hold for a while, which one
 * whose program dies does not; then we close our side, and the receiver closes its own when it has read to the end. What was sent on
 * a connection that ends otherwise is sent again.
 */
import type { Connection, Transport } from "../../actors/kernel/transport.ts";
import { type Clock, pause } from "../../actors/kernel/world.ts";
import { tcpWire, tlsWire, type Wire, type WireTls } from "./wire.ts";

export interface SyslogOptions {
  readonly host: string;
  readonly port: number;
  /** Absent: plain TCP. */
  readonly tls?: WireTls;
  readonly settleMs: number;
  readonly clock: Clock;
}

export const syslogTransport = ({ tls, settleMs, clock, ...address }: SyslogOptions): Transport => ({
  async connect(signal) {
    const wire = await (tls ? tlsWire(address, tls, signal) : tcpWire(address, signal));
    return connectionOn(wire, { settleMs, clock });
  },
});

const connectionOn = (wire: Wire, { settleMs, clock }: Pick<SyslogOptions, "settleMs" | "clock">): Connection => {
  const utf8 = new TextEncoder();
  let [ending, lastSent] = [false, clock.monotonic()];
  const lost = Promise.withResolvers<never>();
  lost.promise.catch(() => {}); // nobody may be waiting
  wire.ended.then(() => {
    if (!ending) lost.reject(new Error("the receiver closed the connection"));
  }, lost.reject);
  const close = () => wire.close();
  return {
    settleMs,
    stays: false,
    lost: lost.promise,
    async send(parcels, signal) {
      signal.addEventListener("abort", close, { once: true });
      try {
        const bytes = utf8.encode(parcels.map(({ text }) => `${utf8.encode(text).length} ${text}`).join(""));
        await Promise.race([wire.write(bytes), lost.promise]);
        lastSent = clock.monotonic();
      } finally {
        signal.removeEventListener("abort", close);
      }
      return [];
    },
    async settle(signal) {
      signal.addEventListener("abort", close, { once: true });
      const enough = new AbortController();
      try {
        const left = Math.max(0, lastSent + settleMs - clock.monotonic());
        await Promise.race([pause(clock, left, enough.signal), lost.promise]);
        ending = true;
        await Promise.race([wire.end(), lost.promise]);
        await wire.ended;
      } finally {
        enough.abort();
        signal.removeEventListener("abort", close);
      }
    },
    close,
  };
};
