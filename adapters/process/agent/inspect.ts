/**
 * What a program would be started with, looked at before it is: who else may read its secrets, what is missing, what goes out in the
 * clear. Nothing secret is in the answer.
 */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { isIP } from "node:net";
import { resolve } from "node:path";
import { unheldOf } from "./cgroups.ts";
import { environmentOf } from "./environment.ts";
import type { Inspected, ToAgent } from "./protocol.ts";

type Inspect = Extract<ToAgent, { ask: "inspect" }>;

export const INSPECT = {
  /** Of a file of TLS; one that is larger is none. A bundle of all authorities there are has about half. */
  file_bytes_max: 409_600,
  /** Of URLs, and of characters of one. */
  urls_max: 20,
  url_chars_max: 200,
} as const;

/** Read permission of others (POSIX.1-2017, sys/stat.h). */
const S_IROTH = 0o004;

export const inspect = (ask: Inspect, own: (name: string) => string | undefined): Inspected => {
  const { environment, requires, tls } = ask;
  const files = Object.values(environment).flatMap((value) =>
    typeof value === "object" && "file" in value ? [value.file] : []
  );
  const [certificate, authority] = [tls.certificate, tls.authority].map((path) => pemIn(textOf(ask, path)));
  const unheld = unheldOf(ask.held);
  const key = tls.key === undefined ? undefined : textOf(ask, tls.key) ?? "";
  return {
    root: Deno.uid() === 0,
    missing: requires.filter((name) => !isThere(ask, name, own)),
    readable: [...new Set([...files, ...(tls.key === undefined ? [] : [tls.key])])]
      .filter((path) => (modeOf(ask, path) & S_IROTH) !== 0),
    plain: plainIn(ask, own),
    ...(unheld === undefined ? {} : { unheld }),
    ...(certificate === undefined ? {} : { certificate }),
    ...(authority === undefined ? {} : { authority }),
    ...(certificate === undefined || key === undefined ? {} : { fits: belongTogether(certificate, key) }),
  };
};

/** One after the other, for one that is not there keeps nothing else from being looked at. */
const valueOf = (
  { environment, inherit, folder }: Inspect,
  name: string,
  own: (name: string) => string | undefined,
): string | undefined => {
  const value = environment[name];
  const alone = value === undefined
    ? { environment: {}, inherit: inherit.filter((each) => each === name), folder }
    : { environment: { [name]: value }, inherit: [], folder };
  const found = environmentOf(alone, own);
  return "refused" in found ? undefined : found.variables[name];
};

const isThere = (ask: Inspect, name: string, own: (name: string) => string | undefined): boolean =>
  (valueOf(ask, name, own) ?? "").trim() !== "";

const textOf = ({ folder }: Inspect, path: string | undefined): string | undefined => {
  if (path === undefined) return undefined;
  const file = resolve(folder, path);
  try {
    const stat = statSync(file);
    // A pipe would be waited for.
    return stat.isFile() && stat.size <= INSPECT.file_bytes_max ? readFileSync(file, "utf8") : undefined;
  } catch {
    return undefined;
  }
};

const PEM = /-----BEGIN ([A-Z0-9 ]{1,50})-----([A-Za-z0-9+/=\s]*)-----END \1-----/g;

/** Its blocks (RFC 7468) in their strict form, for the rest would say nothing and may be long in JSON. */
const pemIn = (text: string | undefined): string | undefined =>
  text === undefined
    ? undefined
    : [...text.matchAll(PEM)].map(([, label, body = ""]) =>
      [`-----BEGIN ${label}-----`, ...body.replace(/\s/g, "").match(/.{1,64}/g) ?? [], `-----END ${label}-----\n`].join(
        "\n",
      )
    ).join("");

const modeOf = ({ folder }: Inspect, path: string): number => {
  try {
    return statSync(resolve(folder, path)).mode;
  } catch {
    return 0;
  }
};

const belongTogether = (certificate: string, key: string): boolean => {
  try {
    return new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key));
  } catch {
    return false;
  }
};

/** Schemes that have another one, or an option, for TLS. */
const PLAIN =
  /\b(http|ws|ftp|ldap|smtp|amqp|mqtt|redis|nats|stomp|kafka|mongodb|mysql|mariadb|postgres|postgresql|tcp|grpc):\/\/([^\s"'<>]*)/gi;
/** What asks for TLS in the query: of PostgreSQL, MySQL and MariaDB, MongoDB. */
const SECURED = /[?&](sslmode=(require|verify-ca|verify-full)|ssl-mode=(required|verify_\w+)|(tls|ssl|usessl)=true)\b/i;

const plainIn = (ask: Inspect, own: (name: string) => string | undefined): Inspected["plain"] => {
  const texts = [
    ...Object.keys(ask.environment).map((name) => [name, valueOf(ask, name, own) ?? ""] as const),
    ...ask.arguments.map((text, at) => [`argument ${at + 1}`, text] as const),
  ];
  return texts.flatMap(([where, text]) =>
    [...text.matchAll(PLAIN)].flatMap(([, scheme = "", rest = ""]) => {
      if (SECURED.test(rest)) return [];
      return hostsIn(rest).map(({ host, port }) => ({
        where,
        url: `${scheme.toLowerCase()}://${host}${port}`.slice(0, INSPECT.url_chars_max),
        loopback: isLoopback(host),
      }));
    })
  ).slice(0, INSPECT.urls_max);
};

/** Several with commas between, as some have it; without who signs in, and none where it is a socket. */
const hostsIn = (rest: string): readonly { readonly host: string; readonly port: string }[] => {
  const authority = rest.split(/[/?#]/, 1)[0]!;
  return authority.slice(authority.lastIndexOf("@") + 1).split(",").flatMap((each) => {
    const found = /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_.-]+)(:\d{1,5})?$/.exec(each);
    return found ? [{ host: found[1]!.toLowerCase(), port: found[2] ?? "" }] : [];
  });
};

const isLoopback = (host: string): boolean => {
  const bare = host.replace(/^\[|\]$/g, "");
  return bare === "localhost" || bare.endsWith(".localhost") || bare === "::1" ||
    isIP(bare) === 4 && bare.startsWith("127.");
};
