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
      /New: A sign-in by password was refused, 2 times between [^]*UTC[^]*Was one of them not you\?/,
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

Deno.test("whoever signed in last, and whatever is new, the page tells of everybody who came in", () =>
  withHouse(async (house) => {
    const account = await house.person("ada");
    const signIn = (agent: string, password = "tall trees in rain") =>
      house.send("/sign-in", {
        body: String(new URLSearchParams({ name: "ada", password, next: "/" })),
        headers: { "content-type": "application/x-www-form-urlencoded", "user-agent": agent },
      });
    await signIn("laptop");
    await signIn("attacker");
    await house.send(`/accounts/${account}/grant`, { as: house.token, body: { role: "viewer" } });
    await signIn("attacker again");
    await signIn("stranger", "guess");
    const { headers } = await signIn("laptop");
    const page = await house.send("/account", {
      headers: { cookie: headers.get("set-cookie")!.split(";", 1)[0]!, accept: "text/html" },
    });
    // What rules have seen comes a moment later.
    const lines = (page.body as string).match(/<li[ >][^]*?<\/li>/g)!.map((line) =>
      line.replace(/<[^>]*>/g, " ").trim()
    )
      .filter((line) => /A sign-in by|The role/.test(line));
    const wanted = [
      /^New: A sign-in by password was refused .* stranger/,
      /^A sign-in by password .* attacker again/,
      /^The role viewer was given/,
      /^A sign-in by password .* attacker/,
      /^A sign-in by password .* laptop/,
    ];
    for (const [i, line] of wanted.entries()) assert.match(lines[i]!, line);
    assert.ok(!page.body.includes("your last sign-in"), "it may have been somebody else's");
  }));

const ACCOUNT = "u_aaaaaaaaaaaaaaaa";
const SESSION = "s".repeat(20);

/** A stream of these facts, the oldest first, read as the log reads it. */
const streamOf = (...facts: readonly (readonly [type: string, data: Readonly<Record<string, unknown>>])[]) => {
  const events = facts.map(([type, data], position) => ({
    type,
    position,
    time: new Date(position).toISOString(),
    data: { account: ACCOUNT, ...data },
  })).reverse();
  const asked: number[] = [];
  const newest = (
    { stream, types, limit }: { readonly stream: string; readonly types: readonly string[]; readonly limit: number },
  ) => {
    asked.push(limit);
    const found = stream.startsWith("identity/") ? events.filter(({ type }) => types.includes(type)) : [];
    return found.slice(0, limit) as never;
  };
  return { asked, notices: () => noticesOf({ newest }, { account: ACCOUNT, session: SESSION }) };
};
const cameIn = (session: string, agent: string) =>
  ["identity.signin.succeeded", { session, methods: ["password"], agent }] as const;
const refused = (agent: string, method = "password") =>
  ["identity.signin.failed", { method, reason: "wrong_secret", agent }] as const;
const locked = ["identity.account.locked", { because: "failures", failures: 5 }] as const;
const times = <T>(count: number, of: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => of(i));

Deno.test("strangers cannot push out who came in, nor fill the page", () => {
  const { asked, notices } = streamOf(
    cameIn("first", "laptop"),
    cameIn("other", "attacker"),
    ...times(NOTICES.refused_read_max + 5, (i) => refused(`agent ${i}`)),
    ...times(NOTICES.locks_read_max + 5, () => locked),
    cameIn(SESSION, "laptop"),
  );
  const about = notices().map(({ about, times, more, fresh, agent }) => [about, times, more, fresh, agent]);
  assert.deepEqual(about, [
    ["It was locked by too many wrong passwords", NOTICES.locks_read_max, true, true, undefined],
    ["A sign-in by password was refused", NOTICES.refused_read_max, true, true, undefined],
    ["A sign-in by password", 1, undefined, false, "attacker"],
    ["A sign-in by password", 1, undefined, false, "laptop"],
  ]);
  const { changes_read_max, refused_read_max, locks_read_max, threats_read_max } = NOTICES;
  assert.deepEqual(asked, [changes_read_max, refused_read_max, locks_read_max, threats_read_max]);
});

Deno.test("refused sign-ins are one notice for each method, new ones apart, with the time from first to last", () => {
  const { notices } = streamOf(
    refused("one"),
    cameIn("first", "laptop"),
    refused("two"),
    refused("two", "totp"),
    ["identity.role.granted", { role: "viewer" }],
    refused("two"),
    cameIn(SESSION, "laptop"),
  );
  const found = notices().filter(({ type }) => type === "identity.signin.failed");
  assert.deepEqual(
    found.map(({ about, times, since, time, agent, fresh }) => ({ about, times, since, time, agent, fresh })),
    [
      {
        about: "A sign-in by password was refused",
        times: 2,
        since: "1970-01-01T00:00:00.002Z",
        time: "1970-01-01T00:00:00.005Z",
        agent: "two",
        fresh: true,
      },
      {
        about: "A sign-in by totp was refused",
        times: 1,
        since: undefined,
        time: "1970-01-01T00:00:00.003Z",
        agent: "two",
        fresh: true,
      },
      {
        about: "A sign-in by password was refused",
        times: 1,
        since: undefined,
        time: "1970-01-01T00:00:00.000Z",
        agent: "one",
        fresh: false,
      },
    ],
  );
});

Deno.test("where the sign-in before is too old to be looked at, all is new; so many changes are told", () => {
  const change = (i: number) => ["identity.role.granted", { role: `role-${i}` }] as const;
  const none = streamOf(change(0), cameIn(SESSION, "laptop")).notices();
  assert.deepEqual(none.map(({ fresh }) => fresh), [false], "nothing is new to who signs in first");
  for (const last of [[cameIn(SESSION, "laptop")], []]) {
    const { notices } = streamOf(cameIn("first", "laptop"), ...times(NOTICES.changes_read_max, change), ...last);
    assert.deepEqual(notices().map(({ fresh }) => fresh), times(NOTICES.changes_shown_max, () => true));
    assert.equal(notices()[0]!.about, `The role role-${NOTICES.changes_read_max - 1} was given`, "the newest first");
  }
});
