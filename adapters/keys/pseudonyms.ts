/**
 * Pseudonyms: equal for equal values within a period, unlinkable from one period to the next, meaningless once the
 * key of the period is destroyed. A period is a calendar month, UTC, of the time the event says it happened.
 */
import { Buffer } from "node:buffer";
import { createHmac } from "node:crypto";
import { LRUCache } from "lru-cache";
import { entries } from "./bounded.ts";
import type { KeyDatabase } from "./database.ts";
import { normalised } from "./subjects.ts";

/** Pseudonyms and keys of periods held in memory. */
export const PSEUDONYMS_CACHED_MAX = 16_384;
export const PERIODS_CACHED_MAX = 1_024;

/** `202405` of an RFC 3339 time; `undefined` when it is none. */
export const periodOf = (time: string): string | undefined => {
  const at = new Date(time);
  if (Number.isNaN(at.getTime()) || at.getUTCFullYear() < 0 || at.getUTCFullYear() > 9_999) return undefined;
  return String(at.getUTCFullYear()).padStart(4, "0") + String(at.getUTCMonth() + 1).padStart(2, "0");
};

const PSEUDONYM_BYTES = 16;
const written = (period: string, bytes: Uint8Array): string =>
  `p_${period}_${Buffer.from(bytes).toString("base64url")}`;

export class Pseudonyms {
  private readonly keys = new LRUCache<string, Uint8Array>(entries(PERIODS_CACHED_MAX));
  private readonly texts = new LRUCache<string, string>(entries(PSEUDONYMS_CACHED_MAX));

  constructor(private readonly db: KeyDatabase) {
    db.whenChanged(() => this.forget());
  }

  /** Whether the period has a key already. */
  has(period: string): boolean {
    return this.key(period) !== undefined;
  }

  private key(period: string): Uint8Array | undefined {
    const known = this.keys.get(period);
    if (known) return known;
    const row = this.db.read(
      "read the key of a period",
      () => this.db.get("SELECT key FROM periods WHERE period = ?", period),
    );
    if (!row) return undefined;
    const key = this.db.wrapping.unwrap(`period ${period}`, row.key as Uint8Array);
    this.keys.set(period, key);
    return key;
  }

  /** Within the caller's transaction. */
  create(periods: Iterable<string>): void {
    for (const period of periods) {
      this.db.run(
        "INSERT INTO periods VALUES (?, ?) ON CONFLICT DO NOTHING",
        period,
        this.db.wrapping.wrap(`period ${period}`, this.db.random(32)),
      );
    }
  }

  /** One that is equal to no other, for a period whose key was destroyed. */
  stray(period: string): string {
    return written(period, this.db.random(PSEUDONYM_BYTES));
  }

  /**
   * HMAC-SHA-256 of the value under the key of the period, cut to 16 bytes: `p_<period>_<base64url>`. The period must
   * have a key.
   */
  of(period: string, value: string): string {
    const name = `${period}${value}`;
    const known = this.texts.get(name);
    if (known) return known;
    const digest = createHmac("sha256", this.key(period)!).update(normalised(value)).digest();
    const text = written(period, digest.subarray(0, PSEUDONYM_BYTES));
    this.texts.set(name, text);
    return text;
  }

  /** Pseudonyms and keys in memory. */
  get cached(): { readonly texts: number; readonly periods: number } {
    return { texts: this.texts.size, periods: this.keys.size };
  }

  forget(): void {
    this.keys.clear();
    this.texts.clear();
  }
}
