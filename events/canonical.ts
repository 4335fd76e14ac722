/**
 * Canonical JSON: RFC 8785 (JSON Canonicalization Scheme) over I-JSON (RFC 7493). Written once, when an event enters the
 * log; hashes and proofs are over these bytes.
 */

/** What was wrong and where; `path` is a JSON Pointer (RFC 6901). */
export class CanonicalError extends Error {
  override readonly name = "CanonicalError";
  constructor(
    readonly code:
      | "number_not_representable"
      | "lone_surrogate"
      | "not_json"
      | "too_deep"
      | "duplicate_key"
      | "malformed",
    readonly path: string,
    message: string,
  ) {
    super(message);
  }
}

// Characters that need no escape and no look at surrogates: nearly all text there is.
const PLAIN = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;

/** A string as JSON. RFC 8785 section 3.2.2.2 is what `JSON.stringify` does, but for lone surrogates, which I-JSON forbids. */
export const canonicalText = (text: string, path: string): string => {
  if (PLAIN.test(text)) return `"${text}"`;
  if (!text.isWellFormed()) throw new CanonicalError("lone_surrogate", path, "a string holds a lone surrogate");
  return JSON.stringify(text);
};

/**
 * The canonical text of a value. Members that are `undefined` are left out, as `JSON.stringify` does.
 * Throws `CanonicalError` on what I-JSON excludes: NaN, infinities, lone surrogates, functions, bigints, nesting over `depthMax`.
 */
export const canonical = (value: unknown, depthMax = 512): string => {
  const ordered = inOrder(value, depthMax);
  return ordered === UNUSUAL ? write(value, depthMax, undefined) : JSON.stringify(ordered);
};

/** Instead of a value that `JSON.stringify` would not write canonically, or not at all. */
export const UNUSUAL = Symbol("unusual");

/**
 * The value with all members in order: itself where they are, else a copy. With that `JSON.stringify` writes what `write` does, at
 * a third of the cost, as RFC 8785 takes numbers and strings from ECMAScript. A value on the way to an error is unusual, too.
 */
export function inOrder(value: unknown, depth: number): unknown {
  switch (typeof value) {
    case "string":
      return value.isWellFormed() ? value : UNUSUAL;
    case "number":
      return Number.isFinite(value) ? value : UNUSUAL;
    case "boolean":
      return value;
    case "object":
      break;
    default:
      return UNUSUAL;
  }
  if (value === null) return null;
  if (depth <= 0) return UNUSUAL;
  if (Array.isArray(value)) return itemsInOrder(value, depth);
  const proto = Object.getPrototypeOf(value);
  if (proto !== Object.prototype && proto !== null) return UNUSUAL;
  return membersInOrder(value as Readonly<Record<string, unknown>>, depth);
}

function itemsInOrder(items: readonly unknown[], depth: number): unknown {
  let copy: unknown[] | undefined;
  for (let i = 0; i < items.length; i++) {
    const item = inOrder(items[i], depth - 1);
    if (item === UNUSUAL) return UNUSUAL;
    if (copy === undefined && item !== items[i]) copy = items.slice(0, i);
    copy?.push(item);
  }
  return copy ?? items;
}

function membersInOrder(record: Readonly<Record<string, unknown>>, depth: number): unknown {
  const keys = Object.keys(record);
  let sorted = true;
  for (let i = 1; sorted && i < keys.length; i++) sorted = keys[i - 1]! < keys[i]!;
  if (!sorted) keys.sort();
  let copy: Record<string, unknown> | undefined = sorted ? undefined : {};
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i]!;
    // Numbers come first in any object, however they are set; a prototype is not a member.
    if ((!sorted && isDigit(key.charCodeAt(0))) || key === "__proto__" || !key.isWellFormed()) return UNUSUAL;
    const before = record[key];
    if (before === undefined) continue;
    const member = inOrder(before, depth - 1);
    if (member === UNUSUAL) return UNUSUAL;
    if (copy === undefined && member !== before) {
      copy = {};
      for (let k = 0; k < i; k++) copy[keys[k]!] = record[keys[k]!];
    }
    if (copy !== undefined) copy[key] = member;
  }
  return copy ?? record;
}

const isDigit = (unit: number): boolean => unit >= 0x30 && unit <= 0x39;

interface Trail {
  readonly up: Trail | undefined;
  readonly step: string | number;
}

function write(value: unknown, depth: number, trail: Trail | undefined): string {
  switch (typeof value) {
    case "string":
      if (PLAIN.test(value)) return `"${value}"`;
      return canonicalText(value, pointer(trail));
    case "number":
      // Number::toString (ECMA-262) is what RFC 8785 section 3.2.2.3 asks for; -0 is written 0.
      if (!Number.isFinite(value)) {
        throw new CanonicalError("number_not_representable", pointer(trail), `${value} is not a JSON number`);
      }
      return value === 0 ? "0" : String(value);
    case "boolean":
      return value ? "true" : "false";
    case "object":
      break;
    default:
      throw new CanonicalError("not_json", pointer(trail), `a ${typeof value} is not a JSON value`);
  }
  if (value === null) return "null";
  if (depth <= 0) throw new CanonicalError("too_deep", pointer(trail), "the value is nested too deeply");
  if (Array.isArray(value)) {
    let text = "[";
    for (let i = 0; i < value.length; i++) {
      if (i > 0) text += ",";
      text += write(value[i], depth - 1, { up: trail, step: i });
    }
    return text + "]";
  }
  const proto = Object.getPrototypeOf(value);
  if (proto !== Object.prototype && proto !== null) {
    throw new CanonicalError("not_json", pointer(trail), `a ${proto.constructor?.name ?? "value"} is not a JSON value`);
  }
  const record = value as Record<string, unknown>;
  const keys = Object.keys(record);
  // RFC 8785 section 3.2.3: sorted by UTF-16 code units, which is how JavaScript compares strings.
  for (let i = 1; i < keys.length; i++) {
    if (keys[i - 1]! > keys[i]!) {
      keys.sort();
      break;
    }
  }
  let text = "{";
  for (const key of keys) {
    const member = record[key];
    if (member === undefined) continue;
    if (text.length > 1) text += ",";
    const here = { up: trail, step: key };
    text += (PLAIN.test(key) ? `"${key}"` : canonicalText(key, pointer(here))) + ":" + write(member, depth - 1, here);
  }
  return text + "}";
}

const pointer = (trail: Trail | undefined): string => {
  let text = "";
  for (let t = trail; t; t = t.up) text = "/" + String(t.step).replaceAll("~", "~0").replaceAll("/", "~1") + text;
  return text;
};

/**
 * Parses JSON text that came from outside, strictly: I-JSON (RFC 7493) has no duplicate keys, no lone surrogates, and no
 * number that a double does not hold to the digits given. Throws `CanonicalError` with the path of the first offence.
 */
export const parseIJson = (text: string, depthMax = 64): unknown => {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new CanonicalError("malformed", "", (error as Error).message);
  }
  // A text that comes back letter for letter lost nothing on the way: no duplicate key, no rounded number. Most senders
  // write compact JSON, so the exact scan below is for the others.
  if (!text.includes("\\u") && text.isWellFormed() && depthOf(value, depthMax) && JSON.stringify(value) === text) {
    return value;
  }
  new Scanner(text, depthMax).scan();
  return value;
};

function depthOf(value: unknown, depth: number): boolean {
  if (typeof value !== "object" || value === null) return true;
  if (depth <= 0) return false;
  const members: readonly unknown[] = Array.isArray(value) ? value : Object.values(value);
  for (let i = 0; i < members.length; i++) if (!depthOf(members[i], depth - 1)) return false;
  return true;
}

const STRING = /"(?:[^"\\]|\\.)*"/y;
const NUMBER = /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const SPACE = /[ \t\r\n]*/y;

/** Walks a text that `JSON.parse` has accepted already, so only I-JSON's extra rules are left to check. */
class Scanner {
  private at = 0;
  private readonly path: (string | number)[] = [];
  constructor(private readonly text: string, private readonly depthMax: number) {}

  scan(): void {
    this.value(this.depthMax);
  }

  private here(): string {
    return this.path.map((step) => "/" + String(step).replaceAll("~", "~0").replaceAll("/", "~1")).join("");
  }

  private take(pattern: RegExp): string {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text)![0];
    this.at += found.length;
    return found;
  }

  private string(): string {
    const text = JSON.parse(this.take(STRING)) as string;
    if (!text.isWellFormed()) {
      throw new CanonicalError("lone_surrogate", this.here(), "a string holds a lone surrogate");
    }
    return text;
  }

  private value(depth: number): void {
    this.take(SPACE);
    const first = this.text[this.at];
    if (first === "{" || first === "[") {
      if (depth <= 0) throw new CanonicalError("too_deep", this.here(), "the value is nested too deeply");
      this.at++;
      first === "{" ? this.members(depth - 1) : this.elements(depth - 1);
    } else if (first === '"') this.string();
    else if (first === "t" || first === "n") this.at += 4;
    else if (first === "f") this.at += 5;
    else {
      const digits = this.take(NUMBER);
      if (!sameNumber(digits, Number(digits))) {
        throw new CanonicalError(
          "number_not_representable",
          this.here(),
          `${digits.slice(0, 40)} is not representable as a double to the digits given`,
        );
      }
    }
    this.take(SPACE);
  }

  private members(depth: number): void {
    const seen = new Set<string>();
    this.take(SPACE);
    while (this.text[this.at] !== "}") {
      if (this.text[this.at] === ",") this.at++;
      this.take(SPACE);
      const key = this.string();
      this.path.push(key);
      if (seen.has(key)) throw new CanonicalError("duplicate_key", this.here(), "an object has the same key twice");
      seen.add(key);
      this.take(SPACE);
      this.at++; // the colon
      this.value(depth);
      this.path.pop();
    }
    this.at++;
  }

  private elements(depth: number): void {
    this.take(SPACE);
    for (let i = 0; this.text[this.at] !== "]"; i++) {
      if (this.text[this.at] === ",") this.at++;
      this.path.push(i);
      this.value(depth);
      this.path.pop();
    }
    this.at++;
  }
}

/** Whether a double's shortest form has the same digits and the same size as the text, a number as JSON writes it. */
export const sameNumber = (digits: string, value: number): boolean => {
  if (!Number.isFinite(value)) return false;
  return scientific(digits) === scientific(String(value));
};

/** Significant digits and exponent, so that 1.50e2, 150 and 150.0 read the same. */
const scientific = (text: string): string => {
  const [, sign, whole = "", fraction = "", exponent = "0"] = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text)!;
  const all = (whole + fraction).replace(/^0+/, "");
  const significant = all.replace(/0+$/, "");
  if (significant === "") return "0";
  return `${sign}${significant}e${
    BigInt(exponent) - BigInt(fraction.length) + BigInt(all.length - significant.length)
  }`;
};
