/**
 * Limits that only control groups hold, under a kernel of our own: the machine's may have given its controllers to another version, and
 * nobody's groups but ours are to be touched. It is Linux in user mode, with this machine's files to read and no room but its own.
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { inFolder } from "../folder_given.ts";
import { installed } from "../installed_given.ts";
import { within } from "../until.ts";

const INSIDE = fileURLToPath(new URL("limits_inside.ts", import.meta.url));
const CONFIG = fileURLToPath(new URL("../../deno.json", import.meta.url));
const uml = installed("linux.uml", "no limit is held by a control group");

/** Where the modules lie that are there already. */
const exported = (name: string): string => {
  const value = Deno.env.get(name);
  return value === undefined ? `unset ${name}` : `export ${name}="${value}"`;
};

/**
 * First in a group that was handed to it, as systemd does it; then in one that has processes itself. Without code
 * that is made at run time (`--jitless`): with it every other run ends in a fault of that kernel's.
 */
const script = (inside: string) =>
  `#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin NO_COLOR=1 DENO_NO_UPDATE_CHECK=1 DENO_NO_PROMPT=1
${["HOME", "DENO_DIR", "XDG_CACHE_HOME"].map(exported).join("\n")}
mount -t proc proc /proc; mount -t tmpfs tmp /run; mount -t devtmpfs dev /dev 2> /dev/null
mkdir /run/cg; mount -t cgroup2 cg /run/cg
echo +cpu +memory > /run/cg/cgroup.subtree_control
mkdir -p /run/cg/unit/daybook /run/cg/other
echo $$ > /run/cg/unit/daybook/cgroup.procs
${inside} held
echo $$ > /run/cg/other/cgroup.procs
${inside} unheld
halt -f
`;

const BOOTS_MORE = 2;

/** All that it says until it halts. */
const booted = async (folder: string): Promise<string> => {
  const kernel = new Deno.Command(uml!, {
    args: ["root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro", "mem=1000M", "con=null", "con0=null,fd:1"]
      .concat(`init=${folder}/init`, `uml_dir=${folder}/uml/`),
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  let out = "";
  const reading = (async () => {
    for await (const text of kernel.stdout.pipeThrough(new TextDecoderStream())) out += text;
  })();
  try {
    await within("the other kernel halts", kernel.status, { seen: () => out });
  } finally {
    try {
      kernel.kill("SIGKILL");
    } catch {
      // it has halted
    }
    await reading;
  }
  return out;
};

Deno.test({
  name:
    "cores and memory are held by a control group, from the first instruction on; where none can be made, why is told",
  ignore: !uml,
  fn: () =>
    inFolder(async (folder) => {
      const inside =
        `"${Deno.execPath()}" run -q -A --v8-flags=--jitless --no-lock --no-check --cached-only --config "${CONFIG}" "${INSIDE}" /run`;
      await Deno.writeTextFile(`${folder}/init`, script(inside), { mode: 0o755 });
      await Deno.chmod(`${folder}/init`, 0o755);
      let out = await booted(folder);
      // A fault of the runtime under that kernel says nothing of what is looked at.
      for (let again = 0; again < BOOTS_MORE && /Segmentation fault|has panicked/.test(out); again++) {
        out = await booted(folder);
      }
      const seen = (name: string) => {
        const text = out.split(`<${name}>`)[1]?.split("</>")[0];
        assert.ok(text !== undefined, out);
        return JSON.parse(text);
      };
      const { memory, ...held } = seen("held");
      assert.deepEqual(held, {
        cpu: "20000 100000",
        counted: true,
        known: true,
        how: { code: null, signal: "SIGKILL", known: true },
        plain: null,
      });
      assert.ok(Math.abs(Number(memory) - 200_000_000) < 65_536, "whole pages");
      assert.deepEqual(seen("unheld"), {
        because:
          "there are processes in the control group itself: have Daybook run in one below it that is called daybook",
        group: null,
      });
    }),
});
