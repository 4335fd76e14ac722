/**
 * Whose personal values the entries hold. A sealed text names its subject (`sealed:VERSION:SUBJECT:BOX`), and the key database keeps a
 * row of every subject, also of those who were erased: one that it knows nothing of was taken out of it, with all that led to it.
 *
 * Anybody may send such a text where nothing personal belongs, so it counts only in a field that its type marks as personal: there a
 * sender's is refused.
 */
import { Buffer } from "node:buffer";
import type { Catalogue } from "../../events/catalogue.ts";
import type { Event } from "../../events/event.ts";
import { marksOf, subjectOf } from "../../events/personal.ts";
import type { StoredBlock } from "./block.ts";

/** What the key database knows. */
export interface Subjects {
  has(subject: string): boolean;
  /** Told once of each, with the first event that has a value of theirs. */
  missed(subject: string, position: number): void;
}

/** Subjects of whom it is remembered that they are known, and of whom it was told that they are not. */
export const SUBJECTS_KNOWN_MAX = 100_000;
export const SUBJECTS_MISSED_MAX = 100;
/** Names that are found in a range before its events are read instead: anybody may send texts full of them. */
export const SUBJECTS_NAMED_MAX = 100_000;

// Canonical JSON escapes none of these characters.
const SEALED = /"sealed:\d+:([\w-]+):/g;

/** Every subject that a text of the block may name; beyond the bound no more, which shows by their number. */
export const namedIn = ({ bytes }: Pick<StoredBlock, "bytes">, found: Set<string>): void => {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
  if (found.size > SUBJECTS_NAMED_MAX) return;
  for (const [, subject] of text.matchAll(SEALED)) {
    found.add(subject!);
    if (found.size > SUBJECTS_NAMED_MAX) return;
  }
};

export class SubjectCheck {
  private readonly known = new Set<string>();
  private readonly missed = new Set<string>();
  private readonly paths = new Map<string, readonly (readonly string[])[]>();

  constructor(private readonly subjects: Subjects, private readonly catalogue: Pick<Catalogue, "spec"> | undefined) {}

  /** Of whom the events of a range are to be judged: `undefined` where nobody is unknown, and all where it names too many to say. */
  suspects(named: readonly string[]): ReadonlySet<string> | "all" | undefined {
    if (named.length > SUBJECTS_NAMED_MAX) return "all";
    const unknown = this.unknown(named);
    return unknown.size > 0 ? unknown : undefined;
  }

  /** Those of whom nothing is known, nor told yet. */
  unknown(subjects: readonly string[]): ReadonlySet<string> {
    const unknown = new Set<string>();
    if (this.missed.size >= SUBJECTS_MISSED_MAX) return unknown;
    for (const subject of subjects) {
      if (this.known.has(subject) || this.missed.has(subject)) continue;
      if (!this.subjects.has(subject)) unknown.add(subject);
      else {
        if (this.known.size >= SUBJECTS_KNOWN_MAX) this.known.clear();
        this.known.add(subject);
      }
    }
    return unknown;
  }

  /** Tells of those that a personal value of the event is of. */
  judge({ type, position, data }: Event, suspects: ReadonlySet<string> | "all"): void {
    for (const path of this.marked(type)) {
      for (const text of textsAt(data, path)) {
        const subject = subjectOf(text);
        if (subject === undefined || this.missed.has(subject)) continue;
        if (suspects === "all" ? this.unknown([subject]).size === 0 : !suspects.has(subject)) continue;
        if (this.missed.size >= SUBJECTS_MISSED_MAX) return;
        this.missed.add(subject);
        this.subjects.missed(subject, position);
      }
    }
  }

  private marked(type: string): readonly (readonly string[])[] {
    let paths = this.paths.get(type);
    if (!paths) {
      const spec = this.catalogue?.spec(type);
      // Unknown types come from outside without end; only the catalogue's are kept.
      if (!spec) return [];
      this.paths.set(type, paths = marksOf(spec.schema).personal.map(({ path }) => path));
    }
    return paths;
  }
}

const textsAt = (value: unknown, path: readonly string[], at = 0): readonly string[] => {
  if (at === path.length) return typeof value === "string" ? [value] : [];
  if (typeof value !== "object" || value === null) return [];
  const step = path[at]!;
  const members = step === "*" ? Object.values(value) : Object.hasOwn(value, step) ? [Reflect.get(value, step)] : [];
  return members.flatMap((member) => textsAt(member, path, at + 1));
};
