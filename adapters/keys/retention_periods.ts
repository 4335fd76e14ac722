/**
 * Keys of types that are kept for a shorter time than the log: one for each such type and month (UTC, of the time an event says it happened).
 * What is personal in an event of the type is sealed under a key derived from the person's own and the month's, so that it can be read
 * while both are there, and by nobody once either is destroyed. A month that was destroyed never gets a key again. Keys of pseudonyms, which
 * `pseudonyms.ts` makes, end in the same way.
 */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { LRUCache } from "lru-cache";
import { PSEUDONYMS } from "../../events/privacy.ts";
import { entries } from "./bounded.ts";
import type { KeyDatabase } from "./database.ts";
import { derive, type Subject, type SubjectKeys, SUBJECTS_CACHED_MAX } from "./subjects.ts";
import { derived } from "./wrapping.ts";

/** Rows of `meta`: what was destroyed, as a JSON list of names. */
const DESTROYED = "periods destroyed";

/** A type and a month, `202611`. */
export interface RetentionPeriod {
  readonly type: string;
  readonly period: string;
}

const nameOf = ({ type, period }: RetentionPeriod): string => `${type} ${period}`;
/** Under which its key is kept. */
const rowOf = (period: RetentionPeriod): string => period.type === PSEUDONYMS ? period.period : nameOf(period);

/** How a sealed text names it: 22 characters of base64url. */
export const periodId = (period: RetentionPeriod): string =>
  createHash("sha256").update(`daybook retention period 1\n${nameOf(period)}`).digest().subarray(0, 16).toString(
    "base64url",
  );

export class RetentionPeriods {
  /** By id. */
  private known: Map<string, RetentionPeriod & { readonly key: Uint8Array }> | undefined;
  private gone: Set<string> | undefined;
  private readonly cache = new LRUCache<string, { readonly of: SubjectKeys; readonly keys: SubjectKeys }>(
    entries(SUBJECTS_CACHED_MAX),
  );

  constructor(private readonly db: KeyDatabase) {
    db.whenChanged(() => this.forget());
  }

  private get all(): Map<string, RetentionPeriod & { readonly key: Uint8Array }> {
    if (this.known) return this.known;
    const rows = this.db.read(
      "read the keys of periods",
      () => this.db.all("SELECT period, key FROM periods WHERE period LIKE '% %' ORDER BY period"),
    );
    return this.known = new Map(rows.map((row) => {
      const name = row.period as string;
      const [type, period] = name.split(" ") as [string, string];
      const key = this.db.wrapping.unwrap(`period ${name}`, row.key as Uint8Array);
      return [periodId({ type, period }), { type, period, key }];
    }));
  }

  private get destroyed(): Set<string> {
    if (this.gone) return this.gone;
    const row = this.db.read(
      "read which periods were destroyed",
      () => this.db.get("SELECT value FROM meta WHERE name = ?", DESTROYED),
    );
    return this.gone = new Set(row ? JSON.parse(Buffer.from(row.value as Uint8Array).toString()) as string[] : []);
  }

  /** Those with a key, by type and month; pseudonyms behind them. */
  get standing(): readonly RetentionPeriod[] {
    const types = [...this.all.values()].map(({ type, period }) => ({ type, period }));
    const rows = this.db.read(
      "read which months have pseudonyms",
      () => this.db.all("SELECT period FROM periods WHERE period NOT LIKE '% %' ORDER BY period"),
    );
    return [...types, ...rows.map(({ period }) => ({ type: PSEUDONYMS, period: period as string }))];
  }

  /** Those that never get a key again. */
  get ended(): readonly RetentionPeriod[] {
    return [...this.destroyed].map((name) => {
      const [type, period] = name.split(" ") as [string, string];
      return { type, period };
    });
  }

  /** Whether it never gets a key again. */
  isEnded(period: RetentionPeriod): boolean {
    return this.destroyed.has(nameOf(period));
  }

  /** Whether an event of it needs a key that is not there yet. */
  wants(period: RetentionPeriod): boolean {
    return !this.all.has(periodId(period)) && !this.isEnded(period);
  }

  /** Within the caller's transaction. */
  create(periods: Iterable<RetentionPeriod>): void {
    for (const period of periods) {
      const name = nameOf(period);
      this.db.run(
        "INSERT INTO periods VALUES (?, ?) ON CONFLICT DO NOTHING",
        name,
        this.db.wrapping.wrap(`period ${name}`, this.db.random(32)),
      );
    }
    this.known = undefined;
  }

  /** Destroys its key, durable when it returns; it never gets another. May be repeated. True when there was one. */
  destroy(period: RetentionPeriod): boolean {
    const name = nameOf(period);
    if (this.isEnded(period)) return false;
    const had = this.db.write("destroy the key of a period", () => {
      const names = [...this.destroyed, name].sort();
      this.db.run("INSERT OR REPLACE INTO meta VALUES (?, ?)", DESTROYED, Buffer.from(JSON.stringify(names)));
      return this.db.run("DELETE FROM periods WHERE period = ?", rowOf(period)) > 0;
    });
    this.db.forget();
    return had;
  }

  /** Who is meant, with what seals in that period; without keys where either is gone. */
  within({ id, keys }: Subject, period: string): Subject {
    const { key } = this.all.get(period) ?? {};
    if (!keys || !key) return { id, keys: undefined };
    const name = `${id} ${period}`;
    const known = this.cache.get(name);
    if (known?.of === keys) return { id, keys: known.keys };
    const both = derive(derived(Buffer.concat([keys.key, key]), "daybook subject in period 1"));
    this.cache.set(name, { of: keys, keys: both });
    return { id, keys: both };
  }

  has(period: string): boolean {
    return this.all.has(period);
  }

  forget(): void {
    this.known = undefined;
    this.gone = undefined;
    this.cache.clear();
  }
}
