/**
 * The walk through a schema that finds marks wherever they sit: in objects, arrays, records, tuples, unions,
 * intersections, and under optional, nullable, default and the other wrappers. A union gives the marks of all its options.
 */
import { z } from "zod";

/** From the root of the value; `*` stands for every element of an array or record. */
export type Path = readonly string[];
/** Fields of the nearest enclosing object; `undefined` where there is none. */
export type Siblings = ReadonlySet<string> | undefined;

/** Told of every place; answers whether it found something there that it had not found before. */
export type Note = (schema: z.core.$ZodTypes, path: Path, around: Siblings) => boolean;

/** What is marked, for messages: `what` in the plural, `is` how one of them is called. */
export interface Wanted {
  readonly what: string;
  readonly is: string;
  readonly note: Note;
}

/**
 * Walks the schema, so callers keep the answer. Throws `TypeError` where what is marked cannot be listed: within a recursive
 * part, or in fields without a name.
 */
export const walkSchema = (schema: z.core.$ZodType, wanted: Wanted): void =>
  new Walk(wanted).walk(schema, [], undefined);

/** What `meta` says of a schema. */
export const metaOf = (schema: z.core.$ZodType): Readonly<Record<string, unknown>> =>
  z.globalRegistry.get(schema) ?? {};

/** A path as messages name it. */
export const placeOf = (path: Path): string => path.length === 0 ? "the schema" : `/${path.join("/")}`;

class Walk {
  private found = 0;
  private readonly above = new Map<z.core.$ZodType, { again: boolean }>();

  constructor(private readonly wanted: Wanted) {}

  walk(schema: z.core.$ZodType, path: Path, around: Siblings): void {
    const cycle = this.above.get(schema);
    if (cycle) {
      cycle.again = true;
      return;
    }
    const here = { again: false };
    this.above.set(schema, here);
    const before = this.found;
    if (this.wanted.note(schema as z.core.$ZodTypes, path, around)) this.found++;
    this.within(schema as z.core.$ZodTypes, path, around);
    this.above.delete(schema);
    if (here.again && this.found > before) {
      throw new TypeError(`${placeOf(path)}: ${this.wanted.what} within a recursive schema cannot be listed`);
    }
  }

  // Which keys are extra is known only where the rest of the shape is, so such a mark would hit the other fields too.
  private nothingIn(catchall: z.core.$ZodType, path: Path, around: Siblings): void {
    const before = this.found;
    this.walk(catchall, [...path, "*"], around);
    if (this.found > before) {
      throw new TypeError(`${placeOf(path)}: fields without a name cannot be ${this.wanted.is}; use a record`);
    }
  }

  private within(schema: z.core.$ZodTypes, path: Path, around: Siblings): void {
    const def = schema._zod.def;
    switch (def.type) {
      case "object": {
        const fields = new Set(Object.keys(def.shape));
        for (const [key, member] of Object.entries(def.shape)) {
          if (key === "*") throw new TypeError(`${placeOf(path)}: a field cannot be named "*"`);
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
