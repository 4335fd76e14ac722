/** Services under the tasks that are shipped, and so with their permissions: nothing that a stack may ask for is refused to the server. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { inFolder } from "../folder_given.ts";
import { ended, heard, stopped, until } from "../until.ts";

const CONFIG = fileURLToPath(new URL("../../deno.json", import.meta.url));

const SERVER = `
const [http, https, certificate, key] = Deno.args;
const at = (port) => ({ hostname: "127.0.0.1", port: Number(port), onListen: () => {} });
const read = (file) => Deno.readTextFileSync(file);
const answer = () => new Response("jobs_waiting 3\\n");
Deno.serve(at(http), answer);
if (https) Deno.serve({ ...at(https), cert: read(certificate), key: read(key) }, answer);
`;

/** All ways in which a service is looked at, and something that is to be found. */
const stackOf = (version: string) => `
stack: { checks: { every_ms: 500 } }
services:
  web:
    command: ${Deno.execPath()}
    arguments: [run, -A, -q, --no-config, serve.ts, "\${ports.http}", "\${ports.https}", "\${tls.certificate}", "\${tls.key}"]
    ports: { http: random, https: random }
    tls: { port: https, issued: [localhost], renewed: restart }
    metrics: { port: http, path: /metrics, interval_ms: 200 }
    probes:
      startup: { tcp: { port: http }, interval_ms: 200 }
      readiness: { http: { port: https, scheme: https, path: /healthz }, interval_ms: 200 }
      liveness: { exec: { command: "true" }, interval_ms: 200 }
    hooks: { before_start: { command: "true" }, after_stop: { command: "true" } }
    resources: { needs: { memory_bytes: 1000 }, limits: { open_files: 4096 } }
  mirror:
    command: ${Deno.execPath()}
    arguments: [run, -A, -q, --no-config, serve.ts, "\${ports.http}"]
    ports: { http: random }
    probes: { readiness: { http: { port: http, path: /healthz }, interval_ms: 200 } }
  worker:
    command: /bin/sh
    arguments: [-c, "echo version ${version}; exec sleep 1000"]
    environment: { TOKEN: { file: secret } }
    depends_on: { web: {} }
    ready_line: ^version
    update: { healthy_ms: 50 }
`;

const REFUSED = /NotCapable|PermissionDenied|[Rr]equires \w+ access|not permitted|not_permitted/;

const task = (args: readonly string[]) =>
  new Deno.Command(Deno.execPath(), {
    args: ["task", "-q", "--config", CONFIG, ...args],
    env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });

Deno.test("a server that its task has started does all for services that they may ask for, and no permission is refused to it", () =>
  inFolder(async (folder) => {
    const [data, first, second] = ["data", "first.yaml", "second.yaml"].map((name) => `${folder}/${name}`);
    await Deno.writeTextFile(first!, stackOf("1"));
    await Deno.writeTextFile(second!, stackOf("2"));
    await Deno.writeTextFile(`${folder}/serve.ts`, SERVER);
    await Deno.writeTextFile(`${folder}/secret`, "s3cret", { mode: 0o644 });
    const server = task(["start", "--stack", first!, "--data", data!, "--port", "0"]).spawn();
    let said = "";
    const saying = (async () => {
      for await (const text of server.stderr.pipeThrough(new TextDecoderStream())) said += text;
    })();
    const lines = server.stdout.pipeThrough(new TextDecoderStream()).getReader();
    const run = async (code: number, ...args: readonly string[]): Promise<string> => {
      const ran = await ended(args.join(" "), task([...args, "--data", data!]).spawn());
      assert.equal(ran.code, code, `${args.join(" ")}: ${ran.out}${ran.err}\n${said}`);
      assert.doesNotMatch(ran.err, REFUSED);
      return ran.out;
    };
    try {
      await heard("the server listens", lines, (text) => text.includes("listening on ")).catch((error) => {
        throw new Error(`${error.message}${said}`);
      });
      await run(0, "up");
      assert.match(await run(0, "logs", "worker"), /version 1/);
      await until("metrics", () => run(0, "stack", "metrics", "web"), (out) => out.includes("jobs_waiting"));
      await until("an alert", () => run(1, "alerts", "list"), (out) => /service-unsafe.*raised/.test(out));
      assert.match(await run(0, "cert", "list"), /main\.web/);
      await run(0, "cert", "renew", "main.web");
      await run(0, "restart", "mirror");
      await run(0, "stack", "update", second!);
      await until("the new one", () => run(0, "logs", "worker"), (out) => out.includes("version 2"));
      await run(0, "up");
      const { events } = JSON.parse(await run(0, "events", "--json", "--limit", "1000")) as {
        events: readonly { readonly type: string; readonly data: unknown }[];
      };
      const types = new Set(events.map(({ type }) => type));
      assert.ok(!types.has("kernel.child.crashed"), JSON.stringify(events.filter(({ type }) => /crashed$/.test(type))));
      for (const { type, data } of events) assert.doesNotMatch(JSON.stringify(data), REFUSED, type);
    } finally {
      // Services outlive their server, also where the test has failed.
      await ended("down", task(["down", "--data", data!]).spawn());
      await stopped(server, "SIGTERM", () => said);
      await lines.cancel();
      await saying;
    }
    assert.doesNotMatch(said, REFUSED);
  }));
