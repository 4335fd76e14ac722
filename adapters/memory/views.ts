/**
 * The views as simply as they can be said: every version of every row in a map. It is the reference that the contract
 * suite holds every other store against, and what replay folds into.
 */
import { createCipheriv, createHash } from "node:crypto";
import { canonical } from "../../events/canonical.ts";
import { type Primitives, RowsSum, SUM_BYTES } from "../../projections/digest.ts";
import type { AnyProjection } from "../../projections/projection.ts";
import {
  atOf,
  compareIndexed,
  compareText,
  encodeCursor,
  type Indexed,
  indexed,
  isWorking,
  matches,
  type Place,
  type Question,
  question,
  type Shape,
  shapeOf,
} from "../../projections/query.ts";
import type {
  FoundDigest,
  Row,
  ViewChange,
  ViewPage,
  ViewQuery,
  Views,
  ViewState,
  ViewStore,
} from "../../projections/views.ts";
import { ViewQuestion } from "../../projections/views.ts";
import { words } from "../../projections/words.ts";

interface Version {
  readonly from: number;
  until: number;
  readonly row: unknown;
}

interface Kept {
  /** Rises with each key that comes to be. */
  readonly created: number;
  readonly versions: Version[];
  words: ReadonlySet<string>;
}

/** A row that held at the asked position, with its place in the asked order. */
interface Held extends Place {
  readonly position: number;
  readonly row: unknown;
}

const [NONCE, ZEROS] = [new Uint8Array(16), new Uint8Array(SUM_BYTES)];
const primitives: Primitives = {
  sha256: (bytes) => createHash("sha256").update(bytes).digest(),
  chacha20(key) {
    const cipher = createCipheriv("chacha20", key, NONCE);
    const stream = cipher.update(ZEROS);
    cipher.final(); // else the runtime keeps it for ever
    return stream;
  },
};

export class MemoryStore implements ViewStore {
  readonly name: string;
  readonly version: number;
  readonly shape: Shape;
  size = 0;
  served = false;
  private readonly rows = new Map<string, Kept>();
  private created = 0;
  private readonly sum = new RowsSum(primitives);

  constructor(private readonly projection: AnyProjection) {
    this.name = projection.name;
    this.version = projection.version;
    this.shape = shapeOf(projection);
  }

  get(key: string): unknown {
    const newest = this.rows.get(key)?.versions.at(-1);
    return newest && newest.until === Infinity ? newest.row : undefined;
  }

  commit(changes: readonly ViewChange[], size: number): void {
    const before = new Map<string, unknown>();
    for (const change of changes) {
      if (!isWorking(change.key) && !before.has(change.key)) before.set(change.key, this.get(change.key));
      this.put(change);
    }
    for (const [key, row] of before) this.sum.replace(key, textOf(row), textOf(this.get(key)));
    this.size = size;
  }

  state(): ViewState {
    const { name, version, size, served } = this;
    return { name, version, size, served, ...this.sum.digest() };
  }

  private put({ key, row, position, event }: ViewChange): void {
    let kept = this.rows.get(key);
    if (kept === undefined) {
      if (row === undefined) return;
      this.rows.set(key, kept = { created: this.created++, versions: [], words: new Set() });
    }
    const newest = kept.versions.at(-1);
    if (newest && newest.until === Infinity) {
      newest.until = position;
      // A version that held for no position at all was never to be seen.
      if (!this.shape.history || isWorking(key) || newest.from === position) kept.versions.pop();
    }
    if (row !== undefined) kept.versions.push({ from: position, until: Infinity, row });
    else if (!this.shape.history || isWorking(key)) this.rows.delete(key);
    if (this.projection.text && event) {
      kept.words = new Set(row === undefined ? [] : words(this.projection.text(row, key, event)));
    }
  }

  row(key: string, at: number | undefined): Row | undefined {
    if (isWorking(key) && at !== undefined) {
      throw new ViewQuestion("no_history", "of a working row the newest state alone is kept");
    }
    const found = this.versionAt(this.rows.get(key), at);
    return found && { key, row: found.row, position: found.from };
  }

  list(asked: Question): ViewPage {
    const sign = asked.descending ? -1 : 1;
    const compare = (a: Place, b: Place) =>
      sign *
      (asked.order.by === "key"
        ? compareText(a.key, b.key)
        : compareIndexed(a.value, b.value) || a.created - b.created);
    const held: Held[] = [];
    for (const [key, kept] of this.rows) {
      const found = this.versionAt(kept, asked.at);
      if (!found || isWorking(key) || !key.startsWith(asked.prefix)) continue;
      if (found.from < asked.from || found.from >= asked.until) continue;
      if (asked.words && !(asked.words.length > 0 && asked.words.every((word) => kept.words.has(word)))) continue;
      if (!asked.where.every(([field, value]) => matches(this.field(found.row, field), value))) continue;
      const value = asked.order.by === "field" ? this.field(found.row, asked.order.field) : null;
      held.push({ key, value, created: kept.created, position: found.from, row: found.row });
    }
    held.sort(compare);
    const start = asked.after ? held.findIndex((row) => compare(row, asked.after!) > 0) : 0;
    const page = start < 0 ? [] : held.slice(start, start + asked.limit);
    const more = start >= 0 && start + asked.limit < held.length;
    return {
      size: asked.size,
      rows: page.map(({ key, row, position }) => ({ key, row, position })),
      ...(more ? { next: encodeCursor(this, asked, page.at(-1)!) } : {}),
    };
  }

  digest(at: number | undefined): FoundDigest {
    const sum = new RowsSum(primitives);
    for (const [key, kept] of this.rows) {
      const found = isWorking(key) ? undefined : this.versionAt(kept, at);
      if (found) sum.add(key, canonical(found.row));
    }
    const { name, version, size } = this;
    const found = { name, version, ...sum.digest() };
    return at === undefined ? { ...found, size, kept: this.sum.digest() } : { ...found, size: at + 1 };
  }

  private versionAt(kept: Kept | undefined, at = Infinity): Version | undefined {
    return kept?.versions.findLast(({ from, until }) =>
      from <= at && (at === Infinity ? until === Infinity : at < until)
    );
  }

  private field(row: unknown, field: number): Indexed {
    return indexed((row as Record<string, unknown>)[this.shape.fields[field]!]);
  }
}

const textOf = (row: unknown): string | undefined => row === undefined ? undefined : canonical(row);

export class MemoryViews implements Views {
  private readonly kept = new Map<string, MemoryStore[]>();
  private readonly noted = new Map<string, unknown>();

  open(projection: AnyProjection): MemoryStore {
    const versions = this.kept.get(projection.name) ?? [];
    this.kept.set(projection.name, versions);
    const found = versions.find(({ version }) => version === projection.version);
    if (found) return found;
    const store = new MemoryStore(projection);
    store.served = versions.length === 0;
    versions.push(store);
    return store;
  }

  swap(store: ViewStore): void {
    const versions = this.kept.get(store.name) ?? [];
    for (const version of versions) version.served = version === store;
    this.kept.set(store.name, versions.filter(({ served }) => served));
  }

  row(name: string, key: string, at?: number): { readonly size: number; readonly row: Row | undefined } {
    const store = this.served(name);
    return {
      size: at === undefined ? store.size : at + 1,
      row: store.row(key, atOf(store, at)),
    };
  }

  list(name: string, query: ViewQuery): ViewPage {
    const store = this.served(name);
    return store.list(question(store, query));
  }

  stores(): readonly ViewState[] {
    return [...this.kept.values()].flat().map((store) => store.state());
  }

  sweep(): boolean {
    return false;
  }

  digest(name: string, at?: number): FoundDigest {
    const store = this.served(name);
    return store.digest(atOf(store, at));
  }

  note(key: string): unknown {
    return this.noted.get(key);
  }

  setNote(key: string, value: unknown): void {
    // A copy, as a store on disk would give; the writer may go on changing what it handed in.
    value === undefined ? this.noted.delete(key) : this.noted.set(key, JSON.parse(JSON.stringify(value)));
  }

  setNotes(entries: readonly (readonly [string, unknown])[]): void {
    for (const [key, value] of entries) this.setNote(key, value);
  }

  notes(prefix: string, limit: number): readonly (readonly [string, unknown])[] {
    return [...this.noted].filter(([key]) => key.startsWith(prefix)).sort(([a], [b]) => compareText(a, b)).slice(
      0,
      limit,
    );
  }

  bytes(): number {
    return 0;
  }

  renew(): void {
    this.kept.clear();
  }

  close(): void {}

  private served(name: string): MemoryStore {
    const store = this.kept.get(name)?.find(({ served }) => served);
    if (!store) throw new ViewQuestion("unknown_view", `There is no view "${name}"`);
    return store;
  }
}
