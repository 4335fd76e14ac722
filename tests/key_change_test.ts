/** Whom a verifier believes when the log's key was changed: both keys say so, over this log, or nobody does. */
import assert from "node:assert/strict";
import { readVerifierKey } from "../adapters/verify/note.ts";
import { verifyLog } from "../adapters/verify/verify.ts";
import { changeLogKey } from "../adapters/program/log_key_change.ts";
import { append, archived, opened } from "./archive_given.ts";
import { inFolder } from "./folder_given.ts";
import {
  type Changed,
  changed,
  FIRST,
  makeChanging,
  ORIGIN,
  SECOND,
  signedBy,
  type Step,
  STRANGER,
  THIRD,
} from "./key_change_given.ts";
import { noteSigner } from "../adapters/keys/note.ts";
import { Tampered } from "./verify_given.ts";

const idOf = (vkey: string): string => readVerifierKey(vkey)!.id;

/** From 40 events by the first key over the second to the third, each overlapping with the one before. */
const TWICE: readonly Step[] = [
  40,
  [FIRST, SECOND],
  (checkpoint) => changed(checkpoint, [FIRST, SECOND]),
  [SECOND, FIRST],
  30,
  [SECOND],
  30,
  [SECOND, THIRD],
  (checkpoint) => changed(checkpoint, [SECOND, THIRD]),
  [THIRD],
  20,
];
/** Positions of the changes. */
const [ONE, TWO] = [40, 101];

Deno.test("whoever has one key of the chain follows to the others, forward and back", () =>
  inFolder(async (dir) => {
    const made = await makeChanging(`${dir}/log.db`, TWICE);
    for (const { vkey } of [FIRST, SECOND, THIRD]) {
      const report = await verifyLog({ path: `${dir}/log.db`, key: vkey });
      assert.deepEqual([report.ok, report.failures, report.authenticated], [true, [], true]);
      assert.deepEqual([report.signed, report.anchored], [made.size, 0]);
      assert.deepEqual(report.key_changes, [
        { position: ONE, old: FIRST.vkey, new: SECOND.vkey },
        { position: TWO, old: SECOND.vkey, new: THIRD.vkey },
      ]);
      // What was kept elsewhere before a change, after it, and in the overlap.
      for (const [size, text] of made.notes) {
        const kept = { name: "kept", text, elsewhere: true };
        const against = await verifyLog({ path: `${dir}/log.db`, key: vkey, against: [kept] });
        assert.deepEqual([against.ok, against.failures], [true, []], `${size}`);
      }
    }
    const folder = await verifyLog({ path: `${dir}/log.db`, folderKey: THIRD.vkey });
    assert.deepEqual([folder.ok, folder.authenticated, folder.anchored], [true, false, 0]);
    const stranger = await verifyLog({ path: `${dir}/log.db`, key: STRANGER.vkey });
    assert.equal(stranger.authenticated, false);
    assert.ok(stranger.failures.every(({ kind }) => kind === "signature") && stranger.failed > 0);
  }));

Deno.test("a checkpoint counts only by the key in charge of its size", () =>
  inFolder(async (dir) => {
    const made = await makeChanging(`${dir}/log.db`, TWICE);
    const rootOf = (size: number) => made.notes.get(size)!.split("\n")[2]!;
    const at = (size: number) => `${ORIGIN}\n${size}\n${rootOf(size)}\n`;
    const judged = async (text: string, key = FIRST.vkey) => {
      const kept = { name: "kept", text, elsewhere: true };
      const report = await verifyLog({ path: `${dir}/log.db`, key, against: [kept] });
      return report.failures.map(({ kind, found }) => `${kind}: ${found}`);
    };
    // The old key alone over what covers the change; the new one alone over what does not.
    const [before, after] = [40, 71];
    for (const { vkey } of [FIRST, SECOND, THIRD]) {
      assert.deepEqual(await judged(signedBy(at(before), FIRST), vkey), []);
      assert.deepEqual(await judged(signedBy(at(after), SECOND), vkey), []);
      const unsigned = [`signature: kept is not signed by ${ORIGIN}`];
      assert.deepEqual(await judged(signedBy(at(after), FIRST), vkey), unsigned);
      assert.deepEqual(await judged(signedBy(at(before), SECOND), vkey), unsigned);
      assert.deepEqual(await judged(signedBy(at(made.size), SECOND), vkey), unsigned);
      assert.deepEqual(await judged(signedBy(at(after), STRANGER), vkey), unsigned);
    }
    const broken = signedBy(at(after), SECOND).replace(at(after), at(before));
    assert.deepEqual(await judged(broken), [`signature: kept is not signed by ${ORIGIN}`]);
    // Another key with the same id in its line is not the key.
    const wrong = signedBy(at(after), SECOND).replace(
      /(— \S+ [A-Za-z0-9+/]{20})(.)/,
      (_, before: string, char: string) => before + (char === "A" ? "B" : "A"),
    );
    assert.match((await judged(wrong)).join(), /wrong signature/);
  }));

/** A log with this change in it, and what verifying it by the first key finds at the change. */
const finding = async (
  dir: string,
  change: Extract<Step, (...args: never[]) => unknown>,
  after: readonly Step[] = [[FIRST, SECOND], 10],
): Promise<
  { readonly found: string; readonly report: Awaited<ReturnType<typeof verifyLog>>; readonly made: Changed }
> => {
  const path = `${dir}/${crypto.randomUUID()}.db`;
  const made = await makeChanging(path, [40, [FIRST, SECOND], 9, change, ...after]);
  const report = await verifyLog({ path, key: FIRST.vkey });
  const bad = report.failures.filter(({ kind }) => kind === "key_change");
  return {
    found: bad.map(({ position, expected, found }) => `${position}: ${expected}; ${found}`).join("\n"),
    report,
    made,
  };
};

Deno.test("a change that is forged is named, and nobody is led to its key", () =>
  inFolder(async (dir) => {
    const other = noteSigner("log.example/another", new Uint8Array(32).fill(12));
    const told = ({ old, new: next, note }: Record<string, string>, text: string) => ({
      old,
      new: next,
      until: "2026-12-20T00:00:00.000Z",
      note: note!.replace(/^[\s\S]*?\n\n/, `${text}\n`),
    });
    const textOf = ({ note }: Record<string, string>) => note!.slice(0, note!.indexOf("\n\n") + 1);
    const pair = [FIRST, SECOND] as const;
    const forged: readonly (readonly [string, Extract<Step, (...args: never[]) => unknown>, RegExp])[] = [
      ["the old key has not signed", (at) => {
        const data = changed(at, pair);
        return { ...data, note: signedBy(textOf(data), SECOND) };
      }, /signed by both keys; no signature of the old key/],
      ["the new key has not signed", (at) => {
        const data = changed(at, pair);
        return { ...data, note: signedBy(textOf(data), FIRST) };
      }, /signed by both keys; no signature of the new key/],
      ["somebody else has signed for the old key", (at) => {
        const data = changed(at, pair);
        return { ...data, note: signedBy(textOf(data), STRANGER, SECOND) };
      }, /no signature of the old key/],
      ["the text was changed behind the signatures", (at) => {
        const data = changed(at, pair);
        return told(data, textOf(data).replace(/size \d+/, "size 1"));
      }, /a wrong signature of the old key/],
      ["nobody has signed", (at) => ({ ...changed(at, pair), note: textOf(changed(at, pair)) }), /a signed statement/],
      ["it is a checkpoint", (at) => ({ ...changed(at, pair), note: at.note }), /a signed statement/],
      ["there is no statement", (at) => ({ ...changed(at, pair), note: undefined }), /a signed statement/],
      ["there is nothing", () => null, /a signed statement/],
      [
        "the event names another new key",
        (at) => ({ ...changed(at, pair), new: THIRD.vkey }),
        /says what its statement/,
      ],
      [
        "the event names another old key",
        (at) => ({ ...changed(at, pair), old: THIRD.vkey }),
        /says what its statement/,
      ],
      [
        "the event names another end",
        (at) => ({ ...changed(at, pair), until: "2036-01-01" }),
        /says what its statement/,
      ],
      ["the new key is none", (at) => changed(at, pair, { new: "no key" }), /two keys of a log/],
      ["the new key is a witness's", (at) => {
        const vkey = "witness+ba78eeb5+BJdKRqdEjh9ZH3MbgWgZiFnGJAGVDAoNKUTjOCmcqJoa";
        return changed(at, pair, { new: vkey });
      }, /two keys of a log/],
      ["it is of another log", (at) => changed(at, pair, { origin: "log.example/another" }), /the change of a key of/],
      ["the new key has another name", (at) => changed(at, [FIRST, other]), /the change of a key of/],
      ["the key stays", (at) => changed(at, [FIRST, FIRST]), /not used before/],
      ["the root is another", (at) => changed({ ...at, root: btoa("x".repeat(32)) }, pair), /root .* by both keys/],
      ["the size is another", (at) => changed({ ...at, size: 40 }, pair), /root .* by both keys/],
      [
        "no checkpoint of the size is kept",
        (at) => changed({ ...at, size: 17 }, pair),
        /17 entries, kept in the log; none/,
      ],
      [
        "it is over what comes later",
        (at) => changed({ ...at, size: 500 }, pair),
        /of at most 49 entries; one of "?500/,
      ],
      ["it is over nothing", (at) => changed({ ...at, size: 0 }, pair), /of at most 49 entries/],
    ];
    for (const [name, change, expected] of forged) {
      const { found, report } = await finding(dir, change);
      assert.match(found, expected, name);
      assert.ok(found.startsWith("49: "), `${name}: ${found}`);
      assert.equal(report.failures[0]!.position, 49, name);
      assert.equal(report.key_changes, undefined, name);
    }
    // What the new key alone has signed behind a forged change is not followed.
    const [, unsigned] = forged[0]!;
    const { report } = await finding(dir, unsigned, [[SECOND], 10]);
    assert.ok(report.failures.some(({ kind }) => kind === "signature"), JSON.stringify(report.failures));
    assert.ok(report.signed <= 50);
  }));

Deno.test("a change goes on from the key before, and to a key that is new", () =>
  inFolder(async (dir) => {
    const first: Step = (at) => changed(at, [FIRST, SECOND]);
    const then = (change: Step): readonly Step[] => [[SECOND, FIRST], 5, change, 5];
    const cases: readonly (readonly [string, Step, RegExp])[] = [
      ["from a key that was given up", (at) => changed(at, [FIRST, THIRD]), /^55: a change from the key .*; one from/],
      ["from a stranger's key", (at) => changed(at, [STRANGER, THIRD]), /^55: a change from the key/],
      ["back to the first", (at) =>
        changed(at, [SECOND, FIRST]), /^55: a key that was not used before; the key .* again/],
    ];
    for (const [name, change, expected] of cases) {
      const { found, report } = await finding(dir, first as never, then(change));
      assert.match(found, expected, name);
      assert.deepEqual(report.key_changes, [{ position: 49, old: FIRST.vkey, new: SECOND.vkey }], name);
    }
  }));

Deno.test("a change that was taken out of the file, or out of sight, is missed", () =>
  inFolder(async (dir) => {
    const path = `${dir}/log.db`;
    const made = await makeChanging(path, TWICE);
    const file = new Tampered(path);
    const kept = file.get("checkpoints", ONE);
    file.delete("checkpoints", ONE);
    const without = await verifyLog({ path, key: FIRST.vkey });
    assert.deepEqual(
      without.failures.filter(({ kind }) => kind === "key_change").map(({ position, found }) => [position, found]),
      [
        [ONE, "none"],
        // The second goes on from a change that nobody knows of, which is nothing against it.
      ],
    );
    file.put(kept, "checkpoints", ONE);
    assert.ok((await verifyLog({ path, key: FIRST.vkey })).ok);
    // The event is another one: then it is an ordinary tampering, and the newest key is one nobody was led to.
    const entries = file.entries(ONE);
    const { type: _, data: __, ...rest } = entries[0]!;
    file.write(ONE, [{ ...rest, type: "tests.thing.happened", data: { n: ONE } }]);
    file.rechain();
    file.close();
    const report = await verifyLog({ path, key: FIRST.vkey });
    assert.equal(report.ok, false);
    assert.equal(report.failures[0]!.position <= ONE, true, JSON.stringify(report.failures.slice(0, 3)));
    assert.ok(report.failures.some(({ kind, found }) => kind === "signature" && found.includes("not signed")));
    assert.ok(idOf(THIRD.vkey) !== idOf(FIRST.vkey) && made.size > TWO);
  }));

Deno.test("what lies before a change of the key is archived after it, and the log is what it was, by each key of the chain", () =>
  inFolder(async (dir) => {
    const data = `${dir}/data`;
    const keys = await opened(data, async (system) => {
      await append(system, 0, 700);
      const first = system.keys.logKey.signer.vkey;
      const change = async () =>
        (await changeLogKey(system.log, system.keys.logKey, { overlap: 0, crash: undefined })).new;
      const second = await change();
      assert.equal((await archived(system, data, `${dir}/archive`, 300)).until, 256);
      await append(system, 700, 100);
      const third = await change();
      assert.equal((await archived(system, data, `${dir}/archive`, 600)).until, 512);
      await append(system, 800, 10);
      return [first, second, third];
    });
    for (const key of keys) {
      for (const archive of [{}, { archive: `${dir}/archive` }]) {
        const report = await verifyLog({ path: `${data}/log.db`, key, ...archive });
        assert.deepEqual([report.failures, report.key_changes?.length, report.signed], [[], 2, report.size]);
      }
    }
  }));
