/** Imports that are repeated, as every night, after what they brought was archived, and the archive is somewhere else. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { document, start, withPlace } from "./cli_given.ts";

const AUTH_LOG = fileURLToPath(new URL("../sshd/auth.log", import.meta.url));
const COMMITS = 300;

const git = async (dir: string, args: readonly string[], input = ""): Promise<string> => {
  const child = new Deno.Command("git", {
    args: ["-C", dir, "-c", "user.name=Ann Example", "-c", "user.email=ann@example.org", ...args],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input));
  await writer.close();
  const { success, stdout, stderr } = await child.output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout).trim();
};

/** A history of one branch. */
const history = Array.from({ length: COMMITS }, (_, i) => {
  const [message, content] = [`commit ${i}`, `${i}\n`];
  return `commit refs/heads/main\ncommitter Ann Example <ann@example.org> ${1_700_000_000 + i} +0000\n` +
    `data ${message.length}\n${message}\nM 100644 inline file${i % 7}\ndata ${content.length}\n${content}\n`;
}).join("");

const report = JSON.stringify({
  version: 1,
  runtime: "Deno/2.9.6 x86_64-unknown-linux-gnu",
  cpu: "AMD EPYC",
  benches: [{
    origin: "file:///src/dig_bench.ts",
    group: "dig",
    name: "spade",
    baseline: false,
    results: [{ ok: { n: 3, min: 1, max: 9, avg: 2, p75: 2, p99: 9, p995: 9, p999: 9 } }],
  }],
});

interface Branch {
  readonly row: { readonly branch: string; readonly head: string; readonly moves: number; readonly forced: number };
}

Deno.test("what was archived is known to every import, alone and beside a server", () =>
  withPlace(async ({ dir, data }) => {
    const [repository, lines, runs, to] = [`${dir}/repo`, `${dir}/auth.log`, `${dir}/run.json`, `${dir}/archive`];
    await Deno.mkdir(repository);
    await git(repository, ["init", "-q", "-b", "main", "--bare"]);
    await git(repository, ["fast-import", "--quiet"], history);
    const first = await git(repository, ["rev-parse", "main~250"]);
    await git(repository, ["branch", "stable", first]);
    await Deno.copyFile(AUTH_LOG, lines);
    await Deno.writeTextFile(runs, report);

    const imported = async <T>(...args: readonly string[]) => {
      const { exit, ...done } = await document<T>(["import", ...args, "--data", data]);
      assert.equal(exit, 0, JSON.stringify(done));
      return done as unknown as T;
    };
    const all = async () => {
      const ofGit = await imported<{ commits: number; branches: number; events: number }>("git", repository);
      const ofSshd = await imported<{ events: number; known: number }>("sshd", lines, "--zone", "UTC");
      const ofBench = await imported<{ events: number }>("bench", runs, "--project", "garden");
      return [ofGit.commits, ofSshd.events, ofSshd.known, ofBench.events];
    };
    assert.deepEqual(await all(), [COMMITS, 260, 0, 1]);
    const { size } = await document<{ size: number }>(["status", "--data", data]);
    const done = await document<{ kept: number }>(["archive", "--before", String(size), "--to", to, "--data", data]);
    assert.equal(done.exit, 0);

    assert.deepEqual(await all(), [0, 0, 260, 0]);
    const old = await git(repository, ["rev-parse", "main~200"]);
    const tree = await git(repository, ["rev-parse", "main^{tree}"]);
    const next = await git(repository, ["commit-tree", tree, "-p", old, "-m", "another way"]);
    await git(repository, ["update-ref", "refs/heads/main", next]);
    await git(repository, ["update-ref", "-d", "refs/heads/stable"]);
    await git(repository, ["branch", "late", old]);
    await Deno.writeTextFile(lines, "Nov 20 19:30:00 vm sshd[9]: Invalid user eve from 192.0.2.9 port 4711\n", {
      append: true,
    });
    const server = await start(data);
    try {
      assert.deepEqual(await all(), [1, 1, 260, 0]);
      const { rows } = await document<{ rows: readonly Branch[] }>(["view", "commits.branches", "--data", data]);
      assert.deepEqual(
        rows.map(({ row: { branch, head, moves, forced } }) => [branch, head, moves, forced]).sort(),
        [["late", old, 1, 0], ["main", next, 2, 1]],
      );
    } finally {
      const { code, err } = await server.stop();
      assert.equal(code, 0, err);
    }
  }));
