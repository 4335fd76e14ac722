/** `backup` and `restore` that are told to stop in the midst: nothing is left of what they had begun, and they say so in one line. */
import assert from "node:assert/strict";
import { signal as send, until, within } from "../until.ts";
import { makeLog } from "../verify_given.ts";
import { command, fingerprint, run, withPlace } from "./cli_given.ts";

/** One that was through already is typed again. */
const TRIES = 20;

const names = (dir: string): string[] => [...Deno.readDirSync(dir)].map(({ name }) => name).sort();

/** Types it until a signal has met it while its folder was being filled; what it said then. */
const stopped = async (
  args: readonly string[],
  { dir, made, signal }: { readonly dir: string; readonly made: string; readonly signal: Deno.Signal },
): Promise<{ readonly code: number; readonly out: string; readonly err: string }> => {
  const begun = () => names(dir).some((name) => name.startsWith(`.${made}.partial-`));
  for (let tries = 0; tries < TRIES; tries++) {
    const child = command(args, {}).spawn();
    let done = false;
    const status = child.status.finally(() => done = true);
    const output = Promise.all([child.stdout, child.stderr].map((stream) => new Response(stream).text()));
    await until("a folder that is being filled", () => done || begun(), Boolean, { every_ms: 1 });
    if (!done) send(child, signal);
    const { code } = await within(`the end of ${args[0]}`, status);
    const [out, err] = await output;
    if (code !== 0) return { code, out: out!, err: err! };
    await Deno.remove(`${dir}/${made}`, { recursive: true });
  }
  assert.fail("none was stopped in the midst");
};

Deno.test("a backup or restore that is told to stop takes away what it had begun, and says so", () =>
  withPlace(async ({ dir, data }) => {
    await Deno.mkdir(data);
    await makeLog(`${data}/log.db`, { appends: new Array(30).fill(1_000) });
    const before = await fingerprint(data);
    const backup = ["backup", `${dir}/copy`, "--data", data];
    const told = await stopped([...backup, "--json"], { dir, made: "copy", signal: "SIGINT" });
    assert.deepEqual([told.code, names(dir)], [3, ["data"]]);
    assert.deepEqual(JSON.parse(told.out), {
      ok: false,
      error: { code: "stopped", message: `stopped: nothing of the backup is left, and ${dir}/copy is as it was` },
    });
    assert.deepEqual(await fingerprint(data), before);

    const made = await run(backup);
    assert.equal(made.code, 0, made.err);
    const copy = await fingerprint(`${dir}/copy`);
    // An empty folder is there before, and after.
    await Deno.mkdir(`${dir}/back`);
    const restore = ["restore", `${dir}/copy`, "--data", `${dir}/back`];
    assert.deepEqual(await stopped(restore, { dir, made: "back", signal: "SIGTERM" }), {
      code: 3,
      out: "",
      err: `daybook: stopped: nothing was restored, and ${dir}/back is as it was\n`,
    });
    assert.deepEqual([names(dir), names(`${dir}/back`)], [["back", "copy", "data"], []]);
    assert.deepEqual(await fingerprint(`${dir}/copy`), copy);
  }));
