/**
 * One key for each person: what is sealed under it can be read while it exists, and by nobody once it is erased.
 *
 * A person is known by an opaque id. An identifier (an address, an account name) leads to it through a keyed hash, so
 * it lies nowhere in clear; erasing removes that way too.
 */
import { Buffer } from "node:buffer";
import { LRUCache } from "lru-cache";
import { entries } from "./bounded.ts";
import type { KeyDatabase } from "./database.ts";
import { KeysFault } from "./fault.ts";
import { type Mac, macUnder } from "./mac.ts";
import { derived } from "./wrapping.ts";

/** Subjects whose keys are held in memory, and identifiers whose way is; a further one is read again from the file. */
export const SUBJECTS_CACHED_MAX = 4_096;
const IDENTIFIERS_CACHED_MAX = 16_384;

/** What seals and opens the texts of one person. */
export interface SubjectKeys {
  readonly key: Uint8Array;
  /** Key of the nonces, and HMAC-SHA-256 under it. */
  readonly nonce: Uint8Array;
  readonly mac: Mac;
}
export interface Subject {
  readonly id: string;
  /** `undefined`: erased. */
  readonly keys: SubjectKeys | undefined;
}

/** A subject not yet committed, or one that was there already. */
export type Made = Subject | { readonly id: string; readonly secret: Uint8Array };

// Ours are 16 characters behind `s_`; shorter ones may be somebody's account name and are identifiers.
const OPAQUE = /^[su]_[\w-]{16,64}$/;

/** Whether a text is an opaque id itself, as against an identifier that leads to one. */
const isOpaque = (text: string): boolean => OPAQUE.test(text);

/** Identifiers that differ only in case, outer space or Unicode composition lead to the same person. */
export const normalised = (identifier: string): string => identifier.trim().normalize("NFC").toLowerCase();

export class Subjects {
  private readonly byId = new LRUCache<string, Subject>(entries(SUBJECTS_CACHED_MAX));
  private readonly idOf = new LRUCache<string, string>(entries(IDENTIFIERS_CACHED_MAX));

  constructor(private readonly db: KeyDatabase) {
    db.whenChanged(() => this.forget());
  }

  /** Who is meant by an opaque id or an identifier; `undefined` when nothing is known of them. */
  find(identifier: string): Subject | undefined {
    if (isOpaque(identifier)) return this.byOpaque(identifier);
    const known = this.idOf.get(identifier);
    if (known) return this.byOpaque(known);
    const row = this.db.read("look up a subject", () => this.db.get(LOOK_UP, this.lookup(identifier)));
    if (!row) return undefined;
    this.idOf.set(identifier, row.subject as string);
    return this.byOpaque(row.subject as string);
  }

  /** Whether there is anything of an opaque id, a key or that it was erased; no key is opened. */
  has(id: string): boolean {
    return this.byId.has(id) ||
      this.db.read("look up a subject", () => this.db.get("SELECT 1 FROM subjects WHERE subject = ?", id)) !==
        undefined;
  }

  /** By opaque id alone. */
  byOpaque(id: string): Subject | undefined {
    const known = this.byId.get(id);
    if (known) return known;
    const row = this.db.read("read a subject key", () => this.db.get("SELECT key FROM subjects WHERE subject = ?", id));
    if (!row) return undefined;
    const subject = {
      id,
      keys: row.key === null ? undefined : derive(this.db.wrapping.unwrap(`subject ${id}`, row.key as Uint8Array)),
    };
    this.byId.set(id, subject);
    return subject;
  }

  private lookup(identifier: string): Uint8Array {
    return this.db.wrapping.lookup(`identifier\n${normalised(identifier)}`);
  }

  /**
   * Makes keys for those that have none, within the caller's transaction; they are usable once that has committed
   * (`keep`). Identifiers that mean the same person get one key.
   */
  create(identifiers: Iterable<string>): Map<string, Made> {
    const made = new Map<string, Made>();
    const fresh = new Map<string, Made>();
    const created = new Date(this.db.clock.now()).toISOString();
    for (const identifier of identifiers) {
      const name = isOpaque(identifier) ? identifier : normalised(identifier);
      // Another process may have made it since we looked.
      const subject = fresh.get(name) ?? this.find(identifier) ?? this.insert(identifier, created);
      fresh.set(name, subject);
      made.set(identifier, subject);
    }
    return made;
  }

  private insert(identifier: string, created: string): Made {
    const opaque = isOpaque(identifier);
    const id = opaque ? identifier : `s_${Buffer.from(this.db.random(12)).toString("base64url")}`;
    const secret = this.db.random(32);
    const wrapped = this.db.wrapping.wrap(`subject ${id}`, secret);
    this.db.run("INSERT INTO subjects (subject, key, created) VALUES (?, ?, ?)", id, wrapped, created);
    if (!opaque) this.db.run("INSERT INTO identifiers VALUES (?, ?)", this.lookup(identifier), id);
    return { id, secret };
  }

  /** What `create` has made, ready for use, by the identifiers it was given. */
  keep(made: ReadonlyMap<string, Made>): Map<string, Subject> {
    const kept = new Map<string, Subject>();
    const ready = new Map<string, Subject>();
    for (const [identifier, each] of made) {
      const subject = ready.get(each.id) ?? ("secret" in each ? { id: each.id, keys: derive(each.secret) } : each);
      ready.set(subject.id, subject);
      kept.set(identifier, subject);
      if (!isOpaque(identifier)) this.idOf.set(identifier, subject.id);
      this.byId.set(subject.id, subject);
    }
    return kept;
  }

  /**
   * Destroys keys of persons for good, durable when it returns; the ids stay, as erased, and no identifier leads to them
   * any more; nor do their bytes lie in the file. May be repeated; an id never seen is remembered as erased. Answers which had a key.
   */
  erase(ids: readonly string[]): ReadonlySet<string> {
    const had = new Set<string>();
    const gone: Uint8Array[] = [];
    this.db.write("erase a subject key", () => {
      const now = new Date(this.db.clock.now()).toISOString();
      for (const id of ids) {
        const key = this.db.get("SELECT key FROM subjects WHERE subject = ?", id)?.key;
        if (key instanceof Uint8Array) {
          had.add(id);
          gone.push(key);
        }
        for (const { lookup } of this.db.all("SELECT lookup FROM identifiers WHERE subject = ?", id)) {
          gone.push(lookup as Uint8Array);
        }
        this.db.run(ERASE, id, now, now);
        this.db.run("DELETE FROM identifiers WHERE subject = ?", id);
      }
    });
    this.db.forget();
    if (this.db.isFreeOf(gone)) return had;
    throw new KeysFault("io", "Cannot erase a subject key: its bytes are still in the file after it was deleted");
  }

  /** Opaque ids of all that were erased, in the order of ids: what a restored copy has to erase again. */
  erased(): string[] {
    return this.db.read("list erasures", () => this.db.all("SELECT subject FROM subjects WHERE erased IS NOT NULL"))
      .map((row) => row.subject as string);
  }

  /** Number of keys in memory; at most `SUBJECTS_CACHED_MAX`. */
  get cached(): number {
    return this.byId.size;
  }

  forget(): void {
    this.byId.clear();
    this.idOf.clear();
  }
}

const LOOK_UP = "SELECT subject FROM identifiers WHERE lookup = ?";
const ERASE = `INSERT INTO subjects VALUES (?, NULL, ?, ?)
  ON CONFLICT (subject) DO UPDATE SET key = NULL, erased = coalesce(erased, excluded.erased)`;

export const derive = (secret: Uint8Array): SubjectKeys => {
  const key = derived(secret, "daybook seal 1");
  const nonce = derived(secret, "daybook nonce 1");
  return { key, nonce, mac: macUnder(nonce) };
};
