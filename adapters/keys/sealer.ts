/**
 * Seals personal fields on their way into history and restores them at the edge. Between the two nothing sees plain
 * text.
 */
import { Buffer } from "node:buffer";
import type { Issue } from "../../actors/kernel/daybook.ts";
import { canonical } from "../../events/canonical.ts";
import type { Catalogue } from "../../events/catalogue.ts";
import type { NewEvent } from "../../events/log.ts";
import { PSEUDONYMS } from "../../events/privacy.ts";
import { ERASED_TEXT, isPseudonym, isSealed, marksOf, SEALED_TEXT, subjectOf } from "../../events/personal.ts";
import { sameJson } from "../../events/same.ts";
import { openBlob, sealBlob, subjectOfBlob } from "./blob.ts";
import type { KeyDatabase } from "./database.ts";
import { Ciphers } from "./gcm.ts";
import { Collector, type Plan, planOf, type Slot } from "./plan.ts";
import { periodOf, type Pseudonyms } from "./pseudonyms.ts";
import { periodId, type RetentionPeriod, type RetentionPeriods } from "./retention_periods.ts";
import { inPeriod, open, parts, periodIn, placeOf, sealFields } from "./seal.ts";
import type { Subject, Subjects } from "./subjects.ts";

/** What sealing needs to know of an event. */
export type Unsealed = Pick<NewEvent, "type" | "stream" | "source" | "id" | "time" | "data" | "data_base64">;

/** `index` is the event's place in the batch. Nothing was sealed and no key was made. */
export type Sealing<T> =
  | { readonly ok: true; readonly events: readonly T[] }
  | { readonly ok: false; readonly index: number; readonly issues: readonly Issue[] };

export interface SealerOptions {
  readonly catalogue: Pick<Catalogue, "spec">;
  /** Sources whose unknown types are sealed whole, each source being its own subject. Default: none. */
  readonly whole?: (source: string) => boolean;
  /** Types that are kept for a shorter time: they are sealed under keys of their months, too. Default: none. */
  readonly retained?: (type: string) => boolean;
}

export interface SealOptions {
  /**
   * The events come from our own actors, which may hand on what is sealed already. Default false: a sealed text is
   * refused.
   */
  readonly inside?: boolean;
}

interface Sheet<T> {
  readonly event: T;
  readonly index: number;
  readonly data: unknown;
  readonly slots: readonly Slot[];
  readonly period: string | undefined;
  /** What it is sealed under beside its subjects' keys. */
  readonly retained: RetentionPeriod | undefined;
}

export class Sealer {
  private readonly plans = new Map<string, Plan | undefined>();
  private readonly ciphers: Ciphers;

  constructor(
    private readonly db: KeyDatabase,
    private readonly subjects: Subjects,
    private readonly pseudonyms: Pseudonyms,
    private readonly periods: RetentionPeriods,
    private readonly options: SealerOptions,
  ) {
    this.ciphers = new Ciphers(db);
  }

  /**
   * Replaces personal fields by sealed texts and fills in pseudonyms; the same events again give the same bytes, but for
   * pseudonyms of a month whose key was destroyed, which are equal to none. Keys that are needed for the first time are
   * durable before it returns, all of a batch in one transaction.
   *
   * Events without personal fields are handed through untouched. Throws `KeysFault` when a key cannot be read or kept.
   */
  seal<T extends Unsealed>(events: readonly T[], { inside = false }: SealOptions = {}): Sealing<T> {
    const sheets: Sheet<T>[] = [];
    for (let index = 0; index < events.length; index++) {
      const event = events[index]!;
      const plan = this.plan(event.type);
      const collector = plan ? this.collect(plan, event, inside) : this.wholly(event);
      if (!collector) continue;
      if (collector.issues.length > 0) return { ok: false, index, issues: collector.issues };
      if (collector.slots.length > 0) sheets.push({ event, index, ...collector });
    }
    if (sheets.length === 0) return { ok: true, events };
    this.db.refresh();
    this.db.expectThereLately("seal");
    const whose = this.whose(sheets);
    const sealed = events.slice();
    for (const sheet of sheets) sealed[sheet.index] = this.fill(sheet, whose);
    return { ok: true, events: sealed };
  }

  private plan(type: string): Plan | undefined {
    if (this.plans.has(type)) return this.plans.get(type);
    const spec = this.options.catalogue.spec(type);
    // Unknown types come from outside without end; only the catalogue's are kept.
    if (!spec) return undefined;
    const plan = planOf(marksOf(spec.schema));
    this.plans.set(type, plan);
    return plan;
  }

  private collect(plan: Plan, event: Unsealed, inside: boolean) {
    const collector = new Collector(inside);
    const data = collector.collect(plan, event.data);
    const { slots, issues } = collector;
    const pseudonyms = slots.some(({ kind }) => kind === "pseudonym");
    const kept = this.options.retained?.(event.type) && slots.some(({ kind }) => kind === "personal");
    const month = pseudonyms || kept ? periodOf(event.time) : undefined;
    if ((pseudonyms || kept) && month === undefined) {
      issues.push({ path: "/time", message: "expected an RFC 3339 time" });
    }
    const retained = kept && month !== undefined ? { type: event.type, period: month } : undefined;
    return { data, slots, issues, period: pseudonyms ? month : undefined, retained };
  }

  /** An event of an unknown type as one sealed text, when its source asks for it. */
  private wholly(event: Unsealed) {
    if (!this.options.whole || this.options.catalogue.spec(event.type) || !this.options.whole(event.source)) {
      return undefined;
    }
    const { data, data_base64 } = event;
    if (data === undefined && data_base64 === undefined) return undefined;
    const holder = { "": undefined };
    const text = canonical(data_base64 === undefined ? data : { data_base64 });
    return {
      data: holder,
      slots: [{ holder, key: "", kind: "personal" as const, text, pointer: "", identifier: `source ${event.source}` }],
      issues: [],
      period: undefined,
      retained: undefined,
    };
  }

  /** Everyone a batch speaks of, with keys, made now if need be. */
  private whose(sheets: readonly Sheet<unknown>[]): ReadonlyMap<string, Subject> {
    const found = new Map<string, Subject>();
    const unknown = new Set<string>();
    const periods = new Set<string>();
    const retained = new Map<string, RetentionPeriod>();
    for (const { slots, period, retained: within } of sheets) {
      if (within && this.periods.wants(within)) retained.set(periodId(within), within);
      for (const { kind, identifier } of slots) {
        if (kind === "pseudonym") periods.add(period!);
        else if (!found.has(identifier) && !unknown.has(identifier)) {
          const subject = this.subjects.find(identifier);
          subject ? found.set(identifier, subject) : unknown.add(identifier);
        }
      }
    }
    for (const period of periods) {
      if (this.pseudonyms.has(period) || this.periods.isEnded({ type: PSEUDONYMS, period })) periods.delete(period);
    }
    if (unknown.size === 0 && periods.size === 0 && retained.size === 0) return found;
    const made = this.db.write("create subject keys", () => {
      this.pseudonyms.create(periods);
      if (retained.size > 0) this.periods.create(retained.values());
      return this.subjects.create(unknown);
    });
    for (const [identifier, subject] of this.subjects.keep(made)) found.set(identifier, subject);
    return found;
  }

  /** Where the month has no key by now, it was destroyed. */
  private pseudonym(period: string, text: string): string {
    return this.pseudonyms.has(period) ? this.pseudonyms.of(period, text) : this.pseudonyms.stray(period);
  }

  private fill<T extends Unsealed>(
    { event, data, slots, period, retained }: Sheet<T>,
    whose: ReadonlyMap<string, Subject>,
  ): T {
    const fields = [];
    const within = retained && periodId(retained);
    for (const slot of slots) {
      if (slot.kind === "pseudonym") slot.holder[slot.key] = this.pseudonym(period!, slot.text);
      else {
        const own = whose.get(slot.identifier)!;
        const subject = within === undefined ? own : this.periods.within(own, within);
        fields.push({ subject, text: slot.text, pointer: slot.pointer, slot });
      }
    }
    const sealed = sealFields(event.stream, event.id, fields, this.ciphers);
    const texts = within === undefined ? sealed : sealed.map((text) => inPeriod(text, within));
    for (let i = 0; i < texts.length; i++) fields[i]!.slot.holder[fields[i]!.slot.key] = texts[i];
    if (slots[0]!.pointer !== "") return { ...event, data };
    const { data_base64: _, ...rest } = event;
    return { ...rest, data: texts[0] } as unknown as T;
  }

  /**
   * Restores every sealed text in a JSON value, for those with scope `personal`: `[erased]` where the key is gone,
   * `[sealed]` where the text is not one we sealed. The value itself is not changed; without sealed texts it is
   * returned as it is.
   */
  unseal<T>(value: T): T {
    this.db.refresh();
    return each(value, (text) => this.restored(text)) as T;
  }

  /** What everybody else gets: `[sealed]`, or `[erased]` where the key is gone. */
  redact<T>(value: T): T {
    this.db.refresh();
    return each(value, (text) => this.isGone(text) ? ERASED_TEXT : SEALED_TEXT) as T;
  }

  /**
   * Bytes about a person, sealed under their key; the same bytes of the same person again give the same bytes. Whose they are
   * is told by an opaque id or an identifier, for which a key is made if there is none. Of who was erased nothing is kept.
   */
  async sealBlob(bytes: Uint8Array, identifier: string): Promise<Uint8Array> {
    this.db.refresh();
    const found = this.subjects.find(identifier) ??
      this.subjects.keep(this.db.write("create a subject key", () => this.subjects.create([identifier]))).get(
        identifier,
      )!;
    return await sealBlob(bytes, found);
  }

  /** The plain bytes; those that are not sealed as they are, and `undefined` where the key is gone or is not ours. */
  async unsealBlob(bytes: Uint8Array): Promise<Uint8Array | undefined> {
    const subject = subjectOfBlob(bytes);
    if (subject === undefined) return bytes;
    this.db.refresh();
    const keys = this.subjects.byOpaque(subject)?.keys;
    return keys && await openBlob(bytes, subject, keys);
  }

  private isErased(subject: string): boolean {
    const known = this.subjects.byOpaque(subject);
    return known !== undefined && known.keys === undefined;
  }

  /** Whether a key that the text needs was destroyed: its subject's, or its period's. */
  private isGone(text: string): boolean {
    const subject = subjectOf(text)!;
    if (this.isErased(subject)) return true;
    const period = periodIn(text);
    return period !== undefined && this.subjects.byOpaque(subject) !== undefined && !this.periods.has(period);
  }

  private restored(text: string): unknown {
    const plain = this.plain(text);
    if (plain === undefined) return this.isGone(text) ? ERASED_TEXT : SEALED_TEXT;
    return plain;
  }

  private plain(text: string): unknown {
    const opened = parts(text);
    const own = opened && this.subjects.byOpaque(opened.subject);
    const subject = own && opened.period !== undefined ? this.periods.within(own, opened.period) : own;
    const keys = subject?.keys;
    const plain = keys && open(keys.key, opened!);
    // Pointer "" is the whole of `data`: its JSON was sealed.
    return plain !== undefined && opened!.pointer === "" ? JSON.parse(plain) : plain;
  }

  /**
   * Whether a sealed text was sealed for this place, and not copied here from another. Proven only for a text that
   * opens.
   */
  isAt(text: string, stream: string, id: string, pointer: string): boolean {
    const opened = parts(text);
    if (!opened) return false;
    return opened.pointer === pointer && Buffer.compare(opened.place, placeOf(stream, id)) === 0;
  }

  /** Whether the data of a repeated event, sealed, says the same as what is stored. */
  sameEvent(event: Unsealed, sent: unknown, stored: unknown): boolean {
    if (this.plan(event.type)) return this.sameData(sent, stored);
    // Here nothing was derived by us, whatever it looks like; but all of it may have been sealed.
    if (sealedBoth(sent, stored) && this.sameData(sent, stored)) return true;
    return sameJson(sent, stored) || this.isWholeOf(event, sent, stored) || this.isWholeOf(event, stored, sent);
  }

  /** Whether a text is this event's data, sealed when its source was configured otherwise than when the other came. */
  private isWholeOf({ stream, id }: Unsealed, text: unknown, data: unknown): boolean {
    if (typeof text !== "string" || !isSealed(text) || !this.isAt(text, stream, id, "")) return false;
    const plain = this.plain(text);
    return plain === undefined ? this.isGone(text) : sameJson(plain, data);
  }

  /**
   * Whether data with personal fields says the same as what is stored: compared in plain text; what was
   * derived by us (pseudonyms) does not count; once a subject is erased their fields can no longer tell, so the first
   * receipt stands.
   */
  sameData(sent: unknown, stored: unknown): boolean {
    if (typeof sent === "string" && typeof stored === "string") return sent === stored || this.sameText(sent, stored);
    if (typeof sent !== "object" || typeof stored !== "object" || sent === null || stored === null) {
      // Of numbers -0 is written as 0 (RFC 8785 section 3.2.2.3).
      return sent === stored;
    }
    if (Array.isArray(sent) !== Array.isArray(stored)) return false;
    const [a, b] = [sent as Members, stored as Members];
    for (const key of new Set([...Object.keys(a), ...Object.keys(b)])) {
      const [left, right] = [a[key], b[key]];
      if (left === undefined || right === undefined) {
        const only = left ?? right;
        if (only !== undefined && !(typeof only === "string" && isPseudonym(only))) return false;
      } else if (!this.sameData(left, right)) return false;
    }
    return true;
  }

  private sameText(sent: string, stored: string): boolean {
    if (isPseudonym(sent) && isPseudonym(stored)) return true;
    if (!isSealed(sent)) return false;
    // Recorded when its type was not known here, and nothing of it was sealed.
    if (!isSealed(stored)) return this.plain(sent) === stored;
    if (this.isGone(stored)) return true;
    const [a, b] = [this.plain(sent), this.plain(stored)];
    return a !== undefined && b !== undefined && canonical(a) === canonical(b);
  }
}

const sealedBoth = (...texts: readonly unknown[]): boolean =>
  texts.every((text) => typeof text === "string" && isSealed(text));

interface Members {
  [key: string]: unknown;
}

/** The value with every sealed text in it replaced; parts without any are shared with the original. */
const each = (value: unknown, replace: (text: string) => unknown): unknown => {
  if (typeof value === "string") return isSealed(value) ? replace(value) : value;
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) {
    let copy: unknown[] | undefined;
    for (let i = 0; i < value.length; i++) {
      const now = each(value[i], replace);
      if (now !== value[i]) (copy ??= value.slice())[i] = now;
    }
    return copy ?? value;
  }
  let copy: Members | undefined;
  for (const key of Object.keys(value)) {
    const before = (value as Members)[key];
    const now = each(before, replace);
    if (now !== before) (copy ??= { ...value as Members })[key] = now;
  }
  return copy ?? value;
};
