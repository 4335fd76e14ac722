/**
 * The house rules that a machine can check, as a plugin of `deno lint` (wired in `deno.json`): which way imports point,
 * no ambient time, chance or I/O in the pure rooms, nothing asynchronous in deciders and folds, dotted names written out.
 * `tests/` and `bench/` are free.
 */

/** The folders whose code is held to rules of its own; an adapter's room carries its name, for they do not mix. */
export type Room = "events" | "projections" | "actors" | "kernel" | "config" | `adapters/${string}` | "main" | "free";

const ROOT = decodeURIComponent(new URL("../../", import.meta.url).pathname);

/** Path within the project, with forward slashes; `undefined` for what lies outside. */
export const within = (path: string, root = ROOT): string | undefined =>
  path.startsWith(root) ? path.slice(root.length) : undefined;

/** The room a file of the project is in; `path` is relative to the top. */
export const roomOf = (path: string): Room => {
  const [top, second, third] = path.split("/");
  // The room that wires, and the entry to it.
  if (path === "main.ts" || path.startsWith("adapters/program/")) return "main";
  if (top === "actors") return second === "kernel" ? "kernel" : "actors";
  if (top === "adapters" && third !== undefined) return `adapters/${second}`;
  if (top === "events" || top === "projections" || top === "config") return top;
  return "free";
};

/** Packages a room may import by name; `adapters/`, `main.ts`, `tests/` and `bench/` may import all of the import map. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  events: ["zod"],
  projections: ["zod", "ts-pattern"],
  actors: ["zod", "ts-pattern"],
  kernel: ["zod", "ts-pattern"],
  config: ["zod", "yaml"],
};

const CONTRACTS = ["projection", "computed", "views", "fold", "query", "fields", "words", "digest"].map((file) =>
  `projections/${file}.ts`
);
const CATALOGUES = [
  "actors/mod.ts",
  "actors/types.ts",
  "projections/mod.ts",
  "projections/alerts/mod.ts",
  "projections/controls/mod.ts",
  ...CONTRACTS,
];

/** Why a file of one room may not import a file of the project, or `undefined` if it may. */
export const importFault = (from: string, to: string, typeOnly: boolean): string | undefined => {
  const [room, target] = [roomOf(from), roomOf(to)];
  if (room === "free") return undefined;
  if (to === "main.ts" || (target === "main" && room !== "main")) return "what wires everything is imported by nothing";
  if (target === "free") return "tests/ and bench/ are imported by nothing that ships";
  if (room === "main" || room === target) return undefined;
  const may = (reason: string, ...allowed: readonly boolean[]) => allowed.some(Boolean) ? undefined : reason;
  switch (room) {
    case "events":
      return "events/ imports no other folder";
    case "config":
      return "config/ imports no other folder";
    case "projections":
      return may("projections/ imports events/ alone", target === "events");
    case "actors":
      return may("actors/ imports events/ alone, and never kernel/ or projections/", target === "events");
    case "kernel":
      return may(
        "actors/kernel/ imports events/, actors/types.ts and the contracts of projections/ alone",
        target === "events",
        to === "actors/types.ts",
        CONTRACTS.includes(to),
      );
    default:
      if (target.startsWith("adapters/")) return "an adapter never imports another adapter";
      return may(
        "adapters/ imports events/, kernel/, ports, catalogues, and types of config/",
        target === "events",
        target === "kernel",
        CATALOGUES.includes(to),
        target === "config" && typeOnly,
      );
  }
};

/** The same for a name of the import map, a `node:` module or a URL. */
export const packageFault = (from: string, specifier: string): string | undefined => {
  const allowed = PACKAGES[roomOf(from)];
  if (!allowed || allowed.some((name) => specifier === name || specifier.startsWith(name + "/"))) return undefined;
  return `${roomOf(from)} imports ${allowed.join(", ")} and no other package, not "${specifier}"`;
};

const PURE: readonly Room[] = ["events", "projections", "actors", "kernel", "config"];
const STILL: readonly Room[] = ["events", "projections", "actors"];

/** Globals that are the world: time, chance, I/O, or a way around this list. */
const AMBIENT_GLOBALS = new Set(
  ("setTimeout setInterval setImmediate clearTimeout clearInterval fetch crypto performance Deno process console navigator " +
    "localStorage sessionStorage caches WebSocket WebSocketStream EventSource Worker BroadcastChannel alert confirm prompt " +
    "globalThis self window eval Function").split(" "),
);
/** Members of otherwise harmless globals: `new Date(x)` and `Date.parse(x)` are functions of their argument, these are not. */
const AMBIENT_MEMBERS = new Set(["Date.now", "Math.random", "AbortSignal.timeout", "Temporal.Now"]);
/** Methods whose answer depends on the machine's language or time zone. */
const LOCAL_METHODS = new Set(
  ("toLocaleString toLocaleDateString toLocaleTimeString localeCompare getTimezoneOffset getHours getDate getDay getMonth " +
    "getFullYear getMinutes").split(" "),
);

const nameOf = (node: Deno.lint.Node): string | undefined => {
  if (node.type === "Identifier") return node.name;
  return node.type === "Literal" && typeof node.value === "string" ? node.value : undefined;
};

/** Whether the identifier is read as a variable: not a member's name, a key, a label of a type, or a declaration. */
const isReference = (node: Deno.lint.Identifier): boolean => {
  const parent = node.parent as unknown as Readonly<Record<string, unknown>> & { readonly type: string };
  // Identity of nodes is not promised, ranges are.
  const isAt = (place: unknown) => {
    const range = (place as { range?: Deno.lint.Range } | null | undefined)?.range;
    return range !== undefined && range[0] === node.range[0] && range[1] === node.range[1];
  };
  switch (parent.type) {
    case "MemberExpression":
      return parent.computed === true || !isAt(parent.property);
    case "Property":
      return parent.computed === true || parent.shorthand === true || !isAt(parent.key);
    case "MethodDefinition":
    case "PropertyDefinition":
    case "AccessorProperty":
      return parent.computed === true || !isAt(parent.key);
    case "ImportSpecifier":
    case "ImportDefaultSpecifier":
    case "ImportNamespaceSpecifier":
    case "ExportSpecifier":
    case "LabeledStatement":
    case "BreakStatement":
    case "ContinueStatement":
      return false;
    case "VariableDeclarator":
    case "FunctionDeclaration":
    case "ClassDeclaration":
      return !isAt(parent.id);
    case "TSAsExpression":
    case "TSSatisfiesExpression":
    case "TSNonNullExpression":
    case "TSTypeAssertion":
    case "TSInstantiationExpression":
      return true;
    default:
      return !parent.type.startsWith("TS");
  }
};

/** Collects the names that a pattern binds: `a`, `{ b, c: d }`, `[e]`, `...f`, `g = 1`. */
const bindings = (pattern: unknown, into: Set<string>): void => {
  const node = pattern as Deno.lint.Node | null | undefined;
  switch (node?.type) {
    case "Identifier":
      into.add(node.name);
      break;
    case "ObjectPattern":
      for (const property of node.properties) bindings(property.type === "Property" ? property.value : property, into);
      break;
    case "ArrayPattern":
      for (const element of node.elements) bindings(element, into);
      break;
    case "AssignmentPattern":
      bindings(node.left, into);
      break;
    case "RestElement":
      bindings(node.argument, into);
  }
};

const place = (ctx: Deno.lint.RuleContext): { readonly path: string; readonly room: Room } => {
  const path = within(ctx.filename.replaceAll("\\", "/")) ?? "";
  return { path, room: path === "" ? "free" : roomOf(path) };
};

const importDirection: Deno.lint.Rule = {
  create(ctx) {
    const { path, room } = place(ctx);
    if (room === "free") return {};
    const check = (node: Deno.lint.Node, specifier: string, typeOnly: boolean) => {
      const relative = specifier.startsWith("./") || specifier.startsWith("../") || specifier.startsWith("/");
      const target = relative ? within(new URL(specifier, new URL(path, "file:///")).pathname, "/") : undefined;
      const message = target === undefined ? packageFault(path, specifier) : importFault(path, target, typeOnly);
      if (message) ctx.report({ node, message, hint: "docs/decisions/0005-folders-and-import-direction.md says why" });
    };
    return {
      ImportDeclaration(node) {
        // `import { type A, type B }` is as good as `import type { A, B }`.
        const types = node.importKind === "type" ||
          (node.specifiers.length > 0 &&
            node.specifiers.every((s) => s.type === "ImportSpecifier" && s.importKind === "type"));
        check(node, node.source.value, types);
      },
      ExportNamedDeclaration(node) {
        if (node.source) check(node, node.source.value, node.exportKind === "type");
      },
      ExportAllDeclaration(node) {
        check(node, node.source.value, node.exportKind === "type");
      },
      ImportExpression(node) {
        const specifier = nameOf(node.source);
        if (node.source.type === "Literal" && specifier !== undefined) check(node, specifier, false);
        else if (PURE.includes(room)) ctx.report({ node, message: "what is imported here must be written out" });
      },
      TSImportType(node) {
        if (node.argument.type === "TSLiteralType" && node.argument.literal.type === "Literal") {
          check(node, String(node.argument.literal.value), true);
        }
      },
      // A worker's module is an import by another name: `new Worker(new URL("./heavy.ts", import.meta.url))`.
      NewExpression(node) {
        const [first, second] = node.arguments;
        if (node.callee.type !== "Identifier" || node.callee.name !== "URL" || second?.type !== "MemberExpression") {
          return;
        }
        if (second.object.type !== "MetaProperty" || first?.type !== "Literal" || typeof first.value !== "string") {
          return;
        }
        if (first.value.endsWith(".ts") || first.value.endsWith(".tsx")) check(node, first.value, false);
      },
    };
  },
};

const noAmbientWorld: Deno.lint.Rule = {
  create(ctx) {
    const { room } = place(ctx);
    if (!PURE.includes(room)) return {};
    const hint = "take it from a port (actors/kernel/world.ts) or from the Context of a command";
    // A name the file declares is its own; by where it starts, because a shorthand member is visited as key and as value.
    const own = new Set<string>();
    const used = new Map<number, Deno.lint.Identifier>();
    const params = (node: { readonly params: readonly unknown[] }) =>
      node.params.forEach((param) => bindings(param, own));
    return {
      VariableDeclarator: (node) => bindings(node.id, own),
      ArrowFunctionExpression: params,
      FunctionDeclaration: params,
      FunctionExpression: params,
      CatchClause: (node) => bindings(node.param, own),
      ImportDeclaration: (node) => node.specifiers.forEach((specifier) => own.add(specifier.local.name)),
      Identifier(node) {
        if (AMBIENT_GLOBALS.has(node.name) && isReference(node)) used.set(node.range[0], node);
      },
      "Program:exit"() {
        for (const node of used.values()) {
          if (own.has(node.name)) continue;
          ctx.report({ node, message: `"${node.name}" is the world; only adapters/ and main.ts touch it`, hint });
        }
      },
      MemberExpression(node) {
        const member = nameOf(node.property);
        if (member === undefined) return;
        if (node.object.type === "Identifier" && AMBIENT_MEMBERS.has(`${node.object.name}.${member}`)) {
          ctx.report({
            node,
            message: `"${node.object.name}.${member}" is the world; only adapters/ and main.ts touch it`,
            hint,
          });
        } else if (!node.computed && LOCAL_METHODS.has(member)) {
          ctx.report({ node, message: `"${member}" depends on the machine's language or time zone`, hint });
        }
      },
      NewExpression(node) {
        if (node.callee.type !== "Identifier" || node.callee.name !== "Date" || node.arguments.length > 0) return;
        ctx.report({ node, message: '"new Date()" reads the clock; only adapters/ and main.ts do', hint });
      },
      CallExpression(node) {
        if (node.callee.type !== "Identifier" || node.callee.name !== "Date") return;
        ctx.report({ node, message: '"Date()" reads the clock; only adapters/ and main.ts do', hint });
      },
    };
  },
};

/** Each is a process of its own, where it begins. */
const ENTRIES: readonly (string | undefined)[] = ["main.ts", "adapters/process/agent/agent.ts"];

const environmentInMain: Deno.lint.Rule = {
  create(ctx) {
    const { room, path } = place(ctx);
    if (ENTRIES.includes(path) || room === "free") return {};
    const hint = "let main.ts read it and hand it on";
    return {
      MemberExpression(node) {
        const member = nameOf(node.property);
        if (node.object.type !== "Identifier" || (member !== "env" && member !== "args" && member !== "argv")) return;
        if (node.object.name !== "Deno" && node.object.name !== "process") return;
        ctx.report({ node, message: `"${node.object.name}.${member}": only main.ts reads the environment`, hint });
      },
      ImportDeclaration(node) {
        if (node.source.value !== "node:process" && node.source.value !== "process") return;
        ctx.report({ node, message: `"${node.source.value}": only main.ts reads the environment`, hint });
      },
    };
  },
};

/** A wait in a loop that nothing but its condition ends: `while (!done) await pause()`, `for (;;) { … await pause() }`. */
const boundedWait: Deno.lint.Rule = {
  create(ctx) {
    const { path } = place(ctx);
    if (!path.startsWith("tests/") || path === "tests/until.ts") return {};
    const check = (loop: Deno.lint.Node, test: Deno.lint.Node | null) => {
      if (!/\bnew Promise[^;]*(?:\bsetTimeout|\.schedule)\(/.test(ctx.sourceCode.getText(loop))) return;
      if (test && /\bDate\.now\(|\bperformance\.now\(/.test(ctx.sourceCode.getText(test))) return;
      ctx.report({
        node: loop,
        message: "this waits without an end, and then says nothing",
        hint: "until() of tests/until.ts gives up, and tells what was waited for and what was seen last",
      });
    };
    return {
      WhileStatement: (node) => check(node, node.test),
      ForStatement(node) {
        if (!node.update) check(node, node.test);
      },
    };
  },
};

const noAsync: Deno.lint.Rule = {
  create(ctx) {
    const { room } = place(ctx);
    if (!STILL.includes(room)) return {};
    const report = (node: Deno.lint.Node, what: string) =>
      ctx.report({
        node,
        message: `${what} in ${room}/: deciders and folds are functions, so that a replay is one`,
        hint: "what must wait is an effect: let a process manager ask for it and an adapter do it",
      });
    const unlessSync = (
      node: Deno.lint.ArrowFunctionExpression | Deno.lint.FunctionDeclaration | Deno.lint.FunctionExpression,
    ) => {
      if (node.async) report(node, '"async"');
    };
    return {
      AwaitExpression: (node) => report(node, '"await"'),
      ArrowFunctionExpression: unlessSync,
      FunctionDeclaration: unlessSync,
      FunctionExpression: unlessSync,
      ForOfStatement(node) {
        if (node.await) report(node, '"for await"');
      },
      VariableDeclaration(node) {
        if (node.kind === "await using") report(node, '"await using"');
      },
      Identifier(node) {
        if (node.name === "Promise" && isReference(node)) report(node, '"Promise"');
      },
    };
  },
};

/** Where secrets are held against what somebody says. */
const SECRET_ROOMS =
  /^(?:actors\/identity|adapters\/(?:http|keys|github|sinks|openid|saml|webauthn|jose|hash_wasm|x509|program\/identity))\//;
const SECRET_NAME =
  /(?:^|_|[a-z])(?:state(?:Of)?|nonce|secret|csrf|mac|signature|password|verifier|challenge|bearer|hash(?:Of)?)$/i;

/** The last name of what is compared: `state` of `drawn.state` and of `provider.state(answer)`. */
const comparedName = (node: Deno.lint.Node): string => {
  if (node.type === "CallExpression") return comparedName(node.callee);
  if (node.type === "MemberExpression") return nameOf(node.property) ?? "";
  if (node.type === "TSNonNullExpression" || node.type === "ChainExpression") return comparedName(node.expression);
  return node.type === "Identifier" ? node.name : "";
};

/** `===` ends at the first difference, and its time tells where that is. */
const secretComparison: Deno.lint.Rule = {
  create(ctx) {
    const { path } = place(ctx);
    if (!SECRET_ROOMS.test(path)) return {};
    const isKnown = (node: Deno.lint.Node) =>
      node.type === "Literal" || node.type === "UnaryExpression" || comparedName(node) === "undefined" ||
      /^[A-Z][A-Z_]*$/.test(comparedName(node));
    return {
      BinaryExpression(node) {
        if (!/^[!=]==?$/.test(node.operator)) return;
        const sides = [node.left, node.right] as readonly Deno.lint.Node[];
        if (sides.some(isKnown) || !sides.some((side) => SECRET_NAME.test(comparedName(side)))) return;
        ctx.report({
          node,
          message: "a secret is compared in a time that tells where it differs",
          hint: "timingSafeEqual of node:crypto, or sameText of adapters/program/identity/same_text.ts",
        });
      },
    };
  },
};

const dottedNames: Deno.lint.Rule = {
  create(ctx) {
    const { room } = place(ctx);
    if (room === "free") return {};
    return {
      TemplateLiteral(node) {
        if (node.expressions.length === 0) return;
        const text = node.quasis.map((quasi) => quasi.raw).join("\0");
        // `${domain}.branch.moved`, `commits.${noun}.moved` and `commits.branch.${verb}`, and nothing around them.
        if (
          !/^(\0\.[a-z_]+\.[a-z_]+|[a-z_]+\.\0\.[a-z_]+|[a-z_]+\.[a-z_]+\.\0|\0\.\0\.[a-z_]+|\0\.[a-z_]+\.\0|\0\.\0\.\0)$/
            .test(text)
        ) return;
        ctx.report({ node, message: "write dotted names out in full, so that one search finds every use" });
      },
    };
  },
};

export default {
  name: "daybook",
  rules: {
    "import-direction": importDirection,
    "no-ambient-world": noAmbientWorld,
    "environment-in-main": environmentInMain,
    "no-async": noAsync,
    "dotted-names": dottedNames,
    "bounded-wait": boundedWait,
    "secret-comparison": secretComparison,
  },
} satisfies Deno.lint.Plugin;
