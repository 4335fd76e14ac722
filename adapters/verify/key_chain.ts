/**
 * Changes of the key that signs the log, as its own events tell of them (`kernel.log.key_rotated`): each is believed when both keys have
 * signed it, over a checkpoint that this log had, and it goes on from the key before. So who trusts one key of the chain knows
 * by whom a checkpoint of any size has to be signed.
 */
import type { Claim } from "./claim.ts";
import { type Failures, shown } from "./failures.ts";
import { type Note, readNote, readVerifierKey, signedBy, type VerifierKey } from "./note.ts";

export const KEY_CHANGED = "kernel.log.key_rotated";

/** A change that holds. */
export interface KeyChange {
  readonly position: number;
  readonly old: string;
  readonly new: string;
}

interface Held extends KeyChange {
  readonly oldKey: VerifierKey;
  readonly newKey: VerifierKey;
}

/** An event of the log that tells of something. */
export interface Told {
  readonly position: number;
  readonly data: unknown;
}

/**
 * What holds of the changes that a log tells of, in order. `roots`: of the log, by size. What does not hold is a failure of kind `key_change`.
 * `origin`: the log's name, where it is known.
 */
export const chainOf = (
  told: readonly Told[],
  { origin, roots }: { readonly origin: string | undefined; readonly roots: ReadonlyMap<number, string> },
  failures: Failures,
): KeyChain => {
  const held: Held[] = [];
  for (const { position, data } of told) {
    const read = changeOf(position, data, { origin, roots, before: held });
    if (Array.isArray(read)) failures.add(position, "key_change", read[0], read[1]);
    else held.push(read);
  }
  return new KeyChain(held);
};

/** Expected, and found instead. */
type Wrong = [string, string];

const LINES = ["origin", "size", "root", "old", "new", "until"] as const;

/** The lines of a statement; `undefined` where it is none. */
const statementOf = (text: string): Record<typeof LINES[number], string> | undefined => {
  const [first, ...lines] = text.slice(0, -1).split("\n");
  if (first !== "daybook/log-key-rotation@v1" || lines.length !== LINES.length) return undefined;
  if (!LINES.every((name, i) => lines[i]!.startsWith(`${name} `))) return undefined;
  return Object.fromEntries(LINES.map((name, i) => [name, lines[i]!.slice(name.length + 1)])) as never;
};

const changeOf = (
  position: number,
  data: unknown,
  { origin, roots, before }: {
    readonly origin: string | undefined;
    readonly roots: ReadonlyMap<number, string>;
    readonly before: readonly Held[];
  },
): Held | Wrong => {
  const { old, new: next, until, note: text } = (data ?? {}) as Record<string, unknown>;
  const note = typeof text === "string" ? readNote(text) : undefined;
  const said = note && statementOf(note.text);
  if (!said) return ["a signed statement of the change of the key", shown(text ?? data)];
  if (said.old !== old || said.new !== next || said.until !== until) {
    return ["an event that says what its statement says", "another old key, new key or end"];
  }
  const [oldKey, newKey] = [readVerifierKey(said.old), readVerifierKey(said.new)];
  if (oldKey?.signs !== "text" || newKey?.signs !== "text") return ["two keys of a log", shown([old, next])];
  if (said.origin !== oldKey.name || said.origin !== newKey.name || (origin !== undefined && origin !== said.origin)) {
    return [`the change of a key of ${shown(origin ?? oldKey.name)}`, `one of ${shown(said.origin)}`];
  }
  const unsigned = unsignedBy(note!, [[oldKey, "old"], [newKey, "new"]]);
  if (unsigned) return ["a statement signed by both keys", unsigned];
  const last = before.at(-1);
  if (last && last.new !== said.old) return [`a change from the key ${last.newKey.id}`, `one from ${oldKey.id}`];
  if (said.new === said.old || before.some((change) => change.old === said.new)) {
    return ["a key that was not used before", `the key ${newKey.id} again`];
  }
  const size = /^[1-9]\d{0,15}$/.test(said.size) ? Number(said.size) : NaN;
  if (!(size <= position)) return [`a checkpoint of at most ${position} entries`, `one of ${shown(said.size)}`];
  const root = roots.get(size);
  if (root === undefined) return [`the checkpoint of ${size} entries, kept in the log`, "none"];
  if (root !== said.root) return [`root ${said.root} over ${size} entries, by both keys`, root];
  return { position, old: said.old, new: said.new, oldKey, newKey };
};

const unsignedBy = (note: Note, keys: readonly (readonly [VerifierKey, string])[]): string | undefined => {
  for (const [key, name] of keys) {
    const state = signedBy(note, key);
    if (state === "wrong") return `a wrong signature of the ${name} key ${key.id}`;
    if (state === "unsigned") return `no signature of the ${name} key ${key.id}`;
  }
  return undefined;
};

export class KeyChain {
  constructor(private readonly held: readonly Held[]) {}

  /** In the order of their positions. */
  get changes(): readonly KeyChange[] {
    return this.held.map(({ position, old, new: next }) => ({ position, old, new: next }));
  }

  /**
   * The key by which a checkpoint of this size has to be signed, for who believes `trusted`: that key itself where the chain does not know it.
   * A checkpoint that covers a change is signed by the new key.
   */
  inCharge(size: number, trusted: VerifierKey): VerifierKey {
    const known = this.held.some(({ oldKey, newKey }) => same(oldKey, trusted) || same(newKey, trusted));
    if (!known) return trusted;
    return this.held.findLast(({ position }) => position < size)?.newKey ?? this.held[0]!.oldKey;
  }

  /** A claim that was judged by the trusted key, judged by the one in charge of its size. */
  follow(claim: Claim, trusted: VerifierKey | undefined, given: boolean): Claim {
    if (!trusted || !claim.note) return claim;
    const key = this.inCharge(claim.size, trusted);
    // What else was found wrong with its signatures stays wrong.
    if (key === trusted || claim.unsigned !== unsignedOf(claim, claim.note, trusted)) return claim;
    const unsigned = this.unsigned(claim, claim.note, key);
    return { ...claim, unsigned, signed: given && unsigned === undefined };
  }

  /**
   * Why a claim does not count as signed by the key in charge of its size. The log's own need not be as old as that size: what was archived
   * begins with one that is signed by the key of the day it was archived on.
   */
  unsigned(claim: Claim, note: Note, key: VerifierKey): string | undefined {
    const later = claim.from === "elsewhere" || signedBy(note, key) !== "unsigned"
      ? []
      : this.held.filter(({ position }) => position >= claim.size);
    return later.some(({ newKey }) => signedBy(note, newKey) === "signed") ? undefined : unsignedOf(claim, note, key);
  }
}

/** Why a note does not count as signed by a key; `undefined` when it does. */
export const unsignedOf = ({ name }: Pick<Claim, "name">, note: Note, key: VerifierKey): string | undefined => {
  const state = signedBy(note, key);
  return state === "wrong"
    ? `${name} has a wrong signature of ${key.name}`
    : state === "unsigned"
    ? `${name} is not signed by ${key.name}`
    : undefined;
};

/** An id is too short to tell keys apart that somebody has looked for. */
const same = (a: VerifierKey, b: VerifierKey): boolean => a.name === b.name && a.key.equals(b.key);
