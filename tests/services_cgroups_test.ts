/** Where control groups are found, and what is counted in them, on files as the kernel has them. */
import assert from "node:assert/strict";
import {
  baseGroup,
  countedIn,
  makeGroup,
  makeHeldGroup,
  ownGroup,
  unheldOf,
} from "../adapters/process/agent/cgroups.ts";
import { inFolder } from "./folder_given.ts";

const MOUNT = (root: string, at: string) =>
  `30 24 0:26 / /proc rw - proc proc rw\n41 31 0:38 ${root} ${at} rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n`;

Deno.test("the group of a process lies where its mount shows it; none where there is no version 2 or it is out of sight", () =>
  inFolder(async (folder) => {
    const found = async (cgroup: string, mounts: string) => {
      await Deno.writeTextFile(`${folder}/cgroup`, cgroup);
      await Deno.writeTextFile(`${folder}/mountinfo`, mounts);
      return ownGroup(folder);
    };
    const unit = "/system.slice/daybook.service";
    assert.equal(await found(`0::${unit}\n`, MOUNT("/", "/sys/fs/cgroup")), `/sys/fs/cgroup${unit}`);
    assert.equal(await found("9:pids:/x\n0::/\n", MOUNT("/", "/sys/fs/cgroup/unified")), "/sys/fs/cgroup/unified");
    assert.equal(await found(`0::${unit}/a\n`, MOUNT(unit, "/cg")), "/cg/a");
    assert.equal(await found(`0::${unit}\n`, MOUNT(unit, "/cg")), "/cg");
    assert.equal(await found("0::/elsewhere\n", MOUNT(unit, "/cg")), undefined);
    assert.equal(await found("0::/../up\n", MOUNT("/", "/cg")), undefined);
    assert.equal(await found("3:memory:/x\n", MOUNT("/", "/cg")), undefined);
    assert.equal(await found("0::/\n", "30 24 0:26 / /proc rw - proc proc rw\n"), undefined);
    assert.equal(ownGroup(`${folder}/missing`), undefined);
  }));

Deno.test("what is no control group is not one, and is not left behind", () =>
  inFolder(async (folder) => {
    assert.equal(await makeGroup("n", folder), undefined);
    assert.equal(await makeGroup("n", `${folder}/missing`), undefined);
    assert.deepEqual([...Deno.readDirSync(folder)], []);
  }));

Deno.test("counted are CPU time of all that ever ran in it, memory that could not be let go of, and who is there", () =>
  inFolder(async (group) => {
    const write = (name: string, text: string) => Deno.writeTextFile(`${group}/${name}`, text);
    await write("cgroup.procs", "");
    await write("cpu.stat", "usage_usec 1234567\nuser_usec 1\n");
    assert.equal(countedIn(group), undefined, "nobody is there");
    await write("cgroup.procs", "7\n8\n");
    assert.deepEqual(countedIn(group), { cpu_ms: 1_235, processes: 2 });
    await write("memory.current", "5000000\n");
    await write("memory.stat", "anon 3000000\ninactive_file 1500000\n");
    assert.deepEqual(countedIn(group), { cpu_ms: 1_235, processes: 2, rss_bytes: 3_500_000 });
    await Deno.remove(`${group}/cpu.stat`);
    assert.equal(countedIn(group), undefined);
  }));

Deno.test("groups are made beside the program's own where that is called daybook, else below it", () => {
  assert.equal(baseGroup("/cg/unit/daybook"), "/cg/unit");
  assert.equal(baseGroup("/cg/unit"), "/cg/unit");
});

Deno.test("why a start cannot be held to its limits is told; nothing is looked at where it has none", () =>
  inFolder(async (base) => {
    const write = (name: string, text: string) => Deno.writeTextFile(`${base}/${name}`, text);
    assert.equal(unheldOf({}, undefined), undefined);
    assert.equal(unheldOf({ cpus: 1 }, undefined), "there are no control groups of version 2");
    assert.equal(unheldOf({ cpus: 1 }, base), 'the controller "cpu" of control groups is not there');
    await write("cgroup.controllers", "cpu memory pids\n");
    await write("cgroup.procs", "7\n");
    assert.equal(unheldOf({ cpus: 1, resident_bytes: 1 }, base), undefined, "the topmost");
    await write("cgroup.type", "domain\n");
    assert.match(unheldOf({ cpus: 1 }, base)!, /^there are processes in the control group itself: /);
    await write("cgroup.procs", "");
    await write("cgroup.subtree_control", "cpu memory\n");
    assert.equal(unheldOf({ cpus: 1, resident_bytes: 1 }, base), undefined);
    await Deno.remove(`${base}/cgroup.subtree_control`);
    await Deno.mkdir(`${base}/cgroup.subtree_control`);
    assert.equal(unheldOf({ resident_bytes: 1 }, base), "the control group may not be changed");
    assert.equal(await makeHeldGroup("n", { cpus: 1 }, base), undefined);
    assert.equal(await makeHeldGroup("n", {}, base), undefined);
  }));
