import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { isSealed } from "../events/personal.ts";
import fc from "fast-check";
import { bcrypt } from "hash-wasm";
import { Breached } from "../adapters/program/identity/breached.ts";
import { accountName } from "../adapters/program/identity/names.ts";
import { PASSWORD_LIMITS, passwordFault } from "../adapters/program/identity/password_rules.ts";
import { inFolder } from "./folder_given.ts";
import { PASSWORD, withHouse } from "./identity_given.ts";

const fault = (password: string, words: readonly string[] = []) => passwordFault(password, { length_min: 8, words });

Deno.test("ASVS 6.2.1, 6.2.9: eight characters are enough, whatever they are, and long ones are taken whole", async () => {
  assert.equal(await fault("zqkvxwj"), "too_short");
  assert.equal(await fault("zqkvxwjf"), undefined);
  assert.equal(await fault("🌻🌻🌻🌻🌻🌻🌻"), "too_short", "characters are counted, not code units");
  assert.equal(await fault("🌻🌻🌻🌻🌻🌻🌻🌻"), undefined);
  assert.equal(await fault("q".repeat(PASSWORD_LIMITS.chars_max)), undefined);
  assert.equal(await fault("q".repeat(PASSWORD_LIMITS.chars_max + 1)), "too_long");
});

Deno.test("ASVS 6.2.5: no kind of character is asked for or forbidden", async () => {
  for (
    const password of [
      "aaaaaaaaab",
      "48151623420815",
      "        x",
      "пароль-мой-друг",
      "\t\u0000\u0001tab zero",
      "ABCXYZQQ",
    ]
  ) {
    assert.equal(await fault(password), undefined, JSON.stringify(password));
  }
});

Deno.test("ASVS 6.2.4: what is guessed first is refused, in capitals as well", async () => {
  for (const password of ["password", "12345678", "baseball", "1qaz2wsx", "PassWord", "iloveyou1"]) {
    assert.equal(await fault(password), "common", password);
  }
});

Deno.test("ASVS 6.2.4: of the list that is compared with at least 3,000 are long enough to be taken otherwise", async () => {
  const { dictionary } = await import("@zxcvbn-ts/language-common");
  const long = (dictionary["passwords-common"] as readonly string[]).filter((one) => [...one].length >= 8);
  assert.ok(long.length >= 3_000, `${long.length}`);
  for (const one of long.slice(0, 3_000)) assert.equal(await fault(one), "common", one);
});

Deno.test("ASVS 6.2.11: a name of the context with something added is refused", async () => {
  for (const password of ["Daybook-2026", "daybookdaybook", "2026!!daybook", "ACME acme 1"]) {
    assert.equal(await fault(password, ["daybook", "acme"]), "context", password);
  }
  assert.equal(await fault("daybook of the lighthouse", ["daybook"]), undefined);
  assert.equal(await fault("1234512345!", ["daybook", "", "1"]), undefined);
});

const sha1 = (text: string) => createHash("sha1").update(text).digest("hex").toUpperCase();

Deno.test("ASVS 6.2.12: what is in a file of breached passwords is refused, and nothing else", async () => {
  await inFolder(async (folder) => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.string({ maxLength: 8 }), { minLength: 1, maxLength: 60 }),
        fc.constantFrom("\n", "\r\n"),
        fc.boolean(),
        fc.boolean(),
        async (passwords, end, counted, ended) => {
          // Every other one is in the file.
          const known = passwords.filter((_, i) => i % 2 === 0);
          const lines = known.map(sha1).sort().map((hash, i) => counted ? `${hash}:${10 ** (i % 9)}` : hash);
          await Deno.writeTextFile(`${folder}/pwned.txt`, lines.join(end) + (ended ? end : ""));
          const breached = await Breached.open(`${folder}/pwned.txt`);
          try {
            for (const password of passwords) {
              assert.equal(await breached.has(password), known.includes(password), password);
            }
          } finally {
            await breached.close();
          }
        },
      ),
      { numRuns: 50 },
    );
  });
});

Deno.test("a file that is no list of hashes in order is told of with its place", async () => {
  await inFolder(async (folder) => {
    const path = `${folder}/pwned.txt`;
    for (
      const [text, told] of [
        ["", "expected a file of SHA-1 hashes, a line each"],
        ["password\n", "expected a SHA-1 hash in hexadecimal at byte 0"],
        [`${"F".repeat(40)}\n${"0".repeat(40)}\n`, "expected hashes in order, but the last is below the first"],
        [`${"0".repeat(40)}\nno hash\n`, "expected a SHA-1 hash in hexadecimal at byte 41"],
      ] as const
    ) {
      await Deno.writeTextFile(path, text);
      await assert.rejects(Breached.open(path), {
        name: "Usage",
        message: `identity.passwords.breached: ${path}: ${told}`,
      });
    }
    await assert.rejects(Breached.open(folder), { name: "Usage" });
    await assert.rejects(Breached.open(`${folder}/none`), { name: "Usage" });
  });
});

Deno.test("of a file that was cut short since it was opened nothing passes for unknown", async () => {
  await inFolder(async (folder) => {
    const path = `${folder}/pwned.txt`;
    const known = ["one", "two", "three", "four"].sort((a, b) => sha1(a) < sha1(b) ? -1 : 1);
    await Deno.writeTextFile(path, known.map((password) => `${sha1(password)}:1\n`).join(""));
    const breached = await Breached.open(path);
    try {
      await Deno.truncate(path, 2 * 43);
      assert.ok(await breached.has(known[0]!));
      await assert.rejects(breached.has(known[3]!), {
        name: "BreachedFault",
        message: /was cut short from 172 to 86 bytes/,
      });
    } finally {
      await breached.close();
    }
  });
});

Deno.test("a breached password is refused by the running server, and the one before still counts", async () => {
  await inFolder(async (folder) => {
    const next = "a long walk by the harbour";
    await Deno.writeTextFile(`${folder}/pwned.txt`, `${sha1(next)}:17\n`);
    await withHouse(async (house) => {
      await house.person("ada");
      const { body: { access_token: as } } = await house.signIn("ada");
      const { status, body } = await house.send("/auth/password", { as, body: { current: PASSWORD, next } });
      assert.equal(status, 422);
      assert.match(body.detail, /is known from a breach of others/);
      await Deno.truncate(`${folder}/pwned.txt`, 0);
      const other = "a long walk along the river";
      const cut = await house.send("/auth/password", { as, body: { current: PASSWORD, next: other } });
      assert.deepEqual([cut.status, cut.body.type], [503, "urn:daybook:problem:overloaded"]);
      assert.match(cut.body.detail, /cannot be looked up now; nothing was changed/);
      assert.equal((await house.signIn("ada")).status, 200);
    }, { said: { IDENTITY__PASSWORDS__BREACHED: JSON.stringify({ file: `${folder}/pwned.txt` }) } });
  });
});

Deno.test("names are compared in one form, and none looks like another", () => {
  for (
    const [typed, name] of [["Alice", "alice"], ["a.b-c_d+e@x.org", "a.b-c_d+e@x.org"], [
      "ＡＬｉｃｅ",
      "alice",
    ]] as const
  ) {
    assert.equal(accountName(typed), name);
  }
  for (
    const typed of [
      "аlice",
      "alıce",
      "ſam",
      "\u212aelvin",
      "①a",
      "ﬁn",
      "a\u200bb",
      "a b",
      "a\u0301",
      "-a",
      "a-",
      "",
      "a/b",
      "..",
      "sealed:1:u_x:y",
      "x".repeat(256),
    ]
  ) {
    assert.equal(accountName(typed), undefined, JSON.stringify(typed));
  }
});

Deno.test("a password is compared exactly: nothing is cut, folded, trimmed or normalised", () =>
  withHouse(async (house) => {
    const password = "Ünïcode pass ".repeat(20) + "end";
    await house.person("alice", password);
    assert.equal((await house.signIn("alice", password)).status, 200);
    for (
      const other of [
        password.slice(0, -1),
        password.slice(0, 72),
        password.toLowerCase(),
        password.normalize("NFD"),
        ` ${password}`,
        `${password} `,
        `${password}\u0000`,
      ]
    ) assert.equal((await house.signIn("alice", other)).status, 401, JSON.stringify(other.slice(-10)));
  }, { said: { IDENTITY__LOCKOUT__FAILURES_MAX: "10" } }));

Deno.test("a hash is kept with its parameters, and made anew at the next sign-in when they are raised", async () => {
  const data = await Deno.makeTempDir();
  try {
    await withHouse(async (house) => void await house.person("alice"), { data });
    const raised = { IDENTITY__PASSWORDS__PASSES: "2" };
    await withHouse(async (house) => {
      assert.equal((await house.signIn("alice", "wrong password")).status, 401);
      assert.equal(house.told("identity.password.set").length, 1, "a wrong one changes nothing");
      assert.equal((await house.signIn("alice")).status, 200);
      assert.equal((await house.signIn("alice")).status, 200);
      const set = house.told("identity.password.set").map((
        { data },
      ) => [data.because, data.scheme.passes, data.replaced]);
      const first = house.told("identity.password.set")[0]!.data.credential;
      assert.deepEqual(set, [["chosen", 1, undefined], ["raised", 2, first]]);
      assert.equal(house.told("identity.session.ended").length, 0, "nobody was signed out by it");
    }, { data, said: raised });
    await withHouse(async (house) => {
      assert.equal((await house.signIn("alice")).status, 200);
      assert.equal(house.told("identity.password.set").length, 2, "lower ones make nothing weaker");
    }, { data });
  } finally {
    await Deno.remove(data, { recursive: true });
  }
});

const imported = async (password: string): Promise<string> =>
  await bcrypt({ password, salt: new Uint8Array(16).fill(7), costFactor: 4, outputType: "encoded" });

Deno.test("an imported bcrypt hash lets in once and is upgraded", () =>
  withHouse(async (house) => {
    const hash = (await imported("an old password")).replace("$2a$", "$2y$");
    const made = await house.send("/accounts", { as: house.token, body: { name: "bob", bcrypt: hash } });
    assert.deepEqual([made.status, Object.keys(made.body)], [201, ["account"]]);
    assert.equal((await house.signIn("bob", "an old passwor")).status, 401);
    assert.equal((await house.signIn("bob", "an old password")).status, 200);
    assert.equal((await house.signIn("bob", "an old password")).status, 200);
    const set = house.told("identity.password.set").map(({ data }) => [data.because, data.scheme.algorithm]);
    assert.deepEqual(set, [["imported", "bcrypt"], ["upgraded", "argon2id"]]);
    for (const { data } of house.told("identity.account.created", "identity.password.set")) {
      assert.ok(!JSON.stringify(data).includes("$2"), "no hash in an event");
    }
  }));

Deno.test("of a long password bcrypt saw 72 bytes: it is to be set, not upgraded as it was typed", () =>
  withHouse(async (house) => {
    const seen = "é".repeat(36);
    const hash = await imported(seen);
    await house.send("/accounts", { as: house.token, body: { name: "carol", bcrypt: hash } });
    const wanted = await house.signIn("carol", `${seen} and a tail that nobody checked`);
    assert.deepEqual([wanted.status, wanted.body.type], [403, "urn:daybook:problem:password_wanted"]);
    assert.equal(house.told("identity.session.started").length, 0);
    assert.equal(house.told("identity.password.set").length, 1);
    const tail = `${seen} and a tail that is meant`;
    assert.equal(
      (await house.send("/auth/invitation", { body: { code: wanted.body.code, password: tail } })).status,
      204,
    );
    assert.equal((await house.signIn("carol", tail)).status, 200);
    assert.equal((await house.signIn("carol", seen)).status, 401);
    assert.equal((await house.signIn("carol", `${seen} and a tail that nobody checked`)).status, 401);
  }));

Deno.test("what is no bcrypt hash is not imported, and leaves nothing behind", () =>
  withHouse(async (house) => {
    const good = await imported("x");
    for (
      const bad of [
        "",
        "$2x$" + good.slice(4),
        good.slice(0, -1),
        `${good} `,
        good.replace("$04$", "$03$"),
        good.replace("$04$", "$16$"),
        good.replace("$04$", "$31$"),
        "$argon2id$v=19$m=1",
      ]
    ) {
      const made = await house.send("/accounts", { as: house.token, body: { name: "dave", bcrypt: bad } });
      assert.equal(made.status, 400, bad);
    }
    assert.equal(house.told("identity.account.created").length, 0);
  }));

Deno.test("the same answer for a name that nobody has, a wrong password, a locked, disabled or half-made account", () =>
  withHouse(async (house) => {
    await house.person("alice");
    const locked = await house.person("locked");
    const disabled = await house.person("disabled");
    await house.send("/accounts", { as: house.token, body: { name: "invited" } });
    await house.send("/accounts", { as: house.token, body: { name: "robot", kind: "service" } });
    for (let i = 0; i < 3; i++) await house.signIn("locked", "wrong password");
    await house.send(`/accounts/${disabled}/disable`, { as: house.token, body: {} });
    const answers = [];
    for (const name of ["alice", "nobody-has-this", "not a name", "locked", "disabled", "invited", "robot"]) {
      const { status, body, headers } = await house.signIn(name, name === "alice" ? "wrong password" : PASSWORD);
      const { instance: _, ...rest } = body;
      answers.push(JSON.stringify([status, rest, [...headers.keys()].sort()]));
    }
    assert.equal(new Set(answers).size, 1, answers.join("\n"));
    const reasons = house.told("identity.signin.failed").slice(-7).map(({ data }) => data.reason);
    assert.deepEqual(reasons, [
      "wrong_secret",
      "unknown_account",
      "unknown_account",
      "locked",
      "disabled",
      "not_enrolled",
      "not_enrolled",
    ]);
    assert.deepEqual(house.told("identity.account.locked").map(({ data }) => [data.account, data.failures]), [[
      locked,
      3,
    ]]);
  }, { said: { IDENTITY__LOCKOUT__FAILURES_MAX: "3" } }));

Deno.test("neither a password nor a hash is in any event, and names and addresses are sealed there", () =>
  withHouse(async (house) => {
    await house.person("alice");
    await house.signIn("alice");
    await house.signIn("alice", "another password");
    const events = await house.send("/events?limit=1000", { as: house.token });
    assert.equal(events.status, 200);
    const reader =
      (await house.send("/events?limit=1000", { as: house.token, headers: { accept: "application/x-ndjson" } })).body;
    for (const secret of [PASSWORD, "another password"]) {
      assert.ok(!JSON.stringify([events.body, reader]).includes(secret));
    }
    const failed = house.told("identity.signin.failed")[0]!.data;
    assert.match(failed.tried, /^[0-9a-f]{4}$/);
    assert.match(failed.address_pseudonym, /^p_/);
    assert.equal(failed.address, "127.0.0.1");
    const { account, credential } = house.told("identity.password.set")[0]!.data;
    const kept = new TextDecoder().decode(house.keys.accounts.read(account, credential));
    const { hash, salt } = JSON.parse(kept) as Record<"hash" | "salt", string>;
    assert.ok(hash.length > 40 && salt.length > 20, "as they lie in the key database");
    const entries = Array.from({ length: house.log.size }, (_, at) => new TextDecoder().decode(house.log.entry(at)));
    for (const secret of [PASSWORD, "another password", hash, salt, "127.0.0.1", "alice"]) {
      assert.deepEqual(entries.filter((entry) => entry.includes(secret)), []);
    }
    const sealed = [...house.log.read({ types: ["identity.account.created", "identity.signin.failed"] })].flat();
    const texts = sealed.flatMap(({ data }) => {
      const { name, address } = data as { readonly name?: string; readonly address?: string };
      return [name, address].filter((text) => text !== undefined);
    });
    assert.ok(texts.length >= 2 && texts.every(isSealed), JSON.stringify(texts));
  }));
