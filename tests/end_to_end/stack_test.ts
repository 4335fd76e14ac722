/** Services run by the real program, as real processes. */
import assert from "node:assert/strict";
import { inFolder } from "../folder_given.ts";
import { run } from "./program.ts";
import { kills, sweep } from "./stack_kills.ts";
import { Stand, startsIn, tracing } from "./stack_given.ts";
import { recoveries } from "./stack_recoveries.ts";
import { until } from "../until.ts";

const well = (name: string) => (rows: readonly { service: string; state: string }[]) =>
  rows.some(({ service, state }) => service === name && state === "healthy");

Deno.test("a stack comes up in order, is found again after a restart and after kill -9, and is stopped in reverse without an orphan", () =>
  Stand.with((traces) => `
services:
  db:
    ${tracing(traces, "db", "echo accepting; sleep 1000 & wait")}
    ready_line: ^accepting
  prepare:
    ${tracing(traces, "prepare", "exit 0")}
    depends_on: { db: { condition: log_ready } }
  api:
    ${tracing(traces, "api", "while :; do sleep 1000; done")}
    depends_on: { db: {}, prepare: { condition: completed_successfully } }
    environment: { WORD: "two words", REPLICA: "\${replica}" }
`, async (stand) => {
    await stand.start();
    await stand.until(well("api"));
    assert.deepEqual((await startsIn(stand.traces)).map(({ name }) => name), ["db", "prepare", "api"]);
    const before = await stand.alive();
    assert.equal((await stand.program.end("SIGTERM")).code, 0);
    assert.deepEqual(await stand.alive(), before, "they outlive it");
    await stand.start();
    await stand.until(well("api"));
    await stand.program.end("SIGKILL");
    await stand.start();
    await stand.until(well("api"));
    assert.equal((await startsIn(stand.traces)).length, 3, "nothing was started twice");

    // One that dies while nobody looks is started again, and how it ended is not made up.
    await stand.program.end("SIGKILL");
    const db = (await startsIn(stand.traces)).find(({ name }) => name === "db")!;
    Deno.kill(-db.pid, "SIGKILL");
    await stand.start();
    const rows = await stand.until((rows) =>
      rows.some((row) => row.service === "db" && row.starts === 2 && row.state === "healthy")
    );
    assert.equal(rows.find(({ service }) => service === "db")!.last_exit, "unknown");
    await stand.down();
    const events = await stand.events<{ type: string; data: { service: string } }>();
    const stopped = events.filter(({ type }) => type === "services.instance.stop_requested");
    assert.deepEqual(stopped.map(({ data }) => data.service), ["api", "db"]);
    assert.equal((await stand.program.end("SIGTERM")).code, 0);
  }));

Deno.test("kill -9 of the server and its agent, at boundaries of the log and at any moment: no start is made twice, no service runs twice", async () => {
  const told = await kills(8, 7);
  console.log(`killed: ${JSON.stringify(told)}`);
  const { at_moments, by_point } = told;
  for (const point of ["start.announced", "append.begun", "start.spawned", "append.durable"]) {
    assert.equal(by_point[point], 1, `${point} of ${JSON.stringify(by_point)}`);
  }
  assert.ok(at_moments > 0);
});

Deno.test("killed right after a commit of a start from nothing, the next run finds or starts everything, and nothing twice", async () => {
  const { deaths, boundaries } = await sweep("append.durable", 28);
  console.log(`killed: ${deaths} times on the way to commit ${boundaries}`);
  assert.ok(deaths > 0);
});

Deno.test("services that are killed are back by their schedule, none before it says so, and how long each took is told", async () => {
  const { kills, down, scheduled, late } = await recoveries(5, 3);
  assert.equal(kills, 5);
  console.log(`healthy again, ms: ${JSON.stringify({ down, scheduled, late })}`);
});

const inline = (traces: string, name: string, then: string): string =>
  tracing(traces, name, then).replace("\n   ", ",");

Deno.test("the agent may be killed: it is started again, finds what runs, and goes on", () =>
  Stand.with((traces) => `
services:
  a: { ${inline(traces, "a", "sleep 1000")}, restart: { policy: always, first_ms: 10 } }
  b:
    ${tracing(traces, "b", "sleep 1000")}
    hooks: { before_start: { command: sh, arguments: [-c, "mkdir once 2> /dev/null || exit 0; exec sleep 1000"], timeout_ms: 3600000 } }
`, async (stand) => {
    const once = stand.file.replace("stack.yaml", "once");
    await stand.start();
    await stand.until(well("a"));
    await until("the hook of b", () => Deno.stat(once).catch(() => undefined));
    const agent = await new Deno.Command("pgrep", { args: ["-P", String(stand.program.pid), "-f", "agent.ts"] })
      .output();
    Deno.kill(Number(new TextDecoder().decode(agent.stdout)), "SIGKILL");
    const [first] = await startsIn(stand.traces);
    Deno.kill(-first!.pid, "SIGKILL");
    await stand.until((rows) => rows.some(({ starts, state }) => starts === 2 && state === "healthy"));
    // Its hook, which would have gone on for an hour, was ended and run again.
    await stand.until(well("b"));
    assert.equal((await stand.alive()).every(({ nonce }) => nonce !== first!.nonce), true);
    await stand.down();
    await stand.program.end("SIGTERM");
  }));

Deno.test("up, down, restart, ps, why and logs tell what happens; an update replaces what changed, and is undone when it does not become well", () => {
  const web = (traces: string, version: string, then: string, replicas = 2) => `
services:
  web:
    ${tracing(traces, `web-${version}`, then)}
    environment: { VERSION: "${version}" }
    replicas: ${replicas}
    restart: { policy: always, max: 1, first_ms: 10 }
    update: { healthy_ms: 50 }
    probes: { readiness: { exec: { command: test, arguments: [-e, "${traces}.${version}"] }, interval_ms: 50 } }
  db: { ${inline(traces, "db", "echo no space left; exit 7")}, ready_line: accepting, restart: { policy: no } }
  shop: { ${inline(traces, "shop", "sleep 1000")}, depends_on: [web, db] }
`;
  return Stand.with((traces) => web(traces, "1", "sleep 1000"), async (stand) => {
    const daybook = async (...args: string[]) => await run(...args, "--data", stand.data);
    const good = (version: string) => Deno.writeTextFile(`${stand.traces}.${version}`, "");
    await good("1");
    await stand.start();
    const up = await daybook("up");
    assert.equal(up.code, 1, "not all can be well");
    assert.match(up.err, /db failed, shop skipped; why SERVICE tells more/);
    const ps = await daybook("ps");
    assert.equal(ps.code, 1);
    assert.match(ps.out, /^db +failed +.* +code 7 +it ended with 7$/m);
    assert.match(ps.out, /^web\/1 +healthy /m);
    await until("it is counted", async () => (await daybook("ps")).out, (out) => / (cgroup|\/proc)/.test(out));
    assert.match((await daybook("ps")).out, /^service +state .* memory +cores +counted by /m);
    const why = await daybook("why", "shop");
    assert.match(why.out, /^first {2}\S+ {2}db has ended code 7 /m);
    assert.match(why.out, /^ {2}no space left$/m);
    assert.equal((await daybook("logs", "db", "--lines", "1")).out, "no space left\n");
    assert.equal((await daybook("restart", "web")).code, 0);

    const next = async (version: string, replicas?: number) => {
      const file = stand.file.replace("stack.yaml", `${version}.yaml`);
      await Deno.writeTextFile(file, web(stand.traces, version, version === "2" ? "sleep 1000" : "exit 1", replicas));
      return file;
    };
    const states = async () => {
      const { services } = JSON.parse((await daybook("ps", "--json")).out) as {
        services: { service: string; instances: { state: string }[] }[];
      };
      return services.find(({ service }) => service === "web")!.instances.map(({ state }) => state);
    };
    await good("2");
    const plan = await daybook("stack", "update", await next("2"), "--plan");
    assert.match(plan.out, /^web +changed +2 of them, 1 at a time$/m);
    assert.match(plan.out, /^db +same$/m);
    const updated = await daybook("stack", "update", await next("2"));
    assert.equal(updated.code, 0, updated.out + updated.err);
    assert.match(updated.out, /^web {2}is changed$/m);
    const nonces = async () => [...new Set((await stand.alive()).map(({ nonce }) => nonce))].sort();
    const two = await nonces();
    const scaled = await daybook("stack", "update", await next("2", 3));
    assert.equal(scaled.code, 0, scaled.out + scaled.err);
    assert.match(scaled.out, /^web +scaled +2 → 3 replicas$/m);
    const three = await nonces();
    assert.deepEqual([three.length, two.filter((nonce) => three.includes(nonce))], [3, two], "one more, and no other");
    assert.equal((await daybook("stack", "update", await next("2", 2))).code, 0);
    assert.deepEqual(await nonces(), two);
    const undone = await daybook("stack", "update", await next("3"));
    assert.equal(undone.code, 1);
    assert.match(undone.err, /undone: web; why SERVICE tells more/);
    assert.deepEqual(await states(), ["healthy", "healthy"]);
    const alive = new Set((await stand.alive()).map(({ nonce }) => nonce));
    const running = (await startsIn(stand.traces)).filter(({ nonce }) => alive.has(nonce)).map(({ name }) => name);
    assert.deepEqual(running, ["web-2", "web-2"], "what was before is there again");
    const again = await daybook("stack", "update", await next("3"), "--plan", "--json");
    assert.equal(JSON.parse(again.out).changes[0].change, "undone before");

    assert.equal((await daybook("down")).code, 0);
    assert.deepEqual(await stand.alive(), []);
    const unknown = await daybook("up", "wob");
    assert.equal(unknown.code, 2);
    assert.match(unknown.err, /there is no service "wob" in main; did you mean web\?/);
    await stand.program.end("SIGTERM");
    assert.match((await daybook("up")).err, /no server runs the services of this folder/);
  });
});

Deno.test("hooks run around an instance, limits hold, leftovers go before a start, and a start waits for what is not free", () =>
  Stand.with((traces) => `
services:
  hooked:
    ${tracing(traces, "hooked", "test ! -e stale.pid && touch stale.pid && ulimit -n >> hooks; sleep 1000")}
    working_folder: .
    leftovers: [stale.pid, foreign.pid]
    resources: { limits: { open_files: 77 } }
    hooks:
      before_start: { command: sh, arguments: [-c, "echo before_start >> hooks"] }
      after_start: { command: sh, arguments: [-c, "echo after_start >> hooks"] }
      before_stop: { command: sh, arguments: [-c, "echo before_stop >> hooks"] }
      after_stop: { command: sh, arguments: [-c, "echo after_stop >> hooks"] }
  refused:
    ${tracing(traces, "refused", "sleep 1000")}
    restart: { policy: no }
    hooks: { before_start: { command: "false" } }
  missing: { command: no-such-program, restart: { policy: no }, hooks: { before_start: { command: "true" } } }
  deep: { ${
    inline(traces, "deep", "sleep 1000")
  }, restart: { policy: no }, resources: { when_short: fail, needs: { disk_bytes: 9000000000000000 } } }
  large: { ${inline(traces, "large", "sleep 1000")}, resources: { needs: { memory_bytes: 1000000000000000 } } }
  timed: { ${inline(traces, "timed", "exit 0")}, schedule: "* * * * * *" }
  yearly: { ${inline(traces, "yearly", "exit 0")}, schedule: "0 0 1 1 *" }
  wide: { ${
    inline(traces, "wide", "sleep 1000")
  }, restart: { policy: no }, resources: { when_short: fail, needs: { cpus: 9999 } } }
`, async (stand) => {
    const folder = stand.file.slice(0, stand.file.lastIndexOf("/"));
    await Deno.writeTextFile(`${folder}/foreign.pid`, "1");
    await stand.start();
    const rows = await stand.until((rows) =>
      well("hooked")(rows) && rows.filter(({ state }) => state === "failed").length === 4 &&
      rows.some(({ service, because }) => service === "large" && because !== undefined)
    );
    const because = (name: string) => rows.find(({ service }) => service === name)!.because;
    assert.equal(because("refused"), "before_start: code 1");
    assert.equal(because("missing"), 'there is no program "no-such-program" on the PATH it is given');
    assert.match(because("wide")!, /^cpus: needs 9999, free \d+$/);
    assert.match(because("deep")!, /^disk: needs 9000000000000000, free \d+$/);
    assert.match(because("large")!, /^waits for memory: needs 1000000000000000, free \d+$/);
    const starts = async () => (await startsIn(stand.traces)).map(({ name }) => name);
    await until("it is its time again", starts, (names) => names.filter((name) => name === "timed").length >= 2);
    assert.deepEqual([...new Set(await starts())].sort(), ["hooked", "timed"]);
    const metrics = await (await fetch(`${stand.program.url}/metrics`, {
      headers: { authorization: `Bearer ${stand.program.token}` },
    })).text();
    assert.match(metrics, /^daybook_service_healthy\{service="hooked",replica="0"\} 1$/m);
    assert.match(metrics, /^daybook_service_healthy\{service="refused",replica="0"\} 0$/m);
    // It does not start while what it left is there.
    await stand.send("services.service.restart", { service: "hooked" });
    await stand.until((rows) =>
      rows.some(({ service, starts, state }) => service === "hooked" && starts === 2 && state === "healthy")
    );
    await stand.down();
    const stopped = async () => (await hooks(folder)).filter((line) => line === "after_stop").length;
    await until("what comes after a stop, twice", stopped, (times) => times >= 2);
    const said = await hooks(folder);
    assert.deepEqual([said[0], said.slice(1, 3).sort(), said[3], said.length], [
      "before_start",
      ["77", "after_start"],
      "before_stop",
      10,
    ]);
    assert.equal(await Deno.readTextFile(`${folder}/foreign.pid`), "1");
    const { err } = await stand.program.end("SIGTERM");
    assert.match(
      err,
      /leftovers of hooked\/0: foreign\.pid is left alone: it was there before this service was first started/,
    );
  }));

const hooks = async (folder: string): Promise<readonly string[]> =>
  (await Deno.readTextFile(`${folder}/hooks`)).trim().split("\n");

Deno.test("bad stacks: one clear message that says where, and nothing started", () =>
  inFolder(async (dir) => {
    const file = `${dir}/stack.yaml`;
    for (
      const [yaml, says] of [
        [
          "services: { a: { comand: x } }",
          /stack\.yaml:1:18 services\.a\.comand: expected a known key, found "comand"; did you mean "command"\?/,
        ],
        [
          "services: { a: { command: x, replicas: many } }",
          /services\.a\.replicas: expected a whole number from 1 to 300, found "many"/,
        ],
        [
          "services: { a: { command: x, depends_on: [b] } }",
          /services\.a\.depends_on\.b: expected another service, of which there is none, found "b"/,
        ],
        [
          "services: { a: { command: x, depends_on: [b] }, c: { command: x } }",
          /services\.a\.depends_on\.b: expected one of c, found "b"/,
        ],
        [
          "services: { a: { command: x, depends_on: [a] } }",
          /services\.a\.depends_on\.a: expected another service, found itself/,
        ],
        [
          "services:\n  a: { command: x, depends_on: [b] }\n  b: { command: x, depends_on: [a] }",
          /stack\.yaml:2:\d+ services\.a\.depends_on: expected services that do not need each other, found a → b → a/,
        ],
        [
          "services:\n  a: { command: x, ports: { p: 80 } }\n  b: { command: x, ports: { p: 80 } }",
          /services\.b\.ports\.p: expected a port of its own, found 80, as "a" has/,
        ],
        [
          "services: { a: { command: x, arguments: ['${ports.none}'] } }",
          /services\.a: expected .*, found \$\{ports\.none\}/,
        ],
        [
          "services: { a: { command: x, probes: { readiness: { http: { port: p } } } } }",
          /services\.a\.probes\.readiness: expected a port of the service, found "p"/,
        ],
        [
          "services: { a: { command: x, environment: { A: { env: 7 } } } }",
          /services\.a\.environment\.A.*: expected a text, .*\{ env: NAME \} or \{ file: PATH \}, found something else/,
        ],
        ["services: { a: { command: x, ready_line: '(' } }", /services\.a\.ready_line: expected a regular expression/],
        [
          "services: { a: { command: x, leftovers: [a/../../b] } }",
          /services\.a\.leftovers\.0: expected a path inside of the working folder/,
        ],
        [
          "services: { a: { command: x, schedule: soon } }",
          /services\.a\.schedule: expected times as cron has them, found invalid/,
        ],
        ["services: [", /stack\.yaml:1:\d+: expected YAML 1\.2/],
      ] as const
    ) {
      await Deno.writeTextFile(file, yaml);
      const ran = await run("start", "--data", `${dir}/data`, "--port", "0", "--stack", file);
      assert.equal(ran.code, 2, yaml);
      assert.match(ran.err, says);
      assert.doesNotMatch(ran.err, /\n\s+at /);
    }
    const ran = await run("start", "--data", `${dir}/data`, "--port", "0", "--stack", `${dir}/none.yaml`);
    assert.equal(ran.code, 2);
    await assert.rejects(Deno.stat(`${dir}/data`), Deno.errors.NotFound);
  }));
