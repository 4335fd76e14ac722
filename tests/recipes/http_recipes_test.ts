/** The recipes for a reverse proxy and for Prometheus, as they stand in the documents, with the real programs. */
import assert from "node:assert/strict";
import { V8_FLAGS } from "../../adapters/process/reexec.ts";
import { allInstalled } from "../installed_given.ts";
import { filledIn, script, type Server, snippet, snippets, started } from "./recipe.ts";
import { inFolder } from "../folder_given.ts";
import { until } from "../until.ts";

const withServer = async (
  folder: string,
  args: readonly string[],
  run: (server: Server) => Promise<void>,
): Promise<void> => {
  const command = ["run", V8_FLAGS, "-A", "main.ts", "start", "--data", `${folder}/data`, "--port", "0", ...args];
  const server = await started(`${folder}/data`, { command });
  try {
    await run(server);
  } finally {
    assert.equal(await server.stop(), 0);
  }
};

const freePort = (): number => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  listener.close();
  return port;
};

/** A program that runs beside the test. */
const withProgram = async (
  command: string,
  args: readonly string[],
  ready: () => Promise<boolean>,
  run: () => Promise<void>,
): Promise<void> => {
  const child = new Deno.Command(command, { args: [...args], stdin: "null", stdout: "null", stderr: "piped" }).spawn();
  const errors = new Response(child.stderr).text();
  let ended = false;
  const status = child.status.finally(() => ended = true);
  try {
    await until(`${command} is ready`, async () => ended || await ready());
    if (ended) throw new Error(`${command} is not ready: ${await errors}`);
    await run();
  } finally {
    if (!ended) child.kill("SIGTERM");
    await status;
    await errors;
  }
};

const answers = async (url: string): Promise<boolean> => {
  try {
    const response = await fetch(url);
    await response.body?.cancel();
    return true;
  } catch {
    return false;
  }
};

Deno.test({
  name: "the nginx recipe gives Daybook a name and TLS, keeps cookies to it, and lets followers hear at once",
  ignore: !allInstalled(["nginx", "openssl", "curl"], "the recipe for nginx is not followed"),
  fn: () =>
    inFolder(async (folder) => {
      const made = await script(
        ["sh", "-c"],
        `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=daybook.example -addext subjectAltName=DNS:daybook.example -keyout ${folder}/daybook.key -out ${folder}/daybook.pem`,
        {},
      );
      assert.equal(made.code, 0, made.said);
      await Deno.writeTextFile(`${folder}/daybook.yaml`, snippet("reverse-proxy", "yaml"));
      await withServer(folder, ["--config", `${folder}/daybook.yaml`], async (server) => {
        const port = freePort();
        const site = filledIn(snippet("reverse-proxy", "nginx"), {
          "listen 443 ssl": `listen 127.0.0.1:${port} ssl`,
          "/etc/ssl/": `${folder}/`,
          "http://127.0.0.1:7373": server.url,
        });
        await Deno.writeTextFile(
          `${folder}/nginx.conf`,
          `daemon off; pid ${folder}/nginx.pid; error_log ${folder}/error.log; events {}\nhttp { access_log off;\n` +
            ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((kind) => `${kind}_temp_path ${folder}/${kind};\n`)
              .join("") +
            site + "}",
        );
        const curl = async (more: string) => {
          const { code, said } = await script(
            ["sh", "-c"],
            `curl -sS --max-time 10 --noproxy '*' --resolve daybook.example:${port}:127.0.0.1 --cacert ${folder}/daybook.pem ${more}`,
            {},
          );
          return { code, said };
        };
        const there = `https://daybook.example:${port}`;
        const ready = async () => (await curl(`${there}/livez`)).code === 0;
        await withProgram("nginx", ["-c", `${folder}/nginx.conf`, "-e", `${folder}/error.log`], ready, async () => {
          assert.match((await curl(`${there}/livez`)).said, /"alive"/);
          const login = await curl(`-i -d token=${server.token} -H "Origin: ${there}" ${there}/login`);
          assert.match(login.said, /^HTTP\/1\.1 303 /);
          assert.match(login.said, /set-cookie: .*; Secure/i);
          assert.match((await curl(`-i -H "Origin: https://evil.example" ${there}/login`)).said, /^HTTP\/1\.1 403 /);
          const event = JSON.stringify({
            specversion: "1.0",
            id: "a",
            source: "urn:recipe",
            type: "recipe.proxy.passed",
          });
          const following = curl(
            `-N --max-time 3 -H "Authorization: Bearer ${server.token}" "${there}/follow?type=recipe.proxy.passed"`,
          );
          const sent = await curl(
            `-d '${event}' -H "Content-Type: application/cloudevents+json" -H "Authorization: Bearer ${server.token}" ${there}/events`,
          );
          assert.match(sent.said, /"accepted":1/);
          assert.match((await following).said, /recipe\.proxy\.passed/);
          // A client writes an element of its own into the header, behind a name of ours.
          const forged = `Host: x",for=192.0.2.1;host="daybook.example:${port}`;
          const posing = await curl(`-i --request-target ${there}/livez -H '${forged}' ${there}/livez`);
          assert.match(posing.said, /^HTTP\/1\.1 421 /);
        });
        // Somebody who reaches the server itself cannot pose as the proxy's client by another name.
        const direct = await fetch(`${server.url}/livez`, { headers: { forwarded: "host=evil.example" } });
        assert.equal(direct.status, 421);
        await direct.body?.cancel();
      });
    }),
});

Deno.test({
  name: "the Prometheus recipe scrapes with its token, and its rules name metrics that are there",
  ignore: !allInstalled(["prometheus", "promtool"], "the recipe for Prometheus is not followed"),
  fn: () =>
    inFolder((folder) =>
      withServer(folder, [], async (server) => {
        const [config, rules] = snippets("prometheus").filter(({ language }) => language === "yaml").map(({ text }) =>
          text
        );
        await Deno.writeTextFile(`${folder}/daybook-token`, server.token);
        await Deno.writeTextFile(`${folder}/daybook.rules.yaml`, rules!);
        await Deno.writeTextFile(
          `${folder}/prometheus.yml`,
          filledIn(config!, {
            "/etc/prometheus/": `${folder}/`,
            "127.0.0.1:7373": new URL(server.url).host,
            "15s": "1s",
          }),
        );
        const checked = await script(["sh", "-c"], `promtool check config ${folder}/prometheus.yml`, {});
        assert.equal(checked.code, 0, checked.said);
        const metrics = await (await server.get("/metrics")).text();
        await Deno.writeTextFile(`${folder}/metrics`, metrics);
        const linted = await script(["sh", "-c"], `promtool check metrics < ${folder}/metrics`, {});
        assert.equal(linted.code, 0, linted.said);
        for (const [name] of rules!.matchAll(/\bdaybook_[a-z_]+/g)) {
          assert.match(metrics, new RegExp(`^# TYPE ${name.replace(/_bucket$/, "")} `, "m"), name);
        }
        // Letters that are redriven wake nobody.
        const letters = (values: string, alerts: string) =>
          `  - interval: 1m
    input_series: [{ series: daybook_dead_letters, values: "${values}" }]
    alert_rule_test: [{ eval_time: 15m, alertname: DaybookDeadLetters, exp_alerts: [${alerts}] }]\n`;
        const told = '{ exp_annotations: { summary: "Messages could not be delivered; list and redrive them" } }';
        // A log that grows is ahead of its checkpoints at every look.
        const signed = (checkpoints: string, alerts: string) =>
          `  - interval: 1m
    input_series:
      - { series: daybook_log_events, values: "100+100x20" }
      - { series: daybook_checkpoint_events, values: "${checkpoints}" }
    alert_rule_test: [{ eval_time: 20m, alertname: DaybookUnsigned, exp_alerts: [${alerts}] }]\n`;
        const unsigned = '{ exp_annotations: { summary: "Events are under no signed checkpoint for five minutes" } }';
        await Deno.writeTextFile(
          `${folder}/rules_test.yaml`,
          `rule_files: [daybook.rules.yaml]\ntests:\n${letters("2x10 5x10", told)}${letters("5x10 2x10", "")}${
            signed("70+100x20", "")
          }${signed("70+100x10 1070x10", unsigned)}`,
        );
        const tested = await script(["sh", "-c"], `promtool test rules ${folder}/rules_test.yaml`, {});
        assert.equal(tested.code, 0, tested.said);
        const port = freePort();
        const base = `http://127.0.0.1:${port}`;
        const args = [
          `--config.file=${folder}/prometheus.yml`,
          `--storage.tsdb.path=${folder}/tsdb`,
          `--web.listen-address=127.0.0.1:${port}`,
        ];
        const value = async (query: string): Promise<number | undefined> => {
          const response = await fetch(`${base}/api/v1/query?query=${encodeURIComponent(query)}`);
          const text = await response.text();
          // While it starts, Prometheus says 503.
          if (response.status === 503) return undefined;
          const answer = JSON.parse(text);
          const found = answer.data?.result[0]?.value[1];
          return found === undefined ? undefined : Number(found);
        };
        await withProgram("prometheus", args, () => answers(`${base}/-/ready`), async () => {
          await until("Prometheus scrapes", () => value('up{job="daybook"}'), (up) => up === 1, { every_ms: 200 });
          assert.equal(await value("daybook_ready"), 1);
          assert.ok((await value("daybook_log_events"))! > 0);
        });
      })
    ),
});
