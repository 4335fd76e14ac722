import { CedarAuthority } from "../adapters/program/access/authority.ts";
import { shippedModel } from "../adapters/program/access/model.ts";
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { ACTIONS } from "../adapters/http/actions.ts";
import type { Needs } from "../adapters/http/access.ts";
import { SCOPES } from "../events/scopes.ts";
import { lastHop } from "../adapters/http/guard.ts";
import { SimulatedClock } from "../adapters/simulation/clock.ts";
import { systemRandom } from "../adapters/system/world.ts";
import { PROBLEMS } from "../adapters/http/problem.ts";
import { cloudEvent, ratesOf, type Site, structured, withSite } from "./http_given.ts";

/** What a token may by its scopes, said once more without policies. */
const holds = (scopes: readonly string[], needs: Needs): boolean =>
  needs === "any" || needs === "nothing" || scopes.includes(needs) ||
  (needs !== "personal" && scopes.includes("admin"));

const BLOB = createHash("sha256").update("a").digest("hex");

/** Somewhere to go and something to send for each route of the table. */
const visit = (site: Site, method: string, pattern: string, as: string | null): Promise<Response> => {
  const path = pattern.replace(":position", "0").replace(":type", "things.counter.raise").replace(":id{.+}", "a")
    .replace(":name", "things.seen").replace(":key{.+}", "lamp").replace(":file", "swagger-ui.css")
    .replace(":sha256{.+}", BLOB).replace(":level", "0").replace(":index{.+}", "000.p/1")
    .replace(/inclusion$/, "inclusion?position=0").replace(/consistency$/, "consistency?from=1");
  const body = method === "GET" || method === "HEAD"
    ? {}
    : path === "/events"
    ? { body: cloudEvent("a"), headers: structured }
    : path === "/login"
    ? { body: "token=read", headers: { "content-type": "application/x-www-form-urlencoded" } }
    : path === "/blobs"
    ? { body: "a", headers: { "content-type": "application/octet-stream" } }
    : path === "/logout"
    ? {}
    : { body: '{"by":1}', headers: { "content-type": "application/json" } };
  return site.send(path, { method, as, ...body });
};

Deno.test("every route lets in exactly whom its row of the table names", () =>
  withSite(async (site) => {
    await (await site.send("/events", { method: "POST", body: cloudEvent("a"), headers: structured })).body?.cancel();
    site.faults.note = "note\n";
    const [hash, proof] = [() => new Uint8Array(32), () => []];
    const tree = { size: 99, tile: hash, leaf: hash, root: hash, inclusion: proof, consistency: proof };
    Object.assign(site.log, { tree });
    for (const { method, path, action } of site.server.routes) {
      const needs = ACTIONS[action];
      for (const as of [null, "wrong!", "none", ...SCOPES]) {
        const response = await visit(site, method, path, as);
        await response.body?.cancel();
        const told = `${method} ${path} as ${as} answered ${response.status}`;
        if (needs === "nothing") assert.ok(response.status < 400, told);
        else if (as === null || as === "wrong!") {
          assert.equal(response.status, 401, told);
          assert.match(
            response.headers.get("www-authenticate")!,
            as === null ? /^Bearer realm="daybook"$/ : /error="invalid_token"/,
          );
        } else {
          if (holds(as === "none" ? [] : [as], needs)) assert.ok(response.status < 400, told);
          else {
            assert.equal(response.status, 403, told);
            assert.match(response.headers.get("www-authenticate")!, new RegExp(`insufficient_scope.*scope="${needs}"`));
          }
        }
      }
    }
  }, { rates: ratesOf({ window_ms: 1_000, requests_max: 10_000, denied_max: 10_000 }) }));

Deno.test("only probes, the way in and, where configured, checkpoint and tree are open without a token", async () => {
  const open = (options: { openCheckpoint?: boolean }) => {
    let found: string[] = [];
    return withSite((site) => {
      found = site.server.routes.filter(({ action }) => ACTIONS[action] === "nothing").map(({ method, path }) =>
        `${method} ${path}`
      );
      return Promise.resolve();
    }, options).then(() => found.sort());
  };
  const always = ["GET /favicon.ico", "GET /livez", "GET /login", "GET /readyz", "POST /login", "POST /logout"];
  assert.deepEqual(await open({}), always);
  assert.deepEqual(
    await open({ openCheckpoint: true }),
    [
      "GET /checkpoint",
      "GET /proofs/consistency",
      "GET /proofs/inclusion",
      "GET /tile/:level/:index{.+}",
      ...always,
    ].sort(),
  );
});

Deno.test("parts that are switched off are not there", () =>
  withSite(async (site) => {
    for (const path of ["/", "/live", "/login", "/docs", "/openapi.json", "/metrics"]) {
      assert.equal((await site.send(path)).status, 404, path);
    }
    assert.equal((await site.send("/events")).status, 200);
  }, { parts: { pages: false, docs: false, metrics: false } }));

Deno.test("admin implies what others may but personal data", async () => {
  const authority = new CedarAuthority(shippedModel());
  await authority.ready();
  const admin = {
    id: "a",
    scopes: ["admin"],
    tenant: "default",
    principal: { authtype: "api_key", authid: "a" },
  } as const;
  assert.deepEqual(authority.scopesOf(admin), ["ingest", "command", "read", "admin"]);
});

Deno.test("a revoked token is refused from the next request on", () =>
  withSite(async (site) => {
    assert.equal((await site.send("/views", { as: "read" })).status, 200);
    site.access.revoked.add("read");
    assert.equal((await site.send("/views", { as: "read" })).status, 401);
  }));

Deno.test("a bearer header that is none is refused without a look at the token", () =>
  withSite(async (site) => {
    for (
      const authorization of [
        "Basic cmVhZA==",
        "Bearer",
        "Bearer ",
        "Bearer a b",
        "bearer \u00e9",
        `Bearer ${"a".repeat(600)}`,
        "read",
      ]
    ) {
      assert.equal((await site.send("/views", { headers: { authorization } })).status, 401, authorization);
    }
    assert.equal((await site.send("/views", { headers: { authorization: "bearer read" } })).status, 200);
  }));

Deno.test("a host that is not ours is refused on every route, addresses and localhost are ours", () =>
  withSite(async (site) => {
    for (
      const host of [
        "evil.example",
        "evil.example:7373",
        "",
        "a b",
        "[::1",
        "localhost:x",
        "localhost@evil.example",
        "127.0.0.1.evil.example",
      ]
    ) {
      for (const path of ["/livez", "/", "/events", "/nothing"]) {
        const response = await site.send(path, { host });
        assert.equal(response.status, 421, `${host} ${path}`);
        assert.equal((await response.json()).type, "urn:daybook:problem:misdirected");
      }
    }
    // Without the header, as in HTTP/2, the URL's authority stands for it.
    assert.equal((await site.send("/livez", { host: null })).status, 200);
    const other = await site.server.fetch(new Request("http://evil.example/livez"));
    assert.equal(other.status, 421);
    await other.body?.cancel();
    for (const host of ["localhost", "LocalHost:7373", "127.0.0.1:1", "[::1]:7373", "192.0.2.7"]) {
      assert.equal((await site.send("/livez", { host })).status, 200, host);
    }
  }));

Deno.test("configured host names are served", () =>
  withSite(async (site) => {
    assert.equal((await site.send("/livez", { host: "daybook.example:443" })).status, 200);
  }, { hosts: ["Daybook.example"] }));

Deno.test("a request of another site's page is refused, whatever the method and the token", () =>
  withSite(async (site) => {
    for (
      const origin of [
        "https://evil.example",
        "null",
        "http://localhost:1",
        "https://localhost:7373",
        "http://localhost:7373.evil.example",
      ]
    ) {
      const response = await site.send("/views", { headers: { origin } });
      assert.equal(response.status, 403, origin);
      assert.equal((await response.json()).type, "urn:daybook:problem:cross_origin");
      const sent = await site.send("/events", {
        method: "POST",
        body: cloudEvent("a"),
        headers: { ...structured, origin },
      });
      assert.equal(sent.status, 403);
    }
    assert.equal(
      (await site.send("/views", { headers: { "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors" } })).status,
      403,
    );
    assert.equal((await site.send("/views", { headers: { origin: "http://localhost:7373" } })).status, 200);
    assert.equal(site.log.size, 0);
  }));

Deno.test("no answer allows another site to read it", () =>
  withSite(async (site) => {
    for (const { method, path } of site.server.routes) {
      const response = await visit(site, method, path, "read");
      await response.body?.cancel();
      assert.equal(response.headers.get("access-control-allow-origin"), null);
      assert.equal(
        response.headers.get("x-content-type-options"),
        response.status === 303 ? null : "nosniff",
        `${method} ${path}`,
      );
    }
  }));

Deno.test("signing in sets a strict cookie that opens the page, signing out ends it", () =>
  withSite(async (site) => {
    const form = { "content-type": "application/x-www-form-urlencoded" };
    const refused = await site.send("/login", { method: "POST", as: null, headers: form, body: "token=wrong!" });
    assert.equal(refused.status, 401);
    assert.match(refused.headers.get("content-type")!, /^text\/html/);
    assert.equal(refused.headers.get("set-cookie"), null);
    assert.doesNotMatch(await refused.text(), /wrong!/);
    const accepted = await site.send("/login", {
      method: "POST",
      as: null,
      headers: form,
      body: "token=+read+&next=%2Fdocs",
    });
    assert.equal(accepted.status, 303);
    assert.equal(accepted.headers.get("location"), "/docs");
    const cookie = "__Host-daybook_session=s-read";
    assert.equal(accepted.headers.get("set-cookie"), `${cookie}; Path=/; HttpOnly; SameSite=Strict; Secure`);
    const headers = { cookie: `other=1; ${cookie}`, accept: "text/html" };
    assert.equal((await site.send("/", { as: null, headers })).status, 200);
    const out = await site.send("/logout", { method: "POST", as: null, headers });
    assert.equal(out.status, 303);
    assert.match(out.headers.get("set-cookie")!, /^__Host-daybook_session=; .*Max-Age=0$/);
    const after = await site.send("/", { as: null, headers });
    assert.deepEqual([after.status, after.headers.get("location")], [303, "/login"]);
  }));

Deno.test("after signing in nobody is led to another site", () =>
  withSite(async (site) => {
    for (
      const next of [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "javascript:alert(1)",
        "/a b",
        "/\u0000",
      ]
    ) {
      const body = new URLSearchParams({ token: "read", next }).toString();
      const response = await site.send("/login", {
        method: "POST",
        as: null,
        body,
        headers: { "content-type": "application/x-www-form-urlencoded" },
      });
      assert.equal(response.headers.get("location"), "/", next);
    }
    const page = await (await site.send("/login?next=%22%3E%3Cscript%3E", { as: null })).text();
    assert.doesNotMatch(page, /"><script>/);
  }));

Deno.test("who asks for a page without a session is sent to sign in and back", () =>
  withSite(async (site) => {
    const docs = await site.send("/docs", { as: null, headers: { accept: "text/html" } });
    assert.deepEqual([docs.status, docs.headers.get("location")], [303, "/login?next=%2Fdocs"]);
    assert.equal((await site.send("/docs", { as: null })).status, 401);
    const scope = await site.send("/", { as: "ingest", headers: { accept: "text/html" } });
    assert.equal(scope.status, 403);
    assert.match(await scope.text(), /This needs the scope read/);
  }));

Deno.test("pages allow no script and style but their own, and no frame", () =>
  withSite(async (site) => {
    for (const path of ["/", "/login", "/docs"]) {
      const response = await site.send(path, { headers: { accept: "text/html" } });
      await response.body?.cancel();
      const policy = response.headers.get("content-security-policy")!;
      assert.match(policy, /default-src 'none'/);
      assert.match(policy, /frame-ancestors 'none'/);
      assert.doesNotMatch(policy.replace("style-src 'self' 'unsafe-inline'", ""), /unsafe|https?:|\*/);
      assert.equal(response.headers.get("x-frame-options"), "DENY");
    }
  }));

Deno.test("wrong tokens are limited by address, right ones by token, and both say when to come again", () =>
  withSite(async (site) => {
    for (let i = 0; i < 3; i++) assert.equal((await site.send("/views", { as: "wrong!" })).status, 401);
    const denied = await site.send("/views", { as: "wrong!" });
    assert.equal(denied.status, 429);
    assert.equal(denied.headers.get("retry-after"), "60");
    const login = await site.send("/login", {
      method: "POST",
      as: null,
      body: "token=read",
      headers: { "content-type": "application/x-www-form-urlencoded" },
    });
    assert.equal(login.status, 429);
    for (let i = 0; i < 5; i++) assert.equal((await site.send("/views", { as: "read" })).status, 200);
    const limited = await site.send("/views", { as: "read" });
    assert.equal(limited.status, 429);
    assert.equal(limited.headers.get("retry-after"), "60");
    assert.equal(limited.headers.get("ratelimit-policy"), '"token";q=5;w=60');
    assert.equal(limited.headers.get("ratelimit"), '"token";r=0;t=60');
    assert.equal((await limited.json()).type, "urn:daybook:problem:too_many_requests");
    assert.equal((await site.send("/views", { as: "read+ingest" })).status, 200);
    assert.equal((await site.send("/livez", { as: null })).status, 200);
  }, {
    clock: new SimulatedClock(systemRandom),
    rates: ratesOf({ window_ms: 60_000, requests_max: 5, denied_max: 3 }),
  }));

Deno.test("other methods are 405 with Allow, other paths 404, OPTIONS tells the methods", () =>
  withSite(async (site) => {
    for (
      const [method, path, allow] of [
        ["DELETE", "/events", "POST, OPTIONS, GET, HEAD"],
        ["PUT", "/events/7", "GET, HEAD, OPTIONS"],
        ["GET", "/commands/a.b.c/d", "POST, OPTIONS"],
        ["POST", "/views/a/b/c", "GET, HEAD, OPTIONS"],
        ["TRACEME", "/livez", "GET, HEAD, OPTIONS"],
        ["DELETE", `/blobs/${BLOB}`, "GET, HEAD, OPTIONS"],
      ] as const
    ) {
      const response = await site.send(path, { method, as: null });
      assert.equal(response.status, 405, `${method} ${path}`);
      assert.deepEqual(new Set(response.headers.get("allow")!.split(", ")), new Set(allow.split(", ")));
      assert.equal((await response.json()).type, "urn:daybook:problem:method_not_allowed");
      const options = await site.send(path, { method: "OPTIONS", as: null });
      assert.deepEqual([options.status, await options.text()], [204, ""]);
    }
    for (const path of ["/nothing", "/events/1/2", "/commands", "/commands/a.b.c", "/Events", "//events", "/events/"]) {
      const response = await site.send(path);
      assert.equal(response.status, 404, path);
      assert.equal((await response.json()).status, 404);
    }
  }));

Deno.test("HEAD answers as GET without a body, and opens no stream", () =>
  withSite(async (site) => {
    for (const { method, path } of site.server.routes) {
      if (method !== "GET") continue;
      const response = await visit(site, "HEAD", path, "admin");
      const got = await visit(site, "GET", path, "admin");
      await got.body?.cancel();
      assert.equal(response.status, got.status, path);
      assert.equal(response.headers.get("content-type"), got.headers.get("content-type"), path);
      assert.equal(await response.text(), "");
    }
    for (const path of ["/nothing", "/events/99", "/docs/nothing"]) {
      const response = await site.send(path, { method: "HEAD" });
      assert.deepEqual([response.status, await response.text()], [404, ""], path);
    }
    assert.match(await (await site.send("/metrics")).text(), /^daybook_http_streams 0$/m);
  }));

Deno.test("a smaller body limit can be configured", () =>
  withSite(async (site) => {
    const response = await site.send("/events", { method: "POST", body: cloudEvent("a"), headers: structured });
    assert.equal(response.status, 413);
    assert.equal((await response.json()).limit, 50);
  }, { bodyBytesMax: 50 }));

Deno.test("a valid traceparent goes on with a span of our own, an invalid one is restarted", () =>
  withSite(async (site) => {
    const raise = async (id: string, traceparent?: string) => {
      const headers: Record<string, string> = {
        "content-type": "application/json",
        ...(traceparent !== undefined && { traceparent }),
      };
      const response = await site.send(`/commands/things.counter.raise/${id}`, {
        method: "POST",
        body: '{"by":1}',
        headers,
      });
      return (await response.json()).facts[0].traceparent as string | undefined;
    };
    const trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    const own = await raise("a", `00-${trace}-00f067aa0ba902b7-01`);
    assert.match(own!, new RegExp(`^00-${trace}-[0-9a-f]{16}-01$`));
    assert.notEqual(own!.split("-")[2], "00f067aa0ba902b7");
    assert.match(
      (await raise("b", `cc-${trace}-00f067aa0ba902b7-09-more`))!,
      new RegExp(`^00-${trace}-[0-9a-f]{16}-01$`),
    );
    for (
      const invalid of [
        "",
        "nonsense",
        `00-${"0".repeat(32)}-00f067aa0ba902b7-01`,
        `00-${trace}-${"0".repeat(16)}-01`,
        `ff-${trace}-00f067aa0ba902b7-01`,
        `00-${trace.toUpperCase()}-00f067aa0ba902b7-01`,
        `00-${trace}-00f067aa0ba902b7-01-more`,
      ]
    ) {
      const restarted = await raise("c", invalid);
      assert.match(restarted!, /^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/, invalid);
      assert.ok(!restarted!.includes(trace));
    }
    assert.equal(await raise("d"), undefined);
  }));

Deno.test("Forwarded is believed from the proxy alone", () =>
  withSite(async (site) => {
    const ask = (remote: string, forwarded: string, origin: string) =>
      site.server.fetch(
        new Request("http://localhost:7373/login", { headers: { host: "127.0.0.1:7373", forwarded, origin } }),
        { remoteAddr: { transport: "tcp", hostname: remote } },
      );
    const forwarded =
      'for=192.0.2.60;proto=http;host=evil.example, for="[2001:db8::1]";proto=https;host=daybook.example';
    const good = await ask("192.0.2.1", forwarded, "https://daybook.example");
    assert.equal(good.status, 200);
    assert.match(good.headers.get("strict-transport-security")!, /max-age/);
    assert.equal((await ask("::ffff:192.0.2.1", forwarded, "https://daybook.example")).status, 200);
    assert.equal((await ask("192.0.2.2", forwarded, "https://daybook.example")).status, 403);
    assert.equal((await ask("192.0.2.1", forwarded, "http://daybook.example")).status, 403);
    assert.equal((await ask("192.0.2.1", "for=1.2.3.4;host=evil.example", "http://evil.example")).status, 421);
  }, { behindProxy: "192.0.2.1", hosts: ["daybook.example"] }));

Deno.test("lastHop reads what the nearest proxy added, and nothing of a header that is malformed", () => {
  assert.deepEqual(lastHop('for=_mystery, For="[2001:db8::1]:4711";Proto=HTTPS ; host="a.example:8443"'), {
    for: "[2001:db8::1]:4711",
    host: "a.example:8443",
    proto: "https",
  });
  assert.deepEqual(lastHop(""), {});
  for (const malformed of ["for", "for=a;;", 'for="a', "for=a, ", ",", "=", "x".repeat(5_000), 'for="\\"']) {
    assert.equal(lastHop(malformed), undefined, malformed);
  }
});

Deno.test("with TLS the cookie is sent over TLS alone and browsers are told to stay", () =>
  withSite(async (site) => {
    const headers = { "content-type": "application/x-www-form-urlencoded", origin: "https://localhost:7373" };
    const response = await site.send("/login", { method: "POST", as: null, body: "token=read", headers, secure: true });
    assert.match(response.headers.get("set-cookie")!, /; Secure$/);
    const page = await site.send("/login", { as: null, secure: true });
    assert.match(page.headers.get("strict-transport-security")!, /max-age/);
    await page.body?.cancel();
  }));

Deno.test("a fixed grant needs neither host nor token", () =>
  withSite(async (site) => {
    const grant = {
      id: "socket",
      scopes: ["admin"],
      tenant: "default",
      principal: { authtype: "system", authid: "control" },
    } as const;
    const response = await site.server.fetch(
      new Request("http://whatever/views", { headers: { host: "whatever" } }),
      undefined,
      grant,
    );
    assert.equal(response.status, 200);
    await response.body?.cancel();
  }));

Deno.test("problems have a stable form, an instance to quote, and a page of documentation each", async () => {
  await withSite(async (site) => {
    const response = await site.send("/events/99");
    const body = await response.json();
    assert.deepEqual(Object.keys(body), ["type", "title", "status", "detail", "size", "instance"]);
    assert.equal(body.instance, `urn:daybook:request:${response.headers.get("x-request-id")}`);
  });
  const listed = Deno.readTextFileSync(new URL("../docs/problems.md", import.meta.url));
  const rows = [...listed.matchAll(/^\| `([a-z_0-9]+)` \| (\d{3}) \| (.+?) \|$/gm)].map((
    [, code, status, title],
  ) => [code, Number(status), title]);
  assert.deepEqual(rows, Object.entries(PROBLEMS).map(([code, [status, title]]) => [code, status, title]));
});
