/**
 * Which site a request believes it speaks to, and which site sent it: against DNS rebinding and cross-site requests.
 *
 * A `Host` that is an address is always ours, since rebinding needs a name; names are `localhost` and what the
 * configuration gives. An `Origin` must be the site itself, whatever the method.
 */
import { addressOf } from "./addresses.ts";
import { Problem } from "./problem.ts";

export interface GuardOptions {
  /** Host names beside `localhost`, without ports, lower case. */
  readonly hosts?: readonly string[];
  /** Address of the proxy in front; its `Forwarded` (RFC 7239) is believed, nobody else's. */
  readonly behindProxy?: string;
}

/** What is known of the way a request came. */
export interface Way {
  /** `host` or `host:port` as the client wrote it, lower case; empty when it wrote none. */
  readonly host: string;
  readonly secure: boolean;
  /** Address of the client as it is compared (`addressOf`), for its budget of wrong tokens; empty on a Unix socket. Asked for only when it counts. */
  client(): string;
  /** The proxy has said whence it came, and nobody can tell what: its client wrote into it. */
  readonly garbled?: boolean;
}

// reg-name or IPv4, or an IPv6 literal in brackets, and a port (RFC 3986 section 3.2.2).
const HOST = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?$/;
const IPV4 = /^(?:\d{1,3}\.){3}\d{1,3}$/;
const VERDICTS_MAX = 64;

export class Guard {
  private readonly names: ReadonlySet<string>;
  // A server hears few hosts, over and over.
  private readonly verdicts = new Map<string, boolean>();
  private readonly proxy: string | undefined;

  constructor({ behindProxy, ...options }: GuardOptions) {
    this.proxy = behindProxy === undefined ? undefined : addressOf(behindProxy);
    this.names = new Set(["localhost", ...(options.hosts ?? []).map((host) => host.toLowerCase())]);
  }

  way(
    { headers, url }: Pick<Request, "headers" | "url">,
    { remote, secure }: { remote(): string; readonly secure: boolean },
  ): Way {
    const proxied = this.proxy !== undefined && addressOf(remote()) === this.proxy;
    // HTTP/2 has `:authority` instead (RFC 9113 section 8.3.1), which is part of the URL.
    const host = (headers.get("host") ?? authorityOf(url)).toLowerCase();
    if (!proxied) return { host, secure, client: () => addressOf(remote()) };
    const said = lastHop(headers.get("forwarded") ?? "");
    const hop = said ?? {};
    return {
      garbled: said === undefined,
      host: hop.host ?? host,
      secure: secure || hop.proto === "https",
      client: () => addressOf(hop.for ?? remote()),
    };
  }

  /**
   * Throws `misdirected` for a host that is not ours and `cross_origin` for a request that another site's page sent, unless the route is
   * there for such (`foreign`); `invalid_header` where nobody can tell who asks: else it would count as the proxy.
   */
  check(headers: Headers, way: Way, { foreign = false } = {}): void {
    if (way.garbled) throw new Problem("invalid_header", "What the proxy says in Forwarded is not as RFC 7239 has it.");
    if (!this.ours(way.host)) {
      throw new Problem("misdirected", "Use the host name the server was started with, or add yours to its `hosts`.");
    }
    if (foreign) return;
    const origin = headers.get("origin");
    if (origin !== null && origin.toLowerCase() !== `${way.secure ? "https" : "http"}://${way.host}`) {
      throw new Problem("cross_origin", "A page of another site may not send requests here.");
    }
    // Fetch Metadata: what a page of another site makes a browser send, with or without Origin; following a link is fine.
    if (headers.get("sec-fetch-site") === "cross-site" && headers.get("sec-fetch-mode") !== "navigate") {
      throw new Problem("cross_origin", "A page of another site may not send requests here.");
    }
  }

  private ours(host: string): boolean {
    const known = this.verdicts.get(host);
    if (known !== undefined) return known;
    const name = HOST.exec(host)?.[1];
    const ours = name !== undefined && (this.names.has(name) || name.startsWith("[") || IPV4.test(name));
    if (this.verdicts.size >= VERDICTS_MAX) this.verdicts.clear();
    this.verdicts.set(host, ours);
    return ours;
  }
}

const authorityOf = (url: string): string => {
  const start = url.indexOf("://") + 3;
  const end = url.indexOf("/", start);
  return url.slice(start, end < 0 ? url.length : end);
};

interface Hop {
  readonly for?: string;
  readonly host?: string;
  readonly proto?: string;
}

// The last of an element may have a semicolon behind it, too (RFC 7239 section 4).
const PAIR = /\s*([A-Za-z0-9!#$%&'*+.^_`|~-]+)=("(?:[^"\\]|\\.)*"|[^\s;,"]*)\s*(?:;\s*(?=,|$))?([;,]|$)/y;
const FORWARDED_LENGTH_MAX = 4_096;

/**
 * The last element of a `Forwarded` header: the one that the proxy in front of us added; `undefined` where it is malformed, also where a
 * parameter comes twice, which none may (RFC 7239 section 4).
 */
export const lastHop = (header: string): Hop | undefined => {
  if (header === "") return {};
  if (header.length > FORWARDED_LENGTH_MAX) return undefined;
  let hop = new Map<string, string>();
  PAIR.lastIndex = 0;
  for (let ended = ","; PAIR.lastIndex < header.length || ended !== "";) {
    const found = PAIR.exec(header);
    if (!found) return undefined;
    if (ended === ",") hop = new Map();
    const [, name, value, end] = found;
    const key = name!.toLowerCase();
    if (hop.has(key)) return undefined;
    hop.set(key, (value!.startsWith('"') ? value!.slice(1, -1).replace(/\\(.)/g, "$1") : value!).toLowerCase());
    ended = end!;
  }
  const [client, host, proto] = ["for", "host", "proto"].map((key) => hop.get(key));
  return { ...(client && { for: client }), ...(host && { host }), ...(proto && { proto }) };
};
