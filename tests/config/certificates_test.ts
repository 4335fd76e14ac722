/** Keys about certificates and TLS: each kind of mistake is told with file, line, path and what was expected. */
import assert from "node:assert/strict";
import { parseConfig, problemText } from "../../config/config.ts";

const problems = (text: string): readonly string[] => {
  const parsed = parseConfig(text, "c.yaml", {});
  return parsed.ok ? [] : parsed.problems.map(problemText);
};
const tls = (line: string) => `server:\n  tls:\n    ${line}\n`;
const certificates = (line: string) => `certificates:\n  ${line}\n`;

const WRONG: readonly (readonly [string, RegExp])[] = [
  [tls("issued: localhost"), /^c\.yaml:3:\d+ server\.tls\.issued: expected a list/],
  [tls("issued: [a b]"), /^c\.yaml:3:\d+ server\.tls\.issued\.0: expected a host name in lower case, or an address/],
  [tls("issued: [LOCALHOST]"), /^c\.yaml:3:\d+ server\.tls\.issued\.0: .*found "LOCALHOST"/],
  [tls("issued: [300.1.1.1]"), /^c\.yaml:3:\d+ server\.tls\.issued\.0/],
  [tls("issued: [a.*]"), /^c\.yaml:3:\d+ server\.tls\.issued\.0/],
  [tls(`issued: [${Array.from({ length: 51 }, (_, i) => `a${i}`).join(", ")}]`), /^c\.yaml:3:\d+ server\.tls\.issued/],
  [tls("issued: [localhost]\n    clients: theirs"), /^c\.yaml:4:\d+ server\.tls\.clients: expected ours, or/],
  [tls("issued: [localhost]\n    clients: { path: x }"), /^c\.yaml:4:\d+ server\.tls\.clients/],
  [tls("issued: [localhost]\n    min_version: TLSv1.1"), /^c\.yaml:4:\d+ .*one of TLSv1\.2, TLSv1\.3/],
  [tls("issued: [localhost]\n    min_version: 1.3"), /^c\.yaml:4:\d+ server\.tls\.min_version/],
  [tls("clients: ours"), /^c\.yaml:3:\d+ server\.tls: expected certificate and key, or issued, for clients/],
  [tls("min_version: TLSv1.3"), /^c\.yaml:3:\d+ server\.tls: /],
  [tls("issued: [a]\n    certificate: c\n    key: { file: k }"), /^c\.yaml:3:\d+ server\.tls: .*not both/],
  [tls("isued: [a]"), /^c\.yaml:3:\d+ server\.tls\.isued: .*issued/],
  [certificates("permitted: []"), /^c\.yaml:2:\d+ certificates\.permitted/],
  [certificates("permitted: [10.0.0.0/33]"), /^c\.yaml:2:\d+ certificates\.permitted\.0: .*a range of addresses/],
  [certificates("permitted: [10.0.0.1]"), /^c\.yaml:2:\d+ certificates\.permitted\.0/],
  [certificates('permitted: ["*.internal"]'), /^c\.yaml:2:\d+ certificates\.permitted\.0/],
  [certificates("valid_ms: 10"), /^c\.yaml:2:\d+ certificates\.valid_ms: expected a whole number from 1000 to/],
  [certificates("authority_ms: 1d"), /^c\.yaml:2:\d+ certificates\.authority_ms: expected a whole number/],
  [certificates("soon_ms: -1"), /^c\.yaml:2:\d+ certificates\.soon_ms/],
  [certificates("look_ms: 1"), /^c\.yaml:2:\d+ certificates\.look_ms: expected a whole number from 100 to/],
  [certificates("valid_ms: 1000\n  renew_ms: 1000"), /^c\.yaml:\d:\d+ certificates: expected renew_ms shorter than/],
  [certificates("days: 30"), /^c\.yaml:2:\d+ certificates\.days: expected one of permitted/],
];

Deno.test("each mistake about certificates is told in one line with its place", () => {
  for (const [text, says] of WRONG) {
    const [first, ...others] = problems(text);
    assert.match(first ?? "it was taken", says, text);
    for (const each of [first!, ...others]) assert.doesNotMatch(each, /\n/);
  }
});

Deno.test("what is right about certificates is taken", () => {
  for (
    const text of [
      tls('issued: [localhost, "*.a.internal", 127.0.0.1, "::1", a-b.c]'),
      tls("issued: [localhost]\n    clients: ours"),
      tls("certificate: c\n    key: { file: k }\n    clients: { file: ca.pem }\n    min_version: TLSv1.3"),
      certificates('permitted: [internal, 10.0.0.0/8, "fd00::/8"]'),
    ]
  ) assert.deepEqual(problems(text), []);
});
