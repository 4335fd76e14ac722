import assert from "node:assert/strict";
import { openKeys } from "../adapters/keys/keys.ts";
import { openSystem } from "../adapters/program/daybook.ts";
import type { Opened } from "../adapters/program/opened.ts";
import { operate } from "../adapters/program/operations.ts";
import { decide } from "../adapters/program/privacy/register.ts";
import { settleErasures } from "../adapters/program/privacy/settle.ts";
import { Refused } from "../adapters/cli/runtime.ts";
import { systemClock } from "../adapters/system/world.ts";
import type { Event } from "../events/event.ts";
import { PRIVACY_STREAM } from "../events/privacy.ts";
import { event, people, sealed } from "./keys_given.ts";
import { ANN, BY, commit, EMAIL, NAME } from "./end_to_end/privacy_given.ts";

const withSystem = async (use: (opened: Opened, subject: string) => Promise<void>): Promise<void> => {
  const opened = await openSystem({ data: ":memory:" });
  try {
    assert.ok((await opened.daybook.ingest([commit(1, ANN)], BY)).ok);
    await use(opened, opened.keys.subject(EMAIL)!);
  } finally {
    await opened.daybook.close();
  }
};

const erase = (opened: Opened, subject: string, more: object = {}) =>
  operate(opened, "erase-subject", {
    input: { subject, ...more },
    progress: () => {},
    signal: new AbortController().signal,
  });

const refused = (code: string) => (error: Error) => error instanceof Refused && error.code === code;

/** Facts of the register; the kernel tells its own meanwhile. */
const size = ({ daybook }: Pick<Opened, "daybook">): number =>
  [...daybook.log.read({ stream: PRIVACY_STREAM })].flat().length;

Deno.test("an erasure that a hold forbids destroys and records nothing, and goes on when the hold is lifted", () =>
  withSystem(async (opened, subject) => {
    const types = ["commits.commit.recorded"];
    await decide(opened, {
      type: "privacy.hold.place",
      data: { hold: "case-7", reason: "a lawsuit", types },
    });
    const before = size(opened);
    await assert.rejects(erase(opened, subject, { types }), refused("held"));
    await assert.rejects(erase(opened, subject), /The legal hold case-7 forbids it: a lawsuit/);
    assert.equal(size(opened), before);
    assert.deepEqual(opened.keys.known(EMAIL), { subject, erased: false });
    await decide(opened, { type: "privacy.hold.lift", data: { hold: "case-7", reason: "settled" } });
    const done = await erase(opened, subject, { types }) as { key: string; requested: number; erased: number };
    assert.deepEqual([done.key, done.erased > done.requested], ["destroyed", true]);
    assert.equal(opened.keys.known(EMAIL), undefined);
  }));

Deno.test("nobody unknown is erased, and nobody twice", () =>
  withSystem(async (opened, subject) => {
    const before = size(opened);
    await assert.rejects(erase(opened, "s_nobodynobodynobo"), refused("unknown_subject"));
    await assert.rejects(erase(opened, "nobody"), /subject: the opaque id of a person/);
    assert.equal(size(opened), before);
    await erase(opened, subject);
    const after = size(opened);
    await assert.rejects(erase(opened, subject), refused("already_erased"));
    assert.equal(size(opened), after);
  }));

Deno.test("an erasure that could not be recorded as done is ended when it is asked for again", () =>
  withSystem(async (opened, subject) => {
    await decide(opened, { type: "privacy.subject.erase", data: { subject, types: [] } });
    opened.keys.eraseKey(subject);
    const done = await erase(opened, subject) as { key: string; erased: number };
    assert.equal(done.key, "destroyed");
    assert.equal(size(opened), 2);
    await assert.rejects(erase(opened, subject), refused("already_erased"));
  }));

Deno.test("what a running program remembers of a person goes with the key, and who comes again is somebody else", () =>
  withSystem(async ({ daybook, ...opened }, subject) => {
    const author = () => {
      const [event] = [...daybook.log.read({ types: ["commits.commit.recorded"] })].flat();
      return daybook.unseal((event!.data as { author: { name: string } }).author).name;
    };
    assert.equal(author(), NAME);
    await erase({ daybook, ...opened }, subject);
    assert.equal(author(), "[erased]");
    const again = await daybook.ingest([commit(1, ANN), commit(2, ANN)], BY);
    assert.ok(again.ok && again.duplicates === 1 && again.accepted === 1);
    assert.notEqual(opened.keys.subject(EMAIL), subject);
    assert.equal(author(), "[erased]");
  }));

Deno.test("commands about persons and keys come from the program alone", () =>
  withSystem(async ({ daybook }, subject) => {
    for (
      const [type, data] of [
        ["privacy.subject.erase", { subject }],
        ["privacy.hold.lift", { hold: "case-7", reason: "because" }],
      ] as const
    ) {
      assert.equal((await daybook.ask({ type, id: "register", data, by: BY })).is, "unknown_command");
    }
    assert.equal(size({ daybook }), 0);
    assert.ok(daybook.actors.every(({ domain }) => domain !== "privacy"));
  }));

Deno.test("a folder opens with a few flushes of its keys, however many persons the log says are erased", () => {
  const erased = Array.from({ length: 200 }, (_, i) => {
    const data = { subject: `s_${String(i).padStart(16, "0")}`, key: "destroyed" };
    return { type: "privacy.subject.erased", data } as unknown as Event;
  });
  const dir = Deno.makeTempDirSync();
  try {
    const path = `${dir}/keys.db`;
    const keys = openKeys({ path, clock: systemClock, catalogue: people });
    try {
      // File change counter: SQLite database file format, 1.3.7.
      const changes = () => new DataView(Deno.readFileSync(path).buffer).getUint32(24);
      const before = changes();
      assert.deepEqual(settleErasures({ size: 200, read: () => [erased] }, keys), []);
      assert.ok(changes() - before < 10, `${changes() - before} transactions`);
      assert.deepEqual([keys.erased().length, keys.erasuresSettled], [200, 200]);
    } finally {
      keys.close();
    }
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
});

Deno.test("an erasure that the log knows as asked for alone is pending at every opening, until it is recorded", () => {
  const [ada, bob] = ["s_ada0000000000000", "s_bob0000000000000"];
  const told = (verb: string, subject: string) =>
    ({ type: `privacy.subject.${verb}`, data: { subject } }) as unknown as Event;
  const before = [told("erasure_requested", ada), told("erased", ada), told("erasure_requested", bob)];
  const settled = (events: readonly Event[]) => {
    const read = ({ from = 0 }) => [events.slice(from)];
    return [settleErasures({ size: events.length, read }, keys), keys.erasuresSettled];
  };
  const keys = openKeys({ path: ":memory:", clock: systemClock, catalogue: people });
  try {
    sealed(keys, event("people.list.kept", { owner: bob, members: [], aliases: { nick: "Bob" } }));
    assert.deepEqual(settled(before), [[{ subject: bob, key: "destroyed" }], 0]);
    assert.deepEqual(keys.erased(), [ada, bob]);
    assert.deepEqual(settled(before), [[{ subject: bob, key: "none" }], 0]);
    assert.deepEqual(settled([...before, told("erased", bob)]), [[], 4]);
  } finally {
    keys.close();
  }
});
