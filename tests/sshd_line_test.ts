/** A line of a log is told apart from others, and what OpenSSH's server says in it is read for who, from where and how it ended. */
import assert from "node:assert/strict";
import { Calendar } from "../adapters/sshd/calendar.ts";
import { lineOf, type Told } from "../adapters/sshd/line.ts";
import { type Said, saidIn } from "../adapters/sshd/message.ts";

const from = { address: "192.0.2.7", port: 4711 } as const;
const SAID: readonly (readonly [string, Said])[] = [
  ["Accepted password for ada from 192.0.2.7 port 4711 ssh2", accepted("password")],
  ["Accepted publickey for ada from 192.0.2.7 port 4711 ssh2: ED25519 SHA256:abc", accepted("publickey")],
  ["Accepted keyboard-interactive/pam for ada from 2001:db8::1 port 4711 ssh2", {
    ...accepted("keyboard-interactive/pam"),
    address: "2001:db8::1",
  }],
  ["Failed password for ada from 192.0.2.7 port 4711 ssh2", failed("failed", "ada")],
  ["Failed password for invalid user bob from 192.0.2.7 port 4711 ssh2", {
    ...failed("failed", "bob"),
    unknown_name: true,
  }],
  ["Failed none for invalid user  from 192.0.2.7 port 4711 ssh2", {
    outcome: "failed",
    message: "failed",
    method: "none",
    unknown_name: true,
    ...from,
  }],
  // Whatever a name says, the server's own words are behind it.
  ["Failed password for invalid user a from 198.51.100.1 port 22 ssh2 from 192.0.2.7 port 4711 ssh2", {
    ...failed("failed", "a from 198.51.100.1 port 22 ssh2"),
    unknown_name: true,
  }],
  // Where the name is an account's, what a certificate calls itself is behind it, and chosen by who shows it.
  [
    "Failed publickey for ada from 192.0.2.7 port 4711 ssh2: RSA-CERT SHA256:x ID y from 198.51.100.1 port 22 ssh2: z (serial 0) CA RSA SHA256:w",
    { ...failed("failed", "ada"), method: "publickey" },
  ],
  [
    "Accepted publickey for ada from 192.0.2.7 port 4711 ssh2: RSA-CERT SHA256:x ID y from 198.51.100.1 port 22 ssh2: z (serial 0) CA RSA SHA256:w",
    accepted("publickey"),
  ],
  ["message repeated 5 times: [ Failed password for ada from 192.0.2.7 port 4711 ssh2]", {
    ...failed("failed", "ada"),
    times: 5,
  }],
  ["Invalid user bob from 192.0.2.7 port 4711", unknown("bob")],
  ["Invalid user  from 192.0.2.7 port 4711", {
    outcome: "failed",
    message: "unknown_name",
    unknown_name: true,
    ...from,
  }],
  ["Illegal user bob from 192.0.2.7", {
    outcome: "failed",
    message: "unknown_name",
    name: "bob",
    unknown_name: true,
    address: "192.0.2.7",
  }],
  ["User daemon from 192.0.2.7 not allowed because listed in DenyUsers", {
    outcome: "failed",
    message: "not_allowed",
    name: "daemon",
    address: "192.0.2.7",
  }],
  ["User ada not allowed because account is locked", { outcome: "failed", message: "not_allowed", name: "ada" }],
  ["ROOT LOGIN REFUSED FROM 192.0.2.7 port 4711", { outcome: "failed", message: "not_allowed", name: "ROOT", ...from }],
  ["refused connect from gate.example (192.0.2.7)", {
    outcome: "failed",
    message: "not_allowed",
    address: "192.0.2.7",
  }],
  [
    "Authentication tried for ada with correct key but not from a permitted host (host=h, ip=192.0.2.7, required=x).",
    { outcome: "failed", message: "not_allowed", name: "ada", address: "192.0.2.7" },
  ],
  ["error: maximum authentication attempts exceeded for invalid user bob from 192.0.2.7 port 4711 ssh2 [preauth]", {
    outcome: "failed",
    message: "too_many_failures",
    name: "bob",
    unknown_name: true,
    ...from,
  }],
  ["error: PAM: Authentication failure for ada from 192.0.2.7", {
    outcome: "failed",
    message: "failed",
    name: "ada",
    address: "192.0.2.7",
  }],
  ["error: PAM: authentication error for ada from 192.0.2.7 via 192.0.2.1", {
    outcome: "failed",
    message: "failed",
    name: "ada",
    address: "192.0.2.7",
  }],
  ["error: PAM: User not known to the underlying authentication module for illegal user bob from 192.0.2.7", {
    outcome: "failed",
    message: "failed",
    name: "bob",
    unknown_name: true,
    address: "192.0.2.7",
  }],
  ["error: PAM: Have exhausted maximum number of retries for service for ada from gate.example", {
    outcome: "failed",
    message: "failed",
    name: "ada",
    address: "gate.example",
  }],
  ["error: PAM: Authentication service cannot retrieve authentication info for x for y from z from 192.0.2.7", {
    outcome: "failed",
    message: "failed",
    name: "x for y from z",
    address: "192.0.2.7",
  }],
  ["fatal: Access denied for user ada by PAM account configuration [preauth]", {
    outcome: "failed",
    message: "not_allowed",
    name: "ada",
  }],
  ["Partial publickey for ada from 192.0.2.7 port 4711 ssh2", noted("partial", { method: "publickey", name: "ada" })],
  [
    "Partial publickey for ada from 192.0.2.7 port 4711 ssh2: RSA-CERT SHA256:x ID y from 198.51.100.1 port 22 ssh2: z (serial 0) CA RSA SHA256:w",
    noted("partial", { method: "publickey", name: "ada" }),
  ],
  [
    "Postponed publickey for ada from 192.0.2.7 port 4711 ssh2 [preauth]",
    noted("partial", {
      method: "publickey",
      name: "ada",
    }),
  ],
  [
    "Connection closed by authenticating user ada 192.0.2.7 port 4711 [preauth]",
    noted("disconnected", { name: "ada" }),
  ],
  [
    "Connection closed by invalid user a b 192.0.2.7 port 4711 [preauth]",
    noted("disconnected", {
      name: "a b",
      unknown_name: true,
    }),
  ],
  ["Connection reset by 192.0.2.7 port 4711", noted("disconnected")],
  ["Disconnected from user ada 192.0.2.7 port 4711", noted("disconnected", { name: "ada" })],
  [
    "Disconnecting authenticating user ada 192.0.2.7 port 4711: Too many authentication failures [preauth]",
    noted(
      "disconnected",
      { name: "ada" },
    ),
  ],
  ["Received disconnect from 192.0.2.7 port 4711:11: Bye Bye [preauth]", noted("disconnected")],
  ["Received disconnect from 192.0.2.7 port 4711:3: com.jcraft.jsch.JSchException: Auth fail [preauth]", {
    outcome: "failed",
    message: "failed",
    ...from,
  }],
  ["Did not receive identification string from 192.0.2.7 port 4711", noted("connection")],
  ["Bad protocol version identification 'GET / from 1.2.3.4 port 1' from 192.0.2.7 port 4711", noted("connection")],
  ["banner exchange: Connection from 192.0.2.7 port 4711: invalid format", noted("connection")],
  [
    "Unable to negotiate with 192.0.2.7 port 4711: no matching cipher found. Their offer: x [preauth]",
    noted(
      "connection",
    ),
  ],
  ["fatal: Timeout before authentication for 192.0.2.7 port 4711", noted("connection")],
  ["drop connection #10 from [192.0.2.7]:4711 on [192.0.2.1]:22 past MaxStartups", noted("connection")],
  ["error: kex_exchange_identification: Connection closed by remote host", { outcome: "noted", message: "connection" }],
  [
    "Address 192.0.2.7 maps to liar.example, but this does not map back to the address - POSSIBLE BREAK-IN ATTEMPT!",
    { outcome: "noted", message: "reverse_mapping", address: "192.0.2.7" },
  ],
  ["reverse mapping checking getaddrinfo for liar.example [192.0.2.7] failed.", {
    outcome: "noted",
    message: "reverse_mapping",
    address: "192.0.2.7",
  }],
  ["pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.7  user=ada", {
    outcome: "noted",
    message: "pam",
    name: "ada",
    address: "192.0.2.7",
  }],
  ["pam_unix(sshd:auth): check pass; user unknown", { outcome: "noted", message: "pam" }],
  ["PAM 2 more authentication failures; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.7  user=ada", {
    outcome: "noted",
    message: "pam",
    times: 2,
    name: "ada",
    address: "192.0.2.7",
  }],
  ["pam_unix(sshd:session): session opened for user ada(uid=1000) by (uid=0)", {
    outcome: "noted",
    message: "session",
    name: "ada",
  }],
];

function accepted(method: string): Said {
  return { outcome: "accepted", message: "accepted", method, name: "ada", ...from };
}
function failed(message: "failed", name: string): Said {
  return { outcome: "failed", message, method: "password", name, ...from };
}
function unknown(name: string): Said {
  return { outcome: "failed", message: "unknown_name", name, unknown_name: true, ...from };
}
function noted(message: Said["message"], more: Partial<Said> = {}): Said {
  return { outcome: "noted", message, ...from, ...more };
}

Deno.test("a message of the server is read for who, from where and how it ended", () => {
  for (const [message, said] of SAID) assert.deepEqual(saidIn(message), said, message);
  for (
    const other of [
      "Server listening on 0.0.0.0 port 22.",
      "constructor of nothing",
      "error: PAM: pam_open_session(): Permission denied for ada from 192.0.2.7",
      "__proto__",
      "",
      "message repeated 0 times: [ Failed password for ada from 192.0.2.7 port 4711 ssh2]",
      `Failed password for ${"x".repeat(5_000)} from 192.0.2.7 port 4711 ssh2`,
    ]
  ) assert.equal(saidIn(other), undefined, other);
});

const tellIn = (line: string): Told => {
  const told = lineOf(line, new Calendar(2026, "UTC"));
  assert.equal(told.is, "told", `${line}: ${JSON.stringify(told)}`);
  return told as Told;
};

Deno.test("every form of a line says when, where and what: syslog's, rsyslog's, and those of journalctl", () => {
  const said = { host: "vm", pid: "15737", message: "Invalid user bob from 192.0.2.7 port 4711" };
  const lines: readonly (readonly [string, string])[] = [
    [`Nov 20 18:22:17 vm sshd[15737]: ${said.message}`, "2026-11-20T18:22:17.000Z"],
    [`Nov 20 18:22:17.123456 vm sshd-session[15737]: ${said.message}`, "2026-11-20T18:22:17.123Z"],
    [`<86>Nov 20 18:22:17 vm sshd[15737]: ${said.message}`, "2026-11-20T18:22:17.000Z"],
    [`2026-11-20T19:22:17.123456+01:00 vm sshd[15737]: ${said.message}`, "2026-11-20T18:22:17.123Z"],
    [`Nov 20 18:22:17 vm auth.info sshd[15737]: ${said.message}`, "2026-11-20T18:22:17.000Z"],
    [`Nov 20 18:22:17 <auth.info> vm sshd[15737]: ${said.message}`, "2026-11-20T18:22:17.000Z"],
    [`Nov 20 18:22:17 vm sshd[15737]: [ID 800047 auth.info] ${said.message}`, "2026-11-20T18:22:17.000Z"],
    [`<38>1 2026-11-20T19:22:17.123456+01:00 vm sshd 15737 - - ${said.message}`, "2026-11-20T18:22:17.123Z"],
    [
      `<38>1 2026-11-20T18:22:17Z vm sshd-session 15737 ID1 [timeQuality tzKnown="1"][x@1 say="[a\\"]b"] \ufeff${said.message}`,
      "2026-11-20T18:22:17.000Z",
    ],
    [`2026-11-20T18:22:17+0000 vm sshd[15737]: ${said.message}`, "2026-11-20T18:22:17.000Z"],
    [
      JSON.stringify({
        __REALTIME_TIMESTAMP: "1795198937123456",
        _HOSTNAME: "vm",
        SYSLOG_IDENTIFIER: "sshd",
        _PID: "15737",
        MESSAGE: said.message,
      }),
      "2026-11-20T18:22:17.123Z",
    ],
  ];
  for (const [line, time] of lines) {
    const { host, pid, message, time: told } = tellIn(line);
    assert.deepEqual({ host, pid, message, time: told }, { ...said, time }, line);
  }
  for (
    const other of [
      "Nov 20 18:22:17 vm CRON[1]: pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)",
      "Nov 20 18:22:17 vm auth.info su[1]: sshd[2]: Invalid user bob from 192.0.2.7 port 4711",
      "Nov 20 18:22:17 vm sudo:     ada : TTY=pts/0 ; COMMAND=/usr/sbin/sshd -T",
      "-- Boot 0123456789abcdef --",
      "<86>1 2026-11-20T18:22:17Z vm CRON 1 - - pam_unix(cron:session): session opened for user sshd",
      "<86>1 - - - - - -",
      '<86>1 2026-11-20T18:22:17Z vm broken 1 - [not what it "should be] sshd',
    ]
  ) assert.equal(lineOf(other, new Calendar(2026, "UTC")).is, "other", other);
  for (const behind of ["                                lines Connection from 127.0.0.21 port 45039 on sshd", ""]) {
    assert.equal(lineOf(behind, new Calendar(2026, "UTC")).is, "behind", behind);
  }
});
