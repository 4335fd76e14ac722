/** Parsing, help, exit codes and permissions of the command line: what holds for every command. */
import assert from "node:assert/strict";
import { argumentsOf, GENERATION, generationOf, Unsayable, VERIFIER_HEAP } from "../adapters/process/reexec.ts";
import { type Grants, Usage } from "../adapters/cli/call.ts";
import { ENVIRONMENT, grantsOf } from "../adapters/cli/grants.ts";
import { nearest } from "../adapters/cli/nearest.ts";
import { parse } from "../adapters/cli/parse.ts";
import { COMMANDS } from "../adapters/cli/table.ts";
import { standingIn } from "../adapters/cli/terminal.ts";
import { givenStage } from "./cli_given.ts";

const place = { cwd: "/here", data: "/here/.daybook", version: "1.2.3", env: () => undefined };
const DESIGNED =
  "start demo import status view events send verify replay explain who-could receipt audit anchor witness export archive cert backup restore erase subject hold retention keys secret token login logout factors up down restart ps logs why stack alerts config"
    .split(" ");
const house = { config: "/house/config", own: ["/house/source"] };

const grants = (...args: string[]): Grants => {
  const parsed = parse(args, place);
  assert.equal(parsed.is, "call");
  return parsed.is === "call" ? grantsOf(parsed.spec, parsed.call, { house }) : assert.fail();
};

Deno.test("every command of the design is there, and no other", () => {
  assert.deepEqual(new Set(COMMANDS.map(({ name }) => name.split(" ")[0]!)), new Set(DESIGNED));
});

for (const { name, examples } of COMMANDS) {
  Deno.test(`${name} --help says what it is for, with examples that parse`, () => {
    const help = parse([...name.split(" "), "--help"], place);
    assert.equal(help.is, "text");
    assert.match(
      help.is === "text" ? help.text : "",
      new RegExp(`Usage: deno task daybook ${name}[^]*--data[^]*--json[^]*Examples:\n  deno task daybook ${name}`),
    );
    assert.ok(examples.length > 0);
    for (const example of examples) {
      assert.ok(example === name || example.startsWith(`${name} `), example);
      const words = [...example.split(/ [|<>] /)[0]!.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, bare]) =>
        quoted ?? bare!
      );
      const parsed = parse(words, place);
      assert.equal(parsed.is === "call" && parsed.call.command, name, example);
    }
  });

  Deno.test(`${name} refuses an unknown flag with exit code 2 and one line`, async () => {
    const { code, out, err } = await givenStage().type(...name.split(" "), "--no-such-flag");
    assert.equal(code, 2);
    assert.equal(out, "");
    assert.match(err, /^daybook: [^\n]+\n$/);
  });
}

Deno.test("the top help lists every command and the exit codes, and is asked for in three ways", async () => {
  const stage = givenStage();
  const { code, out } = await stage.type("--help");
  assert.equal(code, 0);
  for (const name of DESIGNED) assert.match(out, new RegExp(`^  ${name}\\b`, "m"));
  assert.match(out, /0 done and fine, 1 done and found wanting, 2 wrong usage/);
  assert.equal((await stage.type("help")).out, out);
  assert.equal((await stage.type("-h")).out, out);
  assert.match((await stage.type("--version")).out, /^1\.2\.3\n$/);
});

Deno.test("a wrong word is answered with the nearest right one", async () => {
  const stage = givenStage();
  for (
    const [typed, meant] of [
      [["strat"], "did you mean start?"],
      [["verfiy"], "did you mean verify?"],
      [["view", "--descendin"], "did you mean --descending?"],
      [["import", "gti", "."], "did you mean git?"],
      [["import"], "import takes one of: git, github"],
      [["token"], "token takes one of: create, list, revoke"],
      [["view", "things.sene"], "did you mean things.seen?"],
      [["factors", "confirm", "-f", "123456"], `what begins with "-" and is none stands behind "--"`],
    ] as const
  ) {
    const { code, err } = await stage.type(...typed);
    assert.equal(code, 2, typed.join(" "));
    assert.ok(err.includes(meant), `${typed.join(" ")}: ${err}`);
  }
  assert.equal(nearest("commits.hotspot", ["commits.hotspots", "commits.history"]), "commits.hotspots");
  assert.equal(nearest("xyz", ["commits.hotspots", "audit.trail"]), undefined);
});

Deno.test("an argument that begins with a dash is one behind two dashes", () => {
  const parsed = parse(["factors", "confirm", "--json", "--", "-f", "123456"], place);
  assert.deepEqual(parsed.is === "call" && [parsed.call.args, parsed.call.json], [["-f", "123456"], true]);
});

Deno.test("wrong usage is told in one line with exit code 2, and with --json as a document", async () => {
  const stage = givenStage();
  for (
    const typed of [
      ["explain", "x"],
      ["explain"],
      ["view", "things.seen", "--limit", "0"],
      ["view", "things.seen", "--limit", "1001"],
      ["view", "things.seen", "--where", "nothing"],
      ["view", "things.seen", "--sort", "who"],
      ["events", "--since", "yesterday"],
      ["events", "--limit", "-1"],
      ["send", "raise", "a"],
      ["send", "things.counter.raise", "a", "{"],
      ["token", "create", "x", "--scopes", "all"],
      ["token", "create", "x", "--expires", "1999-01-01"],
      ["token", "revoke", "nobody"],
      ["start", "--port", "99999"],
      ["start", "--host", "0.0.0.0"],
      ["start", "--tls-cert", "a.pem"],
      ["start", "--behind-proxy", "proxy"],
      ["status", "--data", ":memory:"],
      ["status", "--data", ""],
      ["replay", "--view", "no.such"],
      ["export", "--from", "9", "--to", "3"],
      ["backup"],
      ["backup", "b", "--with-keys"],
      ["restore"],
      ["import", "git", ".", "--name", "a/b"],
      ["send", "things.counter.raise", "a", "{}", "--expect", "x"],
    ]
  ) {
    const plain = await stage.type(...typed);
    assert.equal(plain.code, 2, `${typed.join(" ")}: ${plain.code} ${plain.err}`);
    assert.match(plain.err, /^daybook: [^\n]+\n$/, typed.join(" "));
    assert.equal(plain.out, "", typed.join(" "));
    const document = await stage.json<{ ok: boolean; error: { code: string; message: string } }>(...typed);
    assert.equal(document.exit, 2);
    assert.equal(document.ok, false);
    assert.ok(document.error.code && document.error.message, JSON.stringify(document));
  }
});

Deno.test("what cannot be done is one line and exit code 3, never a stack trace", async () => {
  const stage = givenStage();
  for (
    const [error, code] of [
      [new Error("boom\n    at secret (file.ts:1:1)"), "unexpected"],
      [new Deno.errors.NotFound("no such file"), "not_found"],
      [new Deno.errors.PermissionDenied("not yours"), "permission_denied"],
    ] as const
  ) {
    stage.runtime.reader = () => Promise.reject(error);
    const { code: exit, out, err } = await stage.type("status");
    assert.equal(exit, 3);
    assert.equal(out, "");
    assert.match(err, /^daybook: [^\n]+\n$/);
    assert.doesNotMatch(err, /secret|file\.ts/);
    assert.deepEqual((await stage.json<{ error: { code: string } }>("status")).error.code, code);
  }
});

Deno.test("a path is none where it says - and a standard stream has no place; where it has one, it goes there", () => {
  const out = (...args: string[]) => {
    const parsed = parse(args, place);
    return parsed.is === "call" ? parsed.call.options.out : "text";
  };
  assert.deepEqual([out("receipt", "0", "--out", "-"), out("receipt", "0", "--out", "./-")], [undefined, "./-"]);
  for (const typed of [["erase", "ada", "--out", "-"], ["receipt", "--check", "-"], ["export", "--blobs", "-"]]) {
    assert.throws(
      () => parse(typed, place),
      new Usage(`${typed[0]}: ${typed.at(-2)} takes a path, not a standard stream`),
    );
  }
});

Deno.test("a folder is named by --data, else by DAYBOOK_DATA, else it is the default", () => {
  const data = (args: string[], named?: string) => {
    const parsed = parse(["status", ...args], { ...place, env: (name) => name === "DAYBOOK_DATA" ? named : undefined });
    return parsed.is === "call" ? parsed.call.data : undefined;
  };
  assert.equal(data(["--data", "x"], "/y"), "/here/x");
  assert.equal(data(["--data", "/x"]), "/x");
  assert.equal(data([], "/y"), "/y");
  assert.equal(data([], ""), "/here/.daybook");
  assert.equal(data([]), "/here/.daybook");
});

Deno.test("relative paths start where the person stood, unless what says so is left over from elsewhere", () => {
  assert.equal(standingIn("/project", "/project/sub"), "/project/sub");
  assert.equal(standingIn("/project", "/project"), "/project");
  assert.equal(standingIn("/project", "/projects/other"), "/project");
  assert.equal(standingIn("/project", undefined), "/project");
});

Deno.test("commands that read ask for no way to write but the socket", () => {
  const reading = ["status", "view x", "events", "verify", "replay", "explain 1", "receipt 1", "export"];
  for (const args of reading.map((typed) => typed.split(" "))) {
    const asked = grants(...args);
    assert.deepEqual(asked.write, ["/here/.daybook/control.sock"], args[0]);
    assert.deepEqual(asked.run, []);
    assert.deepEqual(asked.net, ["unix:/here/.daybook/control.sock", "control.invalid"]);
    assert.deepEqual(asked.read, [
      "/here/.daybook",
      "/house/config",
      ...house.own,
      "/here/.daybook/control.sock",
    ]);
  }
});

Deno.test("each command asks for exactly what was typed", () => {
  assert.deepEqual(grants("import", "git", ".").run, ["git"]);
  assert.deepEqual(grants("demo").run, ["git"]);
  assert.ok(grants("import", "github", "push.json").read.includes("/here/push.json"));
  assert.ok(!grants("import", "github", "-").read.some((path) => path.endsWith("-")));
  assert.deepEqual(grants("export", "--out", "a.ndjson").write, [
    "/here/a.ndjson",
    "/here/a.ndjson.partial",
    "/here/.daybook/control.sock",
  ]);
  assert.equal(`${grants("receipt", "7", "--out", "a").write}`, "/here/a,/here/a.partial,/here/.daybook/control.sock");
  assert.ok(grants("receipt", "--check", "a").read.includes("/here/.daybook"));
  assert.ok(!grants("receipt", "--check", "a", "--key", "k").read.includes("/here/.daybook"));
  assert.ok(grants("receipt", "--check", "a", "--key", "k").read.includes("/here/a"));
  assert.ok(grants("verify", "--against", "a", "--against", "/b").read.includes("/b"));
  assert.deepEqual(grants("backup", "/mnt/b").write, ["/mnt", "/here/.daybook/control.sock"]);
  assert.ok(grants("send", "a.b.c", "id", "@move.json").read.includes("/here/move.json"));
  assert.deepEqual(grants("start").net, ["127.0.0.1:7373", "unix:/here/.daybook/control.sock", "control.invalid"]);
  assert.deepEqual(grants("start", "--data", ":memory:"), {
    read: ["/house/config", "/house/source"],
    write: [],
    net: ["127.0.0.1:7373"],
    run: [],
    env: [],
    threads: true,
  });
  assert.ok(!("threads" in grants("verify")));
});

Deno.test("what the configuration says widens the permissions of start, and nothing else does", async () => {
  const stage = givenStage();
  stage.files.set(
    "/here/own.yaml",
    "server:\n  tls: { certificate: cert.pem, key: { file: key.pem } }\ngithub: { webhook_secret: { env: HOOK } }\n",
  );
  const asked: Grants[] = [];
  Object.assign(stage.world, {
    permissions: {
      granted: (wanted: Grants) => wanted.net.length === 0,
      again: (wanted: Grants) => (asked.push(wanted), Promise.resolve(7)),
    },
  });
  const { code } = await stage.type("start", "--config", "own.yaml", "--host", "::1", "--port", "80");
  assert.equal(code, 7);
  assert.deepEqual(asked, [{
    read: ["/data", "/here/key.pem", "/here/cert.pem", "/house/config", "/here/own.yaml", "/data/control.sock"],
    write: ["/data", "/data/control.sock"],
    net: ["[::1]:80", "unix:/data/control.sock", "control.invalid"],
    run: [],
    env: ["HOOK"],
    threads: true,
  }]);
});

Deno.test("on any free port start may listen again where it did", async () => {
  const stage = givenStage();
  const asked: Grants[] = [];
  Object.assign(stage.world, {
    permissions: {
      granted: (wanted: Grants) => wanted.net.length === 0,
      again: (wanted: Grants) => (asked.push(wanted), Promise.resolve(0)),
    },
  });
  await stage.type("start", "--port", "0");
  await stage.type("start", "--port", "0", "--host", "::1");
  assert.deepEqual(asked.map(({ net }) => net[0]), ["127.0.0.1", "[::1]"]);
});

Deno.test("a configuration that may not be read yet is read by a second process, which may start the third", async () => {
  const stage = givenStage();
  const asked: Grants[] = [];
  Object.assign(stage.world, {
    permissions: { granted: () => false, again: (wanted: Grants) => (asked.push(wanted), Promise.resolve(0)) },
  });
  await stage.type("start", "--config", "/etc/daybook.yaml");
  assert.deepEqual(asked, [{
    read: ["/etc/daybook.yaml", "/house/config"],
    write: [],
    net: [],
    run: [],
    env: [],
    again: true,
  }]);
});

Deno.test("where only the file of services may not be read yet, the second process may do all that is needed", async () => {
  const stage = givenStage();
  stage.files.set("/here/own.yaml", "server: { port: 80 }\n");
  const asked: Grants[] = [];
  const granted = ({ read, net }: Grants) => net.length === 0 && !read.includes("/here/services.yaml");
  const again = (wanted: Grants) => (asked.push(wanted), Promise.resolve(0));
  Object.assign(stage.world, { permissions: { granted, again } });
  await stage.type("start", "--config", "own.yaml", "--stack", "services.yaml");
  const folder = ["/data", "/data/control.sock"];
  assert.deepEqual(asked, [{
    read: ["/data", "/house/config", "/here/own.yaml", "/data/control.sock", "/here/services.yaml"],
    write: folder,
    net: ["127.0.0.1:80", "127.0.0.1", "unix:/data/control.sock", "control.invalid"],
    run: [],
    env: [],
    threads: true,
    agent: true,
    again: true,
  }]);
});

Deno.test("a file of services that is not enabled is looked at by whoever starts, and so may be read", async () => {
  const stage = givenStage();
  stage.files.set("/here/services.yaml", "enabled: false\nservices:\n  a: { command: /bin/true }\n");
  const asked: Grants[] = [];
  const again = (wanted: Grants) => (asked.push(wanted), Promise.resolve(0));
  Object.assign(stage.world, { permissions: { granted: ({ net }: Grants) => net.length === 0, again } });
  await stage.type("start", "--stack", "services.yaml");
  assert.deepEqual(asked.map(({ read }) => read.filter((path) => path.endsWith("services.yaml"))), [[
    "/here/services.yaml",
  ]]);
});

Deno.test("what no permission could be given for is wrong usage, and nobody is asked for it", async () => {
  const stage = givenStage();
  const again = () => assert.fail("no process is started");
  Object.assign(stage.world, { permissions: { granted: () => false, again } });
  for (
    const [said, ...args] of [
      [/--port takes a whole number from 0 to 65535/, "witness", "w", "--log", "x", "--port", "abc"],
      [/--port takes a whole number from 0 to 65535/, "witness", "w", "--log", "x", "--port", "99999"],
      [/names no host/, "anchor", "http://a_b*c/", "--key", "x"],
      [/names no host/, "anchor", "http://a,b/", "--key", "x"],
    ] as const
  ) {
    const { code, err } = await stage.type(...args);
    assert.equal(code, 2, err);
    assert.match(err, said);
  }
});

Deno.test("a process at the end of its chain says which permissions are missing", async () => {
  const stage = givenStage();
  Object.assign(stage.world, { permissions: { granted: () => false } });
  const { code, err } = await stage.type("status");
  assert.equal(code, 3);
  assert.match(err, /--allow-read=\/data,\S+ --allow-write=\/data\/control\.sock --allow-net=unix:/);
  // The name of a place for copies is another each time, so that what it lies in is said.
  const scratch = { path: "/scratch/one", wanted: () => Promise.resolve(true) };
  Object.assign(stage.world, { permissions: { granted: ({ net }: Grants) => net.length === 0 }, scratch });
  const leftOpen = await stage.type("status");
  assert.match(
    leftOpen.err,
    /--allow-read=\/data,\S+,\/scratch --allow-write=\/data\/control\.sock,\/scratch --allow-net=/,
  );
});

Deno.test("the second process is started with exactly the permissions asked for, and never with all", () => {
  const permissions = { read: ["/a", "/b c"], write: ["/a"], net: [], run: ["git"], env: ["NO_COLOR"] };
  assert.deepEqual(argumentsOf("/main.ts", ["status", "--json"], { permissions, generation: 1, self: "/deno" }), [
    "run",
    "--quiet",
    "--v8-flags=--no-allocation-site-pretenuring,--max-semi-space-size=4",
    "--no-prompt",
    "--allow-read=/a,/b c",
    "--allow-write=/a",
    "--allow-run=git",
    "--ignore-env",
    "--allow-env=NO_COLOR",
    "/main.ts",
    `${GENERATION}1`,
    "status",
    "--json",
  ]);
  const again = argumentsOf("/main.ts", [], {
    permissions: { ...permissions, run: [], again: true },
    generation: 1,
    self: "/deno",
  });
  assert.ok(again.includes("--allow-run=/deno"));
  const writer = argumentsOf("/main.ts", [], {
    permissions: { ...permissions, threads: true },
    generation: 1,
    self: "/deno",
  });
  assert.ok(writer.includes("--allow-sys=setPriority"), "its threads may give way");
  const verifier = argumentsOf("/main.ts", [], {
    permissions: { ...permissions, wide: true },
    generation: 1,
    self: "/deno",
  });
  assert.ok(verifier.includes(VERIFIER_HEAP), "it hashes in wide vectors");
  assert.deepEqual(generationOf([`${GENERATION}2`, "status"]), { generation: 2, typed: ["status"] });
  assert.deepEqual(generationOf(["status"]), { generation: 0, typed: ["status"] });
});

Deno.test("where a copy may be made is handed to the second process, and taken from nobody else", () => {
  const permissions = { read: [], write: [], net: [], run: [], env: [] };
  const args = argumentsOf("/main.ts", ["status"], { permissions, generation: 1, self: "/deno", scratch: "/tmp/one" });
  const own = args.slice(args.indexOf("/main.ts") + 1);
  assert.deepEqual(generationOf(own), { generation: 1, scratch: "/tmp/one", typed: ["status"] });
  assert.deepEqual(generationOf(["--scratch=/x", "status"]), { generation: 0, typed: ["--scratch=/x", "status"] });
});

Deno.test("a command that reads asks for a place for copies where a folder was left open, and for nothing more", async () => {
  const stage = givenStage();
  const asked: Grants[] = [];
  let readable = true;
  const permissions = {
    granted: ({ read, net }: Grants) => readable && net.length === 0 && read.length === 1,
    again: (grants: Grants) => {
      asked.push(grants);
      return Promise.resolve(0);
    },
  };
  const leftOpen = (wanted: boolean) => {
    const scratch = { path: "/scratch/one", wanted: () => Promise.resolve(wanted) };
    Object.assign(stage.world, { permissions, scratch });
  };
  for (const { name, reads, configured } of COMMANDS) {
    if (!reads) continue;
    const words = [
      ...name.split(" "),
      ...(name === "explain"
        ? ["1"]
        : name === "who-could"
        ? ["events.read", "log"]
        : name === "backup"
        ? ["/to/copy"]
        : name === "anchor"
        ? ["http://127.0.0.1"]
        : name === "subject"
        ? ["ada@example.com"]
        : ["restart", "logs", "why"].includes(name)
        ? ["api"]
        : name === "stack update"
        ? ["/the/services.yaml"]
        : name === "restore"
        ? ["/the/backup", "--replaces", "/old"]
        : []),
    ];
    leftOpen(false);
    await stage.type(...words);
    leftOpen(true);
    await stage.type(...words);
    // What may not be looked at yet might have been left open.
    readable = false;
    leftOpen(false);
    await stage.type(...words);
    readable = true;
    const [without, within, blind] = asked.splice(0) as [Grants, Grants, Grants];
    // Where the configuration counts it is looked at first.
    if (!configured) assert.deepEqual(blind, within, name);
    assert.deepEqual(within.read, [...without.read, "/scratch/one"], name);
    assert.deepEqual(within.write, [...without.write, "/scratch/one"], name);
    assert.ok(!without.read.includes("/scratch/one"), name);
    assert.ok(!without.write.includes("/data"), `${name} writes nothing into the folder`);
  }
  await stage.type("token", "revoke", "x");
  assert.ok(!asked[0]!.write.includes("/scratch/one"));
});

Deno.test("a path that Deno cannot be given as a permission is refused", () => {
  const permissions = { read: ["/a,b"], write: [], net: [], run: [], env: [] };
  assert.throws(() => argumentsOf("/main.ts", [], { permissions, generation: 1, self: "/deno" }), Unsayable);
});

Deno.test("every command has its task, with the permissions the command line knows of and never with all", async () => {
  const { tasks, permissions, unstable } = JSON.parse(
    await Deno.readTextFile(new URL("../deno.json", import.meta.url)),
  );
  for (const name of [...DESIGNED, "daybook"]) {
    const { command } = tasks[name] as { command: string };
    const flags = "--v8-flags=--no-allocation-site-pretenuring";
    const reader = `${flags},--max-semi-space-size=4`;
    const verifier =
      `"${reader}$(test "$(uname -sm)" = 'Linux x86_64' && echo ,--experimental-wasm-revectorize || echo '')" -P=reader`;
    const kinds = name === "verify" ? [verifier] : [`${reader} -P=reader`, `${flags} -P=writer`];
    assert.ok(kinds.some((kind) => command.startsWith(`deno run -q ${kind} --no-prompt `)), name);
    assert.doesNotMatch(command, /-A\b|--allow-all|--allow-(read|write|env|sys|ffi)|--allow-\w+(?!=)\b(?= )/, name);
    assert.ok(command.endsWith(name === "daybook" ? " main.ts" : ` main.ts ${name}`), name);
    assert.equal(/--allow-run=git,/.test(command), ["demo", "import"].includes(name), name);
    assert.equal(/127\.0\.0\.1:7373/.test(command), name === "start", name);
  }
  for (const set of ["reader", "writer"]) {
    assert.deepEqual(permissions[set].env, { allow: [...ENVIRONMENT], ignore: true }, set);
  }
  assert.deepEqual(permissions.reader.write, [".daybook/control.sock"]);
  assert.deepEqual(permissions.writer.write, [".daybook"]);
  // What is imported dynamically is read when it is used, and may be.
  assert.ok(unstable.includes("lazy-dynamic-imports"));
  const source = ["actors", "adapters", "events", "projections"];
  for (const set of ["reader", "writer"]) assert.deepEqual(permissions[set].read, [".daybook", "config", ...source]);
});
