/** A YAML text in which every value can be pointed at, and a problem with it in one line. Nothing is read here but the text. */
import {
  Composer,
  type CST,
  type Document,
  isMap,
  isNode,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Pair,
  type ParsedNode,
  Parser,
  visit,
  type YAMLMap,
  YAMLParseError,
} from "yaml";
import { firstOf } from "./first_of.ts";

export interface Problem {
  /** The file, or the name of the variable or flag. */
  readonly file: string;
  /** From 1; variables and flags have none. */
  readonly line?: number;
  /** From 1, in UTF-16 code units; goes with the line. */
  readonly column?: number;
  /** Dotted; empty for the whole. */
  readonly path: string;
  readonly expected: string;
  /** Never the value of a secret. */
  readonly found: string;
  /** The known name that a misspelt one was probably meant to be. */
  readonly meant?: string;
}

/** How many values aliases may make in all, so that a small text stays a small configuration. */
export const ALIASES_MAX = 100;

/** Maps and lists within each other. */
export const NESTING_MAX = 64;

/** Where the text is nested more deeply, from 0. */
class TooDeep extends Error {
  override readonly name = "TooDeep";
  constructor(readonly offset: number) {
    super(`nested more deeply than ${NESTING_MAX} levels`);
  }
}

/** A text of one document, as `parseDocument` of the library. Throws `TooDeep`, where the library would use up the stack. */
export const composed = (text: string, lines = new LineCounter()): Document<ParsedNode> => {
  const tokens = [...new Parser(lines.addNewLine).parse(text)];
  expectFlat(tokens);
  const [document, more] = new Composer({ prettyErrors: false, uniqueKeys: false }).compose(tokens, true, text.length);
  document!.errors.push(...doubled(document!));
  if (more) {
    document!.errors.push(new YAMLParseError(more.range.slice(0, 2) as [number, number], "MULTIPLE_DOCS", MORE));
  }
  return document as Document<ParsedNode>;
};

/** Keys that a map has already. The library compares each with all the others. */
const doubled = (document: Document): readonly YAMLParseError[] => {
  const errors: YAMLParseError[] = [];
  visit(document, {
    Map(_key, { items }) {
      const before = new Set<unknown>();
      for (const { key } of items) {
        if (!isScalar(key)) continue;
        const [at = 0] = key.range ?? [];
        if (before.has(key.value)) errors.push(new YAMLParseError([at, at + 1], "DUPLICATE_KEY", DOUBLED));
        before.add(key.value);
      }
    },
  });
  return errors;
};

const DOUBLED = "Map keys must be unique";
const MORE = "Source contains multiple documents";

const expectFlat = (tokens: readonly CST.Token[]): void => {
  const open: [CST.Token, number][] = tokens.map((token) => [token, 0]);
  for (let next = open.pop(); next; next = open.pop()) {
    const [token, depth] = next;
    if (token.type === "document" && token.value) open.push([token.value, depth]);
    if (!("items" in token)) continue;
    if (depth === NESTING_MAX) throw new TooDeep(token.offset);
    for (const { key, value } of token.items) {
      if (key) open.push([key, depth + 1]);
      if (value) open.push([value, depth + 1]);
    }
  }
};

const tooDeep = (found: string) => ({ expected: `maps and lists of at most ${NESTING_MAX} levels`, found });

/** The way to something that aliases nest too deeply, or within itself. */
const deepIn = (value: unknown): readonly string[] | undefined => {
  const open: { readonly value: unknown; readonly path: readonly string[] }[] = [{ value, path: [] }];
  for (let next = open.pop(); next; next = open.pop()) {
    const { value, path } = next;
    if (typeof value !== "object" || value === null) continue;
    if (path.length === NESTING_MAX) return path;
    for (const [key, member] of Object.entries(value)) open.push({ value: member, path: [...path, key] });
  }
  return undefined;
};

/**
 * One problem in one line: `daybook.yaml:4:9 server.port: expected a whole number from 0 to 65535, found "x"`, or, of a flag,
 * `--port (server.port): expected …`.
 */
export const problemText = ({ file, line, column, path, expected, found, meant }: Problem): string => {
  const place = line === undefined
    ? `${file}${path === "" ? "" : ` (${path})`}`
    : `${file}:${line}:${column}${path === "" ? "" : ` ${path}`}`;
  const guess = meant === undefined ? "" : `; did you mean ${JSON.stringify(meant)}?`;
  return `${place}: expected ${expected}, found ${found}${guess}`;
};

export const problemsText = (problems: readonly Problem[]): string => firstOf(problems.map(problemText));

export const valueAt = (value: unknown, path: readonly string[]): unknown =>
  path.reduce<unknown>(
    (node, step) => typeof node === "object" && node !== null ? (node as Record<string, unknown>)[step] : undefined,
    value,
  );

/** The keys and indexes that lead through these nodes, each within the one before. */
const pathOf = (nodes: readonly unknown[]): readonly string[] =>
  nodes.flatMap((node, i) => {
    if (isPair(node)) return [String(isScalar(node.key) ? node.key.value : node.key)];
    return isSeq(node) && i + 1 < nodes.length ? [String(node.items.indexOf(nodes[i + 1]))] : [];
  });

/** The YAML text, parsed so that every value can be pointed at. */
export class YamlText {
  private readonly lines = new LineCounter();
  private readonly document;
  /** By key, of maps in which something was looked for. */
  private readonly pairs = new WeakMap<YAMLMap, ReadonlyMap<string, Pair>>();
  readonly problems: readonly Problem[];

  constructor(text: string, private readonly file: string) {
    try {
      this.document = composed(text, this.lines);
    } catch (error) {
      if (!(error instanceof TooDeep)) throw error;
      this.document = composed("");
      this.problems = [{ ...this.at(error.offset), path: "", ...tooDeep("more") }];
      return;
    }
    // A warning is something we did not understand either: an unknown tag, another version of YAML.
    const said = [...this.document.errors, ...this.document.warnings].map((error) => ({
      ...this.at(error.pos[0]),
      path: "",
      expected: "YAML 1.2",
      found: firstLine(error.message),
    }));
    // A map that does not end is told once for each that is open there.
    this.problems = [...new Map(said.map((problem) => [JSON.stringify(problem), problem])).values()];
  }

  /** The plain value; refused where aliases are used to make a small text large, or name nothing. */
  value(): { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly problem: Problem } {
    const no = (offset: number, expected: string, found: string) =>
      ({ ok: false, problem: { ...this.at(offset), path: "", expected, found } }) as const;
    let lost: Problem | undefined;
    const anchors = new Set<string>();
    visit(this.document, {
      Value: (_key, { anchor }) => {
        if (anchor !== undefined) anchors.add(anchor);
      },
      Alias: (_key, alias) => {
        if (anchors.has(alias.source)) return undefined;
        lost = no(alias.range?.[0] ?? 0, "YAML 1.2", `no anchor for *${alias.source}`).problem;
        return visit.BREAK;
      },
      // It would be no key of the value, and what stands under it would count for nothing.
      Pair: (_key, pair, above) => {
        const { key } = pair;
        if (!isScalar(key) || key.value !== "__proto__") return undefined;
        const path = pathOf([...above, pair]).join(".");
        lost = { ...no(key.range?.[0] ?? 0, "another key", `"${key.value}"`).problem, path };
        return visit.BREAK;
      },
    });
    if (lost) return { ok: false, problem: lost };
    let value: unknown;
    try {
      value = this.document.toJS({ maxAliasCount: ALIASES_MAX }) ?? {};
    } catch (error) {
      return no(0, `at most ${ALIASES_MAX} values through aliases`, firstLine((error as Error).message));
    }
    const deep = deepIn(value);
    if (!deep) return { ok: true, value };
    return { ok: false, problem: { ...this.place(deep, false), path: "", ...tooDeep("more, through aliases") } };
  }

  /** Whether the text has something at the path. */
  has(path: readonly string[]): boolean {
    return this.document.hasIn(path);
  }

  /** Where the value at the path is written, or its key; the nearest that is written, if it is not. */
  place(path: readonly string[], key: boolean): Pick<Problem, "file" | "line" | "column"> {
    let node: unknown = this.document.contents;
    let offset = isNode(node) ? node.range?.[0] ?? 0 : 0;
    for (const [depth, step] of path.entries()) {
      if (isSeq(node)) node = node.items[Number(step)];
      else if (isMap(node)) {
        const pair = this.pairsOf(node).get(step);
        if (!pair) break;
        if (isNode(pair.key)) offset = pair.key.range?.[0] ?? offset;
        if (key && depth === path.length - 1) break;
        node = pair.value;
      } else break;
      if (isNode(node) && node.range) offset = node.range[0];
    }
    return this.at(offset);
  }

  private pairsOf(map: YAMLMap): ReadonlyMap<string, Pair> {
    let pairs = this.pairs.get(map);
    if (!pairs) {
      const named = map.items.flatMap((pair) => isScalar(pair.key) ? [[String(pair.key.value), pair] as const] : []);
      this.pairs.set(map, pairs = new Map(named.toReversed()));
    }
    return pairs;
  }

  private at(offset: number): Pick<Problem, "file" | "line" | "column"> {
    const { line, col } = this.lines.linePos(offset);
    return { file: this.file, line: Math.max(1, line), column: Math.max(1, col) };
  }
}

const firstLine = (text: string): string => text.split("\n", 1)[0]!;
