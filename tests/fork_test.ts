/** A log that left another: what was said of the other holds up to there, and the fork is where the log says. */
import assert from "node:assert/strict";
import { noteSigner } from "../adapters/keys/note.ts";
import { verifyLog } from "../adapters/verify/verify.ts";
import type { Checkpoint } from "../events/log.ts";
import { inFolder } from "./folder_given.ts";
import { changed, FIRST, makeChanging, ORIGIN, SECOND, signedBy, type Step, STRANGER } from "./key_change_given.ts";

const NEW = noteSigner("log.example/after", new Uint8Array(32).fill(21));
const LAST = noteSigner("log.example/third", new Uint8Array(32).fill(22));
const BACKUP = "2026-11-20T00:00:00.000Z";

const forked = (
  { origin, size, root }: Checkpoint,
  key: string,
  to: string,
  over: Record<string, unknown> = {},
): Record<string, unknown> => ({ from: { origin, key, size, root, ...over }, to, backup: BACKUP });

/** 40 events by the first key, 20 by the second, and then another log from a copy of all of it. */
const LEFT: readonly Step[] = [
  40,
  [FIRST, SECOND],
  (at) => changed(at, [FIRST, SECOND]),
  [SECOND],
  20,
  [NEW],
  { forked: (at) => forked(at, SECOND.vkey, NEW.name) },
  30,
];
const FORK = 61;

Deno.test("a log that left another is verified under its own key, and what was kept of the other holds up to there", () =>
  inFolder(async (dir) => {
    const path = `${dir}/log.db`;
    const made = await makeChanging(path, LEFT);
    const report = await verifyLog({ path, key: NEW.vkey });
    assert.deepEqual([report.failures, report.authenticated, report.signed], [[], true, made.size]);
    assert.deepEqual(report.forks, [{ position: FORK, from: ORIGIN, to: NEW.name, size: FORK }]);
    assert.deepEqual(report.key_changes?.map(({ position }) => position), [40]);
    for (const [size, text] of made.notes) {
      const kept = await verifyLog({ path, folderKey: NEW.vkey, against: [{ name: "kept", text, elsewhere: true }] });
      assert.deepEqual([kept.failures, kept.anchored], [[], size], `${size}`);
    }
    // Who trusts the other log alone is told that this one is not it.
    for (const { vkey } of [FIRST, SECOND]) {
      const other = await verifyLog({ path, key: vkey });
      assert.equal(other.ok, false);
      assert.ok(
        other.failures.every(({ kind, position }) => kind === "signature" && position >= FORK),
        JSON.stringify(other.failures),
      );
      assert.ok(other.signed <= FORK);
    }
  }));

Deno.test("what the other log went on to is no part of this one", () =>
  inFolder(async (dir) => {
    const path = `${dir}/log.db`;
    const made = await makeChanging(path, LEFT);
    const root = (size: number) => made.notes.get(size)!.split("\n")[2]!;
    const judged = async (text: string) => {
      const kept = { name: "kept", text, elsewhere: true };
      const { failures } = await verifyLog({ path, key: NEW.vkey, against: [kept] });
      return failures.map(({ position, kind, found }) => `${position} ${kind}: ${found}`);
    };
    const further = `${ORIGIN}\n80\n${root(62)}\n`;
    assert.deepEqual(
      await judged(signedBy(further, SECOND)),
      [`${FORK} forked: it left "${ORIGIN}" at ${FORK}`].map((text) => text.replaceAll('"', "")),
    );
    assert.match((await judged(signedBy(`${ORIGIN}\n30\n${root(40)}\n`, FIRST))).join(), /forked/);
    assert.match(
      (await judged(signedBy(`${ORIGIN}\n40\n${root(40)}\n`, STRANGER))).join(),
      /signature: kept is not signed/,
    );
    assert.match((await judged(signedBy(`${ORIGIN}\n40\n${root(40)}\n`, NEW))).join(), /signature: kept is not signed/);
    assert.match((await judged(`log.example/nobody\n40\n${root(40)}\n`)).join(), /checkpoint: kept is of/);
  }));

Deno.test("a fork that is not where the log says, or not to where it goes, is named", () =>
  inFolder(async (dir) => {
    const cases: readonly (readonly [string, (at: Checkpoint) => unknown, RegExp])[] = [
      ["another root", (at) =>
        forked(at, FIRST.vkey, NEW.name, { root: btoa("x".repeat(32)) }), /root .* over 20 entries/],
      ["another size", (at) =>
        forked(at, FIRST.vkey, NEW.name, { size: 19 }), /all 20 entries before it/],
      ["no size", (at) =>
        forked(at, FIRST.vkey, NEW.name, { size: undefined }), /all 20 entries before it/],
      ["a key of another name", (at) => forked(at, NEW.vkey, NEW.name), /the name and key/],
      ["no key", (at) => forked(at, "key", NEW.name), /the name and key/],
      ["no name", (at) => ({ ...forked(at, FIRST.vkey, NEW.name), to: 1 }), /the name and key/],
      ["nothing", () => null, /the name and key/],
      ["the same name", (at) => forked(at, FIRST.vkey, ORIGIN), /another name/],
      ["to a log that it is not", (at) => forked(at, FIRST.vkey, LAST.name), /goes on as/],
    ];
    for (const [name, data, expected] of cases) {
      const path = `${dir}/${crypto.randomUUID()}.db`;
      await makeChanging(path, [20, [NEW], { forked: data }, 10]);
      const { failures } = await verifyLog({ path, key: NEW.vkey });
      const found = failures.find(({ kind }) => kind === "fork");
      assert.ok(
        found && found.position === 20 && expected.test(found.expected),
        `${name}: ${JSON.stringify(failures)}`,
      );
    }
    // From one to the next, and no further.
    const path = `${dir}/twice.db`;
    const twice: readonly Step[] = [
      20,
      [NEW],
      { forked: (at) => forked(at, FIRST.vkey, NEW.name) },
      10,
      [LAST],
      { forked: (at) => forked(at, NEW.vkey, LAST.name) },
      5,
    ];
    const made = await makeChanging(path, twice);
    const report = await verifyLog({ path, key: LAST.vkey });
    assert.deepEqual([report.failures, report.forks?.length, report.signed], [[], 2, made.size]);
    const wrong = `${dir}/wrong.db`;
    await makeChanging(wrong, [...twice.slice(0, 5), {
      forked: (at) => forked({ ...at, origin: ORIGIN }, FIRST.vkey, LAST.name),
    }, 5]);
    const { failures } = await verifyLog({ path: wrong, key: LAST.vkey });
    assert.ok(
      failures.some(({ kind, expected }) => kind === "fork" && /a log that was log.example\/after/.test(expected)),
    );
  }));

Deno.test("an event of that name does not make a stranger's log ours", () =>
  inFolder(async (dir) => {
    const path = `${dir}/log.db`;
    // Somebody with the file and no key of ours.
    await makeChanging(path, [20, [NEW], { forked: (at) => forked(at, FIRST.vkey, NEW.name) }, 10]);
    const report = await verifyLog({ path, key: FIRST.vkey });
    assert.equal(report.ok, false);
    assert.ok(report.failures.some(({ kind, position }) => kind === "signature" && position >= 20));
  }));
