/** What a file of services may get wrong, one of each kind: where it is, what was expected, what was found. */
import assert from "node:assert/strict";
import { parseStack, problemText, STACK_LIMITS } from "../config/stack.ts";
import { stackIn } from "../adapters/program/stack/file.ts";
import { faultsOfStack } from "../adapters/program/stack/launch.ts";

const problems = (text: string): readonly string[] => {
  const parsed = parseStack(text, "s.yaml", faultsOfStack("/d/s.yaml"));
  return parsed.ok ? [] : parsed.problems.map(problemText);
};
const service = (rest: string, name = "a") => `services:\n  ${name}:\n    command: ./a\n    ${rest}\n`;
const many = (n: number, line: (i: number) => string) => Array.from({ length: n }, (_, i) => line(i)).join("\n");

const WRONG: readonly (readonly [what: string, yaml: string, says: RegExp])[] = [
  ["unknown key", service("comand: x"), /s\.yaml:4.*comand/],
  ["unknown section of a service's section", service("restart: { tries: 3 }"), /s\.yaml:4.*tries/],
  ["wrong type", service("replicas: two"), /s\.yaml:4.*replicas.*two/],
  [
    "a map of something else",
    "\nname: hello\nservices: { a: { command: x } }\n",
    /s\.yaml:2:1 name: expected stack, services or another section of the configuration, found "name"/,
  ],
  ["no command", "services:\n  a: {}\n", /services\.a.*command/],
  ["a bad name", service("replicas: 1", "A_b"), /s\.yaml:2.*A_b/],
  ["unknown dependency", service("depends_on: [b]"), /s\.yaml:4.*depends_on.*of which there is none, found "b"/],
  [
    "unknown dependency, among others",
    `${service("depends_on: [d]")}  b: { command: x }\n  c: { command: x }\n`,
    /depends_on\.d: expected one of b, c, found "d"/,
  ],
  [
    "no such condition",
    service("depends_on: { b: { condition: well } }"),
    /expected one of started, healthy, .*"well"/,
  ],
  ["a variable that has no name", service("environment: { a-b: c }"), /environment\.a-b: expected a variable's name/],
  ["a variable that is a list", service("environment: { A: [b] }"), /expected a text, .*not shown/],
  [
    "variables as compose lists them",
    service('environment: ["PASSWORD=hidden"]'),
    /environment: expected a map, found something else \(not shown\)/,
  ],
  [
    "a variable without the blank behind its name",
    service("environment: {PASSWORD:hidden}"),
    /^(?!.*hidden).*environment\.PASSWORD…: expected a variable's name.*found "PASSWORD…"/,
  ],
  ["no cores", service("resources: { limits: { cpus: 0 } }"), /expected a number from 0\.01 to 10000, found 0/],
  ["itself", service("depends_on: [a]"), /another service.*itself/],
  [
    "a cycle",
    "services:\n  a: { command: x, depends_on: [b] }\n  b: { command: x, depends_on: [a] }\n",
    /a → b → a|b → a → b/,
  ],
  [
    "a line that is never said",
    `${service("depends_on: { b: { condition: log_ready } }")}  b: { command: x }\n`,
    /ready_line/,
  ],
  [
    "a port twice",
    "services:\n  a: { command: x, ports: { p: 80 } }\n  b: { command: x, ports: { p: 80 } }\n",
    /80, as "a" has/,
  ],
  ["one port for several", service("replicas: 2\n    ports: { p: 80 }"), /random, for several replicas/],
  ["a port that is none", service("ports: { p: 70000 }"), /s\.yaml:4.*70000/],
  ["a probe of no kind", service("probes: { readiness: { interval_ms: 100 } }"), /one of exec, http and tcp/],
  ["a probe of two kinds", service("probes: { readiness: { tcp: { port: 1 }, http: { port: 1 } } }"), /one of exec/],
  ["a probe of a port it has not", service("probes: { readiness: { tcp: { port: web } } }"), /a port of the service/],
  ["a bad path to probe", service("probes: { readiness: { http: { port: 1, path: x } } }"), /begins with \//],
  ["a bad scheme to probe", service("probes: { readiness: { http: { port: 1, scheme: ftp } } }"), /s\.yaml:4.*ftp/],
  ["a bad port to probe", service("probes: { readiness: { tcp: { port: 70000 } } }"), /s\.yaml:4.*70000/],
  ["two of one name", "services:\n  a: { command: x }\n  a: { command: y }\n", /s\.yaml:3.*unique/],
  ["bad cron", service("schedule: often"), /s\.yaml:4.*cron/],
  ["cron that never comes", service('schedule: "0 0 31 2 *"'), /never comes/],
  ["stated times and always", service('schedule: "0 3 * * *"\n    restart: { policy: always }'), /no or on_failure/],
  ["no regular expression", service('ready_line: "("'), /a regular expression/],
  ["leftovers elsewhere", service("leftovers: [../x]"), /inside of the working folder/],
  ["leftovers that are everything", service("leftovers: [.]"), /inside of the working folder/],
  ["leftovers of several", service("replicas: 2\n    leftovers: [x.pid]"), /\$\{replica\}/],
  ["no such port, in an argument", service('arguments: ["${ports.web}"]'), /\$\{ports\.web\}/],
  [
    "no such service, in the environment",
    service('environment: { X: "${services.b.host}" }'),
    /\$\{services\.b\.host\}/,
  ],
  [
    "no such port, in a hook",
    service('hooks: { before_start: { command: x, arguments: ["${ports.web}"] } }'),
    /\$\{ports\.web\}/,
  ],
  ["no such port, in a leftover", service('leftovers: ["${ports.web}.pid"]'), /\$\{ports\.web\}/],
  ["a secret and a text", service("environment: { X: { env: A, file: b } }"), /s\.yaml:4/],
  [
    "too many instances",
    `services:\n${many(4, (i) => `  a${i}: { command: x, replicas: 100 }`)}\n`,
    /at most 300 instances/,
  ],
  [
    "too many dependencies",
    `services:\n  a: { command: x, depends_on: { ${
      Array.from({ length: 101 }, (_, i) => `b${i}: {}`).join(", ")
    } } }\n${many(101, (i) => `  b${i}: { command: x }`)}\n`,
    /at most 100/,
  ],
  ["no such check", service("checks: { secrets: warn }"), /s\.yaml:4.*checks/],
  ["no such policy", service("checks: { url_plain: forbid }"), /s\.yaml:4.*one of ignore, warn, refuse/],
  ["no such check, of the stack", "stack: { checks: { findings: { x: warn } } }\nservices: {}\n", /s\.yaml:1.*x/],
  [
    "no such policy, of the stack",
    "stack: { checks: { policy: no } }\nservices: {}\n",
    /s\.yaml:1.*ignore, warn, refuse/,
  ],
  ["days that are none", "stack: { checks: { expiring_days: -1 } }\nservices: {}\n", /0 to 3650/],
  ["looks too often", "stack: { checks: { every_ms: 1 } }\nservices: {}\n", /100 to 86400000/],
  ["a required variable that is none", service('requires: ["A B"]'), /s\.yaml:4.*a variable's name/],
  ["required that is no list", service("requires: A"), /s\.yaml:4.*a list/],
  ["an unknown key of tls", service("tls: { port: 1, cert: x }"), /s\.yaml:4.*"cert"/],
  ["TLS of nothing", service("tls: { name: localhost }"), /one of port, certificate and issued/],
  ["TLS at a port it has not", service("tls: { port: web }"), /s\.yaml:4.*a port of the service/],
  ["TLS for a name that is none", service('tls: { port: 1, name: "a b" }'), /a host name in lower case/],
  ["certificates from two places", service("tls: { certificate: a, issued: [localhost] }"), /not both/],
  ["a certificate for nobody", service("tls: { issued: [] }"), /s\.yaml:4.*issued/],
  ["a renewal that is told in no way", service("tls: { issued: [a], renewed: SIGKILL }"), /SIGHUP, SIGUSR1/],
  ["no such port, in a file of TLS", service('tls: { certificate: "${ports.web}" }'), /\$\{ports\.web\}/],
  ["no such file of TLS", service('arguments: ["${tls.key}"]\n    tls: { port: 1 }'), /\$\{tls\.key\}/],
  ["no TLS at all", service('arguments: ["${tls.key}"]'), /\$\{tls\.key\}/],
  ["TLS of no such kind", service('arguments: ["${tls.cert}"]\n    tls: { issued: [a] }'), /\$\{tls\.cert\}/],
  ["too long a file", "#".repeat(STACK_LIMITS.file_chars_max + 1), /at most 1048576 characters/],
  ["no YAML", "services: [", /s\.yaml:1/],
  ["a list of services", "services: [a]\n", /s\.yaml:1/],
];

Deno.test("each kind of mistake in a file of services has one clear message with its place", async (t) => {
  for (const [what, yaml, says] of WRONG) {
    await t.step(what, () => {
      const found = problems(yaml);
      assert.ok(found.length >= 1, "it was taken");
      assert.match(found.join("\n"), says);
      for (const each of found) assert.doesNotMatch(each, /\n|RangeError|ZodError|\s{4}at /);
    });
  }
});

Deno.test("one that is not enabled is not needed where it is not required, and is missed where it is", () => {
  const cache = "  cache: { command: x, enabled: false }\n";
  assert.deepEqual(problems(`${service("depends_on: { cache: { required: false } }")}${cache}`), []);
  assert.match(
    problems(`${service("depends_on: [cache]")}${cache}`).join(),
    /s\.yaml:4.*depends_on\.cache: expected one that is enabled, or required: false, found "cache"/,
  );
});

Deno.test("the file that the page about services shows is one", async () => {
  const page = await Deno.readTextFile(new URL("../docs/services.md", import.meta.url));
  const [, yaml] = /```yaml\n(stack:\n[^]*?)```/.exec(page)!;
  assert.deepEqual(problems(yaml!), []);
});

Deno.test("a file that is named and speaks of no services is refused, before anything is started or stopped by it", async () => {
  const [file, said] = [await Deno.makeTempFile(), /:1:1 services: expected a map of services, found nothing$/];
  try {
    for (const text of ["{}", "stack: { name: web }\n", ""]) {
      await Deno.writeTextFile(file, text);
      await assert.rejects(stackIn(file), said, text);
    }
    await Deno.writeTextFile(file, "services: {}\n");
    assert.deepEqual((await stackIn(file)).settings.services, [], "what says that there are none may");
  } finally {
    await Deno.remove(file);
  }
});

Deno.test("what may be left out is filled in, and one that is not enabled is not there", () => {
  const parsed = parseStack("services:\n  a: { command: x }\n  b: { command: x, enabled: false }\n", "s.yaml");
  assert.ok(parsed.ok);
  const [a, ...others] = parsed.stack.services;
  assert.deepEqual([parsed.stack.name, parsed.stack.order, others.length], ["main", "ready", 0]);
  assert.deepEqual([a!.restart.policy, a!.stop.signal, a!.replicas, a!.needs], ["on_failure", "SIGTERM", 1, []]);
});
