/** The running server, while somebody damages the views under it. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import type { ReplayReport } from "../../adapters/cli/commands/replay.ts";
import { document, run, withPlace } from "./cli_given.ts";
import { Program } from "./program.ts";
import { until } from "../until.ts";

interface Answer {
  readonly status: number;
  readonly body: {
    readonly type?: string;
    readonly size: number;
    readonly rows: readonly { readonly key: string; readonly row: Record<string, unknown> }[];
    readonly receipts: readonly unknown[];
    readonly [other: string]: unknown;
  };
}

Deno.test("without projections a server folds what it goes by itself, and the others when they are wanted again", async () => {
  const data = await Deno.makeTempDir();
  const viewsOf = async (program: Program) => {
    const headers = { authorization: `Bearer ${program.token}` };
    const [all, one] = await Promise.all(["/views", "/views/audit.trail?wait=0"].map(async (path) => {
      const response = await fetch(`${program.url}${path}`, { headers });
      return { status: response.status, body: await response.json() };
    }));
    const names = all!.body.views.map(({ name }: { readonly name: string }) => name);
    return { names: names.filter((name: string) => !name.startsWith("access.")), one: one! };
  };
  try {
    const some = await Program.start(data, { DAYBOOK__START__PROJECTIONS: "false" });
    const { names, one } = await viewsOf(some);
    assert.deepEqual(names, [
      "alerts.inbox",
      "alerts.silences",
      "commits.branches",
      "health.tree",
      "health.children",
      "health.sinks",
      "identity.sessions",
      "health.threats",
      "services.board",
      "services.definitions",
      "services.findings",
      "certificates.current",
    ]);
    assert.deepEqual([one.status, one.body.type], [404, "urn:daybook:problem:unknown_view"]);
    assert.match(one.body.detail, /is folded here/);
    assert.equal((await some.end("SIGTERM")).code, 0);
    const all = await Program.start(data);
    const now = await viewsOf(all);
    assert.ok(now.names.length > 20, now.names.join());
    assert.equal(now.one.status, 200);
    assert.equal(now.one.body.rows[0].row.type, "kernel.process.started");
    await all.end("SIGTERM");
  } finally {
    await Deno.remove(data, { recursive: true });
  }
});

Deno.test("views that an earlier version has written are not compared, and not called different", () =>
  withPlace(async ({ data }) => {
    await document([
      "send",
      "commits.branch.move",
      "shop",
      `{"branch":"main","to":"${"1".repeat(40)}"}`,
      "--data",
      data,
    ]);
    const db = new DatabaseSync(`${data}/views.db`);
    const { user_version } = db.prepare("PRAGMA user_version").get()!;
    db.exec(`PRAGMA user_version = ${Number(user_version) - 1}`);
    db.close();
    const replayed = await document<ReplayReport>(["replay", "--check", "--data", data]);
    assert.deepEqual([replayed.exit, replayed.ok], [0, true]);
    for (const { equal, note } of replayed.views) {
      assert.equal(equal, null);
      assert.match(note ?? "", /^not_replayable: cannot read .*views\.db: it has format \d+, this program \d+$/);
    }
    assert.match((await run(["replay", "--check", "--data", data])).out, /^replayed equal: 0 of \d+ views compared/m);
  }));

const overwrite = async (file: string) => {
  using opened = await Deno.open(file, { write: true });
  const { size } = await opened.stat();
  assert.ok(size > 100 * 4_096, `${size} bytes`);
  await opened.seek(4_096, Deno.SeekMode.Start);
  const page = new Uint8Array(4_096).fill(0x5a);
  for (let done = 4_096; done < size; done += page.length) await opened.write(page);
};

const SPOILT: readonly (readonly [string, (file: string) => Promise<void>])[] = [
  ["overwritten in the middle", overwrite],
  ["deleted", (file) => Deno.remove(file)],
  ["emptied", (file) => Deno.truncate(file)],
];

const EVENTS = 5_000;

Deno.test("views that are overwritten, deleted or emptied under a running server are built again while appends go on", async () => {
  const data = await Deno.makeTempDir();
  const client = Deno.createHttpClient({});
  let program = await Program.start(data);
  const { token } = program;
  const ask = async (path: string, init: RequestInit = {}): Promise<Answer> => {
    const headers = { authorization: `Bearer ${token}`, ...init.headers };
    const response = await fetch(`${program.url}${path}`, { client, ...init, headers });
    return { status: response.status, body: await response.json() };
  };
  let sent = 0;
  const send = async (count: number): Promise<number> => {
    const events = Array.from({ length: count }, () => ({
      specversion: "1.0",
      id: `e${sent++}`,
      source: "/tests",
      type: "acme.thing.happened",
      data: { text: "x".repeat(200) },
    }));
    const { status, body } = await ask("/events", {
      method: "POST",
      headers: { "content-type": "application/cloudevents-batch+json", prefer: "return=minimal" },
      body: JSON.stringify(events),
    });
    assert.equal(status, 201);
    return body.size;
  };
  const trail = (query = "") => ask(`/views/audit.trail?type=acme.thing.happened&limit=1&order=desc${query}`);
  /** The thread of the projections, as far as there is a view to read it from. */
  const thread = async (query = "") =>
    (await ask(`/views/health.children/daybook:projections:thread${query}`)).body.row as
      | { readonly crashes: number; readonly state: string; readonly cause: string }
      | undefined;
  try {
    for (let left = EVENTS; left > 0; left -= 1_000) await send(1_000);
    let size = await send(1);
    assert.equal((await trail(`&wait=${size - 1}`)).status, 200);
    // What is stopped in order lies in the file itself, not in the write-ahead log beside it.
    await program.end("SIGTERM");
    program = await Program.start(data);
    for (const [i, [label, spoil]] of SPOILT.entries()) {
      size = await send(1);
      assert.equal((await trail(`&wait=${size - 1}`)).status, 200, label);
      await spoil(`${data}/views.db`);
      const seen = new Set<string>();
      const known = size;
      // Whoever asks meanwhile may see it; afterwards it is on record.
      await until(
        `${label}: built again`,
        async () => {
          await send(1); // appends go on
          const row = await thread();
          const { status, body } = await trail();
          seen.add(status === 200 ? "200" : `${status} ${body.type}`);
          // Never less than what was shown before, and no other refusal than these.
          if (status === 200) assert.ok(body.size >= known, `${label}: ${body.size} after ${known}`);
          return status === 200 && row?.crashes === i + 1 && row.state === "running";
        },
        Boolean,
        { every_ms: 50 },
      );
      for (const one of seen) {
        assert.match(one, /^(200|503 urn:daybook:problem:(views_unavailable|view_behind))$/, label);
      }
      size = await send(1);
      const found = await trail(`&wait=${size - 1}`);
      assert.equal(found.body.rows[0]!.row.id, `e${sent - 1}`, label);
      const ready = await ask("/readyz");
      assert.deepEqual([ready.status, ready.body.status], [200, "ready"]);
    }
    const stops = (await ask("/events?type=kernel.projection.stopped&limit=1000")).body.events as Answer["body"][];
    assert.ok(stops.length >= SPOILT.length, "each loss is in the log");
    const { crashes, state, cause } = (await thread(`?wait=${size - 1}`))!;
    assert.deepEqual([crashes, state], [SPOILT.length, "running"]);
    assert.match(cause, /^views\.db: /);
    const ended = await program.end("SIGTERM");
    assert.doesNotMatch(ended.err, /request/, "no request met a fault");
  } finally {
    await program.end("SIGKILL");
    client.close();
    await Deno.remove(data, { recursive: true });
  }
});
