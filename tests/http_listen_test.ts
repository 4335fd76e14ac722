/** The server on real sockets: TLS, a Unix socket, stopping, and spans where telemetry is on. */
import assert from "node:assert/strict";
import { cloudEvent, ratesOf, structured, withSite } from "./http_given.ts";
import { openssl } from "./installed_given.ts";
import { until } from "./until.ts";

Deno.test({
  name: "over TLS the server speaks HTTP/1.1 and HTTP/2 under an https URL, and its cookies are Secure",
  ignore: openssl === undefined,
  fn: () =>
    withSite(async (site) => {
      const folder = Deno.makeTempDirSync({ prefix: "daybook-tls-" });
      try {
        const { success, stderr } = new Deno.Command(openssl!, {
          args:
            `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost -addext basicConstraints=critical,CA:FALSE -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout ${folder}/key -out ${folder}/cert`
              .split(" "),
        }).outputSync();
        assert.ok(success, new TextDecoder().decode(stderr));
        const cert = Deno.readTextFileSync(`${folder}/cert`);
        const { url } = site.server.listen({
          hostname: "127.0.0.1",
          port: 0,
          tls: { cert, key: Deno.readTextFileSync(`${folder}/key`) },
        });
        assert.match(url, /^https:\/\/127\.0\.0\.1:\d+$/);
        using client = Deno.createHttpClient({ caCerts: [cert] });
        const answer = await fetch(`${url}/livez`, { client });
        assert.deepEqual(await answer.json(), { status: "alive" });
        const login = await fetch(`${url}/login`, {
          client,
          method: "POST",
          redirect: "manual",
          body: new URLSearchParams({ token: "read" }),
          headers: { origin: url },
        });
        await login.body?.cancel();
        assert.match(login.headers.get("set-cookie")!, /; Secure$/);
      } finally {
        Deno.removeSync(folder, { recursive: true });
      }
    }),
});

Deno.test("on a Unix socket everybody is the grant that it was opened with, and only its owner can open it", () =>
  withSite(async (site) => {
    const folder = Deno.makeTempDirSync({ prefix: "daybook-socket-" });
    const path = `${folder}/control.sock`;
    site.server.listenUnix(path, {
      id: "operator",
      scopes: ["admin"],
      tenant: "default",
      principal: { authtype: "user", authid: "operator" },
    });
    assert.equal(Deno.statSync(path).mode! & 0o777, 0o600, "nobody else can");
    using client = Deno.createHttpClient({ proxy: { transport: "unix", path } });
    const answer = await fetch("http://daybook.socket/events", {
      client,
      method: "POST",
      headers: structured,
      body: cloudEvent("a"),
    });
    assert.equal(answer.status, 201);
    await answer.body?.cancel();
    assert.equal([...site.log.read({})].flat()[0]!.authid, "operator");
    await site.server.stop();
    Deno.removeSync(folder, { recursive: true });
  }));

Deno.test("stopping lets requests under way finish, ends followers, refuses new ones, and may be said twice", () =>
  withSite(async (site) => {
    const { url } = site.server.listen({ hostname: "127.0.0.1", port: 0 });
    let release: (() => void) | undefined;
    site.faults.ingest = () =>
      new Promise((resolve) =>
        release = () => resolve({ ok: true, accepted: 0, duplicates: 0, size: 0, receipts: [] })
      );
    const headers = { authorization: "Bearer ingest+read" };
    const following = await fetch(`${url}/follow`, { headers });
    const posting = fetch(`${url}/events`, {
      method: "POST",
      headers: { ...headers, ...structured },
      body: cloudEvent("a"),
    });
    const finish = await until("it is under way", () => release);
    const stopping = Promise.all([site.server.stop(), site.server.stop()]);
    assert.match(await following.text(), /^retry: 2000\n\n$/);
    finish!();
    const posted = await posting;
    assert.equal(posted.status, 200);
    await posted.body?.cancel();
    await stopping;
    await assert.rejects(fetch(`${url}/livez`));
  }));

Deno.test("bounds that the configuration narrows for others do not hold up the operator on the socket", () =>
  withSite(async (site) => {
    const folder = Deno.makeTempDirSync({ prefix: "daybook-socket-" });
    const path = `${folder}/control.sock`;
    const principal = { authtype: "user", authid: "operator" } as const;
    site.server.listenUnix(path, { id: "operator", scopes: ["admin"], tenant: "default", principal });
    using client = Deno.createHttpClient({ proxy: { transport: "unix", path } });
    const x = "x".repeat(1_000);
    const large = { method: "POST", headers: structured, body: cloudEvent("a", { a: x, b: x, c: x }) };
    for (let i = 0; i < 3; i++) {
      const answer = await fetch("http://daybook.socket/events", { client, ...large });
      await answer.body?.cancel();
      assert.ok(answer.status < 300, String(answer.status));
    }
    assert.equal((await site.send("/events", large)).status, 413);
    assert.equal((await site.send("/events")).status, 429);
    await site.server.stop();
    Deno.removeSync(folder, { recursive: true });
  }, { bodyBytesMax: 2_000, rates: ratesOf({ window_ms: 60_000, requests_max: 1, denied_max: 10 }) }));

Deno.test("HEAD states the length of GET's body, and none where that is a stream", () =>
  withSite(async (site) => {
    await (await site.send("/events", { method: "POST", body: cloudEvent("a"), headers: structured })).body?.cancel();
    const { port } = site.server.listen({ hostname: "127.0.0.1", port: 0 });
    for (
      const [path, stream] of [
        ["/livez", false],
        ["/events", false],
        ["/views/things.seen", false],
        ["/nothing", false],
        ["/events/99", false],
        ["/docs/swagger-ui.css", false],
        ["/follow", true],
        ["/live", true],
      ] as const
    ) {
      const connection = await Deno.connect({ hostname: "127.0.0.1", port });
      await connection.write(
        new TextEncoder().encode(
          `HEAD ${path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer read\r\nconnection: close\r\n\r\n`,
        ),
      );
      const head = await new Response(connection.readable).text();
      const stated = /^content-length: (\d+)\r$/mi.exec(head)?.[1];
      if (stream) assert.equal(stated, undefined, head);
      else assert.equal(stated, String((await (await site.send(path)).bytes()).length), path);
    }
  }));
