import assert from "node:assert/strict";
import { FORM, form, type House, PASSWORD, withHouse } from "./identity_given.ts";
import { IDENTITY_BODY_BYTES_MAX } from "../adapters/http/identity/requests.ts";

const code = ({ body }: { readonly body: { readonly type?: string } }) =>
  body.type?.replace("urn:daybook:problem:", "");

/** What identity has recorded so far. */
const size = (house: House) => house.told().filter(({ type }) => type.startsWith("identity.")).length;

const ASSERTED = {
  id: "AAAA",
  rawId: "AAAA",
  type: "public-key",
  response: { clientDataJSON: "AAAA", authenticatorData: "AAAA", signature: "AAAA", userHandle: "AAAA" },
};

const ROUTES = [
  ["/auth/sign-in", { name: "alice", password: PASSWORD }, false],
  ["/auth/refresh", { refresh_token: "dbr_x" }, false],
  ["/auth/passkeys/options", { step: "dbt_x" }, false],
  ["/auth/passkeys/sign-in", { ticket: "dbp_x", response: ASSERTED }, false],
  ["/auth/passkeys/second", { ticket: "dbp_x", step: "dbt_x", response: ASSERTED }, false],
  ["/auth/invitation", { code: "dbi_x", password: PASSWORD }, false],
  ["/accounts", { name: "bob" }, true],
  ["/accounts/u_aaaaaaaaaaaaaaaa/disable", {}, true],
  ["/accounts/u_aaaaaaaaaaaaaaaa/enable", {}, true],
  ["/accounts/u_aaaaaaaaaaaaaaaa/offboard", {}, true],
  ["/accounts/u_aaaaaaaaaaaaaaaa/unlock", {}, true],
  ["/accounts/u_aaaaaaaaaaaaaaaa/sign-out", {}, true],
  ["/accounts/u_aaaaaaaaaaaaaaaa/grant", { role: "viewer" }, true],
  ["/accounts/u_aaaaaaaaaaaaaaaa/revoke", { role: "viewer" }, true],
  ["/accounts/u_aaaaaaaaaaaaaaaa/invite", {}, true],
] as const;

Deno.test("what is too large, of the wrong kind, or more than was asked for is one clear problem, and records nothing", () =>
  withHouse(async (house) => {
    await house.person("alice");
    const before = size(house);
    for (const [path, good, admin] of ROUTES) {
      const send = (body: unknown, headers?: Record<string, string>) =>
        house.send(path, { body, headers, ...(admin ? { as: house.token } : {}) });
      const expected: readonly (readonly [string, unknown, Record<string, string>?])[] = [
        ["too_large", JSON.stringify({ ...good, pad: "x".repeat(IDENTITY_BODY_BYTES_MAX) }), {
          "content-type": "application/json",
        }],
        ["unsupported_media_type", form({ name: "alice" }), FORM],
        ["unsupported_media_type", JSON.stringify(good), {
          "content-type": "application/json",
          "content-encoding": "gzip",
        }],
        ["malformed_json", '{"name":', { "content-type": "application/json" }],
        ["duplicate_key", '{"name":"a","name":"b"}', { "content-type": "application/json" }],
        ["lone_surrogate", '{"name":"\\ud800"}', { "content-type": "application/json" }],
        ["too_deep", "[".repeat(50) + "]".repeat(50), { "content-type": "application/json" }],
        ["invalid_data", [good]],
        ["invalid_data", "null", { "content-type": "application/json" }],
        ["invalid_data", { ...good, roles: ["administrator"] }],
        ["invalid_data", { ...good, account: "u_aaaaaaaaaaaaaaaa", is: "active", privileged: true }],
        ["invalid_data", { ...good, __proto_: { admin: true } }],
        ...Object.keys(good).flatMap((field) =>
          [null, 7, true, [], {}, ["x"], { $ne: null }].map((value) =>
            ["invalid_data", { ...good, [field]: value }] as const
          )
        ),
      ];
      for (const [problem, body, headers] of expected) {
        const answer = await send(body, headers);
        assert.deepEqual([path, JSON.stringify(body).slice(0, 80), code(answer)], [
          path,
          JSON.stringify(body).slice(0, 80),
          problem,
        ]);
        assert.ok(!/at .*\.ts:\d/.test(JSON.stringify(answer.body)), "no stack trace");
      }
    }
    assert.equal(size(house), before);
    assert.deepEqual(house.lines, []);
  }));

Deno.test("routes of administrators are for nobody else, and what does not exist is not there", () =>
  withHouse(async (house) => {
    const account = await house.person("alice");
    const { body: { access_token } } = await house.signIn("alice");
    for (const [path, body, admin] of [...ROUTES, ["/signing-keys/rotate", {}, true] as const]) {
      if (!admin) continue;
      const own = path.replace("u_aaaaaaaaaaaaaaaa", account);
      assert.equal((await house.send(own, { body })).status, 401, path);
      assert.equal((await house.send(own, { body, as: access_token })).status, 403, path);
      if (own === path) continue;
      const answer = await house.send(path, { body, as: house.token });
      assert.deepEqual([path, answer.status, code(answer)], [path, 404, "no_account"]);
    }
    for (
      const id of ["u_x", "..%2f..%2fetc", "nobody", "keys", "u_aaaaaaaaaaaaaaaa%2f..", "%00", "s_aaaaaaaaaaaaaaaa"]
    ) {
      assert.equal((await house.send(`/accounts/${id}/disable`, { body: {}, as: house.token })).status, 404, id);
    }
    assert.equal(house.told("identity.account.disabled").length, 0);
  }));

Deno.test("identity is not asked through the door for commands, by nobody", () =>
  withHouse(async (house) => {
    const account = await house.person("alice");
    const before = size(house);
    for (
      const [type, body] of [
        ["identity.role.grant", { role: "administrator", privileged: true }],
        ["identity.account.enable", {}],
        ["identity.invitation.issue", { invitation: "a".repeat(20), purpose: "reset", valid_ms: 1000 }],
      ] as const
    ) {
      const answer = await house.send(`/commands/${type}/${account}`, { body, as: house.token });
      assert.deepEqual([answer.status, code(answer)], [404, "unknown_command"]);
    }
    const event = {
      specversion: "1.0",
      id: "1",
      source: `identity/${account}`,
      type: "identity.role.granted",
      data: {},
    };
    const ingested = await house.send("/events", {
      as: house.token,
      body: event,
      headers: { "content-type": "application/cloudevents+json" },
    });
    assert.deepEqual([ingested.status, code(ingested)], [403, "decided_type"]);
    assert.equal(size(house), before);
  }));

Deno.test("names that look alike, hold a path, a wildcard or another notation lead to nobody", () =>
  withHouse(async (house) => {
    await house.person("alice");
    for (
      const name of [
        "аlice",
        "alicе",
        "al\u0131ce",
        "alice\u200b",
        "alice ",
        " alice",
        "alice\u0000",
        "%",
        "alice%",
        "' OR 1=1 --",
        "../alice",
        "alice/x",
        "\u202eecila",
        "ａ\u0301lice",
      ]
    ) {
      assert.equal((await house.signIn(name)).status, 401, JSON.stringify(name));
      assert.equal(
        (await house.send("/accounts", { as: house.token, body: { name } })).status,
        400,
        JSON.stringify(name),
      );
    }
    const wide = await house.send("/accounts", { as: house.token, body: { name: "ＡＬＩＣＥ" } });
    assert.deepEqual([wide.status, wide.body.code], [409, "account_exists"]);
    assert.equal((await house.signIn("ＡＬＩＣＥ")).status, 200);
    assert.equal(house.told("identity.account.created").length, 1);
  }));

Deno.test("an account cannot be made twice, at once or one after another", () =>
  withHouse(async (house) => {
    const made = await Promise.all(
      Array.from({ length: 10 }, () => house.send("/accounts", { as: house.token, body: { name: "alice" } })),
    );
    assert.equal(made.filter(({ status }) => status === 201).length, 1);
    assert.equal(house.told("identity.account.created").length, 1);
  }));

Deno.test("a code counts once, in its time, and only the newest; one that was changed is none", () =>
  withHouse(async (house) => {
    const { body: { account, code: first } } = await house.send("/accounts", {
      as: house.token,
      body: { name: "alice" },
    });
    const { body: { code: second } } = await house.send(`/accounts/${account}/invite`, {
      as: house.token,
      body: { purpose: "activation" },
    });
    const choose = async (code: string) =>
      (await house.send("/auth/invitation", { body: { code, password: PASSWORD } })).status;
    assert.equal(await choose(first), 401);
    assert.equal(await choose(second.slice(0, -2) + "AA"), 401);
    assert.equal(await choose(second.replace("dbi_", "dbr_")), 401);
    assert.deepEqual((await Promise.all([choose(second), choose(second), choose(second)])).sort(), [204, 401, 401]);
    assert.equal(await choose(second), 401);
    assert.equal(house.told("identity.password.set").length, 1);
    assert.equal((await house.signIn("alice")).status, 200);
  }));

Deno.test("too many tries on a name or from an address are 429 alike for a name that somebody has and one that nobody has", () =>
  withHouse(async (house) => {
    await house.person("alice");
    const told = [];
    for (const name of ["alice", "nobody"]) {
      const tries = [];
      for (let i = 0; i < 5; i++) tries.push(await house.signIn(name, "wrong password"));
      told.push(tries.map(({ status, headers }) => [status, headers.has("retry-after")]));
    }
    assert.deepEqual(told[0], told[1]);
    assert.deepEqual(told[0]!.map(([status]) => status), [401, 401, 401, 429, 429]);
    assert.equal(house.told("identity.signin.failed").length, 6, "what is refused at the door is not a try");
  }, { said: { IDENTITY__RATE__NAME_MAX: "3" } }));

Deno.test("RFC 9110 15.5.2: whatever was refused with 401 has a challenge, for a program and on a page", () =>
  withHouse(async (house) => {
    await house.person("alice");
    const wrong = { name: "alice", password: "wrong password" };
    const given: readonly (readonly [string, Parameters<typeof house.send>[1]])[] = [
      ["/auth/sign-in", { body: wrong }],
      ["/auth/refresh", { body: { refresh_token: "dbr_x" } }],
      ["/auth/second", { body: { ticket: "x", code: "123456" } }],
      ["/auth/invitation", { body: { code: "dbi_u_x", password: PASSWORD } }],
      ["/auth/device/token", { body: { device_code: "x" } }],
      ["/login", { body: form({ token: "x" }), headers: FORM }],
      ["/sign-in", { body: form(wrong), headers: FORM }],
      ["/auth/sessions", {}],
    ];
    for (const [path, request] of given) {
      const { status, headers } = await house.send(path, request);
      assert.deepEqual([status, headers.get("www-authenticate")], [401, 'Bearer realm="daybook"'], path);
    }
    const { headers } = await house.send("/auth/sessions", { as: "x" });
    assert.equal(headers.get("www-authenticate"), 'Bearer realm="daybook", error="invalid_token"');
  }));

Deno.test("codes that are made up, and terminals that ask, use up nothing that others need", () =>
  withHouse(async (house) => {
    const { body: { code } } = await house.send("/accounts", { as: house.token, body: { name: "alice" } });
    for (let i = 0; i < 6; i++) {
      assert.equal(
        (await house.send("/auth/invitation", { body: { code: `dbi_${i}`, password: PASSWORD } })).status,
        401,
      );
      assert.equal((await house.send("/auth/device", { body: {} })).status, 200);
    }
    assert.equal((await house.send("/auth/invitation", { body: { code, password: PASSWORD } })).status, 204);
  }, { said: { IDENTITY__RATE__NAME_MAX: "3" } }));

/** A browser's session: cookie, and what its pages know. */
const browse = async (house: House, cookie?: string) => {
  const { status, headers } = await house.send("/sign-in", {
    body: form({ name: "alice", password: PASSWORD, next: "/account" }),
    headers: { ...FORM, ...(cookie === undefined ? {} : { cookie }) },
  });
  const set = headers.get("set-cookie") ?? "";
  return { status, location: headers.get("location"), set, cookie: set.split(";", 1)[0]! };
};

Deno.test("a page's session is a cookie that scripts cannot read and other sites cannot send", () =>
  withHouse(async (house) => {
    await house.person("alice");
    const { status, set, cookie, location } = await browse(house);
    assert.deepEqual([status, location], [303, "/account"]);
    assert.match(set, /^__Host-daybook_session=dbc_[^;]+; Path=\/; HttpOnly; SameSite=Strict; Secure$/);
    const page = await house.send("/account", { headers: { cookie, accept: "text/html" } });
    assert.equal(page.status, 200);
    for (
      const [name, value] of [["x-frame-options", "DENY"], ["cache-control", "no-store"], [
        "x-content-type-options",
        "nosniff",
      ]] as const
    ) {
      assert.equal(page.headers.get(name), value);
    }
    assert.match(page.headers.get("content-security-policy")!, /default-src 'none'.*frame-ancestors 'none'/);
    assert.ok(!page.body.includes(cookie.slice("__Host-daybook_session=".length)), "the page does not show it");
    for (const changed of [cookie.slice(0, -2), cookie.replace("dbc_", "dbs_"), cookie.replace(/dbc_u_./, "dbc_u_X")]) {
      if (changed !== cookie) {
        assert.equal((await house.send("/auth/sessions", { headers: { cookie: changed } })).status, 401);
      }
    }
    const refresh = cookie.slice("__Host-daybook_session=".length).replace("dbc_", "dbr_");
    assert.equal((await house.send("/auth/refresh", { body: { refresh_token: refresh } })).status, 401);
  }));

Deno.test("over TLS the cookie is for TLS alone", () =>
  withHouse(async (house) => {
    await house.person("alice");
    const { headers } = await house.send("/sign-in", {
      body: form({ name: "alice", password: PASSWORD }),
      headers: { ...FORM, forwarded: "for=192.0.2.1;host=localhost;proto=https" },
    });
    assert.match(headers.get("set-cookie")!, /; HttpOnly; SameSite=Strict; Secure$/);
    assert.equal(house.told("identity.session.started")[0]!.data.address, "192.0.2.1");
  }, { said: { SERVER__BEHIND_PROXY: "127.0.0.1" } }));

Deno.test("session fixation: signing in begins a session of its own, and ends the one whose cookie came along", () =>
  withHouse(async (house) => {
    await house.person("alice");
    const planted = await browse(house);
    const real = await browse(house, planted.cookie);
    assert.notEqual(real.cookie, planted.cookie);
    assert.equal((await house.send("/auth/sessions", { headers: { cookie: planted.cookie } })).status, 401);
    assert.equal((await house.send("/auth/sessions", { headers: { cookie: real.cookie } })).status, 200);
    const own = await browse(house, "__Host-daybook_session=dbc_u_aaaaaaaaaaaaaaaa.chosen-by-an-attacker.x");
    assert.equal(own.status, 303);
    assert.ok(!own.cookie.includes("chosen-by-an-attacker"));
  }));

Deno.test("CSRF: with a cookie nothing changes without the text that is this session's own", () =>
  withHouse(async (house) => {
    await house.person("alice");
    const mine = await browse(house);
    const other = await browse(house);
    const csrfOf = async (cookie: string) =>
      (await house.send("/auth/sessions", { headers: { cookie } })).body.csrf as string;
    const [own, foreign] = [await csrfOf(mine.cookie), await csrfOf(other.cookie)];
    const unsafe = [["/auth/sign-out-everywhere", "POST"], ["/auth/sign-out", "POST"], ["/auth/password", "POST"], [
      "/auth/sessions/x",
      "DELETE",
    ]] as const;
    for (const [path, method] of unsafe) {
      for (const token of [undefined, "", foreign, own.slice(0, -2) + "AA", "dbx_x", mine.cookie]) {
        const headers = { cookie: mine.cookie, ...(token === undefined ? {} : { "x-csrf-token": token }) };
        const answer = await house.send(path, { method, headers });
        assert.deepEqual([path, answer.status, code(answer)], [path, 403, "csrf"]);
      }
    }
    for (const path of ["/account/sessions", "/account/sign-out", "/account/password"]) {
      const fields: Record<string, string> = path.endsWith("password")
        ? { current: PASSWORD, password: "small boats at dawn", again: "small boats at dawn" }
        : {};
      for (const csrf of ["", foreign, "x"]) {
        const answer = await house.send(path, {
          body: form({ csrf, ...fields }),
          headers: { ...FORM, cookie: mine.cookie },
        });
        assert.equal(answer.status, 403, path);
      }
      const strange = await house.send(path, {
        body: form({ csrf: own, ...fields, role: "administrator" }),
        headers: { ...FORM, cookie: mine.cookie },
      });
      assert.equal(strange.status, 400, path);
      const origin = await house.send(path, {
        body: form({ csrf: own, ...fields }),
        headers: { ...FORM, cookie: mine.cookie, origin: "https://evil.example" },
      });
      assert.equal(origin.status, 403, path);
    }
    assert.equal((await house.send("/auth/sessions", { headers: { cookie: mine.cookie } })).body.sessions.length, 2);
    const done = await house.send("/auth/sign-out-everywhere", {
      method: "POST",
      headers: { cookie: mine.cookie, "x-csrf-token": own },
    });
    assert.equal(done.status, 204);
    assert.equal((await house.send("/auth/sessions", { headers: { cookie: other.cookie } })).status, 401);
  }));

Deno.test("after signing in nobody is sent to another site", () =>
  withHouse(async (house) => {
    await house.person("alice");
    for (
      const next of [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "\t//evil.example",
        "",
      ]
    ) {
      const { headers } = await house.send("/sign-in", {
        body: form({ name: "alice", password: PASSWORD, next }),
        headers: FORM,
      });
      assert.equal(headers.get("location"), "/", JSON.stringify(next));
      const page = await house.send(`/sign-in?next=${encodeURIComponent(next)}`);
      assert.ok(!page.body.includes("evil.example"));
    }
  }));

Deno.test("what is typed into a form comes back as text, never as markup", () =>
  withHouse(async (house) => {
    const script = `"><script>alert(1)</script>`;
    const failed = await house.send("/sign-in", { body: form({ name: script, password: "x" }), headers: FORM });
    assert.equal(failed.status, 401);
    assert.ok(!failed.body.includes("<script>alert"));
    const welcome = await house.send(`/welcome?code=${encodeURIComponent(script)}`);
    assert.ok(!welcome.body.includes("<script>alert"));
  }));

Deno.test("with the pages a person chooses a password, signs in, sees the sessions, ends one, changes the password, signs out", () =>
  withHouse(async (house) => {
    const { body: { code } } = await house.send("/accounts", { as: house.token, body: { name: "alice" } });
    const welcome = await house.send(`/welcome?code=${encodeURIComponent(code)}`);
    assert.match(welcome.body, /autocomplete="new-password"/);
    const choose = (password: string, again: string) =>
      house.send("/welcome", { body: form({ code, password, again }), headers: FORM });
    assert.equal((await choose(PASSWORD, "another")).status, 422);
    assert.equal((await choose("password", "password")).status, 422);
    const chosen = await choose(PASSWORD, PASSWORD);
    assert.deepEqual([chosen.status, chosen.headers.get("location")], [303, "/sign-in"]);
    const mine = await browse(house);
    await browse(house);
    const account = async () =>
      (await house.send("/account", { headers: { cookie: mine.cookie, accept: "text/html" } })).body as string;
    const page = await account();
    assert.equal([...page.matchAll(/<tr>/g)].length, 3);
    const csrf = /name="csrf" value="([^"]+)"/.exec(page)![1]!;
    const session = /name="session" value="([^"]+)"/.exec(page)![1]!;
    const act = (path: string, fields: Record<string, string>) =>
      house.send(path, { body: form({ csrf, ...fields }), headers: { ...FORM, cookie: mine.cookie } });
    assert.equal((await act("/account/sessions", { session })).status, 303);
    assert.equal([...(await account()).matchAll(/<tr>/g)].length, 2);
    const next = "small boats at dawn";
    assert.equal(
      (await act("/account/password", { current: "wrong password", password: next, again: next })).status,
      401,
    );
    assert.equal((await act("/account/password", { current: PASSWORD, password: next, again: next })).status, 200);
    assert.equal((await house.signIn("alice", next)).status, 200);
    const out = await act("/account/sign-out", {});
    assert.deepEqual([out.status, out.headers.get("location")], [303, "/sign-in"]);
    assert.match(out.headers.get("set-cookie")!, /^__Host-daybook_session=; .*Max-Age=0$/);
    const away = await house.send("/account", { headers: { cookie: mine.cookie, accept: "text/html" } });
    assert.deepEqual([away.status, away.headers.get("location")], [303, "/login?next=%2Faccount"]);
  }));
