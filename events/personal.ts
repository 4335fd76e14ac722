/**
 * Marks for fields that tell of a person. A marked field is sealed before its event enters the append queue; actors,
 * projections and the log see only the sealed text. Marks are read from the schema, so a domain says it once, where the
 * shape is written.
 */
import { z } from "zod";

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
  if (typeof value === "string") return isSealed(value) || isPseudonym(value) ? [pointer] : [];
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, member]) =>
    sealedIn(member, `${pointer}/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`)
  );
};

/** What stands in for a sealed text for those who may not read it, and for everybody once the key is gone. */
export const SEALED_TEXT = "[sealed]";
export const ERASED_TEXT = "[erased]";

/**
 * The marks of a schema, wherever they sit: in objects, arrays, records, tuples, unions, intersections, and under
 * optional, nullable, default and the other wrappers. A union gives the marks of all its options.
 *
 * Walks the schema, so callers keep the answer. Throws `TypeError` for a schema that cannot be sealed field by field: a
 * mark on something that is no text, that names a sibling the object has not, or within a recursive part.
 */
export const marksOf = (schema: z.core.$ZodType): Marks => {
  const found = new Walk();
  found.walk(schema, [], undefined);
  return { personal: found.personal, pseudonyms: found.pseudonyms };
};

type Path = readonly string[];
/** Fields of the nearest enclosing object. */
type Siblings = ReadonlySet<string> | undefined;

class Walk {
  readonly personal: { path: Path; subject: string }[] = [];
  readonly pseudonyms: { path: Path; of: string }[] = [];
  private readonly seen = new Set<string>();
  private readonly above = new Map<z.core.$ZodType, { again: boolean }>();

  walk(schema: z.core.$ZodType, path: Path, around: Siblings): void {
    const cycle = this.above.get(schema);
    if (cycle) {
      cycle.again = true;
      return;
    }
    const here = { again: false };
    this.above.set(schema, here);
    const before = this.seen.size;
    this.note(schema, path, around);
    this.within(schema as z.core.$ZodTypes, path, around);
    this.above.delete(schema);
    if (here.again && this.seen.size > before) {
      throw new TypeError(`${place(path)}: personal fields within a recursive schema cannot be listed`);
    }
  }

  private note(schema: z.core.$ZodType, path: Path, around: Siblings): void {
    const meta = z.globalRegistry.get(schema) as { personal?: PersonalMark; pseudonym?: PseudonymMark } | undefined;
    if (!meta?.personal && !meta?.pseudonym) return;
    if (!isText(schema as z.core.$ZodTypes)) {
      throw new TypeError(`${place(path)}: only a text can be personal or a pseudonym`);
    }
    const sibling = meta.personal?.subject ?? meta.pseudonym!.of;
    if (around && !around.has(sibling)) throw new TypeError(`${place(path)}: there is no field "${sibling}" beside it`);
    if (meta.personal && this.first("personal", path)) this.personal.push({ path, subject: meta.personal.subject });
    if (meta.pseudonym && this.first("pseudonym", path)) this.pseudonyms.push({ path, of: meta.pseudonym.of });
  }

  // Two options of a union, or a wrapper and what it wraps, may carry the same mark.
  private first(kind: string, path: Path): boolean {
    const key = JSON.stringify([kind, ...path]);
    return !this.seen.has(key) && !!this.seen.add(key);
  }

  // Which keys are extra is known only where the rest of the shape is, so such a mark would hit the other fields too.
  private nothingIn(catchall: z.core.$ZodType, path: Path, around: Siblings): void {
    const before = this.seen.size;
    this.walk(catchall, [...path, "*"], around);
    if (this.seen.size > before) {
      throw new TypeError(`${place(path)}: fields without a name cannot be personal; use a record`);
    }
  }

  private within(schema: z.core.$ZodTypes, path: Path, around: Siblings): void {
    const def = schema._zod.def;
    switch (def.type) {
      case "object": {
        const fields = new Set(Object.keys(def.shape));
        for (const [key, member] of Object.entries(def.shape)) {
          if (key === "*") throw new TypeError(`${place(path)}: a field cannot be named "*"`);
          this.walk(member, [...path, key], fields);
        }
        if (def.catchall) this.nothingIn(def.catchall, path, fields);
        return;
      }
      case "array":
        return this.walk(def.element, [...path, "*"], around);
      case "record":
        return this.walk(def.valueType, [...path, "*"], around);
      case "tuple":
        def.items.forEach((item, i) => this.walk(item, [...path, String(i)], around));
        if (def.rest) this.walk(def.rest, [...path, "*"], around);
        return;
      case "union":
        return def.options.forEach((option) => this.walk(option, path, around));
      case "intersection":
        this.walk(def.left, path, around);
        return this.walk(def.right, path, around);
      case "pipe":
        this.walk(def.in, path, around);
        return this.walk(def.out, path, around);
      case "lazy":
        return this.walk(def.getter(), path, around);
      case "optional":
      case "nullable":
      case "nonoptional":
      case "default":
      case "prefault":
      case "catch":
      case "readonly":
        return this.walk(def.innerType, path, around);
    }
  }
}

const isText = (schema: z.core.$ZodTypes): boolean => {
  const def = schema._zod.def;
  if (def.type === "string") return true;
  return "innerType" in def && isText(def.innerType as z.core.$ZodTypes);
};

const place = (path: Path): string => path.length === 0 ? "the schema" : `/${path.join("/")}`;
