/**
 * A listener that demands what `Deno.serve` cannot: TLS 1.3 (RFC 8446) and nothing older, certificates of clients, and another certificate
 * of its own while connections go on. HTTP/1.1 by `node:https`; requests are answered as everywhere else.
 */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { getRequestListener } from "@hono/node-server";
import type { Clock } from "../../actors/kernel/world.ts";
import { Hearing } from "./hearing.ts";

export interface StrictTls {
  /** PEM. */
  readonly cert: string;
  readonly key: string;
  /** Authorities, PEM, one of which must have signed a client's certificate. Absent: none is asked for. */
  readonly clients?: string;
}

export interface StrictOptions {
  readonly hostname: string;
  /** 0: any free one. */
  readonly port: number;
  readonly tls: StrictTls;
  /** `remote`, `port`: of the other end; without a port once that is gone. */
  answer(request: Request, remote: string, port?: number): Response | Promise<Response>;
  /** What is told where answering itself failed. */
  broken(): Response;
  /** Told of each handshake that was refused. */
  refused?(): void;
  readonly clock: Clock;
  /** Default `STRICT`. */
  readonly bounds?: { readonly handshake_ms: number; readonly headers_ms: number };
}

export interface StrictListener {
  readonly hostname: string;
  readonly port: number;
  /** For connections from now on; those that are open go on. Throws for what is no certificate with its key. */
  renew(tls: StrictTls): void;
  /** Rejects when it has ended without being told to. */
  readonly lost: Promise<never>;
  /** Takes no more connections, and resolves when the last has ended. */
  close(): Promise<void>;
  /** Ends those that are left. */
  cut(): void;
}

export const STRICT = {
  /** A handshake that takes longer is broken off. */
  handshake_ms: 10_000,
  /** Headers that take longer to come end their connection. */
  headers_ms: 30_000,
  /** What was refused has so long to take the alert that says why. */
  alert_ms: 1_000,
} as const;

/** The platform would say what is wrong with them at the first handshake, to nobody. */
const contextOf = ({ cert, key, clients }: StrictTls) => {
  if (!new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))) {
    throw new TypeError("the private key is not the certificate's");
  }
  // Without any the platform would take those of the whole world.
  if (clients !== undefined) new X509Certificate(clients);
  return {
    cert,
    key,
    minVersion: "TLSv1.3" as const,
    ...(clients === undefined ? {} : { ca: clients, requestCert: true, rejectUnauthorized: true }),
  };
};

/** Throws `Deno.errors.AddrInUse` where another program has the address. */
export const listenStrictly = async (options: StrictOptions): Promise<StrictListener> => {
  const { handshake_ms, headers_ms } = options.bounds ?? STRICT;
  const answering = getRequestListener(
    (request, env) => {
      const { incoming: { socket } } = env as {
        readonly incoming: { readonly socket: { readonly remoteAddress?: string; readonly remotePort?: number } };
      };
      return options.answer(request, socket.remoteAddress ?? "", socket.remotePort);
    },
    { overrideGlobalObjects: false, errorHandler: () => options.broken() },
  );
  const server = createServer(
    {
      ...contextOf(options.tls),
      ALPNProtocols: ["http/1.1"],
      handshakeTimeout: handshake_ms,
      connectionsCheckingInterval: headers_ms,
    },
    (incoming, outgoing) => void answering(incoming, outgoing),
  );
  server.headersTimeout = headers_ms;
  server.requestTimeout = 0; // the door has deadlines of its own
  // Those whose handshake is under way are not among the connections that `closeAllConnections` knows.
  const open = new Set<Duplex>();
  server.on("connection", (socket) => {
    open.add(socket);
    socket.once("close", () => open.delete(socket));
  });
  const lost = Promise.withResolvers<never>();
  lost.promise.catch(() => {}); // for those who do not ask
  const hearing = new Hearing(server, { host: options.hostname, clock: options.clock, deaf: lost.reject });
  // The platform ends some of them, at times before its alert has left, and leaves others open.
  server.on("tlsClientError", (_, socket) => {
    if (!hearing.isOwn()) options.refused?.();
    const cancel = options.clock.schedule(STRICT.alert_ms, () => void socket.destroy());
    if (socket.destroyed) cancel();
    else socket.once("close", cancel);
  });
  server.on("clientError", (_, socket) => void socket.destroy());
  await listening(server, options);
  let closing = false;
  server.on("error", (error) => lost.reject(error));
  server.on("close", () => closing || lost.reject(new Error("it ended by itself")));
  const { address: hostname, port } = server.address() as AddressInfo;
  hearing.begin(port);
  return {
    hostname,
    port,
    lost: lost.promise,
    renew: (tls) => server.setSecureContext(contextOf(tls)),
    close() {
      closing = true;
      hearing.stop();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      return closed;
    },
    cut() {
      for (const socket of open) socket.destroy();
    },
  };
};

const listening = async (server: Server, { hostname, port }: StrictOptions): Promise<void> => {
  const done = Promise.withResolvers<void>();
  const failed = (error: Error & { readonly code?: string }) =>
    done.reject(error.code === "EADDRINUSE" ? new Deno.errors.AddrInUse(error.message) : error);
  server.once("error", failed);
  server.listen({ host: hostname, port }, () => done.resolve());
  await done.promise;
  server.off("error", failed);
};
