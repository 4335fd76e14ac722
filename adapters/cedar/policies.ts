/**
 * Policies in Cedar, decided by Amazon's own engine in WebAssembly (`@cedar-policy/cedar-wasm`). It is loaded when it is first wanted;
 * one decision takes about 0.1 ms, so whoever asks often keeps the answers.
 */
import { type Actions, schemaText } from "./schema.ts";

type Cedar = typeof import("@cedar-policy/cedar-wasm");
type Located = { readonly message: string; readonly sourceLocations?: readonly { readonly start: number }[] };

export interface PolicyFile {
  readonly file: string;
  readonly text: string;
}

/** What is wrong, and where: lines and columns count from 1. */
export interface PolicyProblem {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

/** Whom, what and to what, as Cedar names it. */
export interface Uid {
  readonly type: string;
  readonly id: string;
}
export interface Entity {
  readonly uid: Uid;
  readonly attrs: Readonly<Record<string, unknown>>;
  readonly parents: readonly Uid[];
}
export interface Question {
  readonly principal: Uid;
  readonly action: string;
  readonly resource: Uid;
  readonly entities: readonly Entity[];
}

export interface Policies {
  /** Their names (`@id`), in order of name. */
  readonly ids: readonly string[];
  /** Types of which policies name single ones, so that who or what it is can make a difference. */
  readonly named: ReadonlySet<string>;
  /** Types that policies tell from others, by `is` or by naming a single one. */
  readonly kinds: ReadonlySet<string>;
  decide(question: Question): { readonly allowed: boolean; readonly policies: readonly string[] };
}

export type Read =
  | { readonly ok: true; readonly policies: Policies }
  | { readonly ok: false; readonly problems: readonly PolicyProblem[] };

/** Policies that one set may have; each may be looked at for every new question. */
export const POLICIES_MAX = 500;

/**
 * So deep the conditions of a policy may go, each term of a chain of `||` or `&&` one deeper. The engine has 1 MiB of stack: what is some
 * 350 deep is read, and ends it with the first question that comes so far.
 */
export const POLICY_DEPTH_MAX = 250;
/** Of those that are on record, from before there was that bound: the engine has answered with them. */
const HELD_DEPTH_MAX = 350;

const HELD = { type: "success", validationErrors: [] } as const;

let engine: Promise<Cedar> | undefined;

export interface Names {
  readonly actions: Actions;
  readonly roles: readonly string[];
}

/**
 * Reads policies and holds them against the schema: names of actions, types, attributes and roles are those there are. That takes most of
 * the time; `held`: it was done before.
 */
export const readPolicies = async (
  files: readonly PolicyFile[],
  { actions, roles }: Names,
  { held }: { readonly held: boolean },
): Promise<Read> => {
  const cedar = await (engine ??= import("@cedar-policy/cedar-wasm"));
  const schema = schemaText(actions);
  const texts: Record<string, string> = {};
  const named = new Set<string>();
  const kinds = new Set<string>();
  const problems: PolicyProblem[] = [];
  const most = held ? HELD_DEPTH_MAX : POLICY_DEPTH_MAX;
  const into = (file: PolicyFile) => {
    const { text } = file;
    const at = (start: number, message: string) => problems.push({ file: file.file, ...placeOf(text, start), message });
    const located = ({ message, sourceLocations }: Located) => at(sourceLocations?.[0]?.start ?? slotIn(text), message);
    const checked = held ? HELD : cedar.validate({
      schema,
      policies: { staticPolicies: text },
      validationSettings: { mode: "strict" },
    });
    if (checked.type === "failure") return checked.errors.forEach(located);
    for (const { error } of checked.validationErrors) located(error);
    const split = cedar.policySetTextToParts(text);
    if (split.type === "failure") throw new Error("a set of policies that holds cannot be taken apart");
    for (const policy of split.policies) {
      // They come apart in no order of theirs, each as it was written.
      const start = bytesTo(text, text.indexOf(policy));
      const { id, types, roles: asked, is, depth } = lookInto(cedar, policy);
      if (id === undefined) at(start, 'a policy has a name here: @id("…")');
      else if (!ID.test(id)) at(start, "a policy's name is small letters, digits and -");
      else if (Object.hasOwn(texts, id)) at(start, `there is a policy "${id}" already`);
      else if (depth > most) at(start, `${tooDeep(most)}; name many with in [..]`);
      else texts[id] = policy;
      // A role that nobody can have would permit nobody, or forbid all, without a word.
      for (const role of held ? [] : asked) {
        if (roles.includes(role)) continue;
        const name = JSON.stringify(role);
        at(start + roleIn(policy, name), `there is no role ${name} in roles.json`);
      }
      for (const type of types) named.add(type);
      for (const type of [...types, ...is]) kinds.add(type);
    }
  };
  for (const file of files) {
    try {
      into(file);
    } catch (error) {
      // The engine is good for nothing from then on.
      if (!isOverflow(error)) throw error;
      problems.push({ file: file.file, line: 1, column: 1, message: `${tooDeep(most)}, and one goes far deeper` });
      break;
    }
  }
  const ids = Object.keys(texts).sort();
  if (problems.length === 0 && ids.length > POLICIES_MAX) {
    problems.push({ file: files[0]!.file, line: 1, column: 1, message: `there are at most ${POLICIES_MAX} policies` });
  }
  if (problems.length > 0) return { ok: false, problems };
  return { ok: true, policies: { ids, named, kinds, decide: decider(cedar, texts) } };
};

const tooDeep = (most: number): string => `a policy's conditions go at most ${most} deep`;

/** Of the stack: that of the engine, or ours. */
const isOverflow = (error: unknown): boolean =>
  error instanceof RangeError || error instanceof WebAssembly.RuntimeError;

const ID = /^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/;

let sets = 0;

const decider = (cedar: Cedar, staticPolicies: Record<string, string>): Policies["decide"] => {
  const preparsedPolicySetId = `policies ${++sets}`;
  const parsed = cedar.preparsePolicySet(preparsedPolicySetId, { staticPolicies });
  if (parsed.type === "failure") throw new Error(`policies that hold cannot be read: ${parsed.errors[0]?.message}`);
  return ({ principal, action, resource, entities }) => {
    const answer = cedar.statefulIsAuthorized({
      principal,
      action: { type: "Action", id: action },
      resource,
      context: {},
      preparsedPolicySetId,
      entities: entities as never,
    });
    if (answer.type === "failure") throw new Error(`it cannot be decided: ${answer.errors[0]?.message}`);
    const { decision, diagnostics: { reason, errors } } = answer.response;
    // A policy that fails decides nothing (Cedar), and nobody would see it.
    if (errors.length > 0) throw new Error(`policy ${errors[0]!.policyId} fails: ${errors[0]!.error.message}`);
    return { allowed: decision === "allow", policies: [...reason].sort() };
  };
};

/** What is looked for in a policy. */
interface Looked {
  /** Its own name. */
  readonly id: string | undefined;
  /** Those of which it names one. */
  readonly types: ReadonlySet<string>;
  /** Names of roles that it asks for. */
  readonly roles: ReadonlySet<string>;
  /** Those that it tells from others. */
  readonly is: ReadonlySet<string>;
  readonly depth: number;
}

const lookInto = (cedar: Cedar, policy: string): Looked => {
  const parsed = cedar.policyToJson(policy);
  if (parsed.type === "failure") throw new Error("a policy that holds cannot be taken apart");
  const types = new Set<string>();
  const roles = new Set<string>();
  const is = new Set<string>();
  let deepest = 0;
  const walk = (node: unknown, above = 0): void => {
    if (Array.isArray(node)) node.forEach((each) => walk(each, above));
    else if (typeof node === "object" && node !== null) {
      const { type, id, attr, entity_type: kind } = node as Readonly<Record<string, unknown>>;
      if (typeof type === "string" && typeof id === "string") {
        types.add(type);
        if (type === "Role") roles.add(id);
      }
      if (typeof kind === "string") is.add(kind);
      // Streams of one domain, and of another.
      if (attr === "domain") types.add("Stream");
      deepest = Math.max(deepest, above + 1);
      for (const each of Object.values(node)) walk(each, above + 1);
    }
  };
  walk(parsed.json);
  const { annotations, conditions } = parsed.json;
  // An operator is an object in which one has its operands; conditions are a chain, too.
  return { id: annotations?.id ?? undefined, types, roles, is, depth: Math.floor(deepest / 2) + conditions.length };
};

// And texts, in which there are none.
const COMMENTS = /"(?:\\.|[^"\\])*"|\/\/[^\r\n]*/gs;

const unread = (part: string): string => part.startsWith("//") ? " ".repeat(part.length) : part;

/** Where a policy names a role, in bytes of UTF-8. */
const roleIn = (policy: string, name: string): number =>
  bytesTo(policy, policy.replace(COMMENTS, unread).search(new RegExp(`\\bRole\\s*::\\s*${RegExp.escape(name)}`)));

/** Where a template has its first slot, in bytes of UTF-8: of that there is one the engine tells no place. */
const slotIn = (text: string): number => bytesTo(text, text.search(/\?(?:principal|resource)\b/));

/** As the engine counts. Nowhere (-1) is the beginning. */
const bytesTo = (text: string, end: number): number => new TextEncoder().encode(text.slice(0, Math.max(0, end))).length;

/** `start`: as `bytesTo` counts. */
const placeOf = (text: string, start: number): { readonly line: number; readonly column: number } => {
  const before = new TextDecoder().decode(new TextEncoder().encode(text).subarray(0, start)).split("\n");
  return { line: before.length, column: before.at(-1)!.length + 1 };
};
