/** What the agent does with processes, on real ones. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { SECRET_BYTES_MAX } from "../adapters/process/agent/environment.ts";
import type { FromAgent } from "../adapters/process/agent/protocol.ts";
import { Agent, nonce as fresh, running, starting } from "./services_agent_given.ts";
import { until } from "./until.ts";

const LOG = { bytes_max: 4_096, keep: 1 };
const ended = (nonce: string) => (said: FromAgent) => "said" in said && said.said === "exited" && said.nonce === nonce;
const lined = (nonce: string) => (said: FromAgent) => "said" in said && said.said === "line" && said.nonce === nonce;
const isProcess = async (pid: number) =>
  (await new Deno.Command("kill", { args: ["-0", String(pid)] }).output()).success;

Deno.test("a start that is asked for several times at once happens once, also where a trace of it is there already", async () => {
  await Agent.with(async (agent, folder) => {
    for (const trace of [undefined, '{"boot":"another","from":0}']) {
      const nonce = fresh();
      await Deno.mkdir(`${folder}/started`, { recursive: true });
      if (trace !== undefined) await Deno.writeTextFile(`${folder}/started/${nonce}.json`, trace);
      const start = starting(folder, nonce, `echo x >> ${nonce}.count; sleep 60`);
      const answers = await agent.asks("start", [start, start, start]);
      const processes = answers.map((answer) => "process" in answer ? answer.process : assert.fail(answer.refused));
      assert.equal(new Set(processes.map(({ pid }) => pid)).size, 1, "each answer tells of the same process");
      const watch = { process: processes[0]!, traces: start.traces, log: start.log };
      await agent.ask("watch", watch);
      assert.deepEqual(await agent.ask("end", { process: processes[0]!, signal: "SIGKILL" }), { sent: true });
      await agent.said(ended(nonce));
      assert.ok(
        (await Deno.readTextFile(`${folder}/${nonce}.count`).catch(() => "")).length <= 2,
        "one program at most",
      );
    }
  });
});

Deno.test("who looks for a start that was asked for and is not done yet finds it", async () => {
  await Agent.with(async (agent, folder) => {
    const nonce = fresh();
    await Deno.mkdir(`${folder}/started`);
    await Deno.writeTextFile(`${folder}/started/${nonce}.json`, '{"boot":"another","from":0}');
    const { traces, ...start } = starting(folder, nonce, "exit 3");
    const started = agent.ask("start", { traces, ...start });
    const { process } = await agent.ask("find", { nonce, traces });
    const answer = await started;
    assert.ok("process" in answer && process, "it is there");
    assert.equal(process.pid, answer.process.pid);
    // It ended before anybody asked to be told, and how is kept for whoever does, this agent or the next.
    const { command, environment, inherit, folder: at } = start;
    const kept = ["-c", `until [ -s started/${nonce}.end ]; do :; done`];
    const program = { command, arguments: kept, folder: at, environment, inherit, traces };
    assert.equal((await agent.ask("run", { ...program, timeout_ms: 60_000 })).code, 0);
    await agent.ask("watch", { process: answer.process, traces, log: start.log });
    assert.deepEqual(await agent.said(ended(nonce)), {
      said: "exited",
      nonce,
      how: { code: 3, signal: null, known: true },
    });
  });
});

Deno.test("a process that is gone takes nobody with it who leads a session under its number now", async () => {
  await Agent.with(async (agent, folder) => {
    const nonce = fresh();
    const foreign = spawn("/bin/sh", ["-c", "sleep 60 & echo $!; wait"], {
      detached: true,
      stdio: ["ignore", "pipe", "ignore"],
    });
    const over = new Promise((resolve) => foreign.once("exit", resolve));
    const child = await new Promise<number>((resolve) => foreign.stdout!.once("data", (text) => resolve(Number(text))));
    try {
      const log = { path: `${folder}/out.log`, ...LOG };
      const process = { nonce, pid: foreign.pid!, boot: "before-the-machine-was-started-anew", ticks: 5 };
      await agent.ask("watch", { process, traces: folder, log });
      await agent.said(ended(nonce));
      assert.ok(await isProcess(child), "the other's child is there");
    } finally {
      Deno.kill(-foreign.pid!, "SIGKILL");
      await over;
    }
  });
});

Deno.test("output that cannot be set aside is let go of, and everybody is watched on", async () => {
  await Agent.with(async (agent, folder) => {
    const nonce = fresh();
    const start = starting(folder, nonce, "head -c 9000 /dev/zero; echo > seen; read x < go; exit 4");
    await new Deno.Command("mkfifo", { args: [`${folder}/go`] }).output();
    await Deno.mkdir(`${start.log.path}.1/full`, { recursive: true }); // no file can take its place
    const answer = await agent.ask("start", start);
    assert.ok("process" in answer);
    await agent.ask("watch", { process: answer.process, traces: start.traces, log: start.log });
    // The program goes on only when somebody saw the file made empty.
    const emptied = starting(
      folder,
      "other",
      "until [ -s seen ] && ! [ -s out.log ]; do :; done",
    );
    const run = await agent.ask("run", running(emptied, 60_000));
    assert.equal(run.code, 0);
    await Deno.writeTextFile(`${folder}/go`, "\n");
    const exited = await agent.said(ended(nonce));
    assert.ok("how" in exited && exited.how.code === 4);
  });
});

Deno.test("a line that was seen is told again to whoever asks again, and is found in a file that was made empty", async () => {
  await Agent.with(async (agent, folder) => {
    const nonce = fresh();
    const start = starting(folder, nonce, "echo ready; sleep 60");
    const answer = await agent.ask("start", start);
    assert.ok("process" in answer);
    // As if so much had been in the file that has been set aside since.
    const trace = `${start.traces}/${nonce}.json`;
    await Deno.writeTextFile(trace, JSON.stringify({ ...JSON.parse(await Deno.readTextFile(trace)), from: 1_000_000 }));
    const watch = { process: answer.process, traces: start.traces, log: start.log, line: "^ready$" };
    for (let time = 0; time < 2; time++) {
      await agent.ask("watch", watch);
      await agent.said(lined(nonce));
    }
    await agent.ask("end", { process: answer.process, signal: "SIGKILL" });
    await agent.said(ended(nonce));
  });
});

Deno.test("output is kept within bounds from the start on, and who asks later is told of what was in it", async () => {
  await Agent.with(async (agent, folder) => {
    const nonce = fresh();
    const flood = "echo ready; head -c 9000 /dev/zero; echo > written; exec sleep 60";
    const start = { ...starting(folder, nonce, flood), line: "^ready$" };
    const answer = await agent.ask("start", start);
    assert.ok("process" in answer);
    // Nobody has asked yet, as if whoever started it had no room left to say so.
    const emptied = starting(folder, "other", "until [ -s written ] && ! [ -s out.log ]; do :; done");
    assert.equal((await agent.ask("run", running(emptied, 60_000))).code, 0);
    await agent.ask("watch", { process: answer.process, traces: start.traces, log: start.log, line: start.line });
    await agent.said(lined(nonce));
    const lost = await agent.said((said) => "said" in said && said.said === "lost");
    assert.ok("bytes" in lost && lost.bytes === 9_006 - LOG.bytes_max);
    await agent.ask("end", { process: answer.process, signal: "SIGKILL" });
    await agent.said(ended(nonce));
  });
});

Deno.test("a line is found in a file that was made empty and is longer again than what was read of it", async () => {
  await Agent.with(async (agent, folder) => {
    const nonce = fresh();
    const script =
      "head -c 5000 /dev/zero; until ! [ -s out.log ]; do :; done; echo; echo ready; head -c 9000 /dev/zero; exec sleep 60";
    const start = { ...starting(folder, nonce, script), line: "^ready$" };
    const answer = await agent.ask("start", start);
    assert.ok("process" in answer);
    await agent.ask("watch", { process: answer.process, traces: start.traces, log: start.log, line: start.line });
    await agent.said(lined(nonce));
    await agent.ask("end", { process: answer.process, signal: "SIGKILL" });
    await agent.said(ended(nonce));
  });
});

Deno.test("who floods its output is not caught up with: the end is looked at, and others are answered", async () => {
  await Agent.with(async (agent, folder) => {
    const nonce = fresh();
    const log = { path: `${folder}/flood.log`, bytes_max: 2 ** 43, keep: 1 };
    await Deno.writeTextFile(log.path, "");
    await Deno.truncate(log.path, 2 ** 42); // a hole: reading all of it would take hours
    await Deno.writeTextFile(log.path, "\nready\n", { append: true });
    const start = starting(folder, nonce, "exec sleep 60");
    const answer = await agent.ask("start", start);
    assert.ok("process" in answer);
    const { process } = answer;
    await agent.ask("forget", { traces: start.traces, nonces: [nonce] }); // its output is another file
    await agent.ask("watch", { process, traces: start.traces, log, line: "^ready$" });
    await agent.ask("ping", {});
    await agent.said(lined(nonce));
    await agent.ask("end", { process, signal: "SIGKILL" });
    await agent.said(ended(nonce));
  });
});

Deno.test("what cannot be started is refused with one line, whatever stands in the way; limits are those of the shell there is", async () => {
  await Agent.with(async (agent, folder) => {
    const nonce = fresh();
    await Deno.writeTextFile(`${folder}/file`, "");
    await Deno.writeTextFile(`${folder}/nul`, "a\0b");
    await Deno.writeTextFile(`${folder}/large`, "s".repeat(SECRET_BYTES_MAX + 1));
    assert.ok((await new Deno.Command("mkfifo", { args: [`${folder}/pipe`] }).output()).success);
    const start = starting(folder, nonce, "exit 0");
    const bad = [
      { ...start, nonce: "log", log: { ...start.log, path: `${folder}/file/out.log` } },
      { ...start, nonce: "traces", traces: `${folder}/file/started` },
      { ...start, nonce: "nul", environment: { SECRET: { file: "nul" } } },
      { ...start, nonce: "pipe", environment: { SECRET: { file: "pipe" } } },
      { ...start, nonce: "large", environment: { SECRET: { file: "large" } } },
      { ...start, nonce: "argument", arguments: ["a\0b"] },
    ];
    for (const each of bad) {
      const answer = await agent.ask("start", each);
      assert.ok("refused" in answer, `${each.nonce} is refused`);
      assert.doesNotMatch(answer.refused, /\n|a\0b/);
    }
    const room = await agent.ask("free", { folder: `${folder}/missing/below` });
    assert.ok(room.disk_bytes > 0, "of a folder that is not there, and so is refused when it comes to the start");
    const run = await agent.ask("run", running(bad.at(-1)!, 1_000));
    assert.deepEqual({ ...run, because: "" }, { code: null, timed_out: false, because: "" });
    const limited = { ...start, limits: { processes: 10_000, open_files: 64 } };
    const answer = await agent.ask("start", limited);
    assert.ok("process" in answer);
    await agent.ask("watch", { process: answer.process, traces: start.traces, log: start.log });
    const exited = await agent.said(ended(nonce));
    assert.ok("how" in exited && exited.how.code === 0, await Deno.readTextFile(start.log.path));
  });
});

Deno.test("a secret that no variable can hold is refused by its name, and nothing of it is told", async () => {
  await Agent.with(async (agent, folder) => {
    // As Windows writes text: every other byte is zero.
    await Deno.writeFile(`${folder}/wide`, Uint8Array.from([..."hidden"].flatMap((char) => [char.charCodeAt(0), 0])));
    const start = {
      ...starting(folder, fresh(), "exit 0"),
      environment: { SECRET: { file: "wide" }, TEXT: "fine" },
    };
    const because = "SECRET: a variable holds no zero byte";
    assert.deepEqual(await agent.ask("start", start), { refused: because });
    assert.deepEqual(await agent.ask("run", running(start, 1_000)), { code: null, timed_out: false, because });
    const told = { ...start, environment: { TEXT: "hid\0den" }, arguments: ["-c", "hid\0den"] };
    for (const each of [told, { ...told, environment: {} }]) {
      const answer = await agent.ask("start", each);
      assert.ok("refused" in answer);
      assert.doesNotMatch(answer.refused, /hid/);
      assert.doesNotMatch((await agent.ask("run", running(each, 1_000))).because, /hid/);
    }
  });
});

Deno.test("a secret that is not UTF-8 is refused by its name, and neither told nor handed on as something else", async () => {
  await Agent.with(async (agent, folder) => {
    await Deno.writeFile(`${folder}/latin`, Uint8Array.from([...new TextEncoder().encode("hidden"), 0xff]));
    const start = starting(folder, fresh(), "exit 0");
    const refusals: readonly (readonly [Partial<typeof start>, string])[] = [
      [{ environment: { SECRET: { env: "LATIN" } } }, "the variable LATIN is not UTF-8"],
      [{ inherit: ["PATH", "LATIN"] }, "the variable LATIN is not UTF-8"],
      [{ environment: { SECRET: { file: "latin" } } }, "SECRET: the file latin is not UTF-8"],
    ];
    for (const [given, because] of refusals) {
      const ask = { ...start, ...given };
      assert.deepEqual(await agent.ask("start", ask), { refused: because });
      assert.deepEqual(await agent.ask("run", running(ask, 1_000)), { code: null, timed_out: false, because });
    }
  }, "LATIN=$(printf 'hidden\\377'); export LATIN;");
});

Deno.test("a hook or a probe in a folder that is not there says so", async () => {
  await Agent.with(async (agent, folder) => {
    const ask = { ...running(starting(folder, fresh(), "exit 0"), 60_000), folder: `${folder}/none` };
    const because = `there is no folder "${folder}/none"`;
    assert.deepEqual(await agent.ask("run", ask), { code: null, timed_out: false, because });
  });
});

Deno.test("what a hook or a probe writes is not told; how it ended is", async () => {
  await Agent.with(async (agent, folder) => {
    const nonce = fresh();
    const run = (script: string) => agent.ask("run", running(starting(folder, nonce, script), 60_000));
    assert.deepEqual(await run("echo a-secret; kill -9 $$"), {
      code: null,
      timed_out: false,
      because: "SIGKILL ended it",
    });
    assert.deepEqual(await run("echo a-secret; exit 7"), { code: 7, timed_out: false, because: "code 7" });
  });
});

Deno.test("an interrupt of the terminal leaves the agent to whoever started it", async () => {
  await Agent.with(async (agent) => {
    agent.process.kill("SIGINT");
    agent.process.kill("SIGHUP");
    assert.deepEqual(await agent.ask("ping", {}), {});
    assert.deepEqual(await agent.ask("ping", {}), {});
  });
});

Deno.test("a signal goes to the very process that was started, and to no other that has its number", async () => {
  await Agent.with(async (agent, folder) => {
    const nonce = fresh();
    const start = starting(folder, nonce, "sleep 60");
    const answer = await agent.ask("start", start);
    assert.ok("process" in answer);
    const { process } = answer;
    await agent.ask("watch", { process, traces: start.traces, log: start.log });
    for (const other of [{ ticks: process.ticks + 1 }, { boot: "another" }]) {
      assert.deepEqual(await agent.ask("end", { process: { ...process, ...other }, signal: "SIGKILL" }), {
        sent: false,
      });
    }
    assert.ok(await isProcess(process.pid));
    assert.deepEqual(await agent.ask("end", { process, signal: "SIGKILL" }), { sent: true });
    await agent.said(ended(nonce));
  });
});

Deno.test("hooks and probes that outlived the agent are ended by the next one; what a hook left behind on purpose goes on", async () => {
  await Agent.with(async (first, folder) => {
    await Agent.with(async (next) => {
      const nonce = fresh();
      const there = async (name: string): Promise<number> =>
        Number(
          await until(`the id of the ${name}`, () =>
            Deno.readTextFile(`${folder}/${name}`).catch(() => ""), (text) =>
            text.endsWith("\n")),
        );
      const run = (script: string) => running(starting(folder, nonce, script), 600_000);
      await first.ask("run", run("setsid sh -c 'echo $$ > helper; exec sleep 600' > /dev/null 2>&1 &"));
      const helper = await there("helper");
      const cut = first.ask("run", run("echo $$ > hook; sleep 600; :"));
      cut.catch(() => {});
      const hook = await there("hook");
      first.process.kill("SIGKILL");
      await first.process.status;
      await cut.catch(() => {});
      const { traces } = starting(folder, nonce, "");
      await next.ask("clean", { traces: `${traces}-of-others`, keep: [] });
      assert.ok(await isProcess(hook), "who works for another is left alone");
      await next.ask("clean", { traces, keep: [] });
      await until("the end of the hook", async () => !await isProcess(hook));
      assert.ok(await isProcess(helper));
      Deno.kill(helper, "SIGKILL");
    });
  });
});

Deno.test("a probe that runs ends with the agent that is told to end, with all that it has started; a hook goes on", async () => {
  const there: Record<string, number> = {};
  await Agent.with(async (agent, folder) => {
    const script = (name: string) => `sleep 600 & echo "$$ $!" > ${name}; wait; :`;
    for (const name of ["hook", "probe"]) {
      const asked = running(starting(folder, fresh(), script(name)), 600_000);
      agent.ask("run", { ...asked, ...(name === "probe" ? { probe: true } : {}) }).catch(() => {});
      const ids = await until(
        `the ids of the ${name}`,
        () => Deno.readTextFile(`${folder}/${name}`).catch(() => ""),
        (text) => text.endsWith("\n"),
      );
      [there[name], there[`${name}'s own`]] = ids.split(" ").map(Number) as [number, number];
    }
  });
  try {
    await until("the end of the probe", async () => !await isProcess(there.probe!));
    await until("the end of what it has started", async () => !await isProcess(there["probe's own"]!));
    assert.ok(await isProcess(there.hook!));
  } finally {
    for (const pid of Object.values(there)) if (await isProcess(pid)) Deno.kill(pid, "SIGKILL");
  }
});

Deno.test("what many take is counted in hardly longer than what one takes", async () => {
  await Agent.with(async (agent, folder) => {
    const script = "sleep 60 & sleep 60 & echo ready; wait";
    const started = [];
    for (let n = 0; n < 60; n++) started.push(await agent.ask("start", starting(folder, fresh(), script)));
    const processes = started.flatMap((answer) => "process" in answer ? [answer.process] : []);
    await until("all of them", async () => {
      const { usage } = await agent.ask("usage", { processes });
      return usage.length === 60 && usage.every(({ processes }) => processes === 3);
    });
    const took = async (count: number): Promise<number> => {
      let least = Infinity;
      for (let n = 0; n < 3; n++) {
        await new Promise((resolve) => setTimeout(resolve, 250)); // so that it is looked anew
        const at = performance.now();
        await agent.ask("usage", { processes: processes.slice(0, count) });
        least = Math.min(least, performance.now() - at);
      }
      return least;
    };
    const [one, all] = [await took(1), await took(60)];
    assert.ok(all < 10 * one, `one: ${one} ms, all: ${all} ms`);
    for (const process of processes) await agent.ask("end", { process, signal: "SIGKILL" });
  });
});

Deno.test("what it takes is counted by its control group where there is one, and whoever hides from all else is found there", async (t) => {
  await Agent.with(async (agent, folder) => {
    const nonce = fresh();
    const start = starting(
      folder,
      nonce,
      "for i in $(seq 200); do grep -q /daybook /proc/$$/cgroup && break; sleep 0.02; done; " +
        "env -i setsid sh -c 'echo $$ > hidden; exec sleep 60' & while ! [ -s hidden ]; do :; done; echo ready; exec sleep 60",
    );
    const answer = await agent.ask("start", start);
    assert.ok("process" in answer);
    const { process } = answer;
    await agent.ask("watch", { process, traces: start.traces, log: start.log, line: "ready" });
    await agent.said(lined(nonce));
    const { usage: [usage] } = await agent.ask("usage", { processes: [process] });
    const hidden = Number(await Deno.readTextFile(`${folder}/hidden`));
    assert.ok(usage!.rss_bytes > 0);
    if (usage!.cpu_from === "cgroup") {
      assert.deepEqual([usage!.processes, usage!.cpu_ms > 0], [2, true]);
    } else console.log(`skipped, no control groups can be made here: what hides is not looked for (${t.name})`);
    await agent.ask("end", { process, signal: "SIGTERM" });
    await agent.said(ended(nonce));
    if (usage!.cpu_from === "cgroup") {
      await until("the end of what hides", async () => !await isProcess(hidden));
      const group = await Deno.readTextFile(`${start.traces}/${nonce}.group`);
      await until("the end of its group", () => Deno.stat(group).then(() => false, () => true));
    } else if (await isProcess(hidden)) Deno.kill(hidden, "SIGKILL");
  });
});

Deno.test("who leaves its session twice over, as daemons do, is ended with the one that started it, whether that ends or is ended", async () => {
  for (const then of ["exit 0", "exec sleep 60"]) {
    await Agent.with(async (agent, folder) => {
      const nonce = fresh();
      const away = "setsid sh -c 'setsid sh -c \"echo \\$\\$ > away; exec sleep 60\" & exit 0' &";
      const start = starting(folder, nonce, `${away} while ! [ -s away ]; do :; done; echo ready; ${then}`);
      const answer = await agent.ask("start", start);
      assert.ok("process" in answer);
      const { process } = answer;
      await agent.ask("watch", { process, traces: start.traces, log: start.log, line: "ready" });
      await agent.said(lined(nonce));
      const daemon = Number(await Deno.readTextFile(`${folder}/away`));
      if (then !== "exit 0") await agent.ask("end", { process, signal: "SIGTERM" });
      await agent.said(ended(nonce));
      await until("the end of who went away", async () => !await isProcess(daemon));
    });
  }
});

Deno.test("of many that end at once each end is told once, and nothing is left of what each had sent away", async () => {
  await Agent.with(async (agent, folder) => {
    const away = (n: number) => `${folder}/away.${n}`;
    const starts = Array.from({ length: 20 }, (_, n) => {
      const daemon = `setsid sh -c 'echo $$ > away.${n}; exec sleep 60' &`;
      const script = `${daemon} while ! [ -s away.${n} ]; do :; done; echo ready; exec sleep 60`;
      const start = starting(folder, fresh(), script);
      // Each its own, or the line of one is that of all.
      return { ...start, log: { ...start.log, path: `${folder}/out.${n}.log` } };
    });
    const answers = await agent.asks("start", starts);
    const processes = answers.flatMap((answer) => "process" in answer ? [answer.process] : []);
    assert.equal(processes.length, starts.length);
    await agent.asks(
      "watch",
      processes.map((process, n) => ({ process, traces: starts[n]!.traces, log: starts[n]!.log, line: "ready" })),
    );
    for (const { nonce } of processes) await agent.said(lined(nonce));
    const daemons = await Promise.all(processes.map(async (_, n) => Number(await Deno.readTextFile(away(n)))));
    await agent.asks("end", processes.map((process) => ({ process, signal: "SIGKILL" })));
    for (const { nonce } of processes) await agent.said(ended(nonce));
    for (const daemon of daemons) await until("the end of who went away", async () => !await isProcess(daemon));
    assert.deepEqual(agent.left.filter((said) => "said" in said && said.said === "exited"), []);
  });
});
