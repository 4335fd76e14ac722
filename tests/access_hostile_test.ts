/** What of the OWASP list is about who one is and what one may, beside the tests that docs/attacks.md names. */
import assert from "node:assert/strict";
import { Secret, TOTP } from "otpauth";
import { CedarAuthority } from "../adapters/program/access/authority.ts";
import { shippedModel } from "../adapters/program/access/model.ts";
import { code, PASSWORD, withHouse } from "./identity_given.ts";

Deno.test("a fresh folder has no account that anybody could know the name of", () =>
  withHouse(async (house) => {
    for (const name of ["root", "admin", "administrator", "sa", "daybook", "operator", "test", "guest"]) {
      for (const password of ["", name, "admin", "password"]) {
        const { status } = await house.signIn(name, password || " ");
        assert.equal(status, 401, name);
      }
    }
    assert.equal(house.told("identity.account.created").length, 0);
    assert.equal(house.told("identity.session.started").length, 0);
  }));

Deno.test("passwords are masked, and whoever fills them in for a person may", () =>
  withHouse(async (house) => {
    await house.person("alice");
    const { body: { code } } = await house.send("/accounts", { as: house.token, body: { name: "bob" } });
    const signed = await house.send("/sign-in", {
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: new URLSearchParams({ name: "alice", password: PASSWORD }).toString(),
    });
    const cookie = signed.headers.get("set-cookie")!.split(";", 1)[0]!;
    const pages = { "/sign-in": 1, [`/welcome?code=${code}`]: 2, "/login": 1, "/account": 3, "/account/factors": 1 };
    for (const [path, count] of Object.entries(pages)) {
      const { status, body } = await house.send(path, { headers: { accept: "text/html", cookie } });
      assert.equal(status, 200, path);
      const fields = [...String(body).matchAll(/<input[^>]*>/g)].map(([field]) => field)
        .filter((field) => /name="(?:password|again|current|token)"/.test(field));
      assert.equal(fields.length, count, path);
      for (const field of fields) {
        assert.match(field, /type="password"/);
        assert.match(field, /autocomplete="(?:current|new)-password"/);
        assert.doesNotMatch(field, /onpaste|autocomplete="off"|readonly/);
      }
    }
  }));

Deno.test("a password that was reset does not get around the second factor", () =>
  withHouse(async (house) => {
    const account = await house.person("alice");
    const { body: { access_token: as } } = await house.signIn("alice");
    const { body: { factor, secret } } = await house.send("/auth/factors/totp", { as, body: { password: PASSWORD } });
    const first = new TOTP({ secret: Secret.fromBase32(secret) }).generate();
    assert.equal((await house.send("/auth/factors/confirm", { as, body: { factor, code: first } })).status, 200);
    const reset = await house.send(`/accounts/${account}/invite`, { as: house.token, body: {} });
    const chosen = { code: reset.body.code, password: "quiet rivers in spring" };
    assert.equal((await house.send("/auth/invitation", { body: chosen })).status, 204);
    const signed = await house.signIn("alice", chosen.password);
    assert.deepEqual([signed.status, code(signed)], [403, "factor_wanted"]);
  }));

Deno.test("what is asked for is data to policies, whatever it is called", async () => {
  const authority = new CedarAuthority(
    {
      ...shippedModel(),
      policies: `${shippedModel().policies}
@id("no-main") forbid (principal, action == Action::"commands.send", resource == Stream::"commits/main");`,
    },
    "more.cedar",
  );
  await authority.ready();
  const asker = (id: string, scopes: readonly string[]) =>
    ({ id, scopes, tenant: "default", principal: { authtype: "api_key", authid: id } }) as const;
  const may = (id: string, scopes: readonly string[], stream: string) =>
    authority.decide(asker(id, scopes), "commands.send", { type: "Stream", id: stream, tenant: "default" }).allowed;
  assert.equal(may("t_a", ["command"], "commits/main"), false);
  for (
    const name of [
      `commits/x"; permit(principal, action, resource); //`,
      `commits/x") || true`,
      "commits/x\\",
      "commits/x\u0000",
      "commits/x\ncommands.send\nStream|default|commits/y",
      "commits/x|default",
      "commits/é\u202e",
      `commits/${"x".repeat(500)}`,
    ]
  ) {
    assert.equal(may("t_a", ["command"], name), true, name);
    assert.equal(may("t_a", ["read"], name), false, name);
    assert.equal(may(`t_"${name}`, [], name), false, name);
  }
  assert.equal(may("t_a", ["command"], "commits/main"), false, "and what was decided stays decided");
  // Scopes that would run together with their neighbours say nothing of each other.
  for (const scopes of [["read command"], ["read|command"], ["command\nread"], ["Command"]]) {
    assert.equal(may("t_a", scopes, "commits/y"), false, scopes.join());
  }
});

/** Whoever compares what somebody shows with what is right does it in constant time; a look-up by an id that is no secret need not. Lint refuses the rest. */
const COMPARING: Readonly<Record<string, string>> = {
  "adapters/keys/tokens.ts": "tokens, keys and sessions of browsers: SHA-256 of the secret",
  "adapters/program/identity/tickets.ts": "refresh tokens, cookies, codes of invitations, CSRF texts: HMAC-SHA-256",
  "adapters/program/identity/passwords.ts": "hashes of passwords",
  "adapters/program/identity/codes.ts": "backup codes",
  "adapters/program/identity/same_text.ts": "what was drawn for a provider's answer",
  "adapters/saml/structure.ts": "what a SAML assertion answers",
  "adapters/github/push.ts": "signatures of webhooks",
  "adapters/keys/open_root.ts": "the root key",
};

Deno.test("secrets are compared in constant time, by construction", async () => {
  const root = new URL("../", import.meta.url);
  for (const [file, what] of Object.entries(COMPARING)) {
    assert.match(await Deno.readTextFile(new URL(file, root)), /timingSafeEqual\(/, `${file}: ${what}`);
  }
});

Deno.test("docs/attacks.md and docs/asvs.md name tests that there are", async () => {
  const root = new URL("../", import.meta.url);
  let named = 0;
  for (const page of ["docs/attacks.md", "docs/asvs.md"]) {
    const text = await Deno.readTextFile(new URL(page, root));
    for (const row of text.split("\n").filter((line) => line.startsWith("| ") && line.includes("_test.ts"))) {
      for (const piece of row.split(/;|\|/)) {
        const files = [...piece.matchAll(/`([a-z_/]+_test\.ts)`/g)].map(([, file]) => file!);
        const texts = await Promise.all(files.map((file) => Deno.readTextFile(new URL(`tests/${file}`, root))));
        for (const [, title] of piece.matchAll(/"([^"]+?)(?: …)?"/g)) {
          assert.ok(files.length === 0 || texts.some((one) => one.includes(title!)), `${page}: ${files}: ${title}`);
          named++;
        }
      }
    }
  }
  assert.ok(named > 80, String(named));
});
