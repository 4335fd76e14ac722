/** The beginning of a log in an archive: what stays, what is told of what does not, and what is found when somebody changes it. */
import assert from "node:assert/strict";
import { BLOCKS_PER_ROW, markOf } from "../adapters/kv/archive.ts";
import { CHECKPOINTS_PREFIX, keptIn, storedCheckpoint } from "../adapters/kv/checkpoints.ts";
import { writeArchive } from "../adapters/program/archive_folder.ts";
import { changeLogKey } from "../adapters/program/log_key_change.ts";
import { decide } from "../adapters/program/privacy/register.ts";
import { verifyLog } from "../adapters/verify/verify.ts";
import { verifyTlog } from "../adapters/verify/tlog.ts";
import { append, archived, asked, begin, end, incoming, opened, reading, type System } from "./archive_given.ts";
import { EMAIL, filled } from "./end_to_end/privacy_given.ts";
import type { Event } from "../events/event.ts";
import type { NewEvent } from "../events/log.ts";
import { inFolder } from "./folder_given.ts";
import { Tampered } from "./verify_given.ts";

const EVENTS = 700;
const ASKED = 600;
const UNTIL = 512;
const BY = { authtype: "system", authid: "tests" } as const;
const gone = { name: "LogFault", kind: "archived" };

/** A log of some hundred events whose first 512 are archived; its root before. */
const given = async (dir: string) => {
  const data = `${dir}/data`;
  const to = `${dir}/archive`;
  const before = await opened(data, async (system) => {
    await append(system, 0, EVENTS);
    const entries = Array.from({ length: UNTIL }, (_, i) => system.daybook.log.entry(i)!.slice());
    const checkpoint = (await system.daybook.checkpoint(system.daybook.log.size))!;
    const done = await archived(system, data, to, ASKED);
    return { ...done, entries, checkpoint };
  });
  return { data, to, ...before };
};

Deno.test("the checkpoint that an archive begins with counts among those that are kept at once", () =>
  inFolder((dir) =>
    opened(`${dir}/data`, async (system) => {
      await append(system, 0, EVENTS);
      const before = keptIn(system.lies);
      const { note } = await begin(system, ASKED);
      assert.equal(new TextDecoder().decode(system.lies.get([CHECKPOINTS_PREFIX, UNTIL])), note);
      assert.deepEqual([keptIn(system.lies), storedCheckpoint(system.lies)!.said.kept], [before + 1, before + 1]);
    })
  ));

Deno.test("a log is opened whose archived part tells of dead letters; those since are listed", () =>
  inFolder(async (dir) => {
    const data = `${dir}/data`;
    const letter = (id: string): NewEvent => ({
      type: "kernel.message.dead_lettered",
      stream: "kernel/dead_letters",
      source: "kernel",
      id,
      time: "2026-01-01T00:00:00.000Z",
      version: 1,
      ...BY,
      data: { letter: id, target: "sink:siem", cause: "refused", bytes: 10, message: { position: 1 } },
    });
    await opened(data, async (system) => {
      await system.log.append({ events: [letter("before")] });
      await append(system, 0, EVENTS);
      await system.log.append({ events: [letter("since")] });
      await archived(system, data, `${dir}/archive`, ASKED);
    });
    const listed = (archive?: string) =>
      opened(
        data,
        ({ daybook }) => Promise.resolve(daybook.deadLetters().map(({ id }) => id)),
        archive ? { archive } : {},
      );
    assert.deepEqual(await listed(), ["since"]);
    assert.deepEqual(await listed(`${dir}/archive`), ["before", "since"]);
  }));

Deno.test("whole bundles go to a folder that verifies by itself; the log goes on, and proofs with it", () =>
  inFolder(async (dir) => {
    const { data, to, until, kept, blocks, root, key, checkpoint, entries } = await given(dir);
    assert.equal(until, UNTIL);
    assert.ok(kept <= until && until - kept < 37 && blocks > 5, `${kept} ${blocks}`);
    const folder = await verifyTlog({ folder: to, key });
    assert.deepEqual([folder.failures, folder.size, folder.root, folder.authenticated], [[], until, root, true]);

    await opened(data, async (system) => {
      const { log } = system.daybook;
      assert.throws(() => log.entry(0), gone);
      assert.throws(() => log.entry(kept - 1), gone);
      assert.throws(() => [...log.read({ from: 3 })], gone);
      assert.equal([...log.read({ from: kept })].flat()[0]!.position, kept);
      assert.equal([...log.read({ backward: true, limit: 3 })].flat().length, 3);
      // By the tiles that stayed.
      assert.equal(log.tree.inclusion(5, checkpoint.size)!.length > 5, true);
      assert.equal(log.tree.root(checkpoint.size)!.toBase64(), checkpoint.root);
      // Streams whose newest event is archived go on at the right revision; a repeat cannot be told from something else.
      await append(system, EVENTS, 40);
      await assert.rejects(system.daybook.ingest([incoming(3)], { authtype: "system", authid: "tests" }), gone);
    });
    await opened(data, async ({ daybook }) => {
      for (let i = 0; i < UNTIL; i += 51) assert.deepEqual(daybook.log.entry(i), entries[i]);
      const repeated = await daybook.ingest([incoming(3)], { authtype: "system", authid: "tests" });
      assert.deepEqual([repeated.ok, repeated.ok && repeated.duplicates], [true, 1]);
      assert.equal([...daybook.log.read({ from: 0 })].flat().length, daybook.log.size);
    }, { archive: to });

    for (const archive of [undefined, to]) {
      const report = await verifyLog({
        path: `${data}/log.db`,
        key,
        ...(archive ? { archive } : {}),
        against: [
          { name: "kept", text: checkpoint.note, elsewhere: true },
        ],
      });
      assert.deepEqual(report.failures, []);
      assert.deepEqual(report.archived, { until, kept, checked: archive !== undefined });
      assert.deepEqual([report.signed, report.anchored], [report.size, checkpoint.size]);
    }
  }));

Deno.test("archived twice it is one archive, and the same again is nothing", () =>
  inFolder(async (dir) => {
    const { data, to, key, root } = await given(dir);
    const size = await reading(data, (log) => log.size);
    await opened(data, async (system) => {
      assert.equal((await archived(system, data, to, ASKED)).blocks, 0);
      const again = await end(system, { until: UNTIL, root });
      assert.deepEqual([again.until, again.blocks, again.position], [UNTIL, 0, undefined]);
      assert.deepEqual(
        [...system.daybook.log.read({ types: ["kernel.log.archived"], from: size - 60 })].flat().length,
        1,
      );
      await append(system, EVENTS, 600);
      await assert.rejects(archived(system, data, `${dir}/elsewhere`, 1_200), {
        name: "Refused",
        code: "other_archive",
      });
      const more = await archived(system, data, to, 1_200);
      assert.deepEqual([more.from, more.until], [UNTIL, 1_024]);
    });
    const folder = await verifyTlog({ folder: to, key });
    assert.deepEqual([folder.failures, folder.size], [[], 1_024]);
    const whole = await verifyLog({ path: `${data}/log.db`, key, archive: to });
    assert.deepEqual([whole.failures, whole.archived?.until], [[], 1_024]);
    const without = await verifyLog({ path: `${data}/log.db`, key });
    assert.deepEqual(without.failures, []);
    await reading(data, (log) => assert.equal([...log.read({})].flat().length, log.size), to);
  }));

Deno.test("tiles are read one after another as they are written, however many there are", () =>
  inFolder(async (dir) => {
    const data = `${dir}/data`;
    const to = `${dir}/archive`;
    await opened(data, async (system) => {
      await append(system, 0, EVENTS);
      const begun = await begin(system, ASKED);
      let before = "entries/001";
      await reading(data, (log) => {
        const tile = (level: number, index: number, width?: number) => {
          assert.ok(
            Deno.statSync(`${to}/tile/${before}`).isFile,
            `${before} is there before ${level}/${index} is read`,
          );
          before = width === 256 ? `${level}/00${index}` : `${level}/00${index}.p/${width}`;
          return log.tree.tile(level, index, width);
        };
        const entry = (position: number) => log.entry(position);
        return writeArchive({ entry, tree: { ...log.tree, tile } }, to, begun, () => {});
      });
      assert.equal(before, "1/000.p/2");
    });
  }));

Deno.test("an archive that was gone on with is that of the log, though that was cut off, and is gone on with from there", () =>
  inFolder(async (dir) => {
    const { data, to } = await given(dir);
    const found = async () => {
      const { failures, archived } = await verifyLog({ path: `${data}/log.db`, archive: to });
      return [failures.map(({ position, kind }) => `${position} ${kind}`), archived!.until];
    };
    const before = await Deno.readTextFile(`${to}/checkpoint`);
    await opened(data, async (system) => {
      await append(system, EVENTS, 400);
      // Nothing of it was let go of.
      const begun = await begin(system, 800);
      await reading(data, (log) => writeArchive(log, to, begun, () => {}));
    });
    assert.deepEqual(await found(), [[], UNTIL]);
    await opened(data, (system) => archived(system, data, to, 1_100));
    assert.deepEqual(await found(), [[], 1_024]);
    await Deno.writeTextFile(`${to}/checkpoint`, before);
    assert.deepEqual((await found())[0], ["0 archive"], "the checkpoint of before");
  }));

Deno.test("an archive of another past of the log, or of more of it, is left as it is", () =>
  inFolder(async (dir) => {
    const { data, to } = await given(dir);
    const copy = `${dir}/copy`;
    await Deno.mkdir(copy);
    for (const { name } of Deno.readDirSync(data)) await Deno.copyFile(`${data}/${name}`, `${copy}/${name}`);
    await opened(data, async (system) => {
      await append(system, EVENTS, 400);
      await archived(system, data, to, 1_100);
    });
    const refused = { name: "Refused", code: "other_archive" };
    await opened(copy, async (system) => {
      await append(system, 5_000, 100);
      await assert.rejects(archived(system, copy, to, 800), refused, "it is shorter");
      await append(system, 6_000, 500);
      await assert.rejects(archived(system, copy, to, 1_200), refused, "it went another way");
    });
    await opened(data, async (system) => {
      await append(system, 2_000, 600);
      const begun = await begin(system, 1_600);
      await reading(data, (log) => writeArchive(log, to, begun, () => {}));
      await assert.rejects(archived(system, data, to, 1_300), refused, "a run that was not ended went further");
    });
    assert.deepEqual((await verifyLog({ path: `${data}/log.db`, archive: to })).failures, []);
  }));

Deno.test("to archive what lies before a time again is nothing, also where the archive is elsewhere", () =>
  inFolder(async (dir) => {
    const { data } = await given(dir);
    await opened(data, async (system) => {
      const [[first]] = [...system.daybook.log.read({ from: UNTIL, limit: 1 })] as [[Event]];
      for (const time of ["2020-01-01T00:00:00Z", first.recordedat]) {
        assert.deepEqual(await asked(system, "begin-archive", { before: { time } }), { from: UNTIL, until: UNTIL });
      }
    });
  }));

Deno.test("a block for each event is found again in whichever row it is told of, archived at once or in turns", () =>
  inFolder(async (dir) => {
    const [data, to] = [`${dir}/data`, `${dir}/archive`];
    await opened(data, async (system) => {
      await append(system, 0, 2_400, 1);
      for (const [at, until] of [[1_400, 1_280], [2_320, 2_304]] as const) {
        assert.equal((await archived(system, data, to, at)).until, until);
      }
      assert.ok(markOf(system.lies)!.blocks > 2 * BLOCKS_PER_ROW);
    });
    await reading(data, (log) => {
      assert.deepEqual([...log.read({})].flat().map(({ position }) => position), [...Array(log.size).keys()]);
      for (const at of [0, 999, 1_000, 1_001, 1_279, 1_280, 1_999, 2_000, 2_303]) {
        assert.equal([...log.read({ from: at, limit: 1 })].flat()[0]!.position, at);
        assert.equal([...log.read({ until: at + 1, backward: true, limit: 1 })].flat()[0]!.position, at);
      }
    }, to);
    const { failures } = await verifyLog({ path: `${data}/log.db`, archive: to });
    assert.deepEqual(failures, []);
  }));

Deno.test("what somebody changes of the archive, or of what is said of it, is found and named", () =>
  inFolder(async (dir) => {
    const { data, to, key, kept } = await given(dir);
    const path = `${data}/log.db`;
    const found = async (archive?: string) => {
      const { failures } = await verifyLog({ path, key, ...(archive ? { archive } : {}) });
      return failures.map(({ position, kind }) => `${position} ${kind}`);
    };
    const bundle = `${to}/tile/entries/001`;
    const bytes = await Deno.readFile(bundle);
    const changed = bytes.slice();
    changed[bytes.length - 20]! ^= 1;
    await Deno.writeFile(bundle, changed);
    assert.ok(
      (await found(to)).some((each) => /^(25[6-9]|[345]\d\d) /.test(each)),
      `a bit of an entry: ${await found(to)}`,
    );
    assert.deepEqual(await found(), [], "which nobody can tell who has not got the archive");
    await Deno.writeFile(bundle, bytes.subarray(0, bytes.length - 1));
    assert.match((await found(to))[0]!, /unreadable$/);
    await Deno.remove(bundle);
    assert.match((await found(to))[0]!, /unreadable$/);
    await Deno.writeFile(bundle, bytes);
    assert.deepEqual(await found(to), []);
    for (const [name, position] of [["tile/0/000", 0], ["tile/0/001", 256], ["tile/1/000.p/2", 0]] as const) {
      const whole = await Deno.readFile(`${to}/${name}`);
      const at = name.startsWith("tile/0") ? 100 : 0;
      await Deno.writeFile(`${to}/${name}`, whole.with(at, whole[at]! ^ 1));
      assert.deepEqual(await found(to), [`${position + at * 8 / 256 | 0} archive`], name);
      await Deno.writeFile(`${to}/${name}`, whole.subarray(1));
      assert.deepEqual(await found(to), [`${position} archive`], `${name} is cut`);
      await Deno.remove(`${to}/${name}`);
      assert.deepEqual(await found(to), [`${position} archive`], `${name} is gone`);
      await Deno.writeFile(`${to}/${name}`, whole);
    }
    const note = await Deno.readTextFile(`${to}/checkpoint`);
    for (
      const [change, expected] of [["", /checkpoint$/], ["another", /forked$/], ["unsigned", /signature$/]] as const
    ) {
      const [origin, size, root, ...rest] = note.split("\n");
      const other = change === "another" ? btoa("x".repeat(32)) : root;
      const text = change === "" ? "" : [origin, size, other, ...(change === "another" ? rest : [""])].join("\n");
      await Deno.writeTextFile(`${to}/checkpoint`, text);
      assert.ok((await found(to)).some((each) => expected.test(each)), `a checkpoint ${change}: ${await found(to)}`);
    }
    await Deno.remove(`${to}/checkpoint`);
    assert.deepEqual(await found(to), ["0 archive"]);
    await Deno.writeTextFile(`${to}/checkpoint`, note);
    assert.deepEqual(await found(to), []);

    const file = new Tampered(path);
    const [mark, row] = [file.text("archived"), file.get("archive", 0).slice()];
    const said = JSON.parse(mark);
    const cases: readonly (readonly [string, () => void, RegExp])[] = [
      ["the mark is gone", () => file.delete("archived"), /^0 (missing_block|order|truncated)/],
      ["the mark is none", () => file.put("{", "archived"), /archive$/],
      ["it says more", () => file.put(JSON.stringify({ ...said, until: said.until + 256 }), "archived"), /archive$/],
      [
        "it says another boundary",
        () => file.put(JSON.stringify({ ...said, until: said.until + 1 }), "archived"),
        /archive$/,
      ],
      [
        "it says another link",
        () => file.put(JSON.stringify({ ...said, link: btoa("x".repeat(32)) }), "archived"),
        /(archive|link)$/,
      ],
      ["the blocks are gone", () => file.delete("archive", 0), /archive$/],
      ["fewer blocks", () => file.put(row.subarray(40), "archive", 0), /archive$/],
      ["a strange entry is told", () => {
        file.put(JSON.stringify({ ...said, told: [[4, btoa("{}")]] }), "archived");
      }, /^4 archive/],
      ["a tile of it", () => {
        const tile = file.get("tile", 0, 0).slice();
        tile[100]! ^= 1;
        file.put(tile, "tile", 0, 0);
      }, /./],
    ];
    const tile = file.get("tile", 0, 0).slice();
    for (const [name, change, expected] of cases) {
      change();
      const list = await found();
      assert.ok(list.some((each) => expected.test(each)), `${name}: ${list}`);
      file.put(mark, "archived");
      file.put(row, "archive", 0);
      file.put(tile, "tile", 0, 0);
    }
    assert.deepEqual(await found(), []);
    // A block more is gone than was archived.
    file.delete("log", kept);
    assert.ok((await found()).some((each) => each === `${kept} missing_block`), `${await found()}`);
    file.close();
  }));

Deno.test("nothing is let go of that the archive does not hold as the log has it", () =>
  inFolder(async (dir) => {
    const data = `${dir}/data`;
    await opened(data, async (system) => {
      await append(system, 0, EVENTS);
      const begun = await begin(system, ASKED);
      assert.equal(begun.until, UNTIL);
      const invalid = { name: "LogFault", kind: "invalid" };
      await assert.rejects(end(system, { until: UNTIL, root: btoa("x".repeat(32)) }), invalid);
      await assert.rejects(end(system, { until: UNTIL + 1, root: begun.root }), invalid);
      await assert.rejects(end(system, { until: 256, root: begun.root }), invalid);
      await assert.rejects(end(system, { until: 1 << 20, root: begun.root }), invalid);
      assert.equal((await begin(system, 255)).until, 0, "less than a bundle is nothing");
      assert.ok(system.daybook.log.entry(0));
      assert.equal([...system.daybook.log.read({ types: ["kernel.log.archived"] })].flat().length, 0);
    });
    assert.deepEqual((await verifyLog({ path: `${data}/log.db` })).failures, []);
  }));

Deno.test("who signs the log is known without the archive, to the log itself and to whoever verifies it", () =>
  inFolder(async (dir) => {
    const data = `${dir}/data`;
    const keys = await opened(data, async (system) => {
      await append(system, 0, 100);
      const old = system.keys.logKey.signer.vkey;
      const { log, keys, crash } = system;
      const changed = await changeLogKey(log, keys.logKey, { overlap: 0, crash });
      await append(system, 100, 500);
      assert.equal((await archived(system, data, `${dir}/archive`, 512)).until, 512);
      return [old, changed.new];
    });
    await opened(data, (system) => append(system, 600, 10));
    for (const key of keys) {
      for (const archive of [undefined, `${dir}/archive`]) {
        const report = await verifyLog({ path: `${data}/log.db`, key: key!, ...(archive ? { archive } : {}) });
        assert.deepEqual([report.failures, report.key_changes?.length, report.signed], [[], 1, report.size]);
      }
    }
  }));

Deno.test("an entity whose facts are archived lives on from its snapshot; where that is gone, too, the archive is asked for", () =>
  inFolder(async (dir) => {
    const [data, to] = [`${dir}/data`, `${dir}/archive`];
    const move = (system: System, to: string, from?: string) => {
      const data = { branch: "main", to: to.repeat(40), ...(from ? { from: from.repeat(40) } : {}) };
      return system.daybook.ask({ type: "commits.branch.move", id: "shop", data, by: BY, command: `to ${to}` });
    };
    await opened(data, async (system) => {
      assert.equal((await move(system, "1")).is, "accepted");
      await append(system, 0, 600, 100);
      assert.equal((await archived(system, data, to, 512)).until, 512);
    });
    await opened(data, async (system) => {
      assert.equal((await move(system, "2", "3")).is, "rejected", "it is known where the branch is");
      assert.equal((await move(system, "2", "1")).is, "accepted");
    });
    /** As a program leaves it whose fold reads otherwise. */
    const noted = (system: System, by: (actor: string) => string) => {
      const { views } = system.outbound;
      const note = views.note("snapshot/commits/shop") as { readonly actor: string };
      views.setNote("snapshot/commits/shop", { ...note, actor: by(note.actor) });
    };
    const refused = async (system: System, ...moved: [to: string, from: string]) => {
      const answer = await move(system, ...moved);
      assert.deepEqual([answer.is, answer.is === "unavailable" && answer.reason], ["unavailable", "archived"]);
    };
    await opened(data, async (system) => {
      noted(system, (actor) => actor.replace(/\S+$/, "0000000000000000"));
      assert.equal((await move(system, "5", "2")).is, "accepted", "of the same version");
    });
    await opened(data, async (system) => {
      noted(system, (actor) => actor.replace(/ \d+ /, " 999 "));
      await refused(system, "4", "5");
    });
    await Deno.remove(`${data}/notes.db`);
    await opened(data, (system) => refused(system, "4", "5"));
    await opened(data, async (system) => assert.equal((await move(system, "4", "5")).is, "accepted"), { archive: to });
  }));

Deno.test("a command whose first outcome is archived is told so at once, and what waits beside it is decided", () =>
  inFolder(async (dir) => {
    const data = `${dir}/data`;
    const move = (system: System, to: string, command = `to ${to}`) =>
      system.daybook.ask({
        type: "commits.branch.move",
        id: "shop",
        data: { branch: "main", to: to.repeat(40) },
        by: BY,
        command,
      });
    await opened(data, async (system) => {
      assert.equal((await move(system, "1")).is, "accepted");
      await append(system, 0, 600, 100);
      assert.equal((await archived(system, data, `${dir}/archive`, 512)).until, 512);
      const asks = [move(system, "2"), move(system, "1"), move(system, "3", "to 1"), move(system, "4")];
      const outcomes = (await Promise.all(asks)).map((outcome) =>
        outcome.is === "unavailable" ? outcome.reason : outcome.is
      );
      assert.deepEqual(outcomes, ["accepted", "archived", "archived", "accepted"]);
    });
  }));

Deno.test("nothing is archived while an erasure is under way", () =>
  inFolder(async (dir) => {
    const data = `${dir}/data`;
    await opened(data, async (system) => {
      await append(system, 0, 300);
      const subject = "s_0123456789abcdef";
      await decide(system, { type: "privacy.subject.erase", data: { subject } });
      await assert.rejects(begin(system, 256), {
        name: "Refused",
        code: "erasing",
        message: `The erasure of ${subject} is under way; archive when it is done`,
      });
      await decide(system, { type: "privacy.subject.finish_erasure", data: { subject, key: "none" } });
      assert.equal((await archived(system, data, `${dir}/archive`, 256)).until, 256);
    });
  }));

Deno.test("keys that were put back after an archive give nobody back who was erased in what it holds", () =>
  inFolder(async (dir) => {
    const [data, to] = [`${dir}/data`, `${dir}/archive`];
    await filled(data);
    await Deno.copyFile(`${data}/keys.db`, `${dir}/keys.db`);
    await opened(data, async (system) => {
      const { subject } = system.keys.known(EMAIL)!;
      await asked(system, "erase-subject", { subject });
      await append(system, 0, 600, 100);
      assert.equal((await archived(system, data, to, 512)).until, 512);
    });
    await opened(data, () => Promise.resolve());
    await Deno.copyFile(`${dir}/keys.db`, `${data}/keys.db`);
    await assert.rejects(opened(data, () => Promise.resolve()), {
      name: "LogFault",
      kind: "archived",
      message: /^the keys are older than what was archived/,
    });
    for (const archive of [to, undefined]) {
      await opened(data, ({ keys }) => {
        assert.equal(keys.known(EMAIL), undefined);
        return Promise.resolve();
      }, archive === undefined ? {} : { archive });
    }
  }));
