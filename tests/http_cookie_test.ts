/** A browser sends a cookie along with whatever a page makes it send. */
import assert from "node:assert/strict";
import { ACTIONS } from "../adapters/http/actions.ts";
import { withSite } from "./http_given.ts";

Deno.test("the cookie of a token reads, and changes nothing on any route", () =>
  withSite(async (site) => {
    const headers = { cookie: "__Host-daybook_session=s-admin" };
    assert.equal((await site.send("/views", { as: null, headers })).status, 200);
    const { size } = site.log;
    const changing = site.server.routes.filter(({ method, action }) =>
      method !== "GET" && ACTIONS[action] !== "nothing"
    );
    assert.ok(changing.length >= 3);
    for (const { method, path } of changing) {
      const answer = await site.send(path.replace(":type", "things.counter.raise").replace(":id{.+}", "a"), {
        method,
        as: null,
        headers: { ...headers, "content-type": "application/json" },
        body: '{"by":1}',
      });
      const problem = await answer.json();
      assert.deepEqual([answer.status, problem.type], [403, "urn:daybook:problem:csrf"], `${method} ${path}`);
    }
    assert.equal(site.log.size, size);
  }));

Deno.test("a cookie of before whose session cannot be ended stays with the browser, for the next page to try again", () =>
  withSite(async (site) => {
    const end = site.access.end;
    const headers = { cookie: "daybook_session=s-read", accept: "text/html" };
    const opened = async () => {
      const answer = await site.send("/", { as: null, headers });
      await answer.body?.cancel();
      return [answer.status, answer.headers.getSetCookie()];
    };
    site.access.end = () => Promise.reject(new Error("the disk is full"));
    assert.deepEqual(await opened(), [303, []]);
    site.access.end = end;
    assert.deepEqual(await opened(), [303, ["daybook_session=; Path=/; Max-Age=0"]]);
    assert.deepEqual([...site.access.revoked], ["read"]);
  }));
