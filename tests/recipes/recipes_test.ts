/** Every recipe of ours, as it stands in the document, against a real server and the real program it is for. */
import assert from "node:assert/strict";
import { parse } from "yaml";
import { allInstalled, installed } from "../installed_given.ts";
import { events, filledIn, script, type Server, snippet, started } from "./recipe.ts";
import { until } from "../until.ts";

const withServer = async (
  run: (server: Server, folder: string) => Promise<void>,
  env: Readonly<Record<string, string>> = {},
): Promise<void> => {
  const folder = await Deno.makeTempDir({ prefix: "daybook-recipe-" });
  try {
    const server = await started(`${folder}/data`, { env });
    try {
      await run(server, folder);
    } finally {
      assert.equal(await server.stop(), 0);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
};

/** What the recipe for rsyslog says a configuration key should be. */
const snippetValue = (key: string): string => {
  const page = Deno.readTextFileSync(new URL("../../docs/recipes/rsyslog-sshd.md", import.meta.url));
  return new RegExp(`${key}: (\\[.*?\\])`).exec(page)![1]!;
};

interface Ci {
  readonly shell: readonly string[];
  readonly step: string;
  readonly env: Readonly<Record<string, string>>;
  readonly source: string;
  readonly id: string;
  readonly ref: string;
}

const github = (server: Server): Ci => {
  const [step] = parse(snippet("github-actions", "yaml")) as { run: string; env: Record<string, string> }[];
  // The runner fills in the step's own variables; the rest it sets for every step.
  assert.deepEqual(Object.keys(step!.env), ["DAYBOOK_URL", "DAYBOOK_TOKEN", "JOB_STATUS"]);
  return {
    shell: ["bash", "-e", "-c"],
    step: step!.run,
    source: "https://github.example/acme/shop",
    id: "4711/2/build",
    ref: 'refs/heads/say-"hello"',
    env: {
      DAYBOOK_URL: server.url,
      DAYBOOK_TOKEN: server.token,
      JOB_STATUS: "failure",
      GITHUB_SERVER_URL: "https://github.example",
      GITHUB_REPOSITORY: "acme/shop",
      GITHUB_RUN_ID: "4711",
      GITHUB_RUN_ATTEMPT: "2",
      GITHUB_JOB: "build",
      GITHUB_SHA: "0123456789abcdef0123456789abcdef01234567",
      GITHUB_REF: 'refs/heads/say-"hello"',
      GITHUB_WORKFLOW: "CI \\ all",
    },
  };
};

const gitlab = (server: Server): Ci => {
  const page = parse(snippet("gitlab-ci", "yaml")) as { default: { after_script: string[] } };
  return {
    shell: ["sh", "-c"],
    step: page.default.after_script.join("\n"),
    source: "https://gitlab.example/acme/shop",
    id: "815",
    ref: 'say-"hello"',
    env: {
      DAYBOOK_URL: server.url,
      DAYBOOK_TOKEN: server.token,
      CI_PROJECT_URL: "https://gitlab.example/acme/shop",
      CI_JOB_ID: "815",
      CI_JOB_URL: "https://gitlab.example/acme/shop/-/jobs/815",
      CI_JOB_STATUS: "failed",
      CI_JOB_NAME: "build: [linux \\ x64]",
      CI_COMMIT_SHA: "0123456789abcdef0123456789abcdef01234567",
      CI_COMMIT_REF_NAME: 'say-"hello"',
    },
  };
};

const curl = installed("curl", "no job records how it ended");

for (const [name, make] of [["GitHub Actions", github], ["GitLab CI", gitlab]] as const) {
  Deno.test({
    name: `the recipe for ${name} records how a job ended, and does not fail a job`,
    ignore: !curl,
    fn: () =>
      withServer(async (server) => {
        const { shell, step, env, source, id, ref } = make(server);
        assert.deepEqual(await script(shell, step, env), { code: 0, said: "" });
        const [event] = await events(server, "ci.job.finished", 1);
        assert.equal(event!.source, source);
        assert.equal(event!.id, id);
        assert.equal(event!.subject, env.GITHUB_SHA ?? env.CI_COMMIT_SHA);
        assert.match(String(event!.stream), /^inbox\//);
        const data = event!.data as Record<string, string>;
        assert.equal(data.ref, ref);
        assert.equal(data.status, env.JOB_STATUS ?? env.CI_JOB_STATUS);
        assert.equal(data.workflow, env.GITHUB_WORKFLOW ?? env.CI_JOB_NAME);

        const refused = await script(shell, step, { ...env, DAYBOOK_TOKEN: "not-a-token" });
        assert.equal(refused.code, 0);
        assert.match(refused.said, /Daybook did not take the event/);
        assert.equal((await events(server, "ci.job.finished", 1)).length, 1);
      }),
  });
}

Deno.test({
  name: "the recipe for rsyslog brings every line of sshd and nothing else, once, and waits out a server that is away",
  ignore: !allInstalled(["rsyslogd", "logger", "curl"], "the recipe for rsyslog is not followed"),
  fn: () =>
    withServer(async (server, folder) => {
      const headers = filledIn(snippet("rsyslog-sshd", "text"), { "PUT-THE-TOKEN-HERE": server.token });
      await Deno.writeTextFile(`${folder}/headers`, headers, { mode: 0o600 });
      // Until `open` is there, the server is "away": the script talks to a port where nobody is.
      const poster = filledIn(snippet("rsyslog-sshd", "sh"), {
        "url=http://127.0.0.1:7373/events": `url=$(cat ${folder}/open 2>/dev/null || echo http://127.0.0.1:9)/events`,
        "/etc/daybook/ingest.headers": `${folder}/headers`,
      });
      // The address is read anew for each line, as a server that comes back would be.
      const rereading = poster.replace(/^(url=.*)\n/m, "").replace(
        "  id=$(",
        `  ${/^url=.*$/m.exec(poster)![0]}\n  id=$(`,
      );
      await Deno.writeTextFile(`${folder}/post`, rereading, { mode: 0o755 });
      const conf = filledIn(snippet("rsyslog-sshd", "rsyslog"), {
        "/usr/local/bin/daybook-syslog": `${folder}/post`,
        'resumeInterval="5"': 'resumeInterval="1"',
      });
      await Deno.writeTextFile(
        `${folder}/rsyslog.conf`,
        `module(load="imuxsock" SysSock.Use="off")\ninput(type="imuxsock" Socket="${folder}/log" CreatePath="off")\n` +
          `global(workDirectory="${folder}")\n${conf}`,
      );
      const env = { PATH: `${Deno.env.get("PATH")}:/usr/sbin:/sbin` };
      const checked = await new Deno.Command("rsyslogd", { args: ["-N1", "-f", `${folder}/rsyslog.conf`], env })
        .output();
      assert.equal(checked.code, 0, new TextDecoder().decode(checked.stderr));
      const daemon = new Deno.Command("rsyslogd", {
        args: ["-n", "-f", `${folder}/rsyslog.conf`, "-i", `${folder}/pid`],
        env,
        stdin: "null",
        stdout: "null",
        stderr: "null",
      }).spawn();
      try {
        const log = async (tag: string, text: string) => {
          // The daemon makes the socket a moment after it starts.
          await until("rsyslogd takes it at its socket", async () => {
            const { success } = await new Deno.Command("logger", {
              args: ["-u", `${folder}/log`, "--id=77", "-t", tag, text],
            }).output();
            return success && await Deno.stat(`${folder}/log`).catch(() => undefined);
          });
        };
        await until("the socket of rsyslogd", () => Deno.stat(`${folder}/log`).catch(() => undefined));
        await log("sshd", 'Failed password for "root" from 203.0.113.9 port 4711 ssh2 \\ é');
        await log("cron", "not for Daybook");
        await log("sshd-session", "Connection closed by 203.0.113.9");
        await Deno.writeTextFile(`${folder}/open`, server.url);
        const found = await events(server, "sshd.line.logged", 2);
        await log("sshd", "Server listening on 0.0.0.0 port 22.");
        const all = await events(server, "sshd.line.logged", 3);
        assert.deepEqual(all.slice(0, 2), found);
        assert.deepEqual(all.map((event) => (event.data as Record<string, string>).message), [
          'Failed password for "root" from 203.0.113.9 port 4711 ssh2 \\ é',
          "Connection closed by 203.0.113.9",
          "Server listening on 0.0.0.0 port 22.",
        ]);
        assert.deepEqual(all.map((event) => (event.data as Record<string, string>).process), [
          "sshd",
          "sshd-session",
          "sshd",
        ]);
        assert.ok(
          all.every((event) =>
            /^\/hosts\/.+\/sshd$/.test(String(event.source)) && /^[0-9a-f]{64}$/.test(String(event.id))
          ),
        );
      } finally {
        daemon.kill("SIGTERM");
        await daemon.status;
      }
    }),
});

Deno.test("the recipe's sealed source keeps names and addresses out of the log", () =>
  withServer(async (server) => {
    const event = {
      specversion: "1.0",
      type: "sshd.line.logged",
      source: "/hosts/gate/sshd",
      id: "1",
      data: { message: "Accepted for ada from 203.0.113.9" },
    };
    const posted = await fetch(`${server.url}/events`, {
      method: "POST",
      headers: { authorization: `Bearer ${server.token}`, "content-type": "application/cloudevents+json" },
      body: JSON.stringify(event),
    });
    assert.equal(posted.status, 201, await posted.clone().text());
    const { receipts: [{ position }] } = await posted.json() as { receipts: [{ position: number }] };
    const entry = await fetch(`${server.url}/events/${position}`, {
      headers: { authorization: `Bearer ${server.token}`, accept: "application/octet-stream" },
    });
    const bytes = await entry.text();
    assert.match(bytes, /sshd\.line\.logged/);
    assert.doesNotMatch(bytes, /for ada|203\.0\.113\.9/);
  }, { DAYBOOK__INGEST__SEALED_SOURCES: snippetValue("sealed_sources").replace("HOSTNAME", "gate") }));

Deno.test({
  name: "the recipe's unit is one that systemd takes without a word",
  ignore: !installed("systemd-analyze", "the recipe's unit is not looked at"),
  async fn() {
    const folder = await Deno.makeTempDir({ prefix: "daybook-unit-" });
    try {
      const unit = filledIn(snippet("systemd", "ini"), {
        "/usr/local/bin/deno": Deno.execPath(),
        "/opt/daybook": folder,
      });
      await Deno.writeTextFile(`${folder}/daybook.service`, unit);
      const { code, stdout, stderr } = await new Deno.Command("systemd-analyze", {
        args: ["verify", `${folder}/daybook.service`],
      }).output();
      const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
      // Where no systemd runs it cannot ask for other units; what it says of this one counts.
      assert.deepEqual([code, said.split("\n").filter((line) => line.includes("daybook.service"))], [0, []], said);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

Deno.test("the recipe makes the folder that its user fetches into before it is filled", () => {
  const page = Deno.readTextFileSync(new URL("../../docs/recipes/systemd.md", import.meta.url));
  assert.match(page, /install -d -o daybook -g daybook (\/\S+)`, then [^\n]*DENO_DIR=\1 deno install --frozen/);
  assert.match(snippet("systemd", "ini"), /DENO_DIR=\/var\/cache\/daybook /);
});

Deno.test("the recipe's unit starts a server that SIGTERM ends cleanly", async () => {
  const folder = await Deno.makeTempDir({ prefix: "daybook-unit-" });
  try {
    const line = /^ExecStart=(.*)$/m.exec(snippet("systemd", "ini"))![1]!;
    const [program, ...words] = filledIn(line, { "/var/lib/daybook": `${folder}/data` }).split(" ");
    assert.equal(program, "/usr/local/bin/deno");
    const server = await started(`${folder}/data`, { command: [...words, "--port", "0"] });
    const ready = await fetch(`${server.url}/readyz`);
    assert.equal(ready.status, 200, await ready.text());
    assert.equal(await server.stop(), 0);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
