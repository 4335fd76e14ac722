/** Stacks that may not be run, and those that are not to be: one clear message, and the machine as it was. */
import assert from "node:assert/strict";
import { inFolder } from "../folder_given.ts";
import { Program, run } from "./program.ts";
import { Stand, startsIn, tracing } from "./stack_given.ts";

const sleeper = (traces: string, name: string, more = ""): string =>
  `  ${name}:\n    ${tracing(traces, name, "exec sleep 1000")}\n${more}`;

Deno.test("a program that is not there is told of with its place, before anything is started; one that is made first is waited for", () =>
  Stand.with((traces) => `
services:
${sleeper(traces, "good")}
  bad: { command: no-such-program }
  worse:
    command: sleep
    arguments: ["1000"]
    probes: { readiness: { exec: { command: ./no-such-probe } } }
`, async (stand) => {
    const start = () => run("start", "--data", stand.data, "--port", "0", "--stack", stand.file);
    const refused = await start();
    assert.equal(refused.code, 2, refused.out);
    const said = (line: number, path: string, found: string) =>
      new RegExp(
        `stack\\.yaml:${line}:\\d+ services\\.${path}: expected a program that can be started, found ${found}`,
      );
    assert.match(
      refused.err,
      said(7, "bad\\.command", 'there is no program "no-such-program" on the PATH it is given'),
    );
    assert.match(
      refused.err,
      said(11, "worse\\.probes\\.readiness\\.exec\\.command", 'there is no program "./no-such-probe"'),
    );
    assert.doesNotMatch(refused.err, /\n\s+at /);
    assert.deepEqual(await startsIn(stand.traces), []);

    await Deno.writeTextFile(
      stand.file,
      `
services:
${sleeper(stand.traces, "good")}
  build:
    command: /bin/sh
    arguments: [-c, "printf '#!/bin/sh\\nexec sleep 1000\\n' > built; chmod +x built"]
  built: { command: ./built, depends_on: { build: { condition: completed_successfully } } }
`,
    );
    await stand.start();
    await stand.until((rows) => rows.some(({ service, state }) => service === "built" && state === "healthy"));
    const bad = stand.file.replace("stack.yaml", "bad.yaml");
    await Deno.writeTextFile(bad, `services:\n${sleeper(stand.traces, "good")}  more: { command: /no/such/program }\n`);
    for (const plan of [["--plan"], []]) {
      const update = await run("stack", "update", bad, "--data", stand.data, ...plan);
      assert.equal(update.code, 2, update.err);
      assert.match(
        update.err,
        /bad\.yaml:5:\d+ services\.more\.command: expected a program that can be started, found there is no program/,
      );
    }
    await stand.send("services.stack.down");
    await stand.until((rows) => rows.every(({ state }) => state === "stopped" || state === "completed"));
    await stand.program.end("SIGTERM");
  }));

Deno.test("another stack is not run over one whose services still run, nor two of one name; who runs none is told of those that run on", () =>
  Stand.with((traces) => `services:\n${sleeper(traces, "db")}`, async (stand) => {
    await stand.start();
    await stand.until(([db]) => db?.state === "healthy");
    await stand.program.end("SIGTERM");
    const other = stand.file.replace("stack.yaml", "other.yaml");
    await Deno.writeTextFile(other, `stack: { name: other }\nservices:\n${sleeper(stand.traces, "web")}`);
    const refused = await run("start", "--data", stand.data, "--port", "0", "--stack", other);
    assert.equal(refused.code, 2);
    assert.match(
      refused.err,
      /other\.yaml: the stack is called "other", but services of the stack "main" may still run from this folder \(db\): start that stack again under its name, or stop it there with "down"\n$/,
    );
    const config = stand.file.replace("stack.yaml", "daybook.yaml");
    await Deno.writeTextFile(config, `services:\n${sleeper(stand.traces, "web")}`);
    const twice = await run("start", "--data", stand.data, "--port", "0", "--stack", stand.file, "--config", config);
    assert.equal(twice.code, 2);
    assert.match(
      twice.err,
      /two stacks are called "main": .+stack\.yaml and .+daybook\.yaml; give one another stack\.name\n$/,
    );
    assert.deepEqual((await startsIn(stand.traces)).map(({ name }) => name), ["db"], "nothing was started");
    assert.equal((await stand.alive()).length, 1, "nothing was stopped");

    const none = await Program.start(stand.data);
    const { err } = await none.end("SIGTERM");
    assert.match(
      err,
      /services of the stack "main" may still run from this folder \(db\), and nobody watches them: start --stack FILE does/,
    );
    // A stack of none of them is how they are let go of.
    await Deno.writeTextFile(stand.file, "stack: { name: main }\nservices: {}\n");
    await stand.start();
    await stand.until(([db]) => db?.state === "stopped");
    await stand.program.end("SIGTERM");
    await Deno.writeTextFile(stand.file, await Deno.readTextFile(other));
    await stand.start();
    await stand.until((rows) => rows.some(({ service, state }) => service === "web" && state === "healthy"));
    await run("down", "--name", "other", "--data", stand.data);
    assert.deepEqual(await stand.alive(), []);
    await stand.program.end("SIGTERM");
  }));

Deno.test("a stack that is not enabled leaves the machine as it is: no agent, no file, no process, and what runs goes on", () =>
  Stand.with((traces) => `services:\n${sleeper(traces, "db")}`, async (stand) => {
    const agents = async () => {
      const { stdout } = await new Deno.Command("pgrep", { args: ["-P", String(stand.program.pid)] }).output();
      return new TextDecoder().decode(stdout).trim();
    };
    const yaml = await Deno.readTextFile(stand.file);
    const off = `stack: { enabled: false }\n${yaml}`;
    await Deno.writeTextFile(stand.file, off);
    await stand.start();
    assert.equal(await agents(), "");
    assert.deepEqual([...Deno.readDirSync(stand.data)].filter(({ name }) => name === "services"), []);
    assert.match((await run("ps", "--data", stand.data)).err, /no services have been run from this folder/);
    await stand.program.end("SIGTERM");
    await Deno.writeTextFile(stand.file, yaml);
    await stand.start();
    await stand.until(([db]) => db?.state === "healthy");
    const running = await stand.alive();
    const update = stand.file.replace("stack.yaml", "off.yaml");
    await Deno.writeTextFile(update, off);
    const refused = await run("stack", "update", update, "--data", stand.data);
    assert.equal(refused.code, 2);
    assert.match(refused.err, /off\.yaml: the stack is not enabled; "down" stops what runs/);
    await stand.program.end("SIGTERM");
    await Deno.writeTextFile(stand.file, off);
    await stand.start();
    assert.equal(await agents(), "");
    assert.deepEqual(await stand.alive(), running);
    await stand.program.end("SIGTERM");
    await Deno.writeTextFile(stand.file, yaml);
    await stand.start();
    await stand.down();
    assert.equal((await startsIn(stand.traces)).length, 1);
    await stand.program.end("SIGTERM");
  }));

Deno.test("a profile is asked for by its name: its services run with what they need, the others are stopped and come back with theirs", () =>
  Stand.with((traces) => `
services:
${sleeper(traces, "db", "    profiles: [development]\n    restart: { policy: unless_stopped }\n")}
${sleeper(traces, "api", "    profiles: [minimal, full]\n    depends_on: [db]\n")}
${sleeper(traces, "ui", "    profiles: [full]\n    restart: { policy: unless_stopped }\n")}
`, async (stand) => {
    const become = async (states: Readonly<Record<string, string>>) =>
      await stand.until((rows) =>
        rows.length === Object.keys(states).length && rows.every(({ service, state }) => states[service] === state)
      );
    const choose = async (profile: string) => {
      const up = await run("up", profile, "--data", stand.data);
      assert.equal(up.code, 0, up.err);
    };
    await stand.start({ DAYBOOK__PROFILE: "minimal" });
    await become({ db: "healthy", api: "healthy", ui: "stopped" });
    await choose("full");
    await become({ db: "healthy", api: "healthy", ui: "healthy" });
    await choose("development");
    await become({ db: "healthy", api: "stopped", ui: "stopped" });
    await choose("full");
    await become({ db: "healthy", api: "healthy", ui: "healthy" });
    await stand.down();
    await stand.program.end("SIGTERM");
  }));

Deno.test("a file of services that cannot be read is told of, and nothing is made", () =>
  inFolder(async (dir) => {
    for (const file of [`${dir}/none.yaml`, dir]) {
      const ran = await run("start", "--data", `${dir}/data`, "--port", "0", "--stack", file);
      assert.equal(ran.code, 2);
      assert.match(ran.err, /^daybook: cannot read the services: .*\n$/);
    }
    await assert.rejects(Deno.stat(`${dir}/data`), Deno.errors.NotFound);
  }));

Deno.test("a folder instead of a file is told of in one line", () =>
  inFolder(async (folder) => {
    for (const args of [["config", "check", folder], ["stack", "import", folder]]) {
      const { code, err } = await run(...args);
      assert.deepEqual([code, err.trimEnd().split("\n").length], [2, 1], err);
      assert.match(err, /^daybook: .+ is no file/);
    }
  }));
