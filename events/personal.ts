/**
 * Marks for fields that tell of a person. A marked field is sealed before its event enters the append queue; actors,
 * projections and the log see only the sealed text. Marks are read from the schema, so a domain says it once, where the
 * shape is written.
 */
import { z } from "zod";
import { metaOf, type Path, placeOf, type Siblings, walkSchema } from "./schema_walk.ts";

export interface PersonalMark {
  /**
   * Sibling field that tells whose it is: an opaque id (`u_…`, `s_…`) or an identifier such as an address. It may be
   * the field itself. Siblings are looked up in the nearest enclosing object, also from within an array or record.
   * When the sibling is absent or blank, the personal text stands for its own subject.
   */
  readonly subject: string;
}
export interface PseudonymMark {
  /** Sibling personal field that this one stands in for where equality is needed. */
  readonly of: string;
}

/** Where a mark sits: the path from the root of `data`; `*` stands for every element of an array or record. */
export type Marks = {
  readonly personal: readonly { readonly path: readonly string[]; readonly subject: string }[];
  readonly pseudonyms: readonly { readonly path: readonly string[]; readonly of: string }[];
};

/** A text about a person: plain on its way in, `sealed:…` in history. `subject` names the sibling that tells whose. */
export const personal = (mark: PersonalMark): z.ZodString => z.string().meta({ personal: mark });

/** Filled in by us when the event is sealed; a sender leaves it out. Equal values, equal pseudonyms within a period. */
export const pseudonym = (mark: PseudonymMark): z.ZodOptional<z.ZodString> =>
  z.string().optional().meta({ pseudonym: mark });

// `sealed:<version>:<subject>:<base64url>`. Text of people may well begin with "sealed:", so the whole shape counts.
const SEALED = /^sealed:\d+:([\w-]+):[\w-]+$/;
// `p_<year and month>_<base64url of 16 bytes>`.
const PSEUDONYM = /^p_\d{6}_[\w-]{22}$/;

/** True for the text that stands where a personal value was. */
export const isSealed = (text: string): boolean => text.startsWith("sealed:") && SEALED.test(text);

/** True for the text that stands in for a personal value where equality is needed; derived by us, never sent. */
export const isPseudonym = (text: string): boolean => text.startsWith("p_") && PSEUDONYM.test(text);

/** True for text of a form that only we write. From outside it tells nothing, and no log would take it. */
export const looksSealed = (text: string): boolean => isSealed(text) || isPseudonym(text);

/**
 * Whose text it is: the opaque id inside a sealed text, `undefined` for any other. The same person keeps the same id.
 */
export const subjectOf = (text: string): string | undefined =>
  text.startsWith("sealed:") ? SEALED.exec(text)?.[1] : undefined;

/**
 * JSON Pointers (RFC 6901) to everything in a value that looks sealed or like a pseudonym. What comes from outside
 * and reaches a decider must have none: a fact of ours may hand on what is sealed.
 */
export const sealedIn = (value: unknown, pointer = ""): readonly string[] => {
  if (typeof value === "string") return looksSealed(value) ? [pointer] : [];
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, member]) =>
    sealedIn(member, `${pointer}/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`)
  );
};

/** What stands in for a sealed text for those who may not read it, and for everybody once the key is gone. */
export const SEALED_TEXT = "[sealed]";
export const ERASED_TEXT = "[erased]";

/**
 * The marks of a schema, wherever they sit (`schema_walk.ts`).
 *
 * Walks the schema, so callers keep the answer. Throws `TypeError` for a schema that cannot be sealed field by field: a
 * mark on something that is no text, that names a sibling the object has not, or within a recursive part.
 */
export const marksOf = (schema: z.core.$ZodType): Marks => {
  const found = new Found();
  walkSchema(schema, {
    what: "personal fields",
    is: "personal",
    note: (each, path, around) => found.note(each, path, around),
  });
  return { personal: found.personal, pseudonyms: found.pseudonyms };
};

class Found {
  readonly personal: { path: Path; subject: string }[] = [];
  readonly pseudonyms: { path: Path; of: string }[] = [];
  private readonly seen = new Set<string>();

  note(schema: z.core.$ZodTypes, path: Path, around: Siblings): boolean {
    const meta = metaOf(schema) as { personal?: PersonalMark; pseudonym?: PseudonymMark };
    if (!meta.personal && !meta.pseudonym) return false;
    if (!isText(schema)) throw new TypeError(`${placeOf(path)}: only a text can be personal or a pseudonym`);
    const sibling = meta.personal?.subject ?? meta.pseudonym!.of;
    if (around && !around.has(sibling)) {
      throw new TypeError(`${placeOf(path)}: there is no field "${sibling}" beside it`);
    }
    const before = this.seen.size;
    if (meta.personal && this.first("personal", path)) this.personal.push({ path, subject: meta.personal.subject });
    if (meta.pseudonym && this.first("pseudonym", path)) this.pseudonyms.push({ path, of: meta.pseudonym.of });
    return this.seen.size > before;
  }

  // Two options of a union, or a wrapper and what it wraps, may carry the same mark.
  private first(kind: string, path: Path): boolean {
    const key = JSON.stringify([kind, ...path]);
    return !this.seen.has(key) && !!this.seen.add(key);
  }
}

const isText = (schema: z.core.$ZodTypes): boolean => {
  const def = schema._zod.def;
  if (def.type === "string") return true;
  return "innerType" in def && isText(def.innerType as z.core.$ZodTypes);
};
