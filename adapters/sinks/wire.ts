/**
 * A connection to a receiver that is only written to, over TCP or TLS; what is closed is gone at once. The platform's own TLS keeps a
 * connection that was closed, for as long as the other side shakes no hand or takes nothing, and so does its TCP where the signal aborts
 * while the connection is made (Deno 2.9.6); so they go by `node:tls` and `node:net`.
 */
import { connect as connectPlain, isIP, type Socket } from "node:net";
import { connect } from "node:tls";

export interface Wire {
  /** Resolves when the receiver ends its side; rejects when the connection fails, or was closed here. */
  readonly ended: Promise<void>;
  write(bytes: Uint8Array): Promise<void>;
  /** Ends our side. */
  end(): Promise<void>;
  /** At once; may be called twice. */
  close(): void;
}

/** PEM; without `ca` the platform's authorities. */
export interface WireTls {
  readonly ca?: string;
  readonly certificate?: string;
  readonly key?: string;
}

interface Address {
  readonly host: string;
  readonly port: number;
}

/** Rejects, and leaves nothing behind, when the signal aborts before it is connected. */
export const tcpWire = ({ host, port }: Address, signal: AbortSignal): Promise<Wire> =>
  wireOver(connectPlain({ host, port }), "connect", signal);

/** Likewise, before the hands are shaken. */
export const tlsWire = (
  { host, port }: Address,
  { ca, certificate, key }: WireTls,
  signal: AbortSignal,
): Promise<Wire> =>
  wireOver(
    connect({
      host,
      port,
      ...(isIP(host) === 0 ? { servername: host } : {}),
      ...(ca === undefined ? {} : { ca }),
      ...(certificate === undefined ? {} : { cert: certificate, key: key! }),
    }),
    "secureConnect",
    signal,
  );

const wireOver = async (
  socket: Socket,
  event: "connect" | "secureConnect",
  signal: AbortSignal,
): Promise<Wire> => {
  const ended = endOf(socket);
  const opened = Promise.withResolvers<void>();
  const abort = () => {
    opened.reject(signal.reason);
    socket.destroy();
  };
  socket.once(event, opened.resolve);
  ended.then(() => opened.reject(new Error("the receiver closed the connection")), opened.reject);
  signal.addEventListener("abort", abort, { once: true });
  if (signal.aborted) abort();
  try {
    await opened.promise;
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    signal.removeEventListener("abort", abort);
  }
  socket.resume();
  return {
    ended,
    write: (bytes) =>
      new Promise((resolve, reject) => void socket.write(bytes, (error) => error ? reject(error) : resolve())),
    end: () => new Promise((resolve) => void socket.end(() => resolve())),
    close: () => void socket.destroy(),
  };
};

const endOf = (socket: Socket): Promise<void> =>
  new Promise((resolve, reject) => {
    // RFC 5425 section 4.4 asks the receiver for a close_notify of its own; rsyslog closes without, which is an end here as well.
    socket.once("end", resolve);
    socket.on("error", reject);
    socket.once("close", () => reject(new Error("the connection was closed")));
  });
