/** What the holder of an account is told of what happened to it, on their page and by `/auth/notices`. */
import assert from "node:assert/strict";
import { NOTICES, noticesOf } from "../adapters/program/identity/notices.ts";
import type { Notice } from "../adapters/http/identity/port.ts";
import { type House, withHouse } from "./identity_given.ts";
import { until } from "./until.ts";

const noticesFor = async (house: House, as: string): Promise<readonly Notice[]> => {
  const { status, body } = await house.send("/auth/notices", { as });
  assert.equal(status, 200);
  return body.notices;
};
/** What rules have seen comes a moment later, and is another test's. */
const told = (notices: readonly Notice[]) =>
  notices.filter(({ type }) => type !== "threats.threat.detected").map((
    { about, times, suspicious },
  ) => [about, times, suspicious]);

Deno.test("who signs in is told of refused sign-ins, of others, and of what was changed since the last time", () =>
  withHouse(async (house) => {
    const account = await house.person("ada");
    await house.person("bob");
    const signIn = (agent: string, password?: string) =>
      house.send("/auth/sign-in", {
        body: { name: "ada", password: password ?? "tall trees in rain" },
        headers: { "user-agent": agent },
      });
    const first = await signIn("laptop");
    assert.deepEqual(told(await noticesFor(house, first.body.access_token)), [
      ["A password was chosen with a code", 1, false],
      ["A code for a password was handed out", 1, false],
    ], "not of the sign-in that asks, and nothing is new to who signs in first");
    for (let i = 0; i < 3; i++) await signIn("<b>stranger</b>", `guess ${i}`);
    await signIn("telephone");
    await house.send(`/accounts/${account}/grant`, { as: house.token, body: { role: "viewer" } });
    const next = await house.send("/sign-in", {
      body: String(new URLSearchParams({ name: "ada", password: "tall trees in rain", next: "/" })),
      headers: { "content-type": "application/x-www-form-urlencoded", "user-agent": "laptop" },
    });
    const cookie = next.headers.get("set-cookie")!.split(";", 1)[0]!;
    const { body: { notices } } = await house.send("/auth/notices", { headers: { cookie } });
    const fresh = (notices as Notice[]).filter((notice) => notice.fresh);
    assert.deepEqual(told(fresh), [["The role viewer was given", 1, false]], "since the telephone's sign-in");
    assert.deepEqual(told(notices).slice(0, 4), [
      ["The role viewer was given", 1, false],
      ["A sign-in by password", 1, false],
      ["A sign-in by password was refused", 3, true],
      ["A sign-in by password", 1, false],
    ]);
    const from = (notices as Notice[]).filter(({ about }) => about.startsWith("A sign-in"));
    assert.deepEqual(from.map(({ agent }) => agent), ["telephone", "<b>stranger</b>", "laptop"]);
    assert.equal(from[1]!.address, "127.0.0.1");

    // Others since then, which the page tells with what was asked of it.
    for (let i = 0; i < 2; i++) await signIn("<b>stranger</b>", `guess ${i}`);
    const again = await house.send("/sign-in", {
      body: String(new URLSearchParams({ name: "ada", password: "tall trees in rain", next: "/" })),
      headers: { "content-type": "application/x-www-form-urlencoded", "user-agent": "laptop" },
    });
    const page = await house.send("/account", {
      headers: { cookie: again.headers.get("set-cookie")!.split(";", 1)[0]!, accept: "text/html" },
    });
    assert.match(
      page.body,
      /Since your last sign-in[^]*A sign-in by password was refused, 2 times[^]*Was it not you\?/,
    );
    assert.match(page.body, /&lt;b&gt;stranger&lt;\/b&gt;/);
    assert.ok(!page.body.includes("<b>stranger"), "what others say is text");

    // Everybody is told of their own account alone.
    const bob = (await house.signIn("bob")).body.access_token;
    assert.deepEqual(told(await noticesFor(house, bob)).map(([about]) => about), [
      "A password was chosen with a code",
      "A code for a password was handed out",
    ]);
    for (const as of [undefined, house.token]) {
      const refused = await house.send("/auth/notices", as === undefined ? {} : { as });
      assert.equal(refused.status, as === undefined ? 401 : 403);
    }
  }));

Deno.test("a token that was used twice, and what was seen of it, is told of", () =>
  withHouse(async (house) => {
    await house.person("ada");
    const { body: { refresh_token } } = await house.signIn("ada");
    const refresh = () => house.send("/auth/refresh", { body: { refresh_token } });
    assert.deepEqual([(await refresh()).status, (await refresh()).status], [200, 401]);
    await until("a detection", () => house.told("threats.threat.detected"), (facts) => facts.length > 0);
    const { access_token } = (await house.signIn("ada")).body;
    const fresh = (await noticesFor(house, access_token)).filter((notice) => notice.fresh && notice.suspicious);
    assert.deepEqual(fresh.map(({ about }) => about), [
      "A refresh token was used twice: somebody has a copy",
      "A refresh token was used twice: its session has ended",
    ]);
  }, { said: { THREATS__RESPOND: "false" } }));

Deno.test("so many events are looked at, and so many notices told", () => {
  const asked: number[] = [];
  const failed = (position: number) => ({
    type: "identity.signin.failed",
    position,
    time: new Date(position).toISOString(),
    data: { account: "u_aaaaaaaaaaaaaaaa", method: "password", reason: "wrong_secret", agent: `agent ${position}` },
  });
  const newest = ({ stream, limit }: { readonly stream: string; readonly limit: number }) => {
    asked.push(limit);
    if (!stream.startsWith("identity/")) return [];
    return Array.from({ length: limit }, (_, i) => failed(limit - i)) as never;
  };
  const notices = noticesOf({ newest }, { account: "u_aaaaaaaaaaaaaaaa", session: "s".repeat(20) });
  assert.deepEqual(asked, [NOTICES.read_max, NOTICES.read_max]);
  assert.equal(notices.length, NOTICES.shown_max);
  assert.equal(notices[0]!.agent, `agent ${NOTICES.read_max}`, "the newest first");
});
