/**
 * Bearer tokens and the sessions of browsers. Of both only the SHA-256 of a high-entropy secret is kept, so the file
 * gives nobody a way in, and no slow hash is needed.
 */
import { Buffer } from "node:buffer";
import { createHash, timingSafeEqual } from "node:crypto";
import { LRUCache } from "lru-cache";
import { HOUSE } from "../../events/tenants.ts";
import type { Principal } from "../../actors/kernel/daybook.ts";
import type { Millis } from "../../events/event.ts";
import { type Scope, SCOPES } from "../../events/scopes.ts";
import { entries } from "./bounded.ts";
import type { KeyDatabase } from "./database.ts";
import { KeysFault } from "./fault.ts";
import type { Row } from "./hierarchy.ts";

export const TOKENS_MAX = 10_000;
export const TOKEN_NAME_CHARS_MAX = 100;
/** Sessions kept; beyond it the one that would end first goes. */
export const SESSIONS_MAX = 10_000;
/** Tokens and sessions whose last check is remembered. */
export const CHECKED_CACHED_MAX = 4_096;
export const SESSION_MS: Millis = 12 * 60 * 60 * 1_000;

/** Who a token or session speaks for. */
export interface Bearer extends Principal {
  readonly authtype: "api_key";
  /** `t_…`: the token's id, also for its sessions. */
  readonly authid: string;
  readonly scopes: ReadonlySet<Scope>;
  readonly tenant: string;
  /** Whose key it is; absent for a token of nobody's. What it may is then the account's to say. */
  readonly account?: string;
  /** RFC 3339; absent: never. */
  readonly expires?: string;
}

/** A token as listed; the secret is nowhere. Times RFC 3339. */
export interface TokenInfo {
  readonly id: string;
  readonly name: string;
  readonly scopes: readonly Scope[];
  readonly tenant: string;
  readonly account?: string;
  /** When it was last shown, as far as `flushUses` has written it. */
  readonly used?: string;
  readonly created: string;
  readonly expires?: string;
  readonly revoked?: string;
}

// 32 letters, so that five bits of a random byte choose one without bias; none is an underscore.
const LETTERS = "abcdefghijklmnopqrstuvwxyz234567";
const ID_LETTERS = 16;
const SECRET_LETTERS = 52;
const TENANT = /^[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?$/;

// Made with the first token that needs it. The format goes up with it: an older program would let such a token in everywhere.
const BELONGING = [
  "CREATE TABLE IF NOT EXISTS token_of (id TEXT PRIMARY KEY, tenant TEXT NOT NULL, account TEXT) WITHOUT ROWID",
  "CREATE INDEX IF NOT EXISTS token_of_account ON token_of (account)",
  "PRAGMA user_version = 3",
];
const FIRST_ENDED = `SELECT id FROM tokens WHERE revoked IS NOT NULL OR expires <= ?
  ORDER BY min(coalesce(revoked, expires), coalesce(expires, revoked)), id LIMIT 1`;
const USES = "CREATE TABLE IF NOT EXISTS token_uses (id TEXT PRIMARY KEY, used INTEGER NOT NULL) WITHOUT ROWID";

const SHAPE = /^db([ks])_([a-z2-7]{16})_([a-z2-7]{52})$/;

interface Checked {
  readonly bearer: Bearer;
  readonly until: Millis;
}

/** The first token of a folder, which counts when it is kept. */
export interface FirstToken {
  readonly token: string;
  readonly id: string;
  keep(): void;
}

interface Drawn {
  readonly id: string;
  readonly secret: string;
}

const shown = ({ id, secret }: Drawn) => ({ token: `dbk_${id}_${secret}`, id: `t_${id}` });

export class Tokens {
  private belonging = false;
  /** Since the last `flushUses`; no more than there are tokens. */
  private readonly uses = new Map<string, Millis>();
  private readonly checked = new LRUCache<string, Checked>(entries(CHECKED_CACHED_MAX));

  constructor(private readonly db: KeyDatabase) {
    db.whenChanged(() => this.checked.clear());
  }

  /**
   * A new token `dbk_<id>_<secret>`, durable when it returns and never shown again. `name` is for people, 1 to 100
   * characters; `expires` in ms since 1970, absent for never. Throws `KeysFault` `invalid` for a scope or name that
   * is none, or when there are `TOKENS_MAX` that have not ended.
   */
  create(
    name: string,
    scopes: readonly Scope[],
    expires?: Millis,
    { tenant = HOUSE, account }: { readonly tenant?: string; readonly account?: string } = {},
  ): { readonly token: string; readonly id: string } {
    this.checkRequest(name, scopes, expires);
    if (!TENANT.test(tenant)) {
      throw new KeysFault("invalid", "Cannot create a token: a tenant is small letters, digits, - and _ within");
    }
    return this.db.write("create a token", () => {
      const made = this.insert(name, scopes, expires);
      if (tenant !== HOUSE || account !== undefined) this.assign(made.id.slice(2), tenant, account);
      return made;
    });
  }

  private assign(id: string, tenant: string, account: string | undefined): void {
    if (!this.belong()) { for (const statement of BELONGING) this.db.run(statement); }
    this.db.run("INSERT INTO token_of VALUES (?, ?, ?)", id, tenant, account ?? null);
  }

  /** Whether any token is of another tenant than the first, or of an account. */
  private belong(): boolean {
    return this.belonging ||= this.db.get("SELECT 1 AS n FROM sqlite_master WHERE name = 'token_of'") !== undefined;
  }

  private of(id: string): Belonging {
    const row = this.belong() ? this.db.get("SELECT tenant, account FROM token_of WHERE id = ?", id) : undefined;
    if (!row) return { tenant: HOUSE };
    return { tenant: row.tenant as string, ...(row.account === null ? {} : { account: row.account as string }) };
  }

  /** Destroys the keys of accounts; durable when it returns. May be repeated. */
  eraseOf(accounts: readonly string[]): void {
    if (!this.belong()) return;
    this.db.write("destroy keys of an account", () => {
      for (const account of accounts) {
        this.db.run("DELETE FROM tokens WHERE id IN (SELECT id FROM token_of WHERE account = ?)", account);
        this.db.run("DELETE FROM token_of WHERE account = ?", account);
      }
    });
    this.checked.clear();
  }

  /** Destroys one that nobody was shown. */
  drop(id: string): void {
    this.db.write("drop a token", () => {
      for (const table of ["tokens", "token_of"]) this.db.run(`DELETE FROM ${table} WHERE id = ?`, id.slice(2));
    });
  }

  /** When tokens were shown since the last time, kept: one write for all of them. */
  flushUses(): void {
    if (this.uses.size === 0 || this.db.readOnly) return;
    const uses = [...this.uses];
    this.uses.clear();
    this.db.write("keep when tokens were used", () => {
      this.db.run(USES);
      for (const [id, at] of uses) {
        this.db.run("INSERT INTO token_uses VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET used = excluded.used", id, at);
      }
    });
  }

  private usedAt(id: string): Millis | undefined {
    const known = this.uses.get(id);
    if (known !== undefined || !this.tallied()) return known;
    return this.db.get("SELECT used FROM token_uses WHERE id = ?", id)?.used as number | undefined;
  }

  private tallied(): boolean {
    return this.db.get("SELECT 1 AS n FROM sqlite_master WHERE name = 'token_uses'") !== undefined;
  }

  /**
   * A token with every scope when there is none yet, not even a revoked one; else `undefined`. It opens nothing before `keep`,
   * which is to be called when it was shown: whoever dies between the two has not lost it, the next one is shown another.
   */
  first(): FirstToken | undefined {
    if (this.db.readOnly || this.count() > 0) return undefined;
    const drawn = this.draw();
    const keep = () => {
      if (this.count() === 0) this.insert("first", SCOPES, undefined, drawn);
    };
    return { ...shown(drawn), keep: () => this.db.write("create the first token", keep) };
  }

  private count(): number {
    return Number(this.db.get("SELECT count(*) AS n FROM tokens")!.n);
  }

  private checkRequest(name: string, scopes: readonly Scope[], expires: Millis | undefined): void {
    if (name.trim() === "" || name.length > TOKEN_NAME_CHARS_MAX) {
      throw new KeysFault("invalid", `Cannot create a token: its name has 1 to ${TOKEN_NAME_CHARS_MAX} characters`);
    }
    const wrong = scopes.find((scope) => !SCOPES.includes(scope));
    if (wrong !== undefined || scopes.length === 0) {
      throw new KeysFault(
        "invalid",
        `Cannot create a token: expected scopes out of ${SCOPES.join(", ")}${
          wrong === undefined ? "" : `, found "${wrong}"`
        }`,
      );
    }
    if (expires !== undefined && !(expires > this.db.clock.now() && expires <= 8.64e15)) {
      throw new KeysFault("invalid", "Cannot create a token: it would have expired already");
    }
  }

  private insert(
    name: string,
    scopes: readonly Scope[],
    expires: Millis | undefined,
    { id, secret }: Drawn = this.draw(),
  ): { token: string; id: string } {
    if (this.count() >= TOKENS_MAX && !this.dropEnded()) {
      throw new KeysFault(
        "invalid",
        `Cannot create a token: there are ${TOKENS_MAX} already; revoke one that is not needed`,
      );
    }
    this.db.run(
      "INSERT INTO tokens (id, name, hash, scopes, created, expires) VALUES (?, ?, ?, ?, ?, ?)",
      id,
      name,
      digest(secret),
      SCOPES.filter((scope) => scopes.includes(scope)).join(" "),
      this.db.clock.now(),
      expires ?? null,
    );
    return shown({ id, secret });
  }

  /** The one that ended first makes room: the log tells of it on. False where none has ended. */
  private dropEnded(): boolean {
    const id = this.db.get(FIRST_ENDED, this.db.clock.now())?.id as string | undefined;
    if (id === undefined) return false;
    this.db.run("DELETE FROM sessions WHERE token = ?", id);
    this.db.run("DELETE FROM tokens WHERE id = ?", id);
    if (this.belong()) this.db.run("DELETE FROM token_of WHERE id = ?", id);
    if (this.tallied()) this.db.run("DELETE FROM token_uses WHERE id = ?", id);
    return true;
  }

  private draw(): Drawn {
    const letters = Array.from(this.db.random(ID_LETTERS + SECRET_LETTERS), (byte) => LETTERS[byte & 31]).join("");
    return { id: letters.slice(0, ID_LETTERS), secret: letters.slice(ID_LETTERS) };
  }

  /**
   * Who presents this token; `undefined` for one that is malformed, unknown, expired or revoked. A revocation made
   * here counts at once, one made by another process within `SEEN_WITHIN_MS`.
   */
  check(token: string): Bearer | undefined {
    return this.lookUp(token, "k");
  }

  /** As `check`, for the value of a session's cookie. A session ends with its token. */
  checkSession(cookie: string): Bearer | undefined {
    return this.lookUp(cookie, "s");
  }

  private lookUp(text: string, kind: "k" | "s"): Bearer | undefined {
    this.db.refresh();
    const now = this.db.clock.now();
    const known = this.checked.get(text);
    if (known) {
      if (now >= known.until || text.charAt(2) !== kind) return undefined;
      this.uses.set(known.bearer.authid.slice(2), now);
      return known.bearer;
    }
    const shape = SHAPE.exec(text);
    if (!shape || shape[1] !== kind) return undefined;
    const found = this.db.read(
      "check a token",
      () => kind === "k" ? this.token(shape[2]!, shape[3]!) : this.session(shape[2]!, shape[3]!),
    );
    // Only what was proven is kept, so that guessing fills nothing.
    if (!found || now >= found.until) return undefined;
    this.checked.set(text, found);
    this.uses.set(found.bearer.authid.slice(2), now);
    return found.bearer;
  }

  private token(id: string, secret: string): Checked | undefined {
    const row = this.db.get("SELECT hash, scopes, expires, revoked FROM tokens WHERE id = ?", id);
    if (!row || row.revoked !== null || !same(row.hash as Uint8Array, secret)) return undefined;
    return checked(id, row, this.of(id));
  }

  private session(id: string, secret: string): Checked | undefined {
    const row = this.db.get(
      `SELECT s.hash, s.expires AS ends, t.id, t.scopes, t.expires, t.revoked
       FROM sessions s JOIN tokens t ON t.id = s.token WHERE s.id = ?`,
      id,
    );
    if (!row || row.revoked !== null || !same(row.hash as Uint8Array, secret)) return undefined;
    const token = row.id as string;
    const { bearer, until } = checked(token, row, this.of(token));
    return { bearer, until: Math.min(until, row.ends as number) };
  }

  /** Tokens and sessions whose check is remembered. */
  get cached(): number {
    return this.checked.size;
  }

  /** Newest last, revoked and expired ones too. */
  list(): TokenInfo[] {
    return this.listed("");
  }

  /** The same of an account's own. */
  listOf(account: string): TokenInfo[] {
    return this.belong() ? this.listed("WHERE id IN (SELECT id FROM token_of WHERE account = ?)", account) : [];
  }

  private listed(which: string, ...values: readonly string[]): TokenInfo[] {
    const sql = `SELECT id, name, scopes, created, expires, revoked FROM tokens ${which} ORDER BY created, id`;
    const rows = this.db.read("list tokens", () => this.db.all(sql, ...values));
    return rows.map((row) => ({
      id: `t_${row.id}`,
      name: row.name as string,
      scopes: (row.scopes as string).split(" ") as Scope[],
      ...this.of(row.id as string),
      ...used(this.usedAt(row.id as string)),
      created: iso(row.created as number),
      ...(row.expires === null ? {} : { expires: iso(row.expires as number) }),
      ...(row.revoked === null ? {} : { revoked: iso(row.revoked as number) }),
    }));
  }

  /**
   * Ends a token, `t_…`, and its sessions for good, durable when it returns. May be repeated. False when there is no
   * such token.
   */
  revoke(id: string): boolean {
    const bare = id.replace(/^t_/, "");
    const found = this.db.write("revoke a token", () => {
      this.db.run("DELETE FROM sessions WHERE token = ?", bare);
      return this.db.run("UPDATE tokens SET revoked = coalesce(revoked, ?) WHERE id = ?", this.db.clock.now(), bare) >
        0;
    });
    this.checked.clear();
    return found;
  }

  /**
   * A session for who has shown a token: the value of a cookie, `dbs_<id>_<secret>`. It ends after `SESSION_MS`, or
   * with the token if that is sooner. `id` is the token's, `t_…`; throws `KeysFault` `invalid` when it is not alive.
   */
  createSession(id: string): { readonly cookie: string; readonly expires: Millis } {
    const bare = id.replace(/^t_/, "");
    const now = this.db.clock.now();
    return this.db.write("create a session", () => {
      const token = this.db.get(
        `SELECT expires FROM tokens
         WHERE id = ? AND revoked IS NULL AND (expires IS NULL OR expires > ?)`,
        bare,
        now,
      );
      if (!token) throw new KeysFault("invalid", "Cannot create a session: its token is unknown, expired or revoked");
      this.db.run("DELETE FROM sessions WHERE expires <= ?", now);
      const over = Number(this.db.get("SELECT count(*) AS n FROM sessions")!.n) - SESSIONS_MAX + 1;
      if (over > 0) {
        this.db.run("DELETE FROM sessions WHERE id IN (SELECT id FROM sessions ORDER BY expires LIMIT ?)", over);
      }
      if (over > 0) this.checked.clear();
      const expires = Math.min(now + SESSION_MS, (token.expires as number | null) ?? Infinity);
      const drawn = this.draw();
      this.db.run("INSERT INTO sessions VALUES (?, ?, ?, ?, ?)", drawn.id, bare, digest(drawn.secret), now, expires);
      return { cookie: `dbs_${drawn.id}_${drawn.secret}`, expires };
    });
  }

  /** Signs out. False when there was no such session. */
  endSession(cookie: string): boolean {
    const shape = SHAPE.exec(cookie);
    if (!shape || !this.checkSession(cookie)) return false;
    const ended = this.db.write("end a session", () => this.db.run("DELETE FROM sessions WHERE id = ?", shape[2]!) > 0);
    this.checked.delete(cookie);
    return ended;
  }
}

const digest = (secret: string): Uint8Array => createHash("sha256").update(secret).digest();

const same = (hash: Uint8Array, secret: string): boolean =>
  hash.length === 32 && timingSafeEqual(Buffer.from(hash), digest(secret));

const iso = (at: Millis): string => new Date(at).toISOString();

interface Belonging {
  readonly tenant: string;
  readonly account?: string;
}

const used = (at: Millis | undefined) => (at === undefined ? {} : { used: iso(at) });

const checked = (id: string, row: Row, of: Belonging): Checked => {
  const expires = row.expires as number | null;
  return {
    bearer: {
      authtype: "api_key",
      authid: `t_${id}`,
      scopes: new Set((row.scopes as string).split(" ") as Scope[]),
      ...of,
      ...(expires === null ? {} : { expires: iso(expires) }),
    },
    until: expires ?? Infinity,
  };
};
