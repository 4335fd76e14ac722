/**
 * What durable means on the real program: strace counts how often the log's file is flushed, and makes the system calls below it
 * fail. Skipped with a word where strace is missing, which is a failure in CI.
 */
import assert from "node:assert/strict";
import { inFolder } from "../folder_given.ts";
import { installed } from "../installed_given.ts";
import { Book, events, type Kind } from "./kill_load.ts";
import { Program, run, runAs } from "./program.ts";
import { seededRandom } from "../../adapters/simulation/random.ts";
import { CRASH_VARIABLE } from "../../adapters/process/crash.ts";

const ATTACHED_MS_MAX = 120_000;

/** Follows all threads of a process; `end` lets go of it and answers what was seen, a line for each call. */
class Tracer {
  private constructor(private readonly child: Deno.ChildProcess, private readonly file: string) {}

  static async attach(pid: number, file: string, ...filters: readonly string[]): Promise<Tracer> {
    const child = new Deno.Command("strace", {
      args: ["-f", "-y", "-p", String(pid), "-o", file, ...filters],
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const late = setTimeout(() => child.kill("SIGKILL"), ATTACHED_MS_MAX);
    let said = "";
    // It goes on talking of threads that come and go.
    const attached = Promise.withResolvers<void>();
    void (async () => {
      for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) {
        said += text;
        if (/attached/.test(said)) attached.resolve();
      }
      attached.reject(new Error(`strace cannot attach: ${said}`));
    })();
    try {
      await attached.promise;
    } finally {
      clearTimeout(late);
    }
    return new Tracer(child, file);
  }

  async end(): Promise<readonly string[]> {
    this.child.kill("SIGINT");
    await this.child.status;
    return whole((await Deno.readTextFile(this.file)).split("\n"));
  }
}

/** What a program is started under so that its calls are written to a file, each with the paths of what it is about. */
const under = (
  file: string,
  calls: string,
): readonly string[] => ["strace", "-f", "-q", "-y", "-o", file, "-e", `trace=${calls}`];

/** A call during which another thread made one stands in two lines, each with the number of its thread. */
const whole = (lines: readonly string[]): readonly string[] => {
  const begun = new Map<string, string>();
  return lines.flatMap((line) => {
    const [thread = ""] = line.split(" ", 1);
    const cut = line.indexOf(" <unfinished ...>");
    if (cut >= 0) {
      begun.set(thread, line.slice(0, cut));
      return [];
    }
    const rest = /<\.\.\. \w+ resumed>(.*)$/.exec(line)?.[1];
    return [rest === undefined ? line : (begun.get(thread) ?? "") + rest];
  });
};

const ignore = !installed("strace", "no call is made to fail, and no flush is counted");

const traced = (name: string, body: (data: string, trace: string) => Promise<void>) =>
  Deno.test({
    name,
    ignore,
    fn: () =>
      inFolder(async (dir) => {
        await Deno.mkdir(`${dir}/data`, { mode: 0o700 });
        await body(`${dir}/data`, `${dir}/trace`);
      }),
  });

const post = async (
  { url, token }: Program,
  id: string,
): Promise<{ status: number; body: Record<string, unknown> }> => {
  const response = await fetch(`${url}/events`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/cloudevents+json" },
    body: JSON.stringify({ specversion: "1.0", id, source: "urn:disk", type: "test.disk.sent", data: { id } }),
  });
  return { status: response.status, body: await response.json() };
};

const get = async ({ url, token }: Program, path: string) => {
  const response = await fetch(`${url}${path}`, { headers: { authorization: `Bearer ${token}` } });
  return { status: response.status, text: await response.text() };
};

const commits = async (program: Program): Promise<number> =>
  Number(/^daybook_log_commits_total (\d+)/m.exec((await get(program, "/metrics")).text)![1]);

const flushes = (lines: readonly string[], file: string): number =>
  lines.filter((line) => /(fsync|fdatasync)\(/.test(line) && line.includes(`${file}>`) && / = 0/.test(line)).length;

traced(
  "every commit is flushed before it is answered: no fewer flushes of the log than commits",
  async (data, trace) => {
    const program = await Program.start(data);
    try {
      for (const [load, clients] of [["one after another", 1], ["sixteen side by side", 16]] as const) {
        const tracer = await Tracer.attach(program.pid, trace, "-e", "trace=fsync,fdatasync");
        const before = await commits(program);
        const each = Array.from({ length: clients }, async (_, client) => {
          for (let i = 0; i < 40; i++) assert.equal((await post(program, `${load} ${client} ${i}`)).status, 201);
        });
        await Promise.all(each);
        const made = await commits(program) - before;
        const flushed = flushes(await tracer.end(), "log.db-wal");
        console.log(`${clients * 40} events ${load}: ${made} commits, ${flushed} flushes of the log`);
        assert.ok(clients > 1 || made >= 40, `${made} commits`);
        assert.ok(flushed >= made, `${flushed} flushes for ${made} commits`);
      }
    } finally {
      await program.end("SIGTERM");
    }
  },
);

for (
  const [what, calls] of [["a flush", "fsync,fdatasync"], ["a write", "pwrite64,pwritev,write"]] as const
) {
  traced(
    `${what} that fails is never acknowledged, and the log takes nothing more until it is opened again`,
    async (data, trace) => {
      let program = await Program.start(data);
      try {
        for (const id of ["one", "two"]) assert.equal((await post(program, id)).status, 201);
        const inject = ["-P", `${data}/log.db-wal`, "-e", `trace=${calls}`, "-e", `inject=${calls}:error=EIO`];
        const tracer = await Tracer.attach(program.pid, trace, ...inject);
        const refused = await post(program, "three");
        assert.deepEqual([refused.status, refused.body.type], [503, "urn:daybook:problem:unwritable"]);
        const injected = (await tracer.end()).filter((line) => line.includes("INJECTED"));
        assert.ok(injected.length > 0, "no call was made to fail");
        // The disk is well again; what it says is not believed all the same.
        assert.equal((await post(program, "four")).status, 503);
        assert.equal((await get(program, "/readyz")).status, 503);
        assert.equal((await get(program, "/livez")).status, 200);
        const read = await get(program, "/events?type=test.disk.sent");
        assert.deepEqual(JSON.parse(read.text).events.map(({ id }: { id: string }) => id), ["one", "two"]);
        const { code, err } = await program.end("SIGTERM");
        assert.equal(code, 0, err);
        assert.match(err, /the disk failed while it was written/);
        program = await Program.start(data);
        assert.equal((await get(program, "/readyz")).status, 200);
        for (const id of ["one", "two"]) assert.equal((await post(program, id)).body.duplicates, 1, id);
        for (const id of ["three", "four"]) assert.ok([200, 201].includes((await post(program, id)).status), id);
      } finally {
        await program.end("SIGTERM");
      }
      const verified = await run("verify", "--data", data, "--json");
      assert.equal(verified.code, 0, verified.out);
    },
  );
}

traced("behind a flush that fails nothing that came at the same time is acknowledged", async (data, trace) => {
  let program = await Program.start(data);
  try {
    assert.equal((await post(program, "one")).status, 201);
    const calls = "fsync,fdatasync";
    const only = ["-P", `${data}/log.db-wal`, "-e", `trace=${calls}`, "-e", `inject=${calls}:error=EIO:when=1`];
    const tracer = await Tracer.attach(program.pid, trace, ...only);
    const many = await Promise.all(Array.from({ length: 40 }, (_, i) => post(program, `many-${i}`)));
    assert.deepEqual([...new Set(many.map(({ status }) => status))], [503]);
    assert.ok((await tracer.end()).some((line) => line.includes("INJECTED")), "no flush was made to fail");
    assert.equal((await program.end("SIGTERM")).code, 0);
    program = await Program.start(data);
    assert.equal((await post(program, "one")).body.duplicates, 1);
  } finally {
    await program.end("SIGTERM");
  }
  assert.equal((await run("verify", "--data", data, "--json")).code, 0);
});

traced(
  "a disk without room fails appends, and takes them again in the same process when there is room",
  async (data, trace) => {
    const program = await Program.start(data);
    const book = new Book();
    try {
      assert.equal((await post(program, "one")).status, 201);
      const calls = "pwrite64,pwritev,write,ftruncate,fallocate";
      const inject = ["-P", `${data}/log.db-wal`, "-e", `trace=${calls}`, "-e", `inject=${calls}:error=ENOSPC`];
      const tracer = await Tracer.attach(program.pid, trace, ...inject);
      for (const id of ["two", "three"]) {
        const refused = await post(program, id);
        assert.deepEqual([refused.status, refused.body.type], [503, "urn:daybook:problem:unwritable"]);
      }
      assert.equal((await get(program, "/readyz")).status, 503);
      assert.ok((await tracer.end()).some((line) => line.includes("INJECTED")), "no call was made to fail");
      assert.deepEqual([(await post(program, "two")).status, (await post(program, "one")).status], [201, 200]);
      assert.equal((await get(program, "/readyz")).status, 200);
      await book.check(program);
    } finally {
      const { code, err } = await program.end("SIGTERM");
      assert.equal(code, 0, err);
    }
    const verified = await run("verify", "--data", data, "--json");
    assert.equal(verified.code, 0, verified.out);
  },
);

traced(
  "what a process that was cut off left beside the log is in it, flushed, before anything else is done",
  async (data, trace) => {
    const program = await Program.start(data);
    const clients: readonly Kind[] = Array(4).fill(events(4));
    const random = seededRandom(1);
    const begun = () => setTimeout(() => void program.end("SIGKILL"), 50);
    await new Book().load(program, { name: "cut", kinds: clients, random, dead: program.died, begun });
    assert.ok((await Deno.stat(`${data}/log.db-wal`)).size > 0, "nothing was left");
    const dying = { env: { [CRASH_VARIABLE]: "lock.opened" }, under: under(trace, "fsync,fdatasync") };
    await runAs(dying, "start", "--data", data, "--port", "0");
    assert.ok(flushes((await Deno.readTextFile(trace)).split("\n"), "/log.db") > 0, "it was not written again");
  },
);

traced("what goes on without an archive is flushed before anything is let go of", async (data, trace) => {
  const program = await Program.start(data);
  const many = Array.from({ length: 100 }, (_, i) => i);
  for (let at = 0; at < 4; at++) {
    const statuses = await Promise.all(many.map(async (i) => (await post(program, `e-${at}-${i}`)).status));
    assert.deepEqual(statuses.filter((status) => status !== 201), []);
  }
  assert.equal((await program.end("SIGTERM")).code, 0);
  const dying = { env: { [CRASH_VARIABLE]: "archive.recorded" }, under: under(trace, "fsync,fdatasync") };
  await runAs(dying, "archive", "--before", "256", "--to", `${data}.archive`, "--data", data);
  // SQLite flushes each as well when it begins it, where something is written to it: the views' in another thread, the notes' before.
  const calls = /^(\d+) +f(?:data)?sync\(\d+<.*\/(notes|views)\.db-wal>/gm;
  const flushed = [...(await Deno.readTextFile(trace)).matchAll(calls)];
  const [, asks] = flushed.at(-1)!;
  const files = flushed.filter(([, thread]) => thread === asks).map(([, , file]) => file);
  assert.deepEqual(files.slice(-2), ["views", "notes"]);
});

/** All files in a folder, by their paths within it. */
const filesIn = async (folder: string, within = ""): Promise<readonly string[]> => {
  const files: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = `${within}${name}`;
    files.push(...(isDirectory ? await filesIn(`${folder}/${name}`, `${path}/`) : [path]));
  }
  return files;
};

traced("what a command has written is on the disk, under its name, when it says so", async (data, trace) => {
  const program = await Program.start(data);
  for (let i = 0; i < 3; i++) assert.equal((await post(program, `e-${i}`)).status, 201);
  assert.equal((await program.end("SIGTERM")).code, 0);
  const calls = async (...args: readonly string[]): Promise<readonly string[]> => {
    const { code, err } = await runAs({ under: under(trace, "fsync,fdatasync,rename") }, ...args, "--data", data);
    assert.ok(code < 2, `${args}: ${err}`);
    return whole((await Deno.readTextFile(trace)).split("\n"));
  };
  const out = `${data}.out`;
  const folders = [["backup", `${out}/backup`], ["audit", "--out", `${out}/audit`]] as const;
  for (const args of [...folders, ["export", "--format", "tlog-tiles", "--out", `${out}/tiles`] as const]) {
    const made = await calls(...args);
    const folder = args.at(-1)!;
    const named = made.findIndex((line) => line.includes(`, "${folder}") = 0`));
    const [, filled] = /rename\("([^"]+)"/.exec(made[named] ?? "") ?? [];
    const flushed = made.slice(0, named).flatMap((line) => /sync\(\d+<([^>]+)>\) += 0/.exec(line)?.[1] ?? []);
    const files = await filesIn(folder);
    assert.ok(files.length >= 3, folder);
    assert.deepEqual(files.filter((file) => !flushed.includes(`${filled}/${file}`)), [], folder);
    assert.ok(made.slice(named).some((line) => /sync\(/.test(line) && line.includes(`<${out}>`)), `name of ${folder}`);
  }
  for (const args of [["export"], ["receipt", "2"]]) {
    const file = `${out}/${args[0]}`;
    const made = await calls(...args, "--out", file);
    const named = made.findIndex((line) => line.includes(`rename("${file}.partial", "${file}") = 0`));
    const flushed = (path: string, lines: readonly string[]) =>
      lines.some((line) => /sync\(/.test(line) && line.includes(`<${path}>`));
    assert.ok(named > 0 && flushed(`${file}.partial`, made.slice(0, named)), `content of ${file}`);
    assert.ok(flushed(file, made.slice(named)), `name of ${file}`);
  }
});

traced(
  "a command whose files cannot be opened or flushed does what it does all the same, or says why not",
  async (data, trace) => {
    assert.equal((await (await Program.start(data)).end("SIGTERM")).code, 0);
    const secret = `${data}.secret`;
    await Deno.writeTextFile(secret, "x");
    const failing = async (file: string, calls: string, error: string, when: number) => {
      const inject = ["-P", `${data}/${file}`, "-e", `inject=${calls}:error=${error}:when=${when}`];
      const { code, err } = await runAs(
        { under: [...under(trace, calls), ...inject] },
        ...["secret", "set", `s${at++}`, "--file", secret, "--data", data],
      );
      const made = whole((await Deno.readTextFile(trace)).split("\n")).filter((line) => line.includes("INJECTED"));
      assert.ok(code === 0 || [1, 3].includes(code) && /^daybook: \S/m.test(err), `${code} ${made}\n${err}`);
      assert.doesNotMatch(err, /should not have happened|\n\s+at /, `${made}`);
      return made.length > 0;
    };
    let at = 0;
    const opened = { "keys.db": 2, "root.key": 2, "log.db": 2, "views.db": 3, "notes.db": 2 };
    for (const [file, times] of Object.entries(opened)) {
      for (let when = 1; when <= times; when++) {
        assert.ok(await failing(file, "openat", "EIO", when), `${file} was opened less than ${when} times`);
      }
    }
    assert.ok(await failing("log.db-wal", "fsync,fdatasync", "EIO", 1));
  },
);

traced("what cannot be given its name is not left beside it", async (data, trace) => {
  assert.equal((await (await Program.start(data)).end("SIGTERM")).code, 0);
  const out = `${data}.out`;
  const inject = ["-P", `${out}.partial`, "-e", "inject=rename:error=EIO"];
  const { code, err } = await runAs(
    { under: [...under(trace, "rename"), ...inject] },
    ...["export", "--out", out, "--data", data],
  );
  assert.match(await Deno.readTextFile(trace), /INJECTED/);
  assert.deepEqual([code, /^daybook: .*Input\/output error/m.test(err)], [3, true], err);
  await assert.rejects(Deno.stat(`${out}.partial`), Deno.errors.NotFound);
});

traced("whatever cannot be read on is named", async (data, trace) => {
  assert.equal((await (await Program.start(data)).end("SIGTERM")).code, 0);
  const given = `${data}.given`;
  await Deno.writeTextFile(given, "Nov 22 10:00:01 host sshd[1]: Accepted password for a from 192.0.2.1 port 1 ssh2\n");
  const failing = async (file: string, call: string, ...args: readonly string[]) => {
    const inject = ["-P", file, "-e", `inject=${call}:error=EIO`];
    const { code, err } = await runAs({ under: [...under(trace, call), ...inject] }, ...args, "--data", data);
    assert.match(await Deno.readTextFile(trace), /INJECTED/);
    assert.deepEqual([code, err], [3, `daybook: ${given}: Input/output error\n`]);
  };
  for (const kind of ["sshd", "cloudtrail", "bench"]) await failing(given, "read", "import", kind, given);
});
