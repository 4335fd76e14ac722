/** What the schema asks for at a path, said for people; and the nearest name to one that is not known. */
import { z } from "zod";
import { schema } from "./schema.ts";

/** As much of JSON Schema as our schema needs. */
export interface Shape {
  readonly type?: string;
  readonly description?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly enum?: readonly unknown[];
  /** Said instead of what can be read off the shape. */
  readonly expected?: string;
  readonly anyOf?: readonly Shape[];
  /** Of alternatives that one key tells apart. */
  readonly oneOf?: readonly Shape[];
  readonly properties?: Readonly<Record<string, Shape>>;
  readonly additionalProperties?: Shape | boolean;
  readonly items?: Shape;
  /** Of the keys of a map. */
  readonly propertyNames?: Shape;
}

let shape: Shape | undefined;

/** The whole configuration as JSON Schema (2020-12): what documentation and messages are made from. Made on first use. */
export const shapeOfConfig = (): Shape => shape ??= z.toJSONSchema(schema, { io: "input" }) as Shape;

/** What is said of all of them is said of each. */
const alternatives = (shape: Shape): readonly Shape[] => {
  const { expected } = shape;
  const all = (shape.anyOf ?? shape.oneOf)?.flatMap(alternatives) ?? [shape];
  return expected === undefined ? all : all.map((one) => ({ ...one, expected }));
};

/** What may stand at the path, as alternatives; `undefined` for a path that is not known. Default: of the configuration. */
export const shapeAt = (path: readonly string[], whole: Shape = shapeOfConfig()): readonly Shape[] | undefined => {
  let shapes = alternatives(whole);
  for (const step of path) {
    const next = shapes.map(({ properties, additionalProperties, items }) => {
      if (properties && Object.hasOwn(properties, step)) return properties[step];
      // A number leads into a list, anything else into a map.
      if (items && /^\d+$/.test(step)) return items;
      return typeof additionalProperties === "object" ? additionalProperties : undefined;
    }).find((shape) => shape !== undefined);
    if (!next) return undefined;
    shapes = alternatives(next);
  }
  return shapes;
};

export interface Expectation {
  readonly text: string;
  /** The value there must not be repeated in a message. */
  readonly secret?: boolean;
  /** Nor a text, list or map there: a secret belongs somewhere below it. */
  readonly holds?: boolean;
}

const isSecret = (shapes: readonly Shape[]): boolean =>
  shapes.some(({ properties }) => properties && Object.hasOwn(properties, "env"));

/** Something below it is a secret's place, or may be, so that one may stand in what was written instead. */
const holdsSecret = (shape: Shape): boolean =>
  alternatives(shape).some((one) => {
    if (one.type === undefined && one.enum === undefined) return true;
    const parts = [...Object.values(one.properties ?? {}), one.additionalProperties, one.items];
    return isSecret([one]) || parts.some((part) => typeof part === "object" && holdsSecret(part));
  });

const KINDS: Readonly<Record<string, string>> = {
  string: "a text",
  integer: "a whole number",
  boolean: "true or false",
};

/** What was expected at the path. */
const expectedAt = (path: readonly string[], whole: Shape): Expectation => {
  // A path into a secret is spoken of as the secret.
  for (let length = 1; length <= path.length; length++) {
    const shapes = shapeAt(path.slice(0, length), whole);
    if (shapes && isSecret(shapes)) {
      const ways = shapes.flatMap(({ properties }) => Object.keys(properties ?? {}));
      const shown = ways.map((way) => `{ ${way}: ${way === "file" ? "PATH" : "NAME"} }`).join(" or ");
      // Where a plain value may stand as well, that is said first.
      const plain = shapes.flatMap(({ type }) => KINDS[type ?? ""] ?? []);
      const text = plain.length > 0 ? `${plain.join(", ")}, ${shown}` : `${shown}, never the secret itself`;
      return { text, secret: true };
    }
  }
  const shapes = shapeAt(path, whole) ?? [];
  const text = [...new Set(shapes.map(describe))].join(" or ") || "nothing";
  return shapes.some(holdsSecret) ? { text, holds: true } : { text };
};

export interface Fault extends Pick<Expectation, "secret" | "holds"> {
  readonly path: readonly string[];
  readonly expected: string;
  /** It is the key that is wrong, not what is under it. */
  readonly key?: true;
  readonly meant?: string;
}

/** What an issue of a schema comes to, where `whole` is that schema's shape; of the whole one says what it is in a few words. */
export const faultsOf = (issue: z.core.$ZodIssue, whole: Shape, named: string): readonly Fault[] => {
  const path = issue.path.map(String);
  if (issue.code === "invalid_key") {
    return [{ path, expected: keyExpected(path, whole), key: true, holds: expectedAt(path.slice(0, -1), whole).holds }];
  }
  const { text, secret, holds } = expectedAt(path, whole);
  if (secret) return [{ path, expected: text, secret }];
  switch (issue.code) {
    case "unrecognized_keys":
      return issue.keys.map((key) => {
        const known = shapeAt(path, whole)?.flatMap(({ properties }) => Object.keys(properties ?? {})) ?? [];
        const meant = nearest(key, known);
        const expected = meant === undefined ? `one of ${known.join(", ")}` : "a known key";
        return { path: [...path, key], expected, key: true, holds, ...(meant === undefined ? {} : { meant }) };
      });
    case "invalid_union": {
      // Where one of the alternatives is of the kind that was found, what is wrong is further in.
      const inner = issue.errors.filter((issues) => issues.every((one) => one.path.length > 0 || isInside(one)));
      if (inner.length !== 1) return [{ path, expected: text, holds }];
      return inner[0]!.flatMap((one) => faultsOf({ ...one, path: [...issue.path, ...one.path] }, whole, named));
    }
    case "custom":
      return [{ path, expected: issue.message, holds }];
    case "too_small":
    case "too_big":
      if (issue.origin !== "array") break;
      return [{
        path,
        expected: `${text}, ${
          issue.code === "too_big" ? `at most ${issue.maximum}` : `at least ${issue.minimum}`
        } of them`,
        holds,
      }];
  }
  return [{ path, expected: path.length === 0 ? named : text, holds }];
};

const isInside = ({ code }: z.core.$ZodIssue): boolean => code === "unrecognized_keys" || code === "custom";

/** Of a map whose keys are free: what the names in it are to be. */
const keyExpected = (path: readonly string[], whole: Shape): string =>
  shapeAt(path.slice(0, -1), whole)?.find(({ propertyNames }) => propertyNames?.expected)?.propertyNames?.expected ??
    "another name";

const described = (shape: Shape): string => [...new Set(alternatives(shape).map(describe))].join(" or ");

const describe = (shape: Shape): string => {
  const { minimum, maximum, minLength = 0, maxLength, expected } = shape;
  if (expected) return expected;
  if (shape.enum) return `one of ${shape.enum.map((value) => String(value)).join(", ")}`;
  switch (shape.type) {
    case "integer":
      return `a whole number from ${minimum} to ${maximum}`;
    case "number":
      return `a number from ${minimum} to ${maximum}`;
    case "boolean":
      return "true or false";
    case "string":
      return minLength > 0 ? `a text of ${minLength} to ${maxLength ?? "any number of"} characters` : "a text";
    case "array":
      return `a list of ${shape.items ? described(shape.items) : "values"}`;
    case "object":
      return "a map";
    default:
      return shape.type ?? "nothing";
  }
};

const SHOWN_CHARS_MAX = 80;

/** Where the fault is, as far as it may be repeated: `{ PASSWORD:secret }`, without a blank, is a key. */
export const shownPath = ({ path, key, holds }: Fault): readonly string[] =>
  key && holds ? [...path.slice(0, -1), path.at(-1)!.replace(/[\s:=].*$/s, "…")] : path;

/** What was found where the fault is, as far as it may be repeated. */
export const foundAt = (value: unknown, fault: Fault): string => {
  const { key, secret, holds } = fault;
  if (key) return `"${shownPath(fault).at(-1)}"`;
  const told = typeof value === "object" || typeof value === "string";
  return secret || holds && value !== null && told ? "something else (not shown)" : foundText(value);
};

/** A value as it was found, shortened. */
export const foundText = (value: unknown): string => {
  if (value === undefined) return "nothing";
  const text = JSON.stringify(value) ?? String(value);
  return text.length > SHOWN_CHARS_MAX ? `${text.slice(0, SHOWN_CHARS_MAX)}…` : text;
};

/** The known name that a misspelt one was meant to be, if one is near enough to be likely. */
export const nearest = (name: string, known: readonly string[]): string | undefined => {
  const near =
    known.map((candidate) => [distance(name.toLowerCase(), candidate), candidate] as const).sort(([a], [b]) =>
      a - b
    )[0];
  return near && near[0] <= Math.max(1, Math.floor(near[1].length / 3)) ? near[1] : undefined;
};

/** Optimal string alignment: insertions, deletions, replacements and swaps of neighbours. */
const distance = (a: string, b: string): number => {
  let before: number[] = [];
  let above = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let least = Math.min(above[j]! + 1, row[j - 1]! + 1, above[j - 1]! + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) least = Math.min(least, before[j - 2]! + 1);
      row.push(least);
    }
    before = above;
    above = row;
  }
  return above[b.length]!;
};
