/**
 * Commands that read, on a data folder in each state it can be in: beside a running server, after a clean stop, and as a
 * killed one (SIGKILL) left it; where it may be written and where not. They see every event that was acknowledged and write
 * nothing.
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { COMMANDS } from "../../adapters/cli/table.ts";
import { sampling } from "../sampled.ts";
import { command, fingerprint, type HowTo, type Ran, run, withPlace } from "./cli_given.ts";
import { Program } from "./program.ts";
import { heard, signal as send, until, within } from "../until.ts";

interface Known {
  /** Of the last event that was acknowledged. */
  readonly id: string;
  readonly position: number;
}

/** By name of the command: what to type behind it, and how its output shows that it has seen all. */
interface Look {
  readonly args: readonly string[];
  readonly sees: (known: Known, document: Record<string, unknown>) => void;
}

const sizeOf = ({ position }: Known, { size }: Record<string, unknown>) => assert.ok(Number(size) > position);

const looks = (known: Known, to: string): Readonly<Record<string, Look>> => ({
  status: { args: [], sees: sizeOf },
  view: {
    args: ["audit.trail", "--descending", "--limit", "1000"],
    sees: (known, document) => {
      sizeOf(known, document);
      assert.ok((document.rows as { position: number }[]).some(({ position }) => position === known.position));
    },
  },
  events: {
    args: ["--since", String(known.position)],
    sees: ({ id }, { events }) => assert.equal((events as { id: string }[])[0]!.id, id),
  },
  verify: {
    args: [],
    sees: (known, document) => {
      sizeOf(known, document);
      assert.equal(document.ok, true);
    },
  },
  replay: {
    args: ["--check"],
    sees: (known, document) => {
      sizeOf(known, document);
      assert.equal(document.ok, true);
      const views = document.views as { equal: boolean | null }[];
      assert.ok(views.length > 5 && views.every(({ equal }) => equal));
    },
  },
  explain: {
    args: [String(known.position)],
    sees: ({ id }, { root }) => assert.equal((root as { event: { id: string } }).event.id, id),
  },
  "who-could": {
    args: ["events.ingest", "inbox//left-open"],
    sees: (known, document) => {
      sizeOf(known, document);
      const could = (document.principals as { id: string }[]).map(({ id }) => id);
      assert.ok(could.length === 2 && could[0] === "operator" && could[1]!.startsWith("t_"), could.join());
    },
  },
  receipt: {
    args: [String(known.position)],
    sees: ({ position }, { receipt }) => assert.ok((receipt as string).includes(`\nindex ${position}\n`)),
  },
  export: {
    args: ["--from", String(known.position)],
    sees: ({ id }, { events }) => assert.equal((events as { id: string }[])[0]!.id, id),
  },
  backup: { args: [to], sees: sizeOf },
  "hold list": {
    args: [],
    sees: (_, { holds }) => assert.deepEqual(holds, []),
  },
  "secret list": {
    args: [],
    sees: (_, { secrets }) => assert.deepEqual(secrets, []),
  },
  "token list": {
    args: [],
    sees: (_, { tokens }) => assert.equal((tokens as unknown[]).length, 1),
  },
});

/** Of six states of a folder each command is typed in three. */
const some = sampling(2);

/** Runs reading commands; nothing is left where copies are made. */
const lookAll = async (dir: string, data: string, known: Known, how: HowTo = {}): Promise<void> => {
  const scratch = await Deno.makeTempDir({ dir });
  const to = `${scratch}-backup`;
  for (const [name, { args, sees }] of some(Object.entries(looks(known, to)))) {
    const ran = await run([...name.split(" "), ...args, "--data", data, "--json"], {
      ...how,
      env: { TMPDIR: scratch },
    });
    assert.equal(ran.code, 0, `${name}: ${told(ran)}`);
    try {
      sees(known, JSON.parse(ran.out));
    } catch (error) {
      assert.fail(`${name}: ${(error as Error).message}: ${told(ran).slice(0, 1_000)}`);
    }
    assert.deepEqual([...Deno.readDirSync(scratch)], [], `${name} leaves nothing in ${scratch}`);
  }
};

const told = ({ out, err }: Ran): string => `${out}${err}`;

/** A server with some history, and what it has acknowledged last. */
const serving = async (data: string): Promise<{ readonly program: Program; readonly known: Known }> => {
  const program = await Program.start(data);
  const { url, token } = program;
  const client = Deno.createHttpClient({});
  let known: Known | undefined;
  for (let request = 0; request < 20; request++) {
    const answer = await fetch(`${url}/events`, {
      client,
      method: "POST",
      headers: {
        authorization: `Bearer ${token}`,
        "content-type": "application/cloudevents-batch+json",
        ...(request === 19 ? { prefer: "checkpoint" } : {}),
      },
      body: JSON.stringify(Array.from({ length: 50 }, (_, i) => ({
        specversion: "1.0",
        id: `${request}.${i}`,
        source: "/left-open",
        type: "com.example.said",
        data: { request, i, text: "x".repeat(200) },
      }))),
    });
    const { receipts } = await answer.json() as { receipts: { id: string; position: number }[] };
    assert.equal(answer.status, 201);
    known = receipts.at(-1)!;
  }
  const headers = { authorization: `Bearer ${token}` };
  const { views } = await (await fetch(`${url}/views`, { client, headers })).json() as {
    views: { name: string; asks?: unknown }[];
  };
  // The others are made when they are asked.
  for (const { name } of views.filter(({ asks }) => asks === undefined)) {
    const answer = await fetch(`${url}/views/${name}?limit=1&wait=${known!.position}`, { client, headers });
    assert.equal(answer.status, 200, await answer.text());
  }
  client.close();
  return { program, known: known! };
};

/** What they read is not in these folders: a witness, evidence for controls, another folder, a person, certificates, alerts, services. */
const ELSEWHERE = new Set([
  ...["anchor", "audit", "cert list", "alerts list", "restore", "subject"],
  ...["up", "down", "restart", "ps", "logs", "why", "stack update", "stack suggest", "stack critical-path"],
]);

Deno.test("every reading command is looked at here", () => {
  assert.deepEqual(
    new Set(Object.keys(looks({ id: "", position: 0 }, ""))),
    new Set(COMMANDS.filter(({ reads }) => reads).map(({ name }) => name).filter((name) => !ELSEWHERE.has(name))),
  );
});

Deno.test("beside a running server every reading command sees the newest event", () =>
  withPlace(async ({ dir, data }) => {
    const { program, known } = await serving(data);
    try {
      await lookAll(dir, data, known);
    } finally {
      await program.end("SIGTERM");
    }
  }));

Deno.test("in a folder whose server was killed every reading command sees the newest event and writes nothing", () =>
  withPlace(async ({ dir, data }) => {
    const { program, known } = await serving(data);
    await program.end("SIGKILL");
    const before = await fingerprint(data);
    assert.ok(before.some((line) => line.startsWith("log.db-wal ")), "the log was left open");
    assert.ok(before.some((line) => line.startsWith("views.db-wal ")), "the views were left open");
    await lookAll(dir, data, known);
    assert.deepEqual(await fingerprint(data), before);
    // The same without the shared memory, as a copy of the folder may come.
    await Deno.remove(`${data}/log.db-shm`);
    const copied = await fingerprint(data);
    await lookAll(dir, data, known);
    assert.deepEqual(await fingerprint(data), copied);
  }));

/** What starts a command so that permissions of files count, also for the superuser; undefined where there is nothing of the kind. */
const withoutPrivileges = async (): Promise<readonly string[] | undefined> => {
  if (Deno.uid() !== 0) return [];
  const setpriv = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"];
  try {
    const { success } = await new Deno.Command(setpriv[0]!, { args: [...setpriv.slice(1), "true"] }).output();
    return success ? setpriv : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
};

for (const [how, signal] of [["stopped", "SIGTERM"], ["killed", "SIGKILL"]] as const) {
  Deno.test(`in a folder that cannot be written every reading command works after the server was ${how}`, async () => {
    const under = await withoutPrivileges();
    if (!under) return console.log("no setpriv: left out");
    await withPlace(async ({ dir, data }) => {
      const { program, known } = await serving(data);
      await program.end(signal);
      for (const { name } of Deno.readDirSync(data)) await Deno.chmod(`${data}/${name}`, 0o400);
      await Deno.chmod(data, 0o500);
      const before = await fingerprint(data);
      const sent = await run(["token", "create", "x", "--data", data], { under });
      assert.equal(sent.code, 3, `it can indeed not be written: ${told(sent)}`);
      await lookAll(dir, data, known, { under });
      assert.deepEqual(await fingerprint(data), before);
      await Deno.chmod(data, 0o700);
    });
  });
}

Deno.test("who may not enter the folder, or not read its root key, is told which it was", async () => {
  const under = await withoutPrivileges();
  if (!under) return console.log("no setpriv: left out");
  await withPlace(async ({ data }) => {
    await (await serving(data)).program.end("SIGTERM");
    const said = async (place: string, ...args: readonly string[]) => {
      const { mode } = await Deno.stat(place);
      await Deno.chmod(place, 0);
      try {
        return await run([...args, "--data", data], { under, grants: [] });
      } finally {
        await Deno.chmod(place, mode! & 0o777);
      }
    };
    const shut = await said(data, "start", "--port", "0");
    assert.equal(shut.code, 3);
    assert.ok(shut.err.startsWith(`daybook: ${data}/lock: Permission denied`), shut.err);
    const key = await said(`${data}/root.key`, "view", "commits.repository");
    const told = `daybook: Cannot read the root key file ${data}/root.key: permission denied\n`;
    assert.deepEqual(key, { code: 3, out: "", err: told });
  });
});

Deno.test("a command that may read the folder already, as the tasks may, asks for a place for copies when it is needed", () =>
  withPlace(async ({ dir, data }) => {
    const { program, known } = await serving(data);
    await program.end("SIGKILL");
    const before = await fingerprint(data);
    const socket = `${data}/control.sock`;
    const config = fileURLToPath(new URL("../../config", import.meta.url));
    const grants = (written: string) => [
      `--allow-read=${data},${config}`,
      `--allow-write=${written}`,
      `--allow-net=unix:${socket},control.invalid`,
    ];
    await lookAll(dir, data, known, { grants: grants(socket) });
    // The task for any command may write the folder; a command that reads does not all the same.
    const ran = await run(["events", "--json", "--data", data], { grants: grants(data) });
    assert.equal(JSON.parse(ran.out).size, JSON.parse((await run(["status", "--json", "--data", data])).out).size);
    assert.deepEqual(await fingerprint(data), before);
  }));

Deno.test("where no copy can be made that is said, and not that trying again might help", () =>
  withPlace(async ({ data }) => {
    const { program } = await serving(data);
    await program.end("SIGKILL");
    const { code, err } = await run(["status", "--data", data], { env: { TMPDIR: "/dev/shm" }, grants: [] });
    const told = /^daybook: cannot make \S+ for a copy \(TMPDIR says where\): \/dev\/shm\/\S+: below \/dev, [^\n]+\n$/;
    assert.match(err, told);
    assert.equal(code, 3);
  }));

Deno.test("a backup with its keys is made of what a killed server left", () =>
  withPlace(async ({ dir, data }) => {
    const { program, known } = await serving(data);
    await program.end("SIGKILL");
    const before = await fingerprint(data);
    const env = { DAYBOOK_PASSPHRASE: "correct horse battery" };
    const made = await run(["backup", `${dir}/copy`, "--with-keys", "--data", data], { env });
    assert.equal(made.code, 0, told(made));
    assert.deepEqual(await fingerprint(data), before);
    const back = await run(["restore", `${dir}/copy`, "--data", `${dir}/back`], { env });
    assert.equal(back.code, 0, told(back));
    const there = await run(["events", "--since", String(known.position), "--json", "--data", `${dir}/back`]);
    assert.equal(JSON.parse(there.out).events[0].id, known.id);
  }));

/** A command that is ended while it has a copy; one that was through already is typed again. */
const ENDED_TRIES = 50;

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.test(`a command that is ended with ${signal} leaves no copy behind`, () =>
    withPlace(async ({ dir, data }) => {
      const { program } = await serving(data);
      await program.end("SIGKILL");
      const scratch = await Deno.makeTempDir({ dir });
      for (let ended = 0, tries = 0; ended === 0; tries++) {
        assert.ok(tries < ENDED_TRIES, "none was ended while it had a copy");
        const child = command(["verify", "--json", "--data", data], { env: { TMPDIR: scratch } }).spawn();
        let done = false;
        const status = child.status.finally(() => done = true);
        const output = Promise.all([child.stdout, child.stderr].map((stream) => new Response(stream).text()));
        await until("a copy", () => done || [...Deno.readDirSync(scratch)].length > 0, Boolean, { every_ms: 0 });
        if (!done) send(child, signal);
        const { code } = await within("the end of verify", status);
        const [out, err] = await output;
        assert.deepEqual([...Deno.readDirSync(scratch)], []);
        if (code === 3) ended++;
        else assert.equal(code, 0, `${out}${err}`);
      }
    }));
}

Deno.test("what lies in a data folder is its owner's alone, at work and closed", () =>
  withPlace(async ({ data }) => {
    const open = () =>
      [...Deno.readDirSync(data)].filter(({ isFile }) => isFile).map(({ name }) =>
        `${name} ${(Deno.statSync(`${data}/${name}`).mode! & 0o777).toString(8)}`
      )
        .filter((line) => !line.endsWith(" 600"));
    const { program } = await serving(data);
    assert.deepEqual(open(), []);
    await program.end("SIGTERM");
    assert.deepEqual(open(), []);
    assert.equal(Deno.statSync(data).mode! & 0o777, 0o700);
  }));

Deno.test("who follows a log that was left open sees what the next server appends", () =>
  withPlace(async ({ data }) => {
    const first = await serving(data);
    await first.program.end("SIGKILL");
    const args = ["events", "--follow", "--since", String(first.known.position), "--json", "--data", data];
    const follower = command(args, {}).spawn();
    const lines = follower.stdout.pipeThrough(new TextDecoderStream()).getReader();
    let out = "";
    const told = async (text: string) => {
      if (!out.includes(text)) out += await heard(text, lines, (more) => (out + more).includes(text));
    };
    // It reads a copy now, for the one who wrote the log is dead.
    await told(first.known.id);
    const before = out.length;
    const second = await Program.start(data);
    await told(`"kernel.process.started"`);
    assert.ok(out.indexOf(`"kernel.process.started"`) > before);
    await second.end("SIGTERM");
    follower.kill("SIGTERM");
    await within("the follower's end", follower.status);
    while (!(await lines.read()).done);
    assert.equal(await new Response(follower.stderr).text(), "");
    assert.equal((await follower.status).code, 0);
  }));
