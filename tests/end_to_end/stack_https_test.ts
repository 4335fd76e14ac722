/** Services that speak TLS under the folder's own authority, probed and read by the real program, whose environment names a proxy. */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import { until } from "../until.ts";
import { run as runWith } from "./cli_given.ts";
import { run } from "./program.ts";
import { Stand, tracing } from "./stack_given.ts";

const SERVER = `
const [port, certificate, key] = Deno.args;
const options = { hostname: "127.0.0.1", port: Number(port), onListen: () => {} };
const read = (file) => Deno.readTextFileSync(file);
Deno.serve({ ...options, cert: read(certificate), key: read(key) }, () => new Response("asked 1\\n"));
`;

const freePort = (): number => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
};

Deno.test("services with certificates of the folder's authority are healthy by HTTPS, their metrics are read, and no proxy sees any of it", () => {
  const port = freePort();
  const served = (certificate: string, key: string, port: string) =>
    `exec "${Deno.execPath()}" run -A serve.ts ${port} ${certificate} ${key}`;
  return Stand.with((traces) => `
services:
  issued:
    ${tracing(traces, "issued", served("$C", "$K", "$PORT"))}
    environment: { C: "\${tls.certificate}", K: "\${tls.key}", PORT: "\${ports.https}" }
    ports: { https: random }
    tls: { port: https, name: web.internal, issued: [web.internal] }
    probes: { readiness: { http: { port: https, scheme: https }, interval_ms: 200, timeout_ms: 5000 } }
    metrics: { port: https, scheme: https, interval_ms: 200 }
  given:
    ${tracing(traces, "given", served("pair/certificate.pem", "pair/key.pem", String(port)))}
    probes: { readiness: { http: { port: ${port}, scheme: https }, interval_ms: 200, timeout_ms: 5000 } }
  other:
    ${tracing(traces, "other", served("pair/certificate.pem", "pair/key.pem", "$PORT"))}
    environment: { PORT: "\${ports.https}" }
    ports: { https: random }
    tls: { port: https, name: other.internal }
    probes: { readiness: { http: { port: https, scheme: https }, interval_ms: 200, timeout_ms: 5000 } }
`, async (stand) => {
    const folder = dirname(stand.file);
    await Deno.writeTextFile(`${folder}/serve.ts`, SERVER);
    const issue = ["cert", "issue", "given", "--host", "localhost", "--out", `${folder}/pair`, "--data", stand.data];
    assert.equal((await run(...issue)).code, 0);
    const asked: string[] = [];
    const proxy = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, ({ url }) => {
      asked.push(url);
      return new Response("no", { status: 502 });
    });
    const names = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"];
    const env: Record<string, string> = {
      ...Object.fromEntries(names.map((name) => [name, `http://127.0.0.1:${proxy.addr.port}`])),
      NODE_USE_ENV_PROXY: "1",
      DENO_NO_UPDATE_CHECK: "1", // the platform's own
    };
    try {
      await stand.start(env);
      const rows = await stand.until((rows) =>
        rows.length === 3 &&
        rows.every(({ service, state }) => state === (service === "other" ? "unhealthy" : "healthy"))
      );
      assert.match(rows.find(({ service }) => service === "other")!.because ?? "", /does not match/);
      const metrics = () => runWith(["stack", "metrics", "--data", stand.data], env);
      await until("its metrics are read", async () => (await metrics()).out, (out) => / asked +1\n/.test(out));
      assert.deepEqual(asked, []);
    } finally {
      await proxy.shutdown();
    }
  });
});
