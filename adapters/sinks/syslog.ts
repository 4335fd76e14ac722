/**
 * A receiver of syslog over TCP (RFC 6587 section 3.4.1, octet counting) or TLS (RFC 5425), which frames alike.
 *
 * Neither has an acknowledgement. What stands in for one: after the last message the connection must hold for a while, which one
 * whose program dies does not; then we close our side, and the receiver closes its own when it has read to the end. What was sent on
 * a connection that ends otherwise is sent again.
 */
import type { Connection, Transport } from "../../actors/kernel/transport.ts";
import { type Clock, pause } from "../../actors/kernel/world.ts";

export interface SyslogOptions {
  readonly host: string;
  readonly port: number;
  /** Absent: plain TCP. PEM; without `ca` the platform's authorities. */
  readonly tls?: { readonly ca?: string; readonly certificate?: string; readonly key?: string };
  readonly settleMs: number;
  readonly clock: Clock;
}

export const syslogTransport = ({ host, port, tls, settleMs, clock }: SyslogOptions): Transport => ({
  async connect(signal) {
    const hostname = host;
    const opening: Promise<Deno.TcpConn | Deno.TlsConn> = tls
      ? Deno.connectTls({
        hostname,
        port,
        ...(tls.ca === undefined ? {} : { caCerts: [tls.ca] }),
        ...(tls.certificate === undefined ? {} : { cert: tls.certificate, key: tls.key! }),
      }).then(async (conn) => {
        try {
          await conn.handshake();
        } catch (error) {
          conn.close();
          throw error;
        }
        return conn;
      })
      : Deno.connect({ hostname, port, signal });
    let late = false;
    opening.then((conn) => late && conn.close(), () => {}); // nobody waits for it any more
    const giveUp = Promise.withResolvers<never>();
    const abort = () => {
      late = true;
      giveUp.reject(signal.reason);
    };
    signal.addEventListener("abort", abort, { once: true });
    try {
      return connectionOn(await Promise.race([opening, giveUp.promise]), { settleMs, clock });
    } finally {
      signal.removeEventListener("abort", abort);
    }
  },
});

const connectionOn = (
  conn: Deno.TcpConn | Deno.TlsConn,
  { settleMs, clock }: Pick<SyslogOptions, "settleMs" | "clock">,
): Connection => {
  const utf8 = new TextEncoder();
  let [open, ending, lastSent] = [true, false, clock.monotonic()];
  const lost = Promise.withResolvers<never>();
  lost.promise.catch(() => {}); // nobody may be waiting
  const ended = Promise.withResolvers<void>();
  ended.promise.catch(() => {});

  // A receiver of syslog says nothing; that it ends is all there is to read.
  const listen = async () => {
    const said = new Uint8Array(1_024);
    try {
      while (await conn.read(said) !== null);
    } catch (error) {
      // RFC 5425 section 4.4 asks the receiver for a close_notify of its own; rsyslog closes without.
      if (!ending || !(error instanceof Deno.errors.UnexpectedEof)) throw error;
    }
    if (!ending) throw new Error("the receiver closed the connection");
  };
  listen().then(ended.resolve, (cause) => {
    lost.reject(cause);
    ended.reject(cause);
  });

  const close = () => {
    if (open) conn.close();
    open = false;
  };
  return {
    settleMs,
    stays: false,
    lost: lost.promise,
    async send(parcels, signal) {
      signal.addEventListener("abort", close, { once: true });
      try {
        const bytes = utf8.encode(parcels.map(({ text }) => `${utf8.encode(text).length} ${text}`).join(""));
        const writing = async () => {
          for (let done = 0; done < bytes.length;) done += await conn.write(bytes.subarray(done));
        };
        await Promise.race([writing(), lost.promise]);
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
        await conn.closeWrite();
        await ended.promise;
      } finally {
        enough.abort();
        signal.removeEventListener("abort", close);
      }
    },
    close,
  };
};
