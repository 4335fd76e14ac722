/** Who may not ask by their address is turned away first: nothing else of the request is looked at, whatever it is and wherever it came in. */
import assert from "node:assert/strict";
import type { Access } from "../adapters/http/access.ts";
import { Addresses } from "../adapters/http/addresses.ts";
import type { Refusal } from "../adapters/http/door.ts";
import { systemClock } from "../adapters/system/world.ts";
import { givenAuthority } from "./certificates_given.ts";
import { cloudEvent, structured, withSite } from "./http_given.ts";

const asked = (): never => assert.fail("somebody was asked for");

/** Notices every look at a token or a cookie. */
const watched: Access = { check: asked, prove: asked, session: asked, login: asked, logout: asked, end: asked };

const givenList = () => {
  const told: (readonly [rule: string, address: string])[] = [];
  const refusals: Refusal[] = [];
  const addresses = new Addresses({ allow: ["192.0.2.0/24"], refused: (...refused) => void told.push(refused) });
  return { told, refusals, options: { addresses, refused: (refusal: Refusal) => void refusals.push(refusal) } };
};

Deno.test("an address that is not on the list is refused on every route before anything of the request is looked at", async () => {
  const { told, refusals, options } = givenList();
  await withSite(async ({ server, send, log }) => {
    const paths = server.routes.map(({ method, path }) =>
      [method, path.replaceAll(/:[a-z0-9]+(\{\.\+\})?/g, "x")] as const
    );
    const odd = [
      ["GET", "/nothing"],
      ["OPTIONS", "/events"],
      ["DELETE", "/events"],
      ["GET", `/${"x".repeat(9_000)}`],
      ["GET", "/%ff"],
      ["HEAD", "/livez"],
    ] as const;
    const all = [...paths, ...odd];
    assert.ok(all.length > 20);
    for (const [method, path] of all) {
      for (const host of ["localhost:7373", "evil.example"]) {
        const body = method === "POST" ? cloudEvent("a") : undefined;
        const answer = await send(path, {
          method,
          host,
          body,
          as: "x.y.z",
          headers: { ...structured, cookie: "__Host-daybook_session=x" },
        });
        assert.equal(answer.status, 403, `${method} ${path}`);
        assert.equal(answer.headers.get("content-type"), "application/problem+json");
        if (method === "HEAD") assert.equal(await answer.text(), "");
        else assert.equal((await answer.json()).type, "urn:daybook:problem:address_refused", `${method} ${path}`);
      }
    }
    assert.deepEqual(told, Array(2 * all.length).fill(["not_listed", "127.0.0.1"]));
    assert.deepEqual(
      new Set(refusals.map((one) => JSON.stringify(one))),
      new Set(['{"action":"","because":"address_refused"}']),
    );
    assert.equal(log.size, 0);
    const page = await send("/sign-in", { headers: { accept: "text/html" } });
    assert.deepEqual([page.status, page.headers.get("content-type")], [403, "text/html; charset=utf-8"]);
    assert.match(await page.text(), /may not ask here/);
  }, { ...options, access: watched });
});

Deno.test("so it is where TLS 1.3 alone is spoken", async () => {
  const { told, options } = givenList();
  await withSite(async ({ server }) => {
    const authority = await givenAuthority();
    const { url } = await server.listenStrictly({
      hostname: "127.0.0.1",
      port: 0,
      tls: await authority.issue("server", ["server"]),
    });
    using client = Deno.createHttpClient({ caCerts: [authority.certificate] });
    for (const path of ["/livez", "/metrics", "/nothing"]) {
      const refused = await fetch(`${url}${path}`, { client, headers: { authorization: "Bearer x.y.z" } });
      assert.equal((await refused.json()).type, "urn:daybook:problem:address_refused", path);
    }
    assert.deepEqual(told, Array(3).fill(["not_listed", "127.0.0.1"]));
  }, { ...options, access: watched });
});

Deno.test("of a proxy's word only where it says the request comes from is read; who is on the list goes on as always", async () => {
  const { told, options } = givenList();
  await withSite(async ({ send }) => {
    const from = (forwarded: string) => send("/livez", { headers: { forwarded }, as: null });
    assert.equal((await from("for=192.0.2.7")).status, 200);
    assert.equal((await from("for=198.51.100.7, for=192.0.2.7")).status, 200);
    for (const not of ["for=198.51.100.7", "for=_hidden", "for=192.0.2.7, for=198.51.100.7", ";;"]) {
      assert.equal((await from(not)).status, 403, not);
    }
    assert.equal((await send("/views", { headers: { forwarded: "for=192.0.2.7" }, as: "none+" })).status, 401);
    assert.equal(told.length, 4);
  }, { ...options, behindProxy: "127.0.0.1", clock: systemClock });
});
