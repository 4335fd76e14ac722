/**
 * What OpenSSH's server says of a sign-in, told apart as its source prints it (auth.c, auth2.c, packet.c, sshd.c, monitor.c, and PAM's own
 * lines), from 6 to 10. A name that is nobody's may be anything, " from 192.0.2.1 port 22 ssh2" too, so what the server adds behind it is read
 * from the end; behind an account's it is read from the beginning.
 */
import type { ObservedMessage } from "../../events/identity/signin.ts";

export interface Said {
  readonly outcome: "accepted" | "failed" | "noted";
  readonly message: ObservedMessage;
  readonly method?: string;
  readonly name?: string;
  readonly unknown_name?: true;
  readonly address?: string;
  readonly port?: number;
  readonly times?: number;
}

type Groups = Readonly<Record<string, string | undefined>>;
type Rule = readonly [RegExp, (groups: Groups) => Pick<Said, "outcome" | "message" | "method" | "times">];

const PORT = String.raw`(?: port (?<port>\d{1,5}))?`;
/** As long as an event holds; the server's own are much shorter. */
const METHOD = String.raw`(?<method>\S{1,64})`;
const UNKNOWN = String.raw`(?<unknown>(?:invalid|illegal) user )`;
const NAME = String.raw`${UNKNOWN}?(?<name>.*)`;
/** One that is there, so that nobody chose it for what it says. A certificate's id behind it may be anything. */
const ACCOUNT = "(?<name>.*?)";
/** Both, one after the other, where something may stand behind. */
const EITHER = [`${UNKNOWN}(?<name>.*)`, ACCOUNT];
const FROM = String.raw` from (?<address>\S+)${PORT}(?: ssh\d?)?`;
/** Behind a name, with nothing between: never a number alone, which is the port. */
const BEHIND = String.raw` (?<address>(?!\d+$)\S+)${PORT}`;
const is = (outcome: Said["outcome"], message: ObservedMessage) => () => ({ outcome, message });
const noted = (message: ObservedMessage) => is("noted", message);
const failed = (message: ObservedMessage) => is("failed", message);
const rule = (pattern: string, told: Rule[1]): Rule => [new RegExp(`^${pattern}$`, "s"), told];

/** By the first word; the first that fits counts. */
const RULES: ReadonlyMap<string, readonly Rule[]> = new Map(Object.entries<readonly Rule[]>({
  Accepted: [
    rule(`Accepted ${METHOD} for ${ACCOUNT}${FROM}(?:: .*)?`, ({ method }) => ({
      outcome: "accepted",
      message: "accepted",
      method,
    })),
  ],
  Failed: EITHER.map((who) =>
    rule(`Failed ${METHOD} for ${who}${FROM}(?:: .*)?`, ({ method }) => ({
      outcome: "failed",
      message: "failed",
      method,
    }))
  ),
  Postponed: [rule(`Postponed ${METHOD} for ${NAME}${FROM}`, partial)],
  Partial: EITHER.map((who) => rule(`Partial ${METHOD} for ${who}${FROM}(?:: .*)?`, partial)),
  Invalid: [rule(`Invalid (?<unknown>user )(?<name>.*) from (?<address>\\S+)${PORT}`, failed("unknown_name"))],
  Illegal: [rule(`Illegal (?<unknown>user )(?<name>.*) from (?<address>\\S+)${PORT}`, failed("unknown_name"))],
  User: [
    rule("User (?<name>.*) from (?<address>\\S+) not allowed because .*", failed("not_allowed")),
    rule("User (?<name>.*) not allowed because .*", failed("not_allowed")),
  ],
  Login: [rule("Login restricted for (?<name>.*): .*", failed("not_allowed"))],
  ROOT: [rule(`(?<name>ROOT) LOGIN REFUSED FROM (?<address>\\S+)${PORT}`, failed("not_allowed"))],
  refused: [rule("refused connect from \\S+ \\((?<address>\\S+)\\)", failed("not_allowed"))],
  Authentication: [
    rule(
      "Authentication tried for (?<name>.*) with correct key but not from a permitted host \\(host=.*, ip=(?<address>[^\\s,)]+).*",
      failed("not_allowed"),
    ),
    rule(
      `[Aa]uthentication (?:failure|error|failed) for ${NAME} from (?<address>\\S+)(?: via \\S+)?`,
      failed("failed"),
    ),
  ],
  maximum: [rule(`maximum authentication attempts exceeded for ${NAME}${FROM}`, failed("too_many_failures"))],
  Disconnecting: [
    rule(
      "Disconnecting(?: from)?(?: (?:(?<unknown>invalid)|authenticating) user (?<name>.*))? (?<address>\\S+) port (?<port>\\d{1,5}): .*",
      noted("disconnected"),
    ),
    rule("Disconnecting: .*", noted("disconnected")),
  ],
  Disconnected: [
    rule(
      `Disconnected from(?: (?:(?<unknown>invalid) |authenticating )?user (?<name>.*))?${BEHIND}`,
      noted("disconnected"),
    ),
  ],
  Received: [
    rule(`Received disconnect from (?<address>\\S+?)${PORT}:\\s*3: .*: Auth fail.*`, failed("failed")),
    rule(`Received disconnect from (?<address>\\S+?)${PORT}:\\s*\\d+:.*`, noted("disconnected")),
  ],
  Connection: [
    rule(
      `Connection (?:closed|reset) by(?: (?:(?<unknown>invalid)|authenticating) user (?<name>.*))?${BEHIND}`,
      noted("disconnected"),
    ),
    rule(`Connection from (?<address>\\S+) port (?<port>\\d{1,5})(?: on .*)?`, noted("connection")),
  ],
  Did: [rule(`Did not receive identification string from (?<address>\\S+)${PORT}`, noted("connection"))],
  Bad: [
    rule(`Bad protocol version identification '.*' from (?<address>\\S+)${PORT}`, noted("connection")),
  ],
  banner: [rule(`banner exchange: Connection from (?<address>\\S+)${PORT}: .*`, noted("connection"))],
  "kex_exchange_identification:": [rule("kex_exchange_identification: .*", noted("connection"))],
  "ssh_dispatch_run_fatal:": [
    rule(
      "ssh_dispatch_run_fatal: Connection from(?: (?:(?<unknown>invalid)|authenticating) user (?<name>.*))? (?<address>\\S+) port (?<port>\\d{1,5}): .*",
      noted("connection"),
    ),
  ],
  Unable: [rule(`Unable to negotiate with (?<address>\\S+)${PORT}: .*`, noted("connection"))],
  Protocol: [rule(`Protocol major versions differ for (?<address>\\S+?)${PORT}: .*`, noted("connection"))],
  Timeout: [
    rule(
      `Timeout before authentication for (?:connection from )?(?<address>\\S+)${PORT}(?: to .*)?`,
      noted("connection"),
    ),
  ],
  drop: [
    rule("drop connection #\\d+ from \\[(?<address>[^\\]]+)\\]:(?<port>\\d{1,5}) on .*", noted("connection")),
  ],
  Address: [
    rule("Address (?<address>\\S+) maps to .*, but this does not map back to the address.*", noted("reverse_mapping")),
  ],
  reverse: [
    rule("reverse mapping checking getaddrinfo for \\S+ \\[(?<address>\\S+)\\] failed.*", noted("reverse_mapping")),
  ],
  Nasty: [rule('Nasty PTR record ".*" is set up for (?<address>\\S+), ignoring', noted("reverse_mapping"))],
  PAM: [
    rule(
      "PAM (?<more>[1-9]\\d*) more authentication failures?;.* rhost=(?<address>\\S*)(?:\\s+user=(?<name>.*))?\\s*",
      ({ more }) => ({
        outcome: "noted",
        message: "pam",
        times: bounded(Number(more)),
      }),
    ),
  ],
  // What PAM answered in its own words (pam_strerror(3)), one of which ends in "for service".
  "PAM:": [
    rule(
      `PAM: (?:Have exhausted maximum number of retries for service|[A-Za-z][^:]*?) for ${NAME} from (?<address>\\S+)(?: via \\S+)?\\s*`,
      failed("failed"),
    ),
  ],
  Access: [rule("Access denied for user (?<name>.*) by PAM account configuration", failed("not_allowed"))],
  Starting: [rule(`Starting session: .* for (?<name>.*) from (?<address>\\S+)${PORT} id \\d+`, noted("session"))],
  Close: [rule(`Close session: user (?<name>.*) from (?<address>\\S+)${PORT} id \\d+`, noted("session"))],
}));

const MODULES: readonly Rule[] = [
  rule(
    "pam_\\w+\\(sshd:auth\\): authentication failure;.* rhost=(?<address>\\S*)(?:\\s+user=(?<name>.*))?\\s*",
    noted("pam"),
  ),
  rule("pam_\\w+\\(sshd:auth\\): .*", noted("pam")),
  rule("pam_\\w+\\(sshd:account\\): .*", noted("pam")),
  rule("pam_\\w+\\(sshd:session\\): session opened for user (?<name>[^(]*)(?:\\(uid=\\d+\\))? by .*", noted("session")),
  rule("pam_\\w+\\(sshd:session\\): session closed for user (?<name>.*)", noted("session")),
];

function partial({ method }: Groups): ReturnType<Rule[1]> {
  return { outcome: "noted", message: "partial", method };
}

/** Nobody tries so often; more is not written by who counts. */
const TIMES_MAX = 1_000_000_000;
const bounded = (times: number): number => Math.min(times, TIMES_MAX);

const NONE: Groups = {};
const REPEATED = /^message repeated (\d{1,9}) times: \[ (.*)\]$/s;
const PREFIX = /^(?:error: |fatal: )+/;
const PREAUTH = " [preauth]";
/** OpenSSH writes 1,023 bytes at most; what is longer was not written by it. */
const CHARS_MAX = 4_096;

/** `undefined` for what tells of no sign-in: that it listens, what its keys are, and whatever is not known here. */
export const saidIn = (message: string): Said | undefined => {
  if (message.length > CHARS_MAX) return undefined;
  if (message.startsWith("message repeated ")) {
    const [, times, inner] = REPEATED.exec(message) ?? [];
    const said = inner === undefined ? undefined : saidIn(inner);
    return said && Number(times) > 0 ? { ...said, times: bounded(Number(times) * (said.times ?? 1)) } : undefined;
  }
  const first = message.charCodeAt(0);
  let text = message;
  // `e`rror, `f`atal
  if (first === 101 || first === 102) text = text.replace(PREFIX, "");
  if (text.endsWith(PREAUTH)) text = text.slice(0, -PREAUTH.length);
  const space = text.indexOf(" ");
  const word = space < 0 ? text : text.slice(0, space);
  const rules = word.startsWith("pam_") ? MODULES : RULES.get(word === "authentication" ? "Authentication" : word);
  if (rules === undefined) return undefined;
  for (const [pattern, told] of rules) {
    const found = pattern.exec(text);
    if (!found) continue;
    const groups = found.groups ?? NONE;
    return { ...told(groups), ...whoIn(groups) };
  }
  return undefined;
};

const whoIn = ({ name, unknown, address, port }: Groups): Partial<Said> => {
  const who: { name?: string; unknown_name?: true; address?: string; port?: number } = {};
  if (name !== undefined && name !== "") who.name = name;
  if (unknown !== undefined) who.unknown_name = true;
  if (address !== undefined && address !== "") who.address = address;
  if (port !== undefined && Number(port) <= 65_535) who.port = Number(port);
  return who;
};
