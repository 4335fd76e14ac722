/**
 * Where the personal fields of a fact type sit, made ready for the hot path: a type without any costs a look into a
 * map, one with some copies only the objects on the way to them.
 */
import type { Issue } from "../../actors/kernel/daybook.ts";
import { isPseudonym, isSealed, type Marks, subjectOf } from "../../events/personal.ts";

/** Longest path to a personal field; it is carried in the sealed text. */
export const POINTER_CHARS_MAX = 1_024;

/** A place in a copy of the data that waits for its sealed text or pseudonym. */
export interface Slot {
  readonly holder: { [key: string]: unknown };
  readonly key: string;
  readonly kind: "personal" | "pseudonym";
  /** The plain value. */
  readonly text: string;
  /** JSON Pointer (RFC 6901) from the root of `data`. */
  readonly pointer: string;
  /** Whose it is: opaque id or identifier. */
  readonly identifier: string;
}

/** The way down to marked fields: `*` is every element. */
export interface Plan {
  readonly key: string;
  readonly personal?: string;
  readonly pseudonym?: string;
  readonly within: readonly Plan[];
}

interface Draft {
  key: string;
  personal?: string;
  pseudonym?: string;
  within: Draft[];
}

/** `undefined` when nothing is marked. */
export const planOf = (marks: Marks): Plan | undefined => {
  const root: Draft = { key: "", within: [] };
  const at = (path: readonly string[]): Draft => {
    let draft = root;
    for (const key of path) {
      let next = draft.within.find((each) => each.key === key);
      if (!next) draft.within.push(next = { key, within: [] });
      draft = next;
    }
    return draft;
  };
  for (const { path, subject } of marks.personal) at(path).personal = subject;
  for (const { path, of } of marks.pseudonyms) at(path).pseudonym = of;
  return root.within.length === 0 ? undefined : root;
};

export class Collector {
  readonly slots: Slot[] = [];
  readonly issues: Issue[] = [];

  /** `inside`: the data was made by our own actors, which may hand on what is sealed already. */
  constructor(private readonly inside: boolean) {}

  /** The data with copies of all that is to change; the slots say where. */
  collect(plan: Plan, data: unknown): unknown {
    return typeof data === "object" && data !== null ? this.descend(plan, data as Members, data as Members, "") : data;
  }

  private descend(plan: Plan, value: Members, siblings: Members, pointer: string): unknown {
    const copy = (Array.isArray(value) ? value.slice() : { ...value }) as Members;
    const around = Array.isArray(value) || plan.within[0]?.key === "*" ? siblings : value;
    for (const part of plan.within) {
      if (part.key !== "*") this.member(part, part.key, value, copy, around, pointer);
      else for (const key of Object.keys(value)) this.member(part, key, value, copy, around, pointer);
    }
    return copy;
  }

  private member(part: Plan, key: string, value: Members, copy: Members, siblings: Members, above: string): void {
    const found = Object.hasOwn(value, key) ? value[key] : undefined;
    const pointer = `${above}/${SPECIAL.test(key) ? key.replaceAll("~", "~0").replaceAll("/", "~1") : key}`;
    if (pointer.length > POINTER_CHARS_MAX) {
      this.issues.push({
        path: above,
        message: `a path to a personal field has at most ${POINTER_CHARS_MAX} characters`,
      });
    } else if (key === "__proto__") {
      this.issues.push({ path: pointer, message: "a field beside personal ones cannot have this name" });
    } else if (part.pseudonym !== undefined) this.pseudonym(part.pseudonym, key, found, copy, siblings, pointer);
    else if (typeof found === "string") this.personal(part.personal, key, found, copy, siblings, pointer);
    else if (typeof found === "object" && found !== null) {
      copy[key] = this.descend(part, found as Members, siblings, pointer);
    }
  }

  private personal(
    subject: string | undefined,
    key: string,
    text: string,
    holder: Members,
    siblings: Members,
    pointer: string,
  ): void {
    // An empty text tells of nobody.
    if (subject === undefined || text === "") return;
    if (isSealed(text)) {
      if (!this.inside) this.issues.push({ path: pointer, message: "expected plain text, found a sealed one" });
      return;
    }
    const whose = Object.hasOwn(siblings, subject) ? siblings[subject] : undefined;
    const named = typeof whose === "string" && whose.trim() !== "" ? whose : text;
    this.slots.push({ holder, key, kind: "personal", text, pointer, identifier: subjectOf(named) ?? named });
  }

  private pseudonym(
    of: string,
    key: string,
    found: unknown,
    holder: Members,
    siblings: Members,
    pointer: string,
  ): void {
    if (found !== undefined && !(this.inside && typeof found === "string" && isPseudonym(found))) {
      this.issues.push({ path: pointer, message: "a pseudonym is filled in here; leave it out" });
      return;
    }
    const text = Object.hasOwn(siblings, of) ? siblings[of] : undefined;
    if (typeof text !== "string" || text.trim() === "" || isSealed(text)) return;
    this.slots.push({ holder, key, kind: "pseudonym", text, pointer, identifier: "" });
  }
}

interface Members {
  [key: string]: unknown;
}

const SPECIAL = /[~/]/;
