/** The configuration: defaults, order, and every mistake said with its place. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { createHash } from "node:crypto";
import { parse } from "yaml";
import {
  type Config,
  CONFIG_CHARS_MAX,
  parseConfig,
  type Problem,
  problemsText,
  problemText,
  PROFILES,
  schema,
} from "../../config/config.ts";
import { PROBLEMS_TOLD_MAX } from "../../config/first_of.ts";
import { plainConfig } from "../../config/plain.ts";
import { DEFAULTS, SHIPPED } from "../../config/shipped.ts";
import { nearest, type Shape, shapeOfConfig } from "../../config/problems.ts";
import { defaultsText } from "./defaults_text.ts";

const good = (
  text: string,
  env: Record<string, string> = {},
  flags: Parameters<typeof parseConfig>[3] = [],
): Config => {
  const parsed = parseConfig(text, "daybook.yaml", env, flags);
  assert.ok(parsed.ok, parsed.ok ? "" : parsed.problems.map(problemText).join("\n"));
  return parsed.config;
};
const bad = (
  text: string,
  env: Record<string, string> = {},
  flags: Parameters<typeof parseConfig>[3] = [],
): readonly Problem[] => {
  const parsed = parseConfig(text, "daybook.yaml", env, flags);
  assert.ok(!parsed.ok, "expected problems");
  return parsed.problems;
};

Deno.test("config/daybook.yaml states every key, its meaning and exactly its default", async () => {
  const shipped = await Deno.readTextFile(new URL("../../config/daybook.yaml", import.meta.url));
  assert.deepEqual(parse(shipped), schema.parse({}));
  assert.equal(shipped, defaultsText(), "write it anew: deno run tests/config/defaults_text.ts > config/daybook.yaml");
  assert.deepEqual(good(shipped), good(""));
  assert.equal(createHash("sha256").update(shipped).digest("hex"), SHIPPED, "state its digest in config/shipped.ts");
  assert.deepEqual(
    DEFAULTS,
    good(""),
    "write it anew: deno run tests/config/defaults_text.ts --json > config/defaults.json",
  );
});

Deno.test("what is said in plain words needs no reader of YAML, and means what it would say", () => {
  // given every key, and words that YAML reads as texts, numbers, truth and nothing
  const keys = (shape: Shape, path: readonly string[]): (readonly string[])[] =>
    Object.entries(shape.properties ?? {}).flatMap(([key, inner]) => [[...path, key], ...keys(inner, [...path, key])]);
  const path = fc.constantFrom(...keys(shapeOfConfig(), []), ["no", "such"], ["server", "port", "deeper"]);
  const word = fc.oneof(
    fc.constantFrom(...[
      "null",
      "NULL",
      "true",
      "no",
      "0x10",
      "0o7",
      "1e3",
      "007",
      ".inf",
      "~",
      "",
      "a:",
      "a: b",
      "- a",
    ]),
    fc.constantFrom("8080", "127.0.0.1", "::1", "minimal", "profile", "stop", "2026-01-01", "1.5", "[]", "{}", "a.b"),
    fc.string({ maxLength: 8 }),
    fc.nat().map(String),
  );
  let plain = 0;
  fc.assert(
    fc.property(fc.array(fc.tuple(path, word), { maxLength: 3 }), fc.boolean(), (said, asFlags) => {
      // when they are said by variables or by flags
      const env = asFlags ? {} : Object.fromEntries(said.map(([path, text]) => [`DAYBOOK__${path.join("__")}`, text]));
      const flags = asFlags ? said.map(([path, text]) => ({ name: `--${path.join("-")}`, path, text })) : [];
      const config = plainConfig(env, flags);
      // then either the reader is asked, or it would have said the same
      if (config === undefined) return;
      plain++;
      assert.deepEqual(config, good("", env, flags));
    }),
    { numRuns: 2_000 },
  );
  assert.ok(plain > 100, `${plain} were plain`);
  assert.equal(plainConfig({}, [{ name: "--port", path: ["server", "port"], text: "0" }])?.server.port, 0);
  assert.equal(plainConfig({ DAYBOOK__SERVER__HOST: "0.0.0.0" })?.server.host, "0.0.0.0");
});

Deno.test("every key of the configuration has a default and a line that says what it means", () => {
  const check = (shape: Shape, path: string, standard: unknown): void => {
    for (const [key, inner] of Object.entries(shape.properties ?? {})) {
      const here = `${path}${key}`;
      assert.ok((inner.description ?? "").length > 3, `${here} says what it means`);
      const value = (standard as Record<string, unknown>)[key];
      assert.notEqual(value, undefined, `${here} has a default`);
      if (inner.properties) check(inner, `${here}.`, value);
    }
  };
  check(shapeOfConfig(), "", schema.parse({}));
});

Deno.test("an empty file, a comment and an empty section mean the defaults", () => {
  for (const text of ["", "# nothing\n", "server: {}\n", "---\n", "null\n"]) {
    assert.deepEqual(good(text), good(""), text);
  }
});

Deno.test("a value of the wrong kind is named with file, line, column, path and what was expected", () => {
  assert.deepEqual(bad("profile: full\nserver:\n  host: localhost\n  port: eighty\n"), [
    {
      file: "daybook.yaml",
      line: 4,
      column: 9,
      path: "server.port",
      expected: "a whole number from 0 to 65535",
      found: '"eighty"',
    },
  ]);
  assert.equal(
    problemText(bad("server:\n  port: 70000\n")[0]!),
    "daybook.yaml:2:9 server.port: expected a whole number from 0 to 65535, found 70000",
  );
});

Deno.test("of more mistakes than anybody reads at once the first are told in a line, and how many more there are", () => {
  const keys = Array.from({ length: PROBLEMS_TOLD_MAX + 240 }, (_, i) => `  key_${i}: 1\n`);
  const problems = bad(`server:\n${keys.join("")}`);
  assert.equal(problems.length, keys.length);
  const first = problems.slice(0, PROBLEMS_TOLD_MAX);
  assert.equal(problemsText(problems), `${first.map(problemText).join("; ")}; and 240 more`);
  assert.equal(problemsText(first), first.map(problemText).join("; "));
});

Deno.test("all mistakes of a file are named at once", () => {
  const text = [
    "profile: quick",
    "server:",
    "  port: 1.5",
    "  behind_proxy: perhaps",
    "  public_checkpoint: perhaps",
    "log:",
    "  origin: a b",
    "ingest:",
    "  sealed_sources: [1]",
  ].join("\n");
  assert.deepEqual(bad(text).map(({ line, path, expected }) => [line, path, expected]).sort(), [
    [1, "profile", "one of minimal, development, full, testing"],
    [3, "server.port", "a whole number from 0 to 65535"],
    [4, "server.behind_proxy", "an IP address or null"],
    [5, "server.public_checkpoint", "true or false"],
    [7, "log.origin", "a name without spaces and plus signs or null"],
    [9, "ingest.sealed_sources.0", "a text of 1 to 1024 characters"],
  ]);
});

for (
  const [path, wrong, right, expected] of [
    [
      "server.host",
      ["a b", "127.0.0.1:80", "a/b", "[::1]", ""],
      ["::1", "a.example", "127"],
      "a host name or an address, without a port",
    ],
    ["server.behind_proxy", ["1.2.3.4.5", "beef", "::::"], ["10.0.0.1", "::1"], "an IP address or null"],
  ] as const
) {
  Deno.test(`${path} is ${expected}`, () => {
    const text = (value: string) => `server:\n  ${path.split(".")[1]}: ${JSON.stringify(value)}\n`;
    for (const value of wrong) assert.deepEqual(bad(text(value)).map((problem) => problem.expected), [expected], value);
    for (const value of right) good(text(value));
  });
}

Deno.test("networks that are none are told of as such", () => {
  for (const section of ["server:\n  allow: [10.0.0.0/33]\n", "threats:\n  never: [nope]\n"]) {
    assert.deepEqual(bad(section).map(({ expected }) => expected), [
      "an address or network, as 192.0.2.0/24 or 2001:db8::/32",
    ]);
  }
});

Deno.test("an unknown key is refused with the name it was probably meant to be", () => {
  assert.deepEqual(bad("server:\n  prot: 80\n"), [
    {
      file: "daybook.yaml",
      line: 2,
      column: 3,
      path: "server.prot",
      expected: "a known key",
      found: '"prot"',
      meant: "port",
    },
  ]);
  assert.equal(
    problemText(bad("server:\n  prot: 80\n")[0]!),
    'daybook.yaml:2:3 server.prot: expected a known key, found "prot"; did you mean "port"?',
  );
  assert.equal(bad("sever: {}\n")[0]!.meant, "server");
  assert.match(bad("kernel:\n  restarts:\n    elephants: 3\n")[0]!.expected, /^one of max, within_ms$/);
});

Deno.test("keys that JavaScript gives a meaning are unknown keys like any other", () => {
  for (const key of ["__proto__", "constructor", "toString"]) {
    assert.deepEqual(bad(`server:\n  ${key}: 1\n`).map(({ path }) => path), [`server.${key}`], key);
  }
  assert.deepEqual(bad("", { DAYBOOK__constructor__x: "1" }).map(({ file }) => file), ["DAYBOOK__constructor__x"]);
});

Deno.test("a section that is not a map is said to be one", () => {
  assert.deepEqual(bad("server: 80\n").map(({ path, expected, found }) => [path, expected, found]), [[
    "server",
    "a map",
    "80",
  ]]);
  assert.deepEqual(bad("- a\n- b\n").map(({ path, expected }) => [path, expected]), [["", "a map of sections"]]);
});

Deno.test("what is not YAML is refused with its place", () => {
  for (
    const [text, line] of [
      ["server:\n  port: [1\n", 3],
      ["server:\n\tport: 1\n", 2],
      ["server: {}\nserver: {}\n", 2],
      ["a: &x 1\nb: *y\n", 2],
      ["server: !!js/function 'x'\n", 1],
      ["profile: full\n---\nprofile: full\n", 2],
    ] as const
  ) {
    const [problem] = bad(text);
    assert.equal(problem!.expected, "YAML 1.2", text);
    assert.equal(problem!.line, line, text);
  }
});

Deno.test("what is not YAML in one way is told once", () => {
  const unended = bad("server: { tls: { issued: []\n");
  assert.deepEqual(unended.map(({ line, expected }) => [line, expected]), [[2, "YAML 1.2"]]);
  assert.equal(bad("server: {}\nserver: {}\nserver: {}\n").length, 2, "at two places");
});

Deno.test("aliases cannot blow a small file up", () => {
  const levels = ["a: &a [x, x, x, x, x, x, x, x, x]"];
  for (const [from, to] of ["ab", "bc", "cd", "de", "ef", "fg"].map((pair) => [pair[0], pair[1]])) {
    levels.push(`${to}: &${to} [${Array(9).fill(`*${from}`).join(", ")}]`);
  }
  assert.deepEqual(bad(levels.join("\n")).map(({ expected }) => expected), ["at most 100 values through aliases"]);
});

Deno.test("a file over the bound is refused unread", () => {
  assert.match(bad("#".repeat(CONFIG_CHARS_MAX + 1))[0]!.expected, /at most 1048576 characters/);
  good("#".repeat(CONFIG_CHARS_MAX));
});

Deno.test("an environment variable overrides the file, a flag overrides both", () => {
  const text = "server:\n  port: 1\n  host: a.example\n";
  assert.equal(good(text, { DAYBOOK__server__port: "2" }).server.port, 2);
  assert.equal(good(text, { DAYBOOK__SERVER__PORT: "2" }).server.host, "a.example");
  assert.equal(
    good(text, { DAYBOOK__SERVER__PORT: "2" }, [{ name: "--port", path: ["server", "port"], text: "3" }]).server.port,
    3,
  );
  assert.equal(good("", { DAYBOOK_DATA: "x", PATH: "y", DAYBOOK: "z" }).server.port, 7373);
});

Deno.test("an override is written as in the file, and a text stays one", () => {
  assert.equal(good("", { DAYBOOK__SERVER__HOST: "127" }).server.host, "127");
  assert.equal(good("", { DAYBOOK__LOG__ORIGIN: "null" }).log.origin, null);
  assert.equal(good("", { DAYBOOK__SERVER__PUBLIC_CHECKPOINT: "true" }).server.public_checkpoint, true);
  assert.deepEqual(good("", { DAYBOOK__INGEST__SEALED_SOURCES: "[a, b]" }).ingest.sealed_sources, ["a", "b"]);
  assert.deepEqual(good("", { DAYBOOK__GITHUB__WEBHOOK_SECRET: "{ env: HOOK }" }).github.webhook_secret, {
    env: "HOOK",
  });
  assert.deepEqual(good("", { DAYBOOK__PROJECTIONS__POLICIES: "{ commits.hotspots: skip }" }).projections.policies, {
    "commits.hotspots": "skip",
  });
});

Deno.test("a mistake in an override names the variable or the flag, not the file", () => {
  assert.deepEqual(bad("server:\n  port: 1\n", { DAYBOOK__SERVER__PORT: "x" }), [
    {
      file: "DAYBOOK__SERVER__PORT",
      path: "server.port",
      expected: "a whole number from 0 to 65535",
      found: '"x"',
    },
  ]);
  assert.deepEqual(bad("", {}, [{ name: "--port", path: ["server", "port"], text: "-1" }]).map(({ file }) => file), [
    "--port",
  ]);
  // What goes into no map is not passed over.
  assert.equal(plainConfig({ DAYBOOK__SERVER__HOST: "a", DAYBOOK__SERVER__HOST__NAME: "b" }), undefined);
  const listed = "sinks: []\nserver:\n  host: a.example\n";
  assert.deepEqual(bad(listed, { DAYBOOK__SERVER__HOST__NAME: "x", DAYBOOK__SINKS__0__PASSWORD: "secret" }), [
    {
      file: "DAYBOOK__SERVER__HOST__NAME",
      path: "server.host",
      expected: 'a map, which could have "name"',
      found: "a single value",
    },
    { file: "DAYBOOK__SINKS__0__PASSWORD", path: "sinks", expected: 'a map, which could have "0"', found: "a list" },
  ]);
  const [unknown] = bad("", { DAYBOOK__SERVER__PROT: "1" });
  assert.deepEqual([unknown!.file, unknown!.meant], ["DAYBOOK__SERVER__PROT", "port"]);
  assert.equal(
    problemText(bad("", {}, [{ name: "--port", path: ["server", "port"], text: "99999" }])[0]!),
    "--port (server.port): expected a whole number from 0 to 65535, found 99999",
  );
});

Deno.test("a secret is only pointed at, and one in plain text is refused without being repeated", () => {
  assert.deepEqual(good("github: { webhook_secret: { file: hook.txt } }").github.webhook_secret, { file: "hook.txt" });
  for (
    const plain of [
      "hunter2",
      "{ env: A, value: hunter2 }",
      "{ value: hunter2 }",
      "[hunter2]",
      "{ env: { x: hunter2 } }",
    ]
  ) {
    for (
      const problems of [
        bad(`github:\n  webhook_secret: ${plain}\n`),
        bad("", { DAYBOOK__GITHUB__WEBHOOK_SECRET: plain }),
      ]
    ) {
      assert.ok(problems.length > 0);
      assert.ok(!JSON.stringify(problems).includes("hunter2"), plain);
      assert.match(problems[0]!.expected, /\{ env: NAME \} or \{ file: PATH \}/, plain);
    }
  }
  // Without the blank behind its name it is a key.
  for (const key of ["webhook_secret:hunter2", "webhook_secret=hunter2", "webhook_secret hunter2"]) {
    const [problem, ...more] = bad(`github: { ${key} }\n`);
    assert.deepEqual([problem!.path, problem!.found, more], ["github.webhook_secret…", '"webhook_secret…"', []]);
  }
});

Deno.test("TLS wants both its files", () => {
  assert.deepEqual(bad("server:\n  tls:\n    certificate: c.pem\n").map(({ path, expected }) => [path, expected]), [
    ["server.tls", "both of certificate and key, or neither"],
  ]);
  assert.deepEqual(good("server: { tls: { certificate: c.pem, key: { file: k.pem } } }").server.tls.key, {
    file: "k.pem",
  });
});

Deno.test("the profile fills in what start leaves to it, and no more", () => {
  for (const profile of ["minimal", "development", "full", "testing"] as const) {
    assert.deepEqual(good(`profile: ${profile}`).start, PROFILES[profile]);
  }
  assert.equal(good("profile: minimal\nstart: { pages: true }").start.pages, true);
  assert.equal(good("profile: full\nstart: { pages: false }").start.pages, false);
});

Deno.test("a projection's own policy goes by its dotted name", () => {
  assert.deepEqual(good("projections: { policies: { commits.hotspots: skip } }").projections.policies, {
    "commits.hotspots": "skip",
  });
  assert.match(bad("projections:\n  policies:\n    Hotspots: skip\n")[0]!.expected, /name of a projection/);
  assert.deepEqual(bad("projections:\n  policies:\n    a.b: halt\n").map(({ line, expected }) => [line, expected]), [[
    3,
    "one of stop, skip",
  ]]);
});

Deno.test("nearest knows a slip of the finger from another word", () => {
  const known = ["port", "host", "behind_proxy", "body_bytes_max"];
  assert.equal(nearest("prot", known), "port");
  assert.equal(nearest("behind-proxy", known), "behind_proxy");
  assert.equal(nearest("HOST", known), "host");
  assert.equal(nearest("elephant", known), undefined);
  assert.equal(nearest("x".repeat(100_000), known), undefined);
});

Deno.test("parseConfig answers any text at all, and says where every problem is", () => {
  const words = fc.constantFrom(
    "server",
    "port",
    "log",
    ":",
    ": ",
    "\n",
    "  ",
    "- ",
    "{",
    "}",
    "[",
    "&a ",
    "*a",
    "1",
    "'",
    '"',
    "#",
    "!!x ",
    "|",
    "\t",
    "é",
    "\u0000",
  );
  fc.assert(
    fc.property(
      fc.oneof(fc.string({ unit: "binary" }), fc.array(words, { maxLength: 40 }).map((all) => all.join(""))),
      (text) => {
        const parsed = parseConfig(text, "f.yaml", {});
        if (parsed.ok) return;
        assert.ok(parsed.problems.length > 0);
        for (const { line, column, expected, found } of parsed.problems) {
          assert.ok(line! >= 1 && column! >= 1 && expected !== "" && found !== "", JSON.stringify(parsed.problems));
        }
      },
    ),
    { numRuns: 500 },
  );
});

Deno.test("every key of the configuration is read by the program", async () => {
  const root = new URL("../../", import.meta.url);
  const read = (path: string) => Deno.readTextFile(new URL(path, root));
  const wiring = [
    "main.ts",
    ...["daybook", "projections_thread", "runtime", "serve"].map((name) => `adapters/program/${name}.ts`),
  ];
  const program = (await Promise.all(wiring.map(read))).join("\n");
  // Sections that are handed on whole, and the file in which their keys are read.
  const handedOn: Readonly<Record<string, string | readonly string[]>> = {
    log: "adapters/kv/log.ts",
    "server.rate": "adapters/program/limits/limits.ts",
    "server.rate.user": "adapters/program/limits/limits.ts",
    server: "adapters/program/limits/limits.ts",
    alerting: "adapters/program/alerts/plant.ts",
    "server.tls": "adapters/program/certificates/listener.ts",
    certificates: ["adapters/program/certificates/issuer.ts", "adapters/program/certificates/kept.ts"],
    identity: [
      "adapters/program/identity/wire.ts",
      "adapters/program/identity/administration.ts",
      "adapters/program/identity/sign_on.ts",
    ],
    "identity.sessions": "adapters/program/identity/entering.ts",
    "identity.api_keys": "adapters/program/identity/api_keys.ts",
    "identity.passkeys": "adapters/program/identity/passkeys.ts",
    "identity.passwords": ["adapters/program/identity/wire.ts", "adapters/program/identity/own_passwords.ts"],
    "identity.lockout": "actors/identity/commands.ts",
    "identity.rate": "adapters/program/identity/tries.ts",
    threats: ["adapters/program/threats/plant.ts", "actors/threats/rules.ts"],
    retention: "adapters/program/retention.ts",
  };
  const unread: string[] = [];
  const look = async (shape: Shape, path: string): Promise<void> => {
    for (const [key, inner] of Object.entries(shape.properties ?? {})) {
      const here = path === "" ? key : `${path}.${key}`;
      if (inner.properties) await look(inner, here);
      else {
        const text = [program, ...await Promise.all([handedOn[path] ?? []].flat().map(read))].join("\n");
        if (!new RegExp(`\\b${key}\\b`).test(text)) unread.push(here);
      }
    }
  };
  await look(shapeOfConfig(), "");
  assert.deepEqual(unread.filter((path) => path !== "profile"), []);
});
