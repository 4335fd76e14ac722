/** What pages for who is signed in have in common. */
import assert from "node:assert/strict";
import { clockAhead } from "./clock_given.ts";
import { FORM, form, PASSWORD, withHouse } from "./identity_given.ts";
import { until } from "./until.ts";

Deno.test("ASVS 7.4.4: every page for who is signed in shows how to sign out", () =>
  withHouse(async (house) => {
    const account = await house.person("ada");
    await house.send(`/accounts/${account}/grant`, { as: house.token, body: { role: "viewer" } });
    const entered = await house.send("/sign-in", { body: form({ name: "ada", password: PASSWORD }), headers: FORM });
    const headers = { cookie: entered.headers.get("set-cookie")!.split(";", 1)[0]!, accept: "text/html" };
    const { body: { paths } } = await house.send("/openapi.json", { as: house.token });
    const pages = Object.entries(paths as Record<string, { get?: { security: unknown[] } }>)
      .filter(([path, { get }]) => get && get.security.length > 0 && !path.includes("{") && path !== "/live")
      .map(([path]) => path);
    const shown: string[] = [];
    const shows = (path: string, { headers, body }: Awaited<ReturnType<typeof house.send>>) => {
      if (!headers.get("content-type")?.startsWith("text/html")) return;
      shown.push(path);
      assert.match(body, /<form[^>]* action="(?:\/account\/sign-out|\/logout)"[^]*?>Sign out<\/button>/, path);
      assert.doesNotMatch(body, /<[^>]* key="/, `${path} is valid HTML`);
      assert.doesNotMatch(body, /<th[^>]*><\/th>/, `${path} says what each column has`);
    };
    for (const path of pages) {
      // A stream of the log is none.
      if (path === "/follow") continue;
      shows(path, await house.send(path, { headers }));
    }
    const views = pages.filter((path) => path.startsWith("/views/")).sort();
    assert.ok(views.length > 20);
    assert.deepEqual(shown.sort(), [
      "/",
      "/account",
      "/account/factors",
      "/account/keys",
      "/account/links",
      "/device",
      "/docs",
      "/events",
      "/views",
      ...views,
    ]);

    // And what comes of forms.
    const csrf = /name="csrf" value="([^"]+)"/.exec((await house.send("/account", { headers })).body)![1]!;
    const post = async (path: string, fields: Record<string, string>) =>
      shows(path, await house.send(path, { body: form({ csrf, ...fields }), headers: { ...headers, ...FORM } }));
    await post("/account/keys", { name: "nightly", days: "30", read: "on" });
    await post("/account/factors/totp", { current: PASSWORD });
    assert.equal(shown.length, 11 + views.length);
  }));

Deno.test("a session of a page lasts while it is used, which is noted now and then, and ends when it is not", () => {
  const idle_ms = 30 * 60_000;
  return withHouse(async (house) => {
    await house.person("ada");
    const entered = await house.send("/sign-in", { body: form({ name: "ada", password: PASSWORD }), headers: FORM });
    const headers = { cookie: entered.headers.get("set-cookie")!.split(";", 1)[0]!, accept: "text/html" };
    const noted = () => house.told("identity.session.refreshed").length;
    const later = async (part: number) => {
      using _later = clockAhead(part * idle_ms);
      return (await house.send("/account", { headers })).status;
    };
    assert.deepEqual([await later(0), await later(0.1), noted()], [200, 200, 0]);
    for (const [i, part] of [0.8, 1.6, 2.4].entries()) {
      assert.equal(await later(part), 200);
      await until("its use is noted", noted, (times) => times === i + 1, { seconds: 30 });
    }
    assert.deepEqual([await later(2.45), await later(3.5), noted()], [200, 303, 3]);
  }, { said: { IDENTITY__SESSIONS__IDLE_MS: String(idle_ms) } });
});

Deno.test("a session whose cookie has the name of before ends where a page is asked for with it, and the browser forgets it", () =>
  withHouse(async (house) => {
    await house.person("ada");
    const opened = async (path: string, fields: Record<string, string>) => {
      const { headers } = await house.send(path, { body: form(fields), headers: FORM });
      return headers.get("set-cookie")!.split(";", 1)[0]!;
    };
    const accounts = () => opened("/sign-in", { name: "ada", password: PASSWORD });
    const open = async (cookie: string, path: string) => {
      const { status, headers } = await house.send(path, { headers: { cookie, accept: "text/html" } });
      return { status, to: headers.get("location"), set: headers.getSetCookie() };
    };
    const gone = ["daybook_session=; Path=/; Max-Age=0"];
    const tokens = await opened("/login", { token: house.token });
    for (const [mine, path] of [[await accounts(), "/account"], [tokens, "/"]] as const) {
      const old = mine.replace("__Host-", "");
      assert.deepEqual(await open(old, "/auth/sessions"), { status: 401, to: null, set: [] }, "no page");
      assert.equal((await open(mine, path)).status, 200, "it lasts");
      const to = path === "/" ? "/login" : `/login?next=${encodeURIComponent(path)}`;
      assert.deepEqual(await open(old, path), { status: 303, to, set: gone });
      assert.equal((await open(mine, path)).status, 303, "it is over");
      assert.deepEqual(await open(old, path), { status: 303, to, set: gone }, "and stays so");
    }
    const ended = house.told("identity.session.ended").map(({ data }) => data.because);
    assert.deepEqual(ended, ["signed_out"]);

    // Somebody who has signed in since then stays so.
    const [before, now] = [(await accounts()).replace("__Host-", ""), await accounts()];
    assert.deepEqual(await open(`${before}; ${now}`, "/account"), { status: 200, to: null, set: gone });
    assert.deepEqual(await open(now, "/account"), { status: 200, to: null, set: [] });
    assert.deepEqual((await open(`daybook_session=dbc_${"x".repeat(3_000)}`, "/")).set, gone, "what is no session");
  }));

Deno.test("a form whose session has ended leads to signing in, and from there to the page it stands on", () =>
  withHouse(async (house) => {
    const headers = { ...FORM, accept: "text/html", cookie: "__Host-daybook_session=dbc_over" };
    const pages = {
      "/account/password": "/account",
      "/account/sign-out": "/account",
      "/account/keys": "/account/keys",
      "/account/keys/revoke": "/account/keys",
      "/account/factors/totp": "/account/factors",
      "/device/answer": "/device",
    };
    for (const [path, page] of Object.entries(pages)) {
      const sent = await house.send(path, { body: form({ csrf: "x" }), headers });
      assert.deepEqual([sent.status, sent.headers.get("location")], [303, `/login?next=${encodeURIComponent(page)}`]);
    }
  }));

Deno.test("what is refused where somebody signs in, and a path that there is not, are pages for a browser", () =>
  withHouse(async (house) => {
    const headers = { ...FORM, accept: "text/html" };
    const twice = { body: "name=a&name=b", headers };
    const given: readonly (readonly [string, Parameters<typeof house.send>[1], number])[] = [
      ["/sign-in", twice, 400],
      ["/login", twice, 400],
      ["/sign-in/oidc/nobody", { headers }, 404],
      ["/nowhere", { headers }, 404],
      ["/account/password", { headers }, 405],
    ];
    for (const [path, request, expected] of given) {
      const { status, headers: told, body } = await house.send(path, request);
      assert.deepEqual([status, told.get("content-type")], [expected, "text/html; charset=utf-8"], path);
      assert.match(body, /^<!doctype html>.*<a href="\/">Status<\/a>/s, path);
    }
    for (const path of ["/nowhere", "/auth/sign-in"]) {
      const { headers: told } = await house.send(path, { body: { odd: true }, headers: { accept: "*/*" } });
      assert.equal(told.get("content-type"), "application/problem+json", path);
    }
    const java = { accept: "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2" };
    const { headers: told } = await house.send("/auth/sign-in", { body: { odd: true }, headers: java });
    assert.equal(told.get("content-type"), "application/problem+json");
  }));

Deno.test("who signs in without a role is led to their account from the page that says what they may not", () =>
  withHouse(async (house) => {
    await house.person("ada");
    const entered = await house.send("/sign-in", { body: form({ name: "ada", password: PASSWORD }), headers: FORM });
    const headers = { cookie: entered.headers.get("set-cookie")!.split(";", 1)[0]!, accept: "text/html" };
    const { status, body } = await house.send(entered.headers.get("location")!, { headers });
    assert.equal(status, 403);
    const [, to] = /<a href="([^"]+)">Your account<\/a>/.exec(body)!;
    assert.equal((await house.send(to!, { headers })).status, 200);
  }));

Deno.test("blanks around a name that is typed, and around the code of a link, are none of it", () =>
  withHouse(async (house) => {
    const { body: { code } } = await house.send("/accounts", { as: house.token, body: { name: "ada" } });
    const { body } = await house.send(`/welcome?code=%20${encodeURIComponent(code)}%0A`, {
      headers: { accept: "text/html" },
    });
    assert.doesNotMatch(body, /role="alert"/);
    const [, kept] = /name="code" value="([^"]*)"/.exec(body)!;
    const set = await house.send("/welcome", {
      body: form({ code: kept!, password: PASSWORD, again: PASSWORD }),
      headers: FORM,
    });
    assert.equal(set.status, 303);
    const enter = (fields: Record<string, string>) => house.send("/sign-in", { body: form(fields), headers: FORM });
    assert.equal((await enter({ name: " ada ", password: PASSWORD })).status, 303);
    assert.equal((await enter({ name: "ada", password: `${PASSWORD} ` })).status, 401, "a password is taken as it is");
    assert.equal((await enter({ name: "  ", password: PASSWORD })).status, 401);
  }));
