/** Where the real program writes, and what it says where it cannot, or may not be meant. */
import assert from "node:assert/strict";
import { onSmallDisk } from "../small_disk_given.ts";
import { document, run, withPlace } from "./cli_given.ts";

/** With its standard streams where a shell puts them. */
const shell = (redirected: string) => ["/bin/sh", "-c", `exec "$0" "$@" ${redirected}`];

Deno.test("a standard output that takes no more is one line and exit 3, and a full standard error changes nothing", () =>
  withPlace(async ({ data }) => {
    const full = { code: 3, out: "", err: "daybook: Cannot write to standard output: No space left on device" };
    for (const args of [["--help"], ["view", "--data", data], ["view", "--json", "--data", data]]) {
      const { code, out, err } = await run(args, { under: shell(">/dev/full") });
      assert.deepEqual({ code, out, err: err.trim().replace(/ \(os error \d+\)$/, "") }, full, args.join(" "));
    }
    assert.equal((await run(["status", "--bogus"], { under: shell("2>/dev/full") })).code, 2);
  }));

Deno.test("a token that nobody has seen lets nobody in", () =>
  withPlace(async ({ data }) => {
    for (const json of [[], ["--json"]]) {
      const full = await run(["token", "create", "ci", ...json, "--data", data], { under: shell(">/dev/full") });
      assert.equal(full.code, 3, full.err);
    }
    const { out } = await run(["token", "list", "--json", "--data", data]);
    const { tokens } = JSON.parse(out) as { readonly tokens: readonly { readonly name: string; revoked?: string }[] };
    const made = tokens.filter(({ name }) => name === "ci");
    assert.deepEqual(made.map(({ revoked }) => revoked !== undefined), [true, true]);
  }));

Deno.test("a path that goes in circles, or has a name that is too long, is told as that", () =>
  withPlace(async ({ dir }) => {
    await Deno.symlink(`${dir}/circle`, `${dir}/circle`);
    for (const path of [`${dir}/circle/x`, `${dir}/${"x".repeat(300)}`]) {
      for (const command of [["status"], ["events"], ["token", "list"], ["verify"]]) {
        const { code, err } = await run([...command, "--data", path]);
        assert.equal(code, 3, err);
        assert.match(err, /^daybook: .+: (?:Too many levels of symbolic links|File name too long)/);
        assert.ok(!err.includes("should not have happened"), err);
      }
    }
  }));

Deno.test("a file in a folder that is not there is told by the name that was typed", () =>
  withPlace(async ({ dir, data }) => {
    const move = JSON.stringify({ branch: "main", to: "c0ffee".padEnd(40, "0") });
    assert.equal((await run(["send", "commits.branch.move", "shop", move, "--data", data])).code, 0);
    const { code, err } = await run(["export", "--out", `${dir}/missing/events`, "--data", data]);
    assert.deepEqual([code, err], [3, `daybook: ${dir}/missing/events: No such file or directory\n`]);
  }));

/** What lies below a folder, with its content. */
const filesIn = async (dir: string): Promise<Readonly<Record<string, string>>> => {
  const found: Record<string, string> = {};
  for await (const { name, isDirectory } of Deno.readDir(dir)) {
    const path = `${dir}/${name}`;
    if (isDirectory) Object.assign(found, await filesIn(path));
    else found[path] = await Deno.readTextFile(path);
  }
  return found;
};

Deno.test("a file that cannot be written is told with its place, and whatever had its name stays as it was", (t) =>
  withPlace(({ dir, data }) =>
    onSmallDisk(t, "512k", async (disk, shell) => {
      await Deno.writeTextFile(`${dir}/compose.yaml`, "services:\n  web:\n    command: sleep 1\n");
      const typed: Record<string, readonly string[]> = {
        receipt: ["receipt", "0", "--out", `${disk}/receipt`, "--data", data],
        "web/key.pem": ["cert", "issue", "web", "--host", "localhost", "--out", `${disk}/web`, "--data", data],
        services: ["stack", "import", `${dir}/compose.yaml`, "--out", `${disk}/services`],
        events: ["export", "--out", `${disk}/events`, "--data", data],
      };
      const move = JSON.stringify({ branch: "main", to: "c0ffee".padEnd(40, "0") });
      assert.equal((await run(["send", "commits.branch.move", "shop", move, "--data", data])).code, 0);
      for (const args of Object.values(typed)) {
        const { code, err } = await run(args);
        assert.equal(code, 0, `${args.join(" ")}: ${err}`);
      }
      typed["web/key.pem"] = ["cert", "renew", "web", "--out", `${disk}/web`, "--data", data];
      const before = await filesIn(disk);
      const fails = async (said: RegExp) => {
        for (const [name, args] of Object.entries(typed)) {
          const { code, err } = await run(args);
          assert.equal(code, 3, args.join(" "));
          assert.match(err, said, args.join(" "));
          assert.ok(err.includes(`${disk}/${name.split("/")[0]}`), err);
        }
      };
      await shell("/bin/sh", "-c", 'cat /dev/zero >"$0" 2>/dev/null; true', `${disk}/filler`);
      await fails(/^daybook: Cannot write .+: No space left on device/);
      await Deno.remove(`${disk}/filler`);
      assert.deepEqual(await filesIn(disk), before);
      await shell("mount", "-o", "remount,ro", disk);
      await fails(/^daybook: Cannot write.+: Read-only file system/);
      await shell("mount", "-o", "remount,rw", disk);
      assert.deepEqual(await filesIn(disk), before);
      for (const args of Object.values(typed)) assert.equal((await run(args)).code, 0, args.join(" "));
    })
  ));

Deno.test("a file that was there stays whose it was, with who may read it, and is written where nothing can be beside it", (t) =>
  withPlace(async ({ dir }) => {
    const schema = (out: string) => run(["config", "schema", "--out", out]);
    const [shared, long] = [`${dir}/shared.json`, `${dir}/${"l".repeat(250)}`];
    await Deno.writeTextFile(shared, "before");
    await Deno.chmod(shared, 0o664);
    const root = Deno.uid() === 0;
    if (root) await Deno.chown(shared, 54_321, 54_322);
    for (const out of [shared, long]) assert.deepEqual((await schema(out)).err, "");
    const { mode, uid, gid } = await Deno.stat(shared);
    assert.deepEqual([mode! & 0o777, ...root ? [uid, gid] : [54_321, 54_322]], [0o664, 54_321, 54_322]);
    assert.equal((await Deno.stat(long)).mode! & 0o777, 0o600);
    const written = await Deno.readTextFile(shared);
    assert.equal(await Deno.readTextFile(long), written);
    await onSmallDisk(t, "512k", async (disk, shell) => {
      const mounted = `${disk}/mounted.json`;
      for (const file of [mounted, `${disk}/source.json`]) await Deno.writeTextFile(file, "before");
      await shell("mount", "--bind", `${disk}/source.json`, mounted);
      const { code, err } = await schema(mounted);
      await shell("umount", mounted);
      assert.deepEqual([code, err], [0, ""]);
      assert.deepEqual(await filesIn(disk), { [mounted]: "before", [`${disk}/source.json`]: written });
    });
  }));

Deno.test("a picture goes to standard output where it is told so", () =>
  withPlace(async ({ dir }) => {
    await Deno.writeTextFile(`${dir}/stack.yaml`, "services:\n  web:\n    command: sleep 1\n");
    const { code, out, err } = await run(["stack", "graph", "--stack", `${dir}/stack.yaml`, "--svg", "-"]);
    assert.deepEqual([code, out.slice(0, 4), err], [0, "<svg", ""]);
  }));

Deno.test("a silence of a rule of which nothing is on record is taken, with a word about it", () =>
  withPlace(async ({ data }) => {
    await run(["token", "create", "reader", "--scopes", "read", "--data", data]);
    const said: string[] = [];
    for (const reason of ["we know", "we still know"]) {
      const silence = ["alerts", "silence", "nosuch", "--until", "1h", "--reason", reason, "--data", data];
      const { code, err } = await run(silence);
      assert.equal(code, 0, err);
      said.push(err);
    }
    const word = 'daybook: nothing is on record of a rule "nosuch" yet; alerts list --all has the others\n';
    assert.deepEqual(said, [word, ""]);
  }));

Deno.test("an address at which nobody can listen is told, with what else to choose", () =>
  withPlace(async ({ dir, data }) => {
    // Of a network for documentation (RFC 5737).
    const nowhere = await run(["start", "--host", "192.0.2.1", "--behind-proxy", "127.0.0.1", "--data", data]);
    const because = "cannot listen on 192.0.2.1:7373: there is no such address on this machine; give another --host";
    assert.deepEqual(nowhere, { code: 3, out: "", err: `daybook: ${because}\n` });
    using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = taken.addr as Deno.NetAddr;
    const { key } = await document<{ key: string }>(["status", "--data", data]);
    const second = await run(["witness", `${dir}/witness`, "--log", key, "--port", String(port)]);
    const told = `cannot listen on 127.0.0.1:${port}: another program does; give another --port`;
    assert.deepEqual(second, { code: 3, out: "", err: `daybook: ${told}\n` });
  }));

Deno.test("a place where Deno opens nothing for who has not all permissions is told as that", async () => {
  const because = "below /dev, /proc and /sys Deno opens no folder and no file of ours";
  for (
    const [args, place] of [[["send", "commits.branch.delete", "shop", `{"branch":"main"}`], "/dev/shm/daybook"], [[
      "status",
    ], "/proc/daybook"]] as const
  ) {
    const { code, out, err } = await run([...args, "--data", place], { grants: [] });
    assert.deepEqual([code, out], [3, ""], err);
    assert.match(err, new RegExp(`^daybook: (?:cannot make the data folder: )?${place}[^:]*: ${because}[^,\\n]*\n$`));
  }
});
