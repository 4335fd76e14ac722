/**
 * A connection to a receiver that is only written to, over TCP or TLS; what is closed is gone at once. The platform's own TLS keeps a
 * connection that was closed, for as long as the other side shakes no hand or takes nothing (Deno 2.9.6), so TLS goes by `node:tls`.
 */
import { isIP } from "node:net";
import { connect, type TLSSocket } from "node:tls";

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

export const tcpWire = async ({ host: hostname, port }: Address, signal: AbortSignal): Promise<Wire> => {
  const conn = await Deno.connect({ hostname, port, signal });
  let open = true;
  if (signal.aborted) {
    conn.close(); // nobody waits for it any more
    throw signal.reason;
  }
  // A receiver of syslog says nothing; that it ends is all there is to read.
  const listen = async () => {
    const said = new Uint8Array(1_024);
    while (await conn.read(said) !== null);
  };
  return {
    ended: listen(),
    async write(bytes) {
      for (let done = 0; done < bytes.length;) done += await conn.write(bytes.subarray(done));
    },
    end: () => conn.closeWrite(),
    close() {
      if (open) conn.close();
      open = false;
    },
  };
};

/** Rejects, and leaves nothing behind, when the signal aborts before the hands are shaken. */
export const tlsWire = async (
  { host, port }: Address,
  { ca, certificate, key }: WireTls,
  signal: AbortSignal,
): Promise<Wire> => {
  const socket = connect({
    host,
    port,
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ...(ca === undefined ? {} : { ca }),
    ...(certificate === undefined ? {} : { cert: certificate, key: key! }),
  });
  const ended = endOf(socket);
  const shaken = Promise.withResolvers<void>();
  const abort = () => {
    shaken.reject(signal.reason);
    socket.destroy();
  };
  socket.once("secureConnect", shaken.resolve);
  ended.then(() => shaken.reject(new Error("the receiver closed the connection")), shaken.reject);
  signal.addEventListener("abort", abort, { once: true });
  if (signal.aborted) abort();
  try {
    await shaken.promise;
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

const endOf = (socket: TLSSocket): Promise<void> =>
  new Promise((resolve, reject) => {
    // RFC 5425 section 4.4 asks the receiver for a close_notify of its own; rsyslog closes without, which is an end here as well.
    socket.once("end", resolve);
    socket.on("error", reject);
    socket.once("close", () => reject(new Error("the connection was closed")));
  });
