/** What a key database promises, on disk and in memory alike. */
import assert from "node:assert/strict";
import { type Keys, type KeysFault, openKeys } from "../../adapters/keys/keys.ts";
import { SCOPES } from "../../events/scopes.ts";
import { checkpointOf, noteSigner, noteVerifier, openNote } from "../../adapters/keys/note.ts";
import {
  CHECKED_CACHED_MAX,
  SESSION_MS,
  SESSIONS_MAX,
  TOKEN_NAME_CHARS_MAX,
  Tokens,
  TOKENS_MAX,
} from "../../adapters/keys/tokens.ts";
import { KeyDatabase } from "../../adapters/keys/database.ts";
import { ADA, change, clockAt, MAY, people, sealed } from "../keys_given.ts";

const ROOT = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
const OTHER = "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDc=";
const invalid = (fault: KeysFault) => fault.name === "KeysFault" && fault.kind === "invalid";

type Promised = (keys: Keys, clock: ReturnType<typeof clockAt>) => void;

const promises: Record<string, Promised> = {
  "a token lets in whom it was made for, with its scopes and nothing else": ({ tokens }) => {
    const { token, id } = tokens.create("ci", ["read", "ingest"]);
    assert.match(token, /^dbk_[a-z2-7]{16}_[a-z2-7]{52}$/);
    assert.equal(id, `t_${token.split("_")[1]}`);
    for (let check = 0; check < 2; check++) {
      const bearer = tokens.check(token)!;
      assert.deepEqual({ ...bearer, scopes: [...bearer.scopes] }, {
        authtype: "api_key",
        authid: id,
        scopes: ["ingest", "read"],
        tenant: "default",
      });
    }
  },

  "when a token was last shown is known at once, and kept when it is told to": (keys, clock) => {
    const { tokens } = keys;
    const { token, id } = tokens.create("ci", ["read"]);
    const used = () => tokens.list().find((one) => one.id === id)!.used;
    assert.equal(used(), undefined);
    tokens.check("dbk_" + "a".repeat(16) + "_" + "b".repeat(52));
    clock.at += 7;
    tokens.check(token);
    const shown = new Date(clock.at).toISOString();
    assert.equal(used(), shown);
    tokens.flushUses();
    assert.equal(used(), shown);
    clock.at += 1_000;
    tokens.check(token);
    tokens.flushUses();
    tokens.flushUses();
    assert.equal(used(), new Date(clock.at).toISOString());
  },

  "an account's keys go with it, and nobody else's": ({ tokens }) => {
    const [theirs, other] = ["u_a", "u_b"].map((account) => tokens.create("key", ["read"], undefined, { account }));
    const free = tokens.create("free", ["read"]);
    assert.equal(tokens.check(theirs!.token)!.account, "u_a");
    tokens.eraseOf(["u_a"]);
    tokens.eraseOf(["u_a"]);
    assert.equal(tokens.check(theirs!.token), undefined);
    assert.ok(tokens.check(other!.token) && tokens.check(free.token));
    tokens.drop(other!.id);
    assert.equal(
      tokens.check(other!.token)?.account,
      "u_b",
      "what was proven is remembered; only what nobody was shown is dropped",
    );
  },

  "a token belongs to the tenant it was made for, and so do its sessions": ({ tokens }) => {
    const ours = tokens.create("ours", ["read"]);
    const { token, id } = tokens.create("theirs", ["read"], undefined, { tenant: "acme" });
    assert.equal(tokens.check(token)!.tenant, "acme");
    assert.equal(tokens.checkSession(tokens.createSession(id).cookie)!.tenant, "acme");
    assert.equal(tokens.check(ours.token)!.tenant, "default");
    assert.deepEqual(tokens.list().map(({ name, tenant }) => [name, tenant]).sort(), [["ours", "default"], [
      "theirs",
      "acme",
    ]]);
    for (const tenant of ["", "Acme", "-a", "a".repeat(65), "a b"]) {
      assert.throws(() => tokens.create("x", ["read"], undefined, { tenant }), invalid, tenant);
    }
  },

  "what is no token, or differs in one letter, lets nobody in": ({ tokens }) => {
    const { token } = tokens.create("ci", ["read"]);
    for (let i = 0; i < token.length; i++) {
      const letter = token[i] === "a" ? "b" : "a";
      assert.equal(tokens.check(token.slice(0, i) + letter + token.slice(i + 1)), undefined);
    }
    for (
      const text of [
        "",
        "dbk_",
        token.slice(0, -1),
        `${token}a`,
        ` ${token}`,
        token.toUpperCase(),
        token.replace("dbk", "dbs"),
      ]
    ) {
      assert.equal(tokens.check(text), undefined, text);
    }
    assert.ok(tokens.check(token));
  },

  "a token ends when it expires": ({ tokens }, clock) => {
    const { token } = tokens.create("ci", ["read"], clock.at + 1_000);
    assert.equal(tokens.check(token)?.expires, new Date(clock.at + 1_000).toISOString());
    clock.at += 999;
    assert.ok(tokens.check(token));
    clock.at += 1;
    assert.equal(tokens.check(token), undefined);
  },

  "a revoked token ends at once, for good, and stays in the list": ({ tokens }, clock) => {
    const { token, id } = tokens.create("ci", ["admin"]);
    assert.ok(tokens.check(token));
    clock.at += 5;
    assert.equal(tokens.revoke(id), true);
    assert.equal(tokens.check(token), undefined);
    clock.at += 5;
    assert.equal(tokens.revoke(id), true, "may be repeated");
    assert.equal(tokens.revoke("t_nobody"), false);
    const at = (ago: number) => new Date(clock.at - ago).toISOString();
    const times = { created: at(10), used: at(10), revoked: at(5) };
    assert.deepEqual(tokens.list(), [{ id, name: "ci", scopes: ["admin"], tenant: "default", ...times }]);
  },

  "the first token has every scope and is made once, even when it was revoked": ({ tokens }) => {
    // One that was never kept opens nothing, and is not in the way of the next.
    const lost = tokens.first()!;
    const first = tokens.first()!;
    first.keep();
    lost.keep();
    assert.equal(tokens.check(lost.token), undefined);
    assert.deepEqual([...tokens.check(first.token)!.scopes], [...SCOPES]);
    assert.equal(tokens.first(), undefined);
    tokens.revoke(first.id);
    assert.equal(tokens.first(), undefined);
  },

  "a token without a scope, of an unknown one, without a name, or expired already is refused": ({ tokens }, clock) => {
    assert.throws(() => tokens.create("ci", []), invalid);
    assert.throws(() => tokens.create("ci", ["root" as "admin"]), /found "root"/);
    assert.throws(() => tokens.create(" ", ["read"]), invalid);
    assert.throws(() => tokens.create("n".repeat(TOKEN_NAME_CHARS_MAX + 1), ["read"]), invalid);
    for (const expires of [clock.at, NaN, Infinity]) {
      assert.throws(() => tokens.create("ci", ["read"], expires), invalid);
    }
    assert.deepEqual(tokens.list(), []);
    assert.ok(tokens.create("n".repeat(TOKEN_NAME_CHARS_MAX), ["read"]));
  },

  "a session speaks for its token, and is no token itself": ({ tokens }, clock) => {
    const { token, id } = tokens.create("ada", ["read", "personal"]);
    const { cookie, expires } = tokens.createSession(id);
    assert.equal(expires, clock.at + SESSION_MS);
    assert.deepEqual(tokens.checkSession(cookie), tokens.check(token));
    assert.equal(tokens.check(cookie), undefined);
    assert.equal(tokens.checkSession(token), undefined);
    clock.at += SESSION_MS;
    assert.equal(tokens.checkSession(cookie), undefined);
    assert.ok(tokens.check(token));
  },

  "a session ends with its token, sooner or by being revoked, or when it is ended": ({ tokens }, clock) => {
    const short = tokens.create("short", ["read"], clock.at + 1_000);
    const cookie = tokens.createSession(short.id).cookie;
    const lasting = tokens.create("lasting", ["read"]);
    const [one, two] = [tokens.createSession(lasting.id).cookie, tokens.createSession(lasting.id).cookie];
    clock.at += 1_000;
    assert.equal(tokens.checkSession(cookie), undefined);
    assert.throws(() => tokens.createSession(short.id), invalid);
    assert.ok(tokens.checkSession(one));
    assert.equal(tokens.endSession(one), true);
    assert.equal(tokens.checkSession(one), undefined);
    assert.equal(tokens.endSession(one), false);
    const guessed = `${two.slice(0, -4)}aaaa`;
    assert.equal(tokens.endSession(guessed), false, "whoever has its id alone ends none");
    assert.ok(tokens.checkSession(two));
    tokens.revoke(lasting.id);
    assert.equal(tokens.checkSession(two), undefined);
    assert.throws(() => tokens.createSession(lasting.id), invalid);
    assert.throws(() => tokens.createSession("t_nobody"), invalid);
  },

  "who was erased has no token left": (keys) => {
    const { tokens } = keys;
    const account = "u_aaaaaaaaaaaaaaaa";
    const { token } = tokens.create("ci", ["read"], undefined, { account });
    const other = tokens.create("other", ["read"], undefined, { account: "u_bbbbbbbbbbbbbbbb" });
    assert.equal(tokens.check(token)?.account, account);
    keys.eraseKey(account);
    assert.equal(tokens.check(token), undefined);
    assert.deepEqual(tokens.listOf(account), []);
    assert.deepEqual(tokens.list().map(({ id }) => id), [other.id]);
  },

  "a checkpoint is signed under the log's name and opens with its public key": ({ logKey }) => {
    const { name, vkey } = logKey.signer;
    assert.match(name, /^daybook\/[0-9a-f]{20}$/);
    const note = logKey.signer.checkpoint(3, ROOT);
    assert.deepEqual(checkpointOf(openNote(note, noteVerifier(vkey)!)!), { origin: name, size: 3, root: ROOT });
  },

  "the newest checkpoint is remembered, an older or a forked one is told": ({ logKey }) => {
    const at = (size: number, root = ROOT) => logKey.signer.checkpoint(size, root);
    assert.equal(logKey.latest(), undefined);
    assert.equal(logKey.remember(at(3)), "kept");
    assert.equal(logKey.remember(at(5)), "kept");
    assert.equal(logKey.remember(at(5)), "kept");
    assert.equal(logKey.remember(at(4)), "older");
    assert.equal(logKey.remember(at(5, OTHER)), "fork");
    assert.deepEqual(logKey.latest(), { origin: logKey.signer.name, size: 5, root: ROOT, note: at(5) });
  },

  "a checkpoint that this log's key has not signed is refused": ({ logKey }) => {
    const foreign = noteSigner(logKey.signer.name, new Uint8Array(32));
    for (const note of [foreign.checkpoint(9, ROOT), "", logKey.signer.note("something else\n")]) {
      assert.throws(() => logKey.remember(note), invalid);
    }
    const other = logKey.signer.note(`other/log\n1\n${ROOT}\n`);
    assert.throws(() => logKey.remember(other), invalid);
    assert.equal(logKey.latest(), undefined);
  },

  "what was sealed opens, and after erasure does not": (keys) => {
    const data = sealed(keys, change(ADA))[0]!.data as { author: typeof ADA };
    assert.equal(keys.sealer.unseal(data).author.name, ADA.name);
    keys.eraseKey(keys.subject(ADA.email)!);
    assert.equal(keys.sealer.unseal(data).author.name, "[erased]");
  },
};

for (const [promise, check] of Object.entries(promises)) {
  for (const place of ["memory", "disk"]) {
    Deno.test(`${promise} (${place})`, () => {
      const dir = Deno.makeTempDirSync();
      const clock = clockAt(MAY);
      const keys = openKeys({ path: place === "memory" ? ":memory:" : `${dir}/keys.db`, clock, catalogue: people });
      try {
        check(keys, clock);
      } finally {
        keys.close();
        Deno.removeSync(dir, { recursive: true });
      }
    });
  }
}

Deno.test("there are at most TOKENS_MAX tokens, and at most SESSIONS_MAX sessions of which the first to end goes", () => {
  const clock = clockAt(MAY);
  const db = new KeyDatabase({ path: ":memory:", clock });
  const tokens = new Tokens(db);
  const { id } = tokens.create("ada", ["read"]);
  const made = Array.from({ length: SESSIONS_MAX }, () => (clock.at++, tokens.createSession(id).cookie));
  assert.ok(tokens.checkSession(made[0]!));
  const last = tokens.createSession(id).cookie;
  assert.equal(tokens.checkSession(made[0]!), undefined);
  assert.ok(tokens.checkSession(made[1]!) && tokens.checkSession(last));
  assert.equal(db.get("SELECT count(*) AS n FROM sessions")!.n, SESSIONS_MAX);
  for (const cookie of made.slice(1, CHECKED_CACHED_MAX + 10)) assert.ok(tokens.checkSession(cookie));
  assert.equal(tokens.cached, CHECKED_CACHED_MAX);
  db.write("fill up", () => {
    const insert = "INSERT INTO tokens VALUES (?, 'x', x'00', 'read', 0, NULL, NULL)";
    for (let i = 1; i < TOKENS_MAX; i++) db.run(insert, String(i));
  });
  assert.throws(() => tokens.create("one more", ["read"]), invalid);
  db.close();
});

Deno.test("where there are TOKENS_MAX tokens, those that ended first make room for others", () => {
  const clock = clockAt(MAY);
  const db = new KeyDatabase({ path: ":memory:", clock });
  const tokens = new Tokens(db);
  const lasting = tokens.create("lasting", ["read"]);
  const job = tokens.create("job", ["read"], clock.at + 5, { account: "u_a" });
  const revoked = tokens.create("revoked", ["read"]);
  assert.ok(tokens.check(job.token));
  tokens.flushUses();
  clock.at += 10;
  tokens.revoke(revoked.id);
  db.write("fill up", () => {
    const insert = "INSERT INTO tokens VALUES (?, 'x', x'00', 'read', 0, NULL, NULL)";
    for (let i = 3; i < TOKENS_MAX; i++) db.run(insert, String(i));
  });
  const names = () => tokens.list().map(({ name }) => name).filter((name) => name !== "x").sort();
  tokens.create("one more", ["read"]);
  assert.deepEqual(names(), ["lasting", "one more", "revoked"]);
  tokens.create("another", ["read"]);
  assert.deepEqual(names(), ["another", "lasting", "one more"]);
  assert.throws(() => tokens.create("too many", ["read"]), invalid);
  assert.ok(tokens.check(lasting.token));
  for (const table of ["token_of", "token_uses"]) {
    assert.equal(db.get(`SELECT 1 FROM ${table} WHERE id = ?`, job.id.slice(2)), undefined);
  }
  db.close();
});
