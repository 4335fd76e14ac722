/** Headers that are longer than any need be, or that somebody has written into. */
import assert from "node:assert/strict";
import { bearerOf } from "../adapters/http/access.ts";
import { lastHop } from "../adapters/http/guard.ts";
import { negotiate, parseMedia } from "../adapters/http/media.ts";
import { withSite } from "./http_given.ts";

Deno.test("of headers that are longer than any need be nothing is taken", () => {
  const type = (length: number) => `application/json;a=${"x".repeat(length - "application/json;a=".length)}`;
  assert.deepEqual([parseMedia(type(256))?.essence, parseMedia(type(257))], ["application/json", undefined]);
  const offered = ["application/json", "text/html"];
  const wanted = (before: number) => negotiate(`${"x".repeat(before)},text/html`, offered);
  assert.equal(wanted(1_024 - ",text/html".length), "text/html");
  assert.throws(() => wanted(1_024), { code: "not_acceptable" });
  const bearer = (length: number) =>
    bearerOf(new Headers({ authorization: `Bearer ${"x".repeat(length - "Bearer ".length)}` }));
  assert.deepEqual([bearer(2_048)?.length, bearer(2_049)], [2_041, undefined]);
  const padded = (length: number) => `for=192.0.2.60;by="${"x".repeat(length - 'for=192.0.2.60;by=""'.length)}"`;
  assert.deepEqual([lastHop(padded(4_096)), lastHop(padded(4_097))], [{ for: "192.0.2.60" }, undefined]);
});

Deno.test("a proxy may end what it says with a semicolon, as RFC 7239 has it", () => {
  for (const header of ["for=192.0.2.60;host=a.example;", "for=b; , for=192.0.2.60 ;host=a.example ; "]) {
    assert.deepEqual(lastHop(header), { for: "192.0.2.60", host: "a.example" }, header);
  }
  for (const header of ["for=192.0.2.60;,", "for=192.0.2.60; ;", ";", "for=192.0.2.60;for=b;"]) {
    assert.equal(lastHop(header), undefined, header);
  }
});

Deno.test("a request whose client wrote into what the proxy says counts as nobody's: not as the proxy's, nor as whose it says", () =>
  withSite(async (site) => {
    const ask = async (forwarded: string, path = "/livez", remote = "192.0.2.1") => {
      const request = new Request(`http://localhost:7373${path}`, { headers: { host: "127.0.0.1:7373", forwarded } });
      const response = await site.server.fetch(request, { remoteAddr: { transport: "tcp", hostname: remote } });
      const { type = "" } = await response.json();
      return `${response.status} ${type.split(":").at(-1)}`.trim();
    };
    for (
      const forged of [
        // A `Host` that ends the quotes it is written in.
        'for=192.0.2.60;host="a.example";for=192.0.2.61;x="";proto=https',
        'for=192.0.2.60;host="a.example"";proto=https',
        `for=192.0.2.60;host="${"a".repeat(4_096)}";proto=https`,
        ";;, for=192.0.2.60;host=a.example;proto=https",
      ]
    ) {
      assert.equal(await ask(forged), "400 invalid_header", forged);
      assert.equal(await ask(forged, "/nothing"), "400 invalid_header", forged);
      assert.equal(await ask(forged, "/livez", "192.0.2.2"), "200", forged);
    }
    assert.equal(await ask("for=192.0.2.60;host=a.example"), "200");
    assert.equal(await ask("for=192.0.2.60;host=a.example;proto=https;"), "200");
    assert.equal(await ask("by=proxy"), "200");
    assert.equal(await ask(""), "200");
  }, { behindProxy: "192.0.2.1", hosts: ["a.example"] }));
