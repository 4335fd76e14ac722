/** Whatever a file of another program says, what is made of it can be run, and what is lost of it is said. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { parse, stringify } from "yaml";
import { faultsOfStack } from "../adapters/program/stack/launch.ts";
import { importStack } from "../config/stack_import.ts";
import { parseStack, problemText } from "../config/stack.ts";

const check = faultsOfStack("ours.yaml");

const imported = (text: string) => {
  const found = importStack(text, "theirs.yaml", check);
  if (!found.ok) return found;
  const parsed = parseStack(found.yaml, "ours.yaml", check);
  assert.ok(parsed.ok, parsed.ok ? "" : `${parsed.problems.map(problemText)}\n${text}\n${found.yaml}`);
  const lines = text.split("\n").length;
  for (const { line, because } of found.unmapped) assert.ok(line >= 1 && line <= lines && because !== "");
  return found;
};

const told = (text: string): readonly string[] => {
  const found = imported(text);
  assert.ok(found.ok);
  return found.unmapped.map(({ line, path, because }) => `${line} ${path}: ${because}`);
};

const service = (fields: string) => `services:\n  a:\n    command: ./a\n    ${fields}\n`;
const process = (fields: string) => `processes:\n  a:\n    command: ./a\n    ${fields}\n`;

Deno.test("what cannot be taken over is said with its line and path, and nothing that is no number is made of it", () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    [service("restart: on-failure:abc"), /^4 services\.a\.restart: abc is no number of restarts$/],
    [service("restart: on-failure:-1"), /^4 services\.a\.restart: -1 is no number of restarts$/],
    [service("restart: always:3"), /^4 services\.a\.restart: 3 is no number of restarts$/],
    [service("restart: sometimes"), /^4 services\.a\.restart: sometimes is not known here/],
    [service("ports: '80'"), /^4 services\.a\.ports: 80 is no list$/],
    [
      service("ports: ['99999']"),
      /^4 services\.a\.ports\.main: expected a port from 1 to 65535, or random, found 99999$/,
    ],
    [service("deploy: 3"), /^4 services\.a\.deploy: 3 is no map$/],
    [service("deploy: { replicas: many }"), /^4 services\.a\.deploy\.replicas: expected .*found "many"$/],
    [service("healthcheck: { interval: 5s }"), /^4 services\.a\.healthcheck: its test is that of an image$/],
    [service("healthcheck: { test: [] }"), /^4 services\.a\.healthcheck: \[\] is no test$/],
    [
      service("healthcheck: { test: ./a, retries: .nan }"),
      /^4 services\.a\.healthcheck\.retries: expected a whole number from 1 to 1000, found null$/,
    ],
    [service("healthcheck: { test: ./a, start_interval: 1s }"), /^4 services\.a\.healthcheck\.start_interval: /],
    [service("depends_on: b"), /^4 services\.a\.depends_on: b is no map$/],
    [
      service("depends_on: [b]"),
      /^4 services\.a\.depends_on\.b: expected another service, of which there is none, found "b"$/,
    ],
    [
      service("depends_on: { a: { condition: toString } }"),
      /^4 services\.a\.depends_on\.a: toString is not known here/,
    ],
    [service("environment: x"), /^4 services\.a\.environment: x is neither a list nor a map$/],
    [service("environment: { a-b: c }"), /^4 services\.a\.environment\.a-b: expected a variable's name/],
    [service("environment: { A: '${B}' }"), /^4 services\.a\.environment\.A: variables are not filled in here/],
    [service("stop_signal: SIGWINCH"), /^4 services\.a\.stop_signal: SIGWINCH is not sent here/],
    [service("stop_grace_period: 1000000h"), /^4 services\.a\.stop_grace_period: expected /],
    [service("mem_limit: lots"), /^4 services\.a\.mem_limit: lots is no size/],
    [service("cpus: -1"), /^4 services\.a\.cpus: expected a number/],
    ['services:\n  a: { command: "a \'b" }\n', /^2 services\.a\.command: a 'b is no command$/],
    [process("availability: { restart: 3 }"), /^4 processes\.a\.availability\.restart: 3 is not known here/],
    [process("availability: { max_restarts: -2 }"), /^4 processes\.a\.availability\.max_restarts: expected /],
    [process("availability: [1]"), /^4 processes\.a\.availability: \[1\] is no map$/],
    [process("liveness_probe: { http_get: { path: /x } }"), /^4 processes\.a\.liveness_probe: expected /],
    [process("readiness_probe: { period_seconds: 1 }"), /^4 processes\.a\.readiness_probe: asks nothing/],
    [
      process("readiness_probe: { exec: { command: x }, period_seconds: .inf }"),
      /readiness_probe\.period_seconds: expected /,
    ],
    [process("disabled: maybe"), /^4 processes\.a\.disabled: maybe is neither true nor false$/],
    [process("shutdown: { command: [x] }"), /^4 processes\.a\.shutdown\.command: \["x"\] is no command$/],
    [process("replicas: 1000"), /^4 processes\.a\.replicas: expected /],
    ["name: [x]\nprocesses: { a: { command: x } }\n", /^1 name: \["x"\] is no name$/],
  ];
  for (const [text, because] of cases) {
    const all = told(text);
    assert.ok(all.some((one) => because.test(one)), `${text}\n${because}\n${all.join("\n")}`);
  }
  // Who needs itself, round and round.
  const around = "services:\n  a: { command: x, depends_on: [b] }\n  b: { command: x, depends_on: [a] }\n";
  assert.ok(told(around).some((one) => /depends_on: expected services that do not need each other/.test(one)));
  const long = `services:\n${Array.from({ length: 301 }, (_, n) => `  s${n}: { command: x }\n`).join("")}`;
  const found = imported(long);
  assert.ok(!found.ok);
  assert.match(
    problemText(found.problems[0]!),
    /^theirs\.yaml:1:1 services: expected at most 300 instances in all, found 301$/,
  );
});

Deno.test("words, dollars, limits and those that are not to run are what they were", () => {
  const found = imported(`
services:
  a:
    entrypoint: /bin/web --name "a b"
    command: 'x\\ y $$HOME'
    deploy: { replicas: 0, resources: { limits: { cpus: '0.5', memory: 512M }, reservations: { memory: 1gb } } }
  b: { command: ["b"], cpus: 2, mem_limit: 64m }
`);
  assert.ok(found.ok);
  const { a, b } = parse(found.yaml).services;
  assert.deepEqual([a.command, a.arguments], ["/bin/web", ["--name", "a b", "x y", "$$HOME"]]);
  assert.equal(a.enabled, false);
  assert.deepEqual(a.resources, {
    limits: { cpus: 0.5, resident_bytes: 536_870_912 },
    needs: { memory_bytes: 1_073_741_824 },
  });
  assert.deepEqual(b.resources, { limits: { cpus: 2, resident_bytes: 67_108_864 } });
  assert.deepEqual(found.unmapped, []);
  // A part of a line there, a regular expression here.
  const line = imported('processes: { a: { command: x, ready_log_line: "ready [1.0] (a|b)" } }');
  assert.ok(line.ok);
  const { ready_line } = parse(line.yaml).services.a;
  assert.ok(new RegExp(ready_line, "u").test("so: ready [1.0] (a|b)!") && !new RegExp(ready_line, "u").test("ready 1"));
});

Deno.test("what several services have in common is in each of them", () => {
  const found = imported(`
x-common: &common { restart: always, environment: { A: a, B: b }, stop_signal: INT }
x-more: &more { restart: "no", working_dir: /more }
services:
  a: { <<: *common, command: a, environment: { A: own } }
  b: { <<: [*more, *common], command: b }
  c: { <<: none, command: c }
`);
  assert.ok(found.ok);
  const { a, b, c } = parse(found.yaml).services;
  assert.deepEqual([a.restart.policy, a.environment, a.stop.signal], ["always", { A: "own" }, "SIGINT"]);
  assert.deepEqual([b.restart.policy, b.environment, b.working_folder], ["no", { A: "a", B: "b" }, "/more"]);
  assert.equal(c.restart.policy, "no");
  assert.deepEqual(found.unmapped.map(({ line, path }) => `${line} ${path}`), ["7 services.c.<<"]);
});

const KEYS = {
  services: [
    "command",
    "entrypoint",
    "image",
    "environment",
    "ports",
    "depends_on",
    "healthcheck",
    "restart",
    "deploy",
    "scale",
  ]
    .concat(["stop_signal", "stop_grace_period", "working_dir", "cpus", "mem_limit", "toString", "__proto__"]),
  processes: [
    "command",
    "working_dir",
    "environment",
    "depends_on",
    "readiness_probe",
    "liveness_probe",
    "availability",
  ]
    .concat(["shutdown", "ready_log_line", "disabled", "replicas", "log_location", "constructor"]),
};
const INNER = [
  "test",
  "interval",
  "retries",
  "start_period",
  "condition",
  "required",
  "resources",
  "limits",
  "cpus",
  "memory",
]
  .concat(["replicas", "exec", "command", "http_get", "port", "path", "scheme", "period_seconds", "failure_threshold"])
  .concat([
    "restart",
    "max_restarts",
    "backoff_seconds",
    "signal",
    "timeout_seconds",
    "a",
    "b",
    "a.b",
    "c d",
    "target",
  ]);

const leaf = fc.oneof(
  fc.string({ maxLength: 12 }),
  fc.constantFrom(
    "on-failure:abc",
    "${A}",
    "$",
    "80:90",
    "1m30s",
    "a",
    "b",
    "no",
    "always",
    "service_healthy",
    "512m",
    "0",
  ),
  fc.integer(),
  fc.double(),
  fc.boolean(),
  fc.constant(null),
);
const value = fc.letrec((tie) => ({
  any: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    leaf,
    fc.array(tie("any"), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom(...INNER), tie("any"), { maxKeys: 4 }),
  ),
})).any;

Deno.test("whatever stands in a file, it is taken over as something that can be run, or refused in one line", () => {
  for (const key of ["services", "processes"] as const) {
    const one = fc.dictionary(fc.constantFrom(...KEYS[key]), value, { maxKeys: 8 });
    const named = fc.dictionary(fc.constantFrom("a", "b", "A", "c d", "a.b", "x".repeat(80), "-"), one, { maxKeys: 4 });
    fc.assert(
      fc.property(named, (services) => {
        const text = stringify({ [key]: services });
        const found = imported(text);
        if (!found.ok) { for (const problem of found.problems) assert.doesNotMatch(problemText(problem), /\n/); }
      }),
      { numRuns: 100 },
    );
  }
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 200 }), (text) => void imported(`services:\n  a: ${text}\n`)),
    { numRuns: 100 },
  );
});
