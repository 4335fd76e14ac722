/** The listener that demands TLS 1.3 and certificates of clients: tried with openssl as the client. */
import assert from "node:assert/strict";
import { connect as connectPlain } from "node:net";
import { connect, type TLSSocket } from "node:tls";
import { listenStrictly, STRICT, type StrictTls } from "../adapters/http/strict_tls.ts";
import { systemClock } from "../adapters/system/world.ts";
import { givenAuthority, type Pair, runOpenssl, withFolder, written } from "./certificates_given.ts";
import { openssl } from "./installed_given.ts";
import { cloudEvent, structured, withSite } from "./http_given.ts";
import { heard, until } from "./until.ts";

type Authority = Awaited<ReturnType<typeof givenAuthority>>;

const withStrict = (
  work: (
    given: {
      readonly url: string;
      readonly port: number;
      readonly authority: Authority;
      readonly client: Pair;
      readonly renew: (tls: StrictTls) => void;
      readonly site: Parameters<Parameters<typeof withSite>[0]>[0];
    },
  ) => Promise<void>,
  options: Parameters<typeof withSite>[1] = {},
) =>
  withSite(async (site) => {
    const authority = await givenAuthority();
    const server = await authority.issue("server", ["server"]);
    const client = await authority.issue("client", ["client"], { names: [] });
    const { url, port, renew } = await site.server.listenStrictly({
      hostname: "127.0.0.1",
      port: 0,
      tls: { ...server, clients: authority.certificate },
    });
    await work({ url, port, authority, client, renew, site });
  }, options);

const GET = "GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/** An alert (RFC 8446 section 6), or the end of the connection before it, and no answer in any case. */
const REFUSED = /^alert [a-z ]+$|unexpected eof|errno=(104|32)/;

/** What `openssl s_client` comes to: the status it was answered, or how it was refused. */
const spoken = async (
  port: number,
  ca: string,
  options: readonly string[],
  { pair, input = "" }: { readonly pair?: Pair; readonly input?: string } = {},
): Promise<string> => {
  let said = "";
  await withFolder(async (folder) => {
    const files = written(folder, { ca, cert: pair?.cert ?? "", key: pair?.key ?? "" });
    const { out, err } = await runOpenssl([
      "s_client",
      "-connect",
      `127.0.0.1:${port}`,
      "-servername",
      "localhost",
      "-verify_return_error",
      "-CAfile",
      files.ca,
      ...(pair ? ["-cert", files.cert, "-key", files.key] : []),
      ...options,
      "-ign_eof",
    ], input);
    said = /HTTP\/1\.1 \d+/.exec(out)?.[0] ?? /alert [a-z ]+(?=:)/.exec(err)?.[0] ?? err;
  });
  return said;
};

Deno.test({
  name:
    "openssl is refused with TLS 1.2, without a certificate, and with one that does not count, and is answered with one that does",
  ignore: openssl === undefined,
  fn: () =>
    withStrict(async ({ port, authority, client, site }) => {
      const ca = authority.certificate;
      assert.equal(await spoken(port, ca, ["-tls1_3"], { pair: client, input: GET }), "HTTP/1.1 200");
      assert.match(await spoken(port, ca, ["-tls1_2"], { pair: client, input: GET }), REFUSED);
      assert.match(await spoken(port, ca, ["-tls1_3"], { input: GET }), REFUSED);
      // Whose certificate does not count finds the connection closed before it is answered anything.
      const refused = {
        stranger: await (await givenAuthority()).issue("a", ["client"], { names: [] }),
        server: await authority.issue("a", ["server"]),
        outside: await authority.issue("a", ["client"], { names: ["example.com"] }),
        past: await authority.issue("a", ["client"], { names: [], from: -3_600_000, until: -60_000 }),
        future: await authority.issue("a", ["client"], { names: [], from: 3_600_000, until: 7_200_000 }),
      };
      for (const [name, pair] of Object.entries(refused)) {
        assert.match(await spoken(port, ca, ["-tls1_3"], { pair, input: GET }), REFUSED, name);
      }
      const metrics = async () => {
        const headers = { authorization: "Bearer read" };
        return await (await site.server.fetch(new Request("http://localhost/metrics", { headers }))).text();
      };
      await until("every refusal is counted", metrics, (text) => /^daybook_tls_refused_total 7$/m.test(text));
    }),
});

Deno.test("the connections of its requests are told of, as over any other listener", async () => {
  const told: (readonly [string, number])[] = [];
  await withStrict(async ({ url, authority, client }) => {
    for (let fetched = 1; fetched <= 2; fetched++) {
      using fetching = Deno.createHttpClient({ caCerts: [authority.certificate], ...client });
      await (await fetch(`${url}/livez`, { client: fetching })).body?.cancel();
      assert.equal(told.length, fetched);
    }
  }, { connected: (address, port) => told.push([address, port]) });
  assert.deepEqual(told.map(([address]) => address), ["127.0.0.1", "127.0.0.1"]);
  assert.notEqual(told[0]![1], told[1]![1]);
});

Deno.test("with a certificate everything goes on as over any other listener", () =>
  withStrict(async ({ url, authority, client, site }) => {
    using fetching = Deno.createHttpClient({ caCerts: [authority.certificate], ...client });
    const ask = (path: string, init: RequestInit = {}) => fetch(`${url}${path}`, { ...init, client: fetching });
    const headers = { authorization: "Bearer ingest+read", ...structured };
    const posted = await ask("/events", { method: "POST", headers, body: cloudEvent("a") });
    assert.equal(posted.status, 201);
    await posted.body?.cancel();
    const large = await ask("/events", { method: "POST", headers, body: "x".repeat(2_000_000) });
    assert.equal(large.status, 413);
    assert.equal((await large.json()).status, 413);
    const head = await ask("/livez", { method: "HEAD" });
    assert.equal(head.status, 200);
    const nowhere = await ask("/nowhere", { headers });
    assert.equal(nowhere.headers.get("content-type"), "application/problem+json");
    await nowhere.body?.cancel();
    const elsewhere = await ask("/livez", { headers: { host: "evil.example" } });
    assert.ok([200, 421].includes(elsewhere.status)); // fetch may keep the host to itself
    await elsewhere.body?.cancel();
    const login = await ask("/login", {
      method: "POST",
      redirect: "manual",
      body: new URLSearchParams({ token: "read" }),
      headers: { origin: url },
    });
    await login.body?.cancel();
    assert.match(login.headers.get("set-cookie")!, /; Secure$/);
    const following = await ask("/follow?from=0", { headers });
    const reader = following.body!.pipeThrough(new TextDecoderStream()).getReader();
    await heard("the first event", reader, (told) => told.includes("id: 0\n"));
    await reader.cancel();
    assert.equal(site.log.size, 1);
  }));

Deno.test("another certificate is shown from then on, and a connection that was open goes on", () =>
  withStrict(async ({ port, authority, client, renew }) => {
    const options = { port, host: "127.0.0.1", servername: "localhost", ca: authority.certificate, ...client };
    const opened = () => {
      const open = Promise.withResolvers<TLSSocket>();
      const socket = connect(options, () => open.resolve(socket));
      socket.on("error", open.reject);
      return open.promise;
    };
    const ask = (socket: TLSSocket): Promise<string> => {
      const answer = Promise.withResolvers<string>();
      let text = "";
      const take = (bytes: Uint8Array) => {
        text += new TextDecoder().decode(bytes);
        if (!text.endsWith("}")) return;
        socket.off("data", take);
        answer.resolve(text.slice(0, 12));
      };
      socket.on("data", take);
      socket.write(GET.replace("Connection: close\r\n", ""));
      return answer.promise;
    };
    const serial = (socket: TLSSocket) => socket.getPeerCertificate().serialNumber;
    const before = await opened();
    assert.equal(await ask(before), "HTTP/1.1 200");
    renew({ ...await authority.issue("server", ["server"]), clients: authority.certificate });
    assert.equal(await ask(before), "HTTP/1.1 200");
    const after = await opened();
    assert.notEqual(serial(after), serial(before));
    assert.equal(await ask(after), "HTTP/1.1 200");
    assert.throws(() => renew({ cert: "none", key: "none", clients: authority.certificate }));
    assert.equal(await ask(await opened()), "HTTP/1.1 200");
    for (const socket of [before, after]) socket.destroy();
  }));

Deno.test("a body without a stated length that is too large is refused, and its connection ended", () =>
  withStrict(async ({ port, authority, client }) => {
    const options = { port, host: "127.0.0.1", servername: "localhost", ca: authority.certificate, ...client };
    const closed = Promise.withResolvers<void>();
    let text = "";
    const socket = connect(options, () => {
      socket.write(
        "POST /events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ingest\r\n" +
          "Content-Type: application/cloudevents+json\r\nTransfer-Encoding: chunked\r\n\r\n",
      );
      for (let i = 0; i < 32; i++) socket.write(`c800\r\n${"x".repeat(0xc800)}\r\n`);
    });
    socket.on("data", (bytes) => text += new TextDecoder().decode(bytes));
    socket.on("close", () => closed.resolve());
    socket.on("error", () => {}); // what was still on its way
    await closed.promise;
    assert.match(text, /^HTTP\/1\.1 413 /);
  }));

Deno.test("a handshake that does not come, and headers that do not end, end their connections", async () => {
  const authority = await givenAuthority();
  let refused = 0;
  const listener = await listenStrictly({
    hostname: "127.0.0.1",
    port: 0,
    tls: await authority.issue("server", ["server"]),
    answer: () => new Response("ok"),
    broken: () => new Response(null, { status: 500 }),
    refused: () => refused++,
    clock: {
      ...systemClock,
      schedule: (after, call) => systemClock.schedule(after === STRICT.alert_ms ? 0 : after, call),
    },
    bounds: { handshake_ms: 100, headers_ms: 100 },
  });
  const { port } = listener;
  const silent = connectPlain({ host: "127.0.0.1", port });
  const closed = (socket: { once(event: "close", call: () => void): unknown }) =>
    new Promise<void>((resolve) => void socket.once("close", resolve));
  await closed(silent);
  assert.equal(refused, 1);
  const slow = connect({ host: "127.0.0.1", port, servername: "localhost", ca: authority.certificate }, () => {
    slow.write("GET / HTTP/1.1\r\nHost: localhost\r\n");
  });
  slow.on("error", () => {}); // what was still on its way
  await closed(slow);
  await listener.close();
});

Deno.test("an address that another has is told as such", () =>
  withStrict(async ({ port, authority, site }) => {
    const tls = await authority.issue("server", ["server"]);
    await assert.rejects(site.server.listenStrictly({ hostname: "127.0.0.1", port, tls }), Deno.errors.AddrInUse);
  }));
