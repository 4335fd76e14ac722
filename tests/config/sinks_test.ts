/** Sinks in the configuration: each kind with its defaults, and every mistake said with its place. */
import assert from "node:assert/strict";
import { parseConfig } from "../../config/config.ts";
import type { SinkConfig } from "../../config/sinks.ts";
import { sinkGrants } from "../../adapters/cli/sink_grants.ts";
import { run } from "../end_to_end/program.ts";
import { inFolder } from "../folder_given.ts";

const sinksOf = (text: string): readonly SinkConfig[] => {
  const parsed = parseConfig(text, "daybook.yaml", {});
  assert.ok(parsed.ok, JSON.stringify(parsed));
  return parsed.config.sinks;
};
const problems = (text: string): readonly string[] => {
  const parsed = parseConfig(text, "daybook.yaml", {});
  assert.ok(!parsed.ok, "expected problems");
  return parsed.problems.map(({ path, line, expected, found }) => `${path}@${line}: ${expected}; ${found}`);
};

Deno.test("a sink says what it is called, its kind and where it goes, and all else has a default", () => {
  const [file, webhook, syslog] = sinksOf(`
sinks:
  - { name: archive, kind: file, path: /var/log/daybook.ndjson }
  - { name: hook, kind: webhook, url: "https://siem.example/hook", secret: { file: hook-secret }, types: [identity.] }
  - { name: siem, kind: syslog, host: siem.example, format: ocsf, ca: { file: ca.pem } }
`);
  assert.deepEqual(file, {
    name: "archive",
    kind: "file",
    format: "ndjson",
    path: "/var/log/daybook.ndjson",
    types: [],
    from: "beginning",
    personal: false,
    batch_events_max: 500,
    deliver_ms: 30_000,
    retry: { first_ms: 1_000, max_ms: 60_000, attempts_max: null },
    severities: [],
    rules: [],
  });
  assert.ok(webhook?.kind === "webhook" && webhook.parallel === 4 && webhook.types[0] === "identity.");
  assert.ok(syslog?.kind === "syslog" && syslog.tls && syslog.port === 6514 && syslog.message_bytes_max === 8_192);
});

Deno.test("what is wrong with a sink is said with its line and place, and its secret is never repeated", () => {
  assert.deepEqual(problems("sinks:\n  - { name: a, kind: ftp }\n"), [
    'sinks.0.kind@2: one of file, webhook, syslog, slack, pagerduty, email; "ftp"',
  ]);
  assert.deepEqual(problems("sinks:\n  - { name: A b, kind: file, path: x }\n"), [
    'sinks.0.name@2: lower-case letters, digits, - and _ within; "A b"',
  ]);
  assert.deepEqual(problems("sinks:\n  - name: a\n    kind: file\n    pth: x\n    path: x\n"), [
    'sinks.0.pth@4: a known key; "pth"',
  ]);
  assert.deepEqual(problems('sinks:\n  - { name: a, kind: webhook, url: "ftp://x/", secret: { env: X } }\n'), [
    'sinks.0.url@2: a URL of HTTP; "ftp://x/"',
  ]);
  assert.match(
    problems('sinks:\n  - { name: a, kind: webhook, url: "http://x/", secret: whsec_hidden }\n')[0]!,
    /not shown/,
  );
  assert.match(problems('sinks:\n  - { name: a, kind: webhook, url: "http://x/" }\n')[0]!, /^sinks.0.secret@2: /);
  const two = "sinks:\n  - { name: a, kind: file, path: x }\n  - { name: a, kind: file, path: x }\n";
  assert.deepEqual(problems(two), [
    'sinks.1.name@3: no two sinks have the same; "a"',
    'sinks.1.path@3: no two sinks have the same; "x"',
  ]);
  assert.match(
    problems("sinks:\n  - { name: a, kind: syslog, host: h, certificate: { file: c } }\n")[0]!,
    /both of certificate and key/,
  );
});

Deno.test("of what stands where a secret belongs somewhere below nothing is repeated but numbers and truths", () => {
  for (
    const [text, said] of [
      ["sinks: { name: a, kind: slack, webhook_url: https://hooks.slack.com/hidden }", "sinks@1: a list of a map"],
      ["sinks:\n  - [slack, https://hooks.slack.com/hidden]", "sinks.0@2: a map"],
      ["identity: { providers: { name: a, client_secret: hidden } }", "identity.providers@1: a list of a map"],
      ["keys: hidden", "keys@1: a map"],
      ["services: [{ command: x, environment: { PASSWORD: hidden } }]", "services@1: a map"],
    ] as const
  ) assert.deepEqual(problems(`${text}\n`), [`${said}; something else (not shown)`]);
  assert.deepEqual(problems("github: 8080\n"), ["github@1: a map; 8080"]);
});

Deno.test("channels tell of alerts from the next one on; what they cannot do without is asked for", () => {
  const [slack, pagerduty, email] = sinksOf(`
sinks:
  - { name: chat, kind: slack, webhook_url: { env: HOOK }, severities: [error, critical] }
  - { name: pager, kind: pagerduty, routing_key: { file: key }, rules: [service-failed] }
  - { name: mail, kind: email, host: mail.example, username: daybook, password: { env: PASS }, sender: d@example.com, recipients: [ops@example.com] }
`);
  assert.ok(slack?.kind === "slack" && slack.host === "hooks.slack.com" && slack.from === "end");
  assert.ok(pagerduty?.kind === "pagerduty" && pagerduty.url === "https://events.pagerduty.com/v2/enqueue");
  assert.ok(email?.kind === "email" && email.port === 587 && email.tls === "starttls");
  const mail = "name: m, kind: email, host: h, sender: d@example.com, recipients: [ops@example.com]";
  for (
    const [sink, said] of [
      ["name: s, kind: slack", /^sinks\.0\.webhook_url@2: \{ env: NAME \} or/],
      ["name: s, kind: slack, webhook_url: https://hooks.slack.com/services/hidden", /not shown/],
      ["name: p, kind: pagerduty", /^sinks\.0\.routing_key@2: \{ env: NAME \} or/],
      ["name: s, kind: slack, webhook_url: { env: X }, types: [a.]", /^sinks\.0\.types@2: /],
      ["name: s, kind: slack, webhook_url: { env: X }, severities: [bad]", /^sinks\.0\.severities\.0@2: one of info/],
      ["name: s, kind: slack, webhook_url: { env: X }, host: a/b", /^sinks\.0\.host@2: a host name/],
      [`${mail}, username: u`, /both of username and password/],
      [
        `${mail}, username: u, password: { env: X }, tls: none`,
        /^sinks\.0\.tls@2: starttls or implicit, for a password/,
      ],
      [`${mail}, port: 0`, /^sinks\.0\.port@2: a whole number from 1 to 65535/],
      [mail.replace("d@example.com", `"d@example.com\\nBcc: x@y"`), /^sinks\.0\.sender@2: an address/],
      [mail.replace("[ops@example.com]", "[]"), /^sinks\.0\.recipients@2: a list/],
    ] as const
  ) assert.match(problems(`sinks:\n  - { ${sink} }\n`).join(), said, sink);
});

Deno.test("start may reach what its sinks name and append to their files, and to nothing more", async () => {
  const given = (sinks: string) => {
    const parsed = parseConfig(`sinks:\n${sinks}`, "daybook.yaml", {});
    assert.ok(parsed.ok, JSON.stringify(parsed));
    return sinkGrants({ config: parsed.config, file: "/etc/daybook/daybook.yaml" }, "/data");
  };
  assert.deepEqual(
    given(`
  - { name: a, kind: file, path: ../../var/log/events.ndjson }
  - { name: b, kind: webhook, url: "https://hook.example/x?y", secret: { env: S } }
  - { name: c, kind: syslog, host: siem.example }
  - { name: d, kind: syslog, host: "::1", port: 514, tls: false }
  - { name: e, kind: slack, webhook_url: { env: HOOK } }
  - { name: f, kind: slack, host: "chat.example:8443", webhook_url: { env: HOOK } }
  - { name: g, kind: pagerduty, routing_key: { env: KEY } }
  - { name: h, kind: email, host: mail.example, port: 25, tls: none, sender: a@example.com, recipients: [b@example.com] }
`),
    {
      net: [
        "hook.example:443",
        "siem.example:6514",
        "[::1]:514",
        "hooks.slack.com:443",
        "chat.example:8443",
        "events.pagerduty.com:443",
        "mail.example:25",
      ],
      write: ["/var/log/events.ndjson"],
    },
  );
  for (const path of ["/data", "/data/events.ndjson", "../../data/x", "/data/../data/x"]) {
    assert.throws(
      () => given(`  - { name: a, kind: file, path: ${path} }`),
      /sink a: .*lies within the data folder/,
      path,
    );
  }
  assert.deepEqual(given("  - { name: a, kind: file, path: /database/x }").write, ["/database/x"]);
  await inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/c.yaml`, `sinks: [{ name: a, kind: file, path: data/events.ndjson }]\n`);
    const within = await run("start", "--data", `${folder}/data`, "--config", `${folder}/c.yaml`);
    assert.deepEqual([within.code, within.out], [2, ""]);
    assert.match(within.err, /^daybook: sink a: .+ lies within the data folder[^\n]*\n$/);
    await assert.rejects(Deno.stat(`${folder}/data`), Deno.errors.NotFound);
    await Deno.mkdir(`${folder}/data`);
    await Deno.writeTextFile(`${folder}/data/taken`, "");
    await Deno.symlink(`${folder}/data/taken`, `${folder}/link`);
    await Deno.writeTextFile(`${folder}/c.yaml`, `sinks: [{ name: a, kind: file, path: link }]\n`);
    const linked = await run("start", "--data", `${folder}/data`, "--port", "0", "--config", `${folder}/c.yaml`);
    assert.deepEqual([linked.code, linked.err.includes("leads into the data folder")], [2, true], linked.err);
    const hook = (secret: string) =>
      `sinks: [{ name: a, kind: webhook, url: "http://127.0.0.1:9/", secret: ${secret} }]\n`;
    await Deno.writeTextFile(`${folder}/secret`, "hunter2");
    await Deno.writeTextFile(`${folder}/signing`, `whsec_${"A".repeat(44)}`);
    for (
      const [text, expected] of [
        [hook(`{ file: ${folder}/secret }`), /its secret is none of Standard Webhooks/],
        [hook("{ env: NO_SUCH_SECRET }"), /its secret is not there/],
        [hook(`{ file: ${folder}/none }`), /its secret is not there/],
        [
          hook(`{ file: ${folder}/signing }, ca: { file: ${folder}/secret }`),
          /sink a: its ca holds no certificates, PEM/,
        ],
        [
          hook(`{ file: ${folder}/signing }`).replace("127.0.0.1", "ada:hunter2@127.0.0.1"),
          /sink a: its url has a user or a password in it/,
        ],
        [
          hook(`{ file: ${folder}/signing }, types: [identity.signins.]`),
          /sink a: types: no type begins with "identity\.signins\."; did you mean identity\.signin\.\w+\?/,
        ],
      ] as const
    ) {
      await Deno.writeTextFile(`${folder}/c.yaml`, text);
      const { code, err } = await run(
        "start",
        "--data",
        `${folder}/data`,
        "--port",
        "0",
        "--config",
        `${folder}/c.yaml`,
      );
      assert.equal(code, 2, err);
      assert.match(err, expected);
      assert.doesNotMatch(err, /hunter2/);
    }
  });
});
