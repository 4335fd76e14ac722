/** Audit folders: made of a log, checked with nothing but themselves; each change is found and named, and none that nobody made. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { noteSigner } from "../adapters/keys/note.ts";
import { parseControl } from "../config/controls.ts";
import { LogFault } from "../events/log.ts";
import {
  checked,
  copied,
  edit,
  failuresOf,
  faultOf,
  filesIn,
  flip,
  manifestAnew,
  otherRoot,
  withAudit,
  witness,
  written,
} from "./audit_folder_given.ts";
import { BROKEN, controls, makeAudited, ours, SECRET } from "./audit_given.ts";
import { onSmallDisk } from "./small_disk_given.ts";
import { chance, Tampered } from "./verify_given.ts";

Deno.test("a folder that nobody changed holds, up to where the log's key and a witness say", () =>
  withAudit(async (folder, made) => {
    const own = await checked(folder);
    assert.deepEqual(own.failures, []);
    assert.deepEqual([own.ok, own.size, own.anchored, own.authenticated], [true, made.size, 0, false]);
    const trusted = await checked(folder, { key: made.vkey });
    assert.deepEqual([trusted.ok, trusted.signed, trusted.authenticated], [true, made.size, true]);
    assert.deepEqual([trusted.anchored, trusted.unanchored], [0, made.size]);
    const half = Number(made.notes[0]!.split("\n")[1]);
    const witnessed = await checked(folder, { witnesses: [witness.vkey] });
    assert.deepEqual([witnessed.ok, witnessed.anchored, witnessed.authenticated], [true, half, false]);
    assert.deepEqual([witnessed.signed, witnessed.unanchored], [0, made.size - half]);
    assert.deepEqual(own.checkpoints, [half, made.size]);
    assert.equal(own.rendered, true);
    assert.equal(own.controls!.equal, true);
    const failed = own.controls!.results.filter(({ status }) => status === "fail").map(({ id }) => id);
    for (const id of BROKEN) assert.ok(failed.includes(id), id);
    assert.deepEqual(
      [own.state!.attested, own.state!.differing, own.state!.last!.position],
      [made.attested.length, 0, made.attested.at(-1)],
    );
  }));

Deno.test("the same log gives the same bytes, wherever and whenever it is written", () =>
  withAudit(async (folder, made, scratch) => {
    const again = join(scratch, "again");
    const first = await written(made, again);
    assert.ok(first.ok);
    const paths = await filesIn(folder);
    assert.deepEqual(await filesIn(again), paths);
    assert.ok(paths.length > 12);
    for (const path of paths) {
      assert.deepEqual(await Deno.readFile(join(again, path)), await Deno.readFile(join(folder, path)), path);
    }
  }));

Deno.test("what is personal is sealed in every file, and nothing of the keys is there", () =>
  withAudit(async (folder, made) => {
    const root = await Deno.readFile(join(made.data, "root.key"));
    const forbidden = [SECRET, new TextDecoder("latin1").decode(root).trim()];
    let sealed = 0;
    for (const path of await filesIn(folder)) {
      const text = new TextDecoder("latin1").decode(await Deno.readFile(join(folder, path)));
      for (const secret of forbidden) assert.ok(secret.length > 8 && !text.includes(secret), path);
      if (text.includes("sealed:1:")) sealed++;
    }
    assert.ok(sealed > 0, "the log has something sealed in it");
  }));

Deno.test("a changed, cut, missing or surplus file of every kind is found, also where the manifest is made anew", () =>
  withAudit(async (folder, made, scratch) => {
    const size = made.size;
    // What an older checkpoint vouches for is not in doubt.
    const half = Number(made.notes[0]!.split("\n")[1]);
    const last = `log/tile/entries/002.p/${size - 512}`;
    const byte = (path: string, at: number) => (copy: string) => flip(join(copy, path), () => at);
    const cases: Record<string, readonly [(copy: string) => Promise<void>, plain: string, anew: string | undefined]> = {
      "an entry": [
        (copy) => flip(join(copy, "log/tile/entries/001"), (text) => text.indexOf('"id":"') + 6),
        "manifest log/tile/entries/001",
        "entry 256",
      ],
      "the last bundle": [byte(last, 1), `manifest ${last}`, "bundle 512"],
      "a hash": [byte("log/tile/0/001", 40), "manifest log/tile/0/001", "tile 257"],
      "the checkpoint": [
        (copy) => edit(join(copy, "log/checkpoint"), otherRoot),
        "manifest log/checkpoint",
        `checkpoint ${half}`,
      ],
      "the key": [
        (copy) => edit(join(copy, "log.vkey"), () => "other+00000000+AAAA\n"),
        "manifest log.vkey",
        "form log.vkey",
      ],
      "another spelling of the manifest": [
        (copy) => edit(join(copy, "manifest.json"), (text) => text.trimEnd()),
        "manifest manifest.json",
        undefined,
      ],
      "more than a manifest says": [
        (copy) => edit(join(copy, "manifest.json"), (text) => text.replace('"format": 1', '"format": 1,\n  "more": 1')),
        "manifest manifest.json",
        undefined,
      ],
      "a cosignature": [
        (copy) => edit(join(copy, "cosigned/1"), (text) => text.replace(/.(?=\n$)/, "")),
        "manifest cosigned/1",
        "checkpoint 0",
      ],
      "the results": [
        (copy) => edit(join(copy, "results.json"), (text) => text.replace('"status": "fail"', '"status": "pass"')),
        "manifest results.json",
        "derived results.json",
      ],
      "the attestations": [
        (copy) => edit(join(copy, "attestations.json"), (text) => text.replace(/"rows": \d+/, '"rows": 1234')),
        "manifest attestations.json",
        "derived attestations.json",
      ],
      "the page": [
        (copy) => edit(join(copy, "index.html"), (text) => text.replace("✗ fail", "✓ pass")),
        "manifest index.html",
        "derived index.html",
      ],
      "the evidence": [
        (copy) => edit(join(copy, "evidence.html"), (text) => text + " "),
        "manifest evidence.html",
        "derived evidence.html",
      ],
      "the end of the evidence": [
        (copy) => edit(join(copy, "evidence.html"), (text) => text.slice(0, -10)),
        "manifest evidence.html",
        "derived evidence.html",
      ],
      "OSCAL": [
        (copy) =>
          edit(join(copy, "oscal/assessment-results.json"), (text) => text.replace("not-satisfied", "satisfied")),
        "manifest oscal/assessment-results.json",
        "derived oscal/assessment-results.json",
      ],
      "a control": [
        (copy) => edit(join(copy, "controls.json"), (text) => text.replace(/"at_most": 10\b/, '"at_most": 1000')),
        "manifest controls.json",
        "derived results.json",
      ],
      "the time of evaluation": [
        (copy) => edit(join(copy, "audit.json"), (text) => text.replace(/"at": "2026/, '"at": "2027')),
        "manifest audit.json",
        "derived results.json",
      ],
      "another size": [
        (copy) => edit(join(copy, "audit.json"), (text) => text.replace(/"size": \d+/, '"size": 9007199254740991')),
        "manifest audit.json",
        "scope audit.json",
      ],
      "an earlier time of evaluation": [
        (copy) => edit(join(copy, "audit.json"), (text) => text.replace(/"at": "2026/, '"at": "2025')),
        "manifest audit.json",
        "scope audit.json",
      ],
      "how far it is cosigned": [
        (copy) => edit(join(copy, "audit.json"), (text) => text.replace(/"cosigned": \d+/, `"cosigned": ${size}`)),
        "manifest audit.json",
        "scope audit.json",
      ],
      "another spelling of what was asked": [
        (copy) => edit(join(copy, "audit.json"), (text) => text.replaceAll("  ", " ")),
        "manifest audit.json",
        "form audit.json",
      ],
      "another name of a checkpoint": [
        async (copy) => {
          await Deno.mkdir(join(copy, "checkpoints"));
          await Deno.copyFile(join(copy, "cosigned/1"), join(copy, "checkpoints/7"));
        },
        "manifest checkpoints/7",
        "form checkpoints/7",
      ],
      "a missing page": [(copy) => Deno.remove(join(copy, "index.html")), "manifest index.html", "derived index.html"],
      "a missing bundle": [
        (copy) => Deno.remove(join(copy, "log/tile/entries/001")),
        "manifest log/tile/entries/001",
        "file 256",
      ],
      "a surplus file": [
        (copy) => Deno.writeTextFile(join(copy, "log/tile/extra"), ""),
        "manifest log/tile/extra",
        `file ${size - 1}`,
      ],
      "a page that follows from nothing": [
        (copy) => Deno.writeTextFile(join(copy, "summary.html"), "<h1>All is well"),
        "manifest summary.html",
        "manifest summary.html",
      ],
      "a file below the checkpoints": [
        async (copy) => {
          await Deno.mkdir(join(copy, "checkpoints/more"), { recursive: true });
          await Deno.writeTextFile(join(copy, "checkpoints/more/7"), "nobody reads this");
        },
        "manifest checkpoints/more/7",
        "manifest checkpoints/more/7",
      ],
      "a link in the place of a checkpoint": [
        async (copy) => {
          await Deno.mkdir(join(copy, "checkpoints"));
          await Deno.symlink("../log.vkey", join(copy, "checkpoints/7"));
        },
        "manifest checkpoints/7",
        "manifest checkpoints/7",
      ],
    };
    for (const [name, [change, plain, anew]] of Object.entries(cases)) {
      const copy = await copied(folder, join(scratch, name.replaceAll(" ", "_")));
      await change(copy);
      assert.equal((await failuresOf(copy))[0], plain, name);
      if (anew === undefined) continue;
      await manifestAnew(copy);
      assert.equal((await failuresOf(copy))[0], anew, `${name}, manifest anew`);
      await Deno.remove(copy, { recursive: true });
    }
  }));

Deno.test("a forged log is found by the key, although it agrees with itself", () =>
  withAudit(async (folder, made, scratch) => {
    const other = await makeAudited(join(scratch, "other"), { seed: 2 });
    const forged = join(scratch, "forged");
    assert.ok((await written(other, forged, { cosigned: [] })).ok);
    assert.deepEqual(await failuresOf(forged), []);
    assert.deepEqual(await failuresOf(forged, { key: made.vkey }), [
      `signature ${other.size - 1}`,
    ]);
    const kept = [{ name: "kept", text: made.notes[0]! }];
    assert.match((await failuresOf(forged, { against: kept }))[0]!, /^(forked|signature) /);
    // The log of one in the folder of the other.
    await Deno.remove(join(folder, "log"), { recursive: true });
    await copied(join(forged, "log"), join(folder, "log"));
    await manifestAnew(folder);
    const failures = await failuresOf(folder);
    assert.ok(failures.some((failure) => failure.startsWith("signature ")), String(failures));
  }));

Deno.test("a key in the folder that is another log's is found also by who gives the right one", () =>
  withAudit(async (folder, made) => {
    const stranger = noteSigner("tests", new Uint8Array(32).fill(9)).vkey;
    for (const key of [stranger, noteSigner(made.vkey.split("+")[0]!, new Uint8Array(32).fill(9)).vkey]) {
      await Deno.writeTextFile(join(folder, "log.vkey"), `${key}\n`);
      await manifestAnew(folder);
      assert.deepEqual(await failuresOf(folder, { key: made.vkey }), ["signature log.vkey"]);
    }
  }));

Deno.test("an older checkpoint with the newer tree is no folder of either", () =>
  withAudit(async (folder, made) => {
    await Deno.writeTextFile(join(folder, "log/checkpoint"), made.notes[0]!);
    await manifestAnew(folder);
    const failures = await failuresOf(folder);
    assert.match(failures[0]!, /^file /);
  }));

Deno.test("a state that no fold gives is found and named, with the position that attests it", () =>
  withAudit(async (folder, made) => {
    const { ok, failures, state } = await checked(folder);
    assert.equal(ok, false);
    assert.ok(failures.every(({ kind }) => kind === "attestation"));
    assert.equal(failures.at(-1)!.position, made.attested.at(-1));
    assert.match(failures[0]!.expected, /^\S+ version \d+ after \d+ events: \d+ rows, digest /);
    assert.equal(state!.differing + state!.attested, made.attested.length);
  }, { falsely: true }));

Deno.test("a period and a framework are kept to, and checked as they were asked", () =>
  withAudit(async (_, made, scratch) => {
    const folder = join(scratch, "part");
    const asked = { framework: "gdpr", from: "2026-07-01T00:00:00.000Z", to: "2026-07-10T00:00:00.000Z" };
    const answer = await written(made, folder, { asked });
    assert.ok(answer.ok);
    assert.ok(answer.results.length > 0 && answer.results.length < controls.length);
    assert.ok(answer.results.every(({ frameworks }) => frameworks.some(({ name }) => name === "GDPR")));
    const { ok, failures } = await checked(folder);
    assert.ok(ok, JSON.stringify(failures));
    const page = await Deno.readTextFile(join(folder, "index.html"));
    assert.ok(page.includes("Controls of gdpr from 2026-07-01T00:00:00.000Z to 2026-07-10T00:00:00.000Z"));
    assert.ok(!page.includes("<h3>SOC 2</h3>"));
  }));

Deno.test("pages of another version are compared all the same, and what is not what this one makes is a failure", () =>
  withAudit(async (folder, _, scratch) => {
    const { ok, rendered } = await checked(folder, { version: "9.9.9" });
    assert.deepEqual([ok, rendered], [true, true], "the same bytes from whatever version");
    for (const page of ["index.html", "evidence.html", "oscal/assessment-results.json"]) {
      const copy = await copied(folder, join(scratch, "forged"));
      await edit(join(copy, page), (text) => text.replace("a", "b"));
      await edit(join(copy, "audit.json"), (text) => text.replace('"version": "1.2.3"', '"version": "7.7.7"'));
      await manifestAnew(copy);
      const forged = await checked(copy);
      assert.deepEqual([forged.ok, forged.rendered], [false, null], page);
      const { kind, found } = forged.failures.find(({ path }) => path === page)!;
      assert.equal(kind, "unchecked");
      assert.match(found, /of version 7\.7\.7: check them with that$/);
      await Deno.remove(copy, { recursive: true });
    }
    await edit(join(folder, "results.json"), (text) => text.replace('"status": "fail"', '"status": "pass"'));
    await manifestAnew(folder);
    const { ok: other, failures: [first] } = await checked(folder, { version: "9.9.9" });
    assert.equal(other, false);
    assert.match(first!.expected, /^control \S+ fail: /);
    assert.match(first!.found, /^pass: /);
  }));

Deno.test("a log that does not verify becomes no audit, and nothing is left of it", () =>
  withAudit(async (_, made, scratch) => {
    const file = new Tampered(join(made.data, "log.db"));
    const [block] = file.blocks().slice(300);
    const bytes = file.get("log", block!).slice();
    bytes[new TextDecoder("latin1").decode(bytes).indexOf('"id":"') + 6]! ^= 1;
    file.put(bytes, "log", block!);
    file.rechain();
    file.close();
    const folder = join(scratch, "unsound");
    const answer = await written(made, folder, { cosigned: [] });
    assert.ok(!answer.ok);
    assert.equal(answer.failures[0]!.position, block);
    assert.deepEqual((await filesIn(scratch)).filter((path) => /unsound/.test(path)), []);
  }));

Deno.test("a place that is taken, a key that is none and a time before the newest event are refused, and what is there stays", () =>
  withAudit(async (folder, made) => {
    const before = await Deno.readFile(join(folder, "manifest.json"));
    assert.equal(await faultOf(() => written(made, folder)), "invalid");
    assert.deepEqual(await Deno.readFile(join(folder, "manifest.json")), before);
    assert.equal(await faultOf(() => written(made, join(folder, "new"), { witnesses: ["nonsense"] })), "invalid");
    const early = { asked: { at: "2026-01-01T00:00:00.000Z" } };
    assert.equal(await faultOf(() => written(made, join(folder, "new"), early)), "invalid");
    assert.ok(!(await filesIn(folder)).some((path) => path.startsWith("new")));
  }));

Deno.test("what is no audit folder, damaged in what it says of itself, or of a newer format, is one clear fault", () =>
  withAudit(async (folder, made, scratch) => {
    const broken = async (path: string, change: (text: string) => string): Promise<string> => {
      const copy = await copied(folder, join(scratch, "broken"));
      await edit(join(copy, path), change);
      if (path !== "manifest.json") await manifestAnew(copy);
      const fault = await faultOf(() => checked(copy));
      await Deno.remove(copy, { recursive: true });
      return fault;
    };
    assert.equal(await faultOf(() => checked(join(scratch, "nowhere"))), "foreign");
    assert.equal(await faultOf(() => checked(made.data)), "foreign");
    assert.equal(await faultOf(() => checked(folder, { key: "nonsense" })), "invalid");
    assert.equal(await broken("manifest.json", (text) => text.slice(0, 100)), "foreign");
    assert.equal(await broken("manifest.json", (text) => text.replace('"format": 1', '"format": 2')), "newer");
    assert.equal(await broken("manifest.json", (text) => text.replace("index.html", "../index.html")), "foreign");
    assert.equal(await broken("audit.json", () => "{"), "foreign");
    assert.equal(await broken("audit.json", (text) => text.replace('"format": 1', '"format": 2')), "newer");
    assert.equal(await broken("audit.json", (text) => text.replace('"size"', '"sizes"')), "foreign");
    assert.equal(await broken("controls.json", () => "[1]"), "foreign");
    assert.equal(await broken("controls.json", () => "{}"), "foreign");
  }));

Deno.test("what is no file is neither waited for nor followed, and what has the place of a folder is told as a file", () =>
  withAudit(async (folder) => {
    const results = join(folder, "results.json");
    await Deno.remove(results);
    await new Deno.Command("mkfifo", { args: [results] }).output();
    // Whoever opens the pipe gets an end of it.
    const writer = new Deno.Command("sh", { args: ["-c", 'echo \'{"results":[]}\' > "$0"', results] }).spawn();
    try {
      const { failures } = await checked(folder);
      assert.deepEqual(failures.map(({ path, found }) => [path, found]), [
        ["results.json", "what is no file"],
        ["results.json", "what is no file"],
      ]);
    } finally {
      // Nobody else may open it.
      using _ = await Deno.open(results, { read: true, write: true });
      await writer.status;
    }
    await Deno.remove(results);
    await Deno.writeTextFile(join(folder, "checkpoints"), "");
    assert.equal((await failuresOf(folder))[0], "manifest checkpoints");
    await Deno.remove(join(folder, "checkpoints"));
    await Deno.symlink("checkpoints", join(folder, "checkpoints"));
    assert.equal((await failuresOf(folder))[0], "manifest checkpoints");
    await Deno.remove(join(folder, "audit.json"));
    await Deno.symlink("audit.json", join(folder, "audit.json"));
    assert.equal(await faultOf(() => checked(folder)), "foreign");
  }));

Deno.test("failures are counted that are not told", () =>
  withAudit(async (folder) => {
    for (let n = 0; n < 150; n++) await Deno.writeTextFile(join(folder, `log/${n}`), "");
    const { failures, failed } = await checked(folder);
    assert.deepEqual([failures.length, failed], [100, 300]);
  }));

Deno.test("a cosignature that is none is found by who believes the witness", () =>
  withAudit(async (folder) => {
    await edit(join(folder, "cosigned/1"), (text) => {
      const lines = text.split("\n");
      const line = lines.at(-2)!;
      const at = line.length - 10;
      return [...lines.slice(0, -2), line.slice(0, at) + (line[at] === "A" ? "B" : "A") + line.slice(at + 1), ""].join(
        "\n",
      );
    });
    await manifestAnew(folder);
    const failures = await failuresOf(folder, { witnesses: [witness.vkey] });
    assert.match(failures[0]!, /^signature /);
    const stranger = noteSigner("audited", new Uint8Array(32).fill(9));
    assert.match((await failuresOf(folder, { key: stranger.vkey }))[0]!, /^signature /);
  }));

Deno.test("100 seeded changes of one bit are found, although the manifest is made anew each time", () =>
  withAudit(async (folder, made, scratch) => {
    const random = chance(20261120);
    const copy = await copied(folder, join(scratch, "changed"));
    // Of the controls it is told which of them are not the program's own.
    const paths = (await filesIn(copy)).filter((path) => !["manifest.json", "controls.json"].includes(path));
    for (let i = 0; i < 100; i++) {
      const path = join(copy, paths[i % paths.length]!);
      const before = await Deno.readFile(path);
      const at = Math.floor(random() * before.length);
      await Deno.writeFile(path, before.map((byte, n) => n === at ? byte ^ (1 << Math.floor(random() * 8)) : byte));
      await manifestAnew(copy);
      const fault = await faultOf(async () => {
        if (!(await checked(copy, { key: made.vkey })).ok) throw new LogFault("truncated", "found");
      });
      assert.match(fault, /^(truncated|foreign|newer|invalid)$/, `byte ${at} of ${path}`);
      await Deno.writeFile(path, before);
    }
    await manifestAnew(copy);
    assert.deepEqual(await failuresOf(copy, { key: made.vkey }), []);
  }));

Deno.test("controls that are not the program's own are named", () =>
  withAudit(async (_, made, scratch) => {
    const folder = join(scratch, "lax");
    const [first, ...rest] = controls;
    const stated = { ...first!.stated as Record<string, unknown>, title: "Whatever" };
    const lax = { control: parseControl(stated)!, stated };
    assert.ok((await written(made, folder, { controls: [lax, ...rest] })).ok);
    const { ok, controls: told } = await checked(folder);
    assert.deepEqual([ok, told!.others, told!.missing], [true, [first!.control.id], []]);
  }));

Deno.test("controls of the program's own that were left out are named", () =>
  withAudit(async (_, made, scratch) => {
    const folder = join(scratch, "fewer");
    const [first, ...rest] = controls;
    assert.ok((await written(made, folder, { controls: rest })).ok);
    const { ok, controls: told } = await checked(folder);
    assert.deepEqual([ok, told!.others, told!.missing], [true, [], [first!.control.id]]);
  }));

Deno.test("on a disk that is full nothing is left, and it is said", (t) =>
  withAudit((_, made) =>
    onSmallDisk(t, "200k", async (dir) => {
      assert.equal(await faultOf(() => written(made, join(dir, "audit"))), "full");
      assert.deepEqual(await filesIn(dir), []);
    })
  ));

Deno.test("a log that is sound and that no fold can take is found, and does not end the check", () =>
  withAudit(async (_, _made, scratch) => {
    const poison = { ...ours("benchmarks.run.measured", "poison", null), stream: "benchmarks/garden" } as const;
    const made = await makeAudited(join(scratch, "poisoned"), { also: [poison], unattested: true });
    const folder = join(scratch, "folder");
    assert.ok((await written(made, folder)).ok);
    const { ok, failures, controls: told } = await checked(folder);
    assert.deepEqual([ok, told!.equal, failures.length], [false, true, 1]);
    assert.equal(failures[0]!.kind, "fold");
    assert.match(failures[0]!.found, /^Cannot replay benchmarks\.\S+: the event at position \d+ cannot be folded$/);
  }));
