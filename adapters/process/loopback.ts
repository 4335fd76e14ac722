/**
 * HTTP to services of this machine: over a connection of our own each, so that no proxy that the environment names is ever asked, whoever
 * would read it there (`fetch` does, and so does `node:http` where `NODE_USE_ENV_PROXY` is set).
 */
import { Agent, type AgentOptions, request } from "node:http";
import { connect as connectPlain, isIP } from "node:net";
import { checkServerIdentity, connect as connectTls } from "node:tls";

/** Who a server may be, where it must show a certificate. */
export interface Trusted {
  /** What the certificate must be for. */
  readonly name: string;
  /** Beside those that the platform knows; PEM. */
  readonly authorities: readonly string[];
}

export interface Answered {
  readonly status: number;
  /** Who does not read to its end closes it. */
  readonly body: AsyncIterable<Uint8Array>;
  close(): void;
}

export interface Asked {
  readonly signal: AbortSignal;
  readonly headers?: Readonly<Record<string, string>>;
  /** Of an `https:` URL, asked at each look, for authorities are renewed. Default: the host of the URL, and no others. */
  readonly trusted?: () => Promise<Trusted>;
}

/** Answers of status 1xx (RFC 9110 section 15.2) that one request may get; endless ones would take all time there is, and memory with it. */
export const INTERIM_MAX = 100;

type Socket = ReturnType<typeof connectPlain>;

/**
 * Redirects are not followed. Ends soon after the signal aborts, and throws its reason; what else it throws says in one line what is
 * wrong, with nothing out of URL and answer.
 */
export const get = async (url: string, { signal, headers = {}, trusted }: Asked): Promise<Answered> => {
  const { protocol, hostname: host, port: stated, pathname, search } = new URL(url);
  const secure = protocol === "https:";
  const port = Number(stated || (secure ? 443 : 80));
  const trust = secure ? await trusted?.() ?? { name: host, authorities: [] } : undefined;
  try {
    const socket = trust ? await securely({ host, port, trust }, signal) : await plainly({ host, port }, signal);
    // As it is called in its certificate, or it would have to take the request for another's.
    const named = trust?.name ?? host;
    return await answered(socket, {
      path: `${pathname}${search}`,
      headers: { "user-agent": "daybook", ...headers, host: `${named.includes(":") ? `[${named}]` : named}:${port}` },
    });
  } catch (error) {
    throw signal.aborted ? signal.reason : told(error as Error);
  }
};

/** Ends soon after the signal aborts, with nothing left open, and throws as `get` does. Who gets it closes it. */
export const accepted = async (host: string, port: number, signal: AbortSignal): Promise<Socket> => {
  try {
    return await plainly({ host, port }, signal);
  } catch (error) {
    throw signal.aborted ? signal.reason : told(error as Error);
  }
};

/** Of one request. Without a `proxyEnv` of its own the platform would take its own environment's, and ask as proxies are asked. */
class Over extends Agent {
  constructor(private readonly socket: Socket) {
    super({ proxyEnv: {} } as AgentOptions);
  }

  override createConnection(): Socket {
    return this.socket;
  }
}

const answered = (
  socket: Socket,
  { path, headers }: { readonly path: string; readonly headers: Readonly<Record<string, string>> },
): Promise<Answered> => {
  const done = Promise.withResolvers<Answered>();
  const options = { agent: new Over(socket), path, headers: { ...headers, connection: "close" } };
  const asking = request(options, (message) => {
    message.on("error", () => {}); // whoever reads is told
    done.resolve({ status: message.statusCode ?? 0, body: message, close: () => void socket.destroy() });
  });
  let interim = 0;
  asking.on("information", () => {
    if (++interim <= INTERIM_MAX) return;
    done.reject(new Error(`more than ${INTERIM_MAX} interim answers`));
    socket.destroy(); // now: nobody who waits gets a turn while there is more to read
  });
  asking.on("upgrade", () => done.reject(new Error("it goes on with another protocol")));
  asking.on("error", done.reject);
  socket.on("close", () => done.reject(new Error("the connection was closed without an answer")));
  asking.end();
  return done.promise.catch((error) => {
    socket.destroy();
    throw error;
  });
};

/** Not by `Deno.connect`: where the signal aborts while the connection is made it stays open for good (Deno 2.9.6). */
const plainly = (at: { readonly host: string; readonly port: number }, signal: AbortSignal): Promise<Socket> =>
  opened(connectPlain(at), "connect", signal);

/** One whom the authorities given do not vouch for may be vouched for by those of the platform, which take longer to look through. */
const securely = async (
  { host, port, trust: { name, authorities } }: {
    readonly host: string;
    readonly port: number;
    readonly trust: Trusted;
  },
  signal: AbortSignal,
): Promise<Socket> => {
  const options = {
    host,
    port,
    ALPNProtocols: ["http/1.1"],
    checkServerIdentity: (_: string, shown: Parameters<typeof checkServerIdentity>[1]) =>
      checkServerIdentity(name, shown),
    ...(isIP(name) === 0 ? { servername: name } : {}),
  };
  const attempt = (more: { readonly ca?: string[] }) =>
    opened(connectTls({ ...options, ...more }), "secureConnect", signal);
  if (authorities.length === 0) return await attempt({});
  try {
    return await attempt({ ca: [...authorities] });
  } catch (error) {
    if (!UNVOUCHED.has((error as Coded).code ?? "")) throw error;
    return await attempt({});
  }
};

type Coded = { readonly code?: string };

/** As OpenSSL names them (X509_STORE_CTX_get_error(3)). */
const UNVOUCHED: ReadonlySet<string> = new Set([
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
]);

/** Resolves at the event; from then on it goes when the signal aborts. */
const opened = (socket: Socket, event: "connect" | "secureConnect", signal: AbortSignal): Promise<Socket> => {
  const done = Promise.withResolvers<Socket>();
  const stop = () => void socket.destroy();
  signal.addEventListener("abort", stop, { once: true });
  socket.once(event, () => done.resolve(socket));
  socket.on("error", done.reject);
  socket.on("close", () => {
    signal.removeEventListener("abort", stop);
    done.reject(new Error("the connection was closed"));
  });
  if (signal.aborted) stop();
  return done.promise;
};

const TOLD: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "the connection was closed without an answer",
};

const told = (error: Error): Error => {
  const { code = "" } = error as Coded;
  return new Error(TOLD[code] ?? error.message.split("\n", 1)[0]!, { cause: error });
};
