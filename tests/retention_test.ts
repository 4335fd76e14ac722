/** Types that are kept for a shorter time than the log: by destroying their months' keys, without a byte of the log changed. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { V8_FLAGS } from "../adapters/process/reexec.ts";
import { openSystem } from "../adapters/program/daybook.ts";
import { operate } from "../adapters/program/operations.ts";
import { endOf } from "../adapters/program/retention.ts";
import { verifyLog } from "../adapters/verify/verify.ts";
import { DEFAULTS } from "../config/shipped.ts";
import { run } from "./end_to_end/cli_given.ts";
import { ANN, authors, BOB, BY, commit, EMAIL, recorded } from "./end_to_end/privacy_given.ts";
import { inFolder } from "./folder_given.ts";

type Opened = Awaited<ReturnType<typeof openSystem>>;
const TYPE = "commits.commit.recorded";

const opened = async <T>(
  data: string,
  use: (system: Opened) => Promise<T>,
  types: Record<string, number> = { [TYPE]: 30 },
  pseudonyms: number | null = null,
): Promise<T> => {
  const config = { ...DEFAULTS, retention: { types, pseudonyms } };
  const system = await openSystem({ data, config });
  try {
    return await use(system);
  } finally {
    await system.daybook.close();
  }
};

const apply = (system: Opened) =>
  operate(system, "apply-retention", {
    input: {},
    progress: () => {},
    signal: new AbortController().signal,
  }) as Promise<{
    readonly destroyed: readonly unknown[];
    readonly held: readonly { readonly because: string }[];
  }>;

const at = (time: string, n: number, author: typeof ANN | typeof BOB) => {
  const event = commit(n, author);
  return { ...event, time, data: { ...event.data, times: { committed: time } } };
};

const MAY = "2024-05-06T07:08:09Z";
const NOW = new Date().toISOString();
const PAST = { type: TYPE, period: "202405" };

const filled = async ({ daybook }: Opened): Promise<void> => {
  const taken = await daybook.ingest([at(MAY, 1, ANN), at(MAY, 2, BOB), at(NOW, 3, ANN)], BY);
  assert.ok(taken.ok, JSON.stringify(taken));
};

/** Of types, not of pseudonyms. */
const months = ({ periods }: Opened["keys"]): number => periods.standing.filter(({ type }) => type === TYPE).length;

Deno.test("a month that is past its time reads erased, the log is what it was, and the other months are read", () =>
  inFolder(async (dir) => {
    const data = `${dir}/data`;
    await opened(data, async (system) => {
      const { daybook, keys } = system;
      await filled(system);
      assert.deepEqual(authors(daybook), [ANN.name, BOB.name, ANN.name]);
      assert.equal(months(keys), 2);
      const sealed = recorded(daybook, TYPE).map(({ author }) => (author as { name: string }).name);
      assert.ok(sealed.every((text) => /^sealed:2:s_[\w-]{16}:[\w-]{40,}$/.test(text)), `${sealed}`);
      const before = (await daybook.checkpoint(daybook.log.size))!;
      assert.deepEqual(await apply(system), { destroyed: [PAST], held: [] });
      assert.deepEqual(await apply(system), { destroyed: [], held: [] }, "once");
      assert.deepEqual(authors(daybook), ["[erased]", "[erased]", ANN.name]);
      const redacted = recorded(daybook, TYPE).map(({ author }) => daybook.redact(author as { name: string }).name);
      assert.deepEqual(redacted, ["[erased]", "[erased]", "[sealed]"]);
      assert.deepEqual(recorded(daybook, TYPE).map(({ author }) => (author as { name: string }).name), sealed);
      assert.equal(daybook.log.tree.root(before.size)!.toBase64(), before.root);
      // The first receipt stands, and what comes late is not kept.
      const again = await daybook.ingest([at(MAY, 1, ANN)], BY);
      assert.deepEqual([again.ok, again.ok && again.duplicates], [true, 1]);
      assert.ok((await daybook.ingest([at(MAY, 4, BOB)], BY)).ok);
      assert.deepEqual(authors(daybook), ["[erased]", "[erased]", ANN.name, "[erased]"]);
      assert.equal(months(keys), 1, "it never gets a key again");
      assert.deepEqual(recorded(daybook, "privacy.period.destroyed"), [{ ...PAST, after_days: 30 }]);
      // A person's own key still counts for what is left.
      keys.eraseKey(keys.subject(EMAIL)!);
      assert.equal(authors(daybook)[2], "[erased]");
    });
    assert.deepEqual((await verifyLog({ path: `${data}/log.db` })).failures, []);
    await opened(data, ({ daybook }) => {
      assert.deepEqual(authors(daybook).slice(0, 2), ["[erased]", "[erased]"]);
      return Promise.resolve();
    });
  }));

Deno.test("a hold keeps a month, and says why", () =>
  inFolder((dir) =>
    opened(`${dir}/data`, async (system) => {
      await filled(system);
      const ask = (name: string, input: unknown) =>
        operate(system, name, { input, progress: () => {}, signal: new AbortController().signal });
      for (const scope of [{}, { types: [TYPE] }, { subjects: [system.keys.subject(EMAIL)!] }]) {
        await ask("place-hold", { hold: "case", reason: "dispute", ...scope });
        const { destroyed, held } = await apply(system);
        assert.deepEqual([destroyed, held], [[], [{ ...PAST, because: "The legal hold case forbids it: dispute" }]]);
        await ask("lift-hold", { hold: "case", reason: "settled" });
      }
      await ask("place-hold", { hold: "other", reason: "else", types: ["tests.thing.happened"] });
      assert.deepEqual(authors(system.daybook)[0], ANN.name);
      assert.deepEqual((await apply(system)).destroyed, [PAST]);
    })
  ));

const standFor = (daybook: Opened["daybook"]): readonly string[] =>
  recorded(daybook, TYPE).map(({ author }) => (author as { pseudonym: string }).pseudonym);

Deno.test("pseudonyms of a month that is past its time are told of nobody any more, and are equal to none that comes late", () =>
  inFolder(async (dir) => {
    const data = `${dir}/data`;
    const past = { type: "pseudonyms", period: "202405" };
    const use = <T>(use: (system: Opened) => Promise<T>) => opened(data, use, {}, 90);
    await use(async (system) => {
      const { daybook, keys } = system;
      await filled(system);
      const [ann, bob, now] = standFor(daybook);
      assert.deepEqual([keys.pseudonym(EMAIL, MAY), keys.pseudonym(EMAIL, NOW)], [ann, now]);
      const ask = (name: string, input: unknown) =>
        operate(system, name, { input, progress: () => {}, signal: new AbortController().signal });
      // They stand in events of any type, of whomever.
      for (const scope of [{}, { types: ["tests.thing.happened"] }, { subjects: [keys.subject(EMAIL)!] }]) {
        await ask("place-hold", { hold: "case", reason: "dispute", ...scope });
        const because = "The legal hold case forbids it: dispute";
        assert.deepEqual(await apply(system), { destroyed: [], held: [{ ...past, because }] });
        await ask("lift-hold", { hold: "case", reason: "settled" });
      }
      await Deno.copyFile(`${data}/keys.db`, `${dir}/keys.db`);
      assert.deepEqual(await apply(system), { destroyed: [past], held: [] });
      assert.deepEqual(await apply(system), { destroyed: [], held: [] }, "once");
      assert.deepEqual([keys.pseudonym(EMAIL, MAY), keys.pseudonym(EMAIL, NOW)], [undefined, now]);
      // What is sealed is read as before, the first receipt stands, and what comes late has a pseudonym that says nothing.
      assert.deepEqual(authors(daybook), [ANN.name, BOB.name, ANN.name]);
      const again = await daybook.ingest([at(MAY, 1, ANN)], BY);
      assert.deepEqual([again.ok, again.ok && again.duplicates], [true, 1]);
      assert.ok((await daybook.ingest([at(MAY, 4, ANN), at(MAY, 5, ANN), at(NOW, 6, ANN)], BY)).ok);
      const all = standFor(daybook);
      assert.deepEqual([all[0], all[1], all[2], all[5]], [ann, bob, now, now]);
      assert.equal(new Set(all).size, 5);
      for (const late of all.slice(3, 5)) assert.match(late, /^p_202405_[\w-]{22}$/);
      assert.deepEqual(recorded(daybook, "privacy.period.destroyed"), [{ ...past, after_days: 90 }]);
    });
    assert.deepEqual((await verifyLog({ path: `${data}/log.db` })).failures, []);
    // Keys that were put back.
    await Deno.copyFile(`${dir}/keys.db`, `${data}/keys.db`);
    await use(({ keys }) => {
      assert.equal(keys.pseudonym(EMAIL, MAY), undefined);
      assert.deepEqual(keys.periods.standing.map(({ period }) => period).includes("202405"), false);
      return Promise.resolve();
    });
  }));

Deno.test("keys that were put back lose what the log says is destroyed", () =>
  inFolder(async (dir) => {
    const data = `${dir}/data`;
    await opened(data, filled);
    await Deno.copyFile(`${data}/keys.db`, `${dir}/keys.db`);
    await opened(data, apply);
    await Deno.copyFile(`${dir}/keys.db`, `${data}/keys.db`);
    await opened(data, ({ daybook, keys }) => {
      assert.deepEqual(authors(daybook), ["[erased]", "[erased]", ANN.name]);
      assert.equal(months(keys), 1);
      return Promise.resolve();
    });
  }));

Deno.test("what is not kept for a shorter time is sealed as ever, and a type may become so later", () =>
  inFolder(async (dir) => {
    const data = `${dir}/data`;
    await opened(data, async (system) => {
      await filled(system);
      assert.equal(months(system.keys), 0);
      assert.deepEqual(await apply(system), { destroyed: [], held: [] });
    }, {});
    await opened(data, async (system) => {
      // The same event again, sealed otherwise, is the same event.
      const again = await system.daybook.ingest([at(MAY, 1, ANN)], BY);
      assert.deepEqual([again.ok, again.ok && again.duplicates], [true, 1]);
      assert.ok((await system.daybook.ingest([at(MAY, 5, ANN)], BY)).ok);
      assert.deepEqual((await apply(system)).destroyed, [PAST]);
      assert.deepEqual(authors(system.daybook), [ANN.name, BOB.name, ANN.name, "[erased]"]);
    });
  }));

Deno.test("a misspelt type is refused before anything is made, for nothing of it would ever be destroyed", () =>
  inFolder(async (dir) => {
    const data = `${dir}/data`;
    await assert.rejects(opened(data, () => Promise.resolve(), { "commits.commit.recorder": 30 }), {
      name: "Usage",
      message:
        'retention.types: expected a type of events, not "commits.commit.recorder"; did you mean commits.commit.recorded?',
    });
    await assert.rejects(Deno.stat(data), Deno.errors.NotFound);
    // Of a domain that is not here it may be one that is yet to come.
    await opened(data, () => Promise.resolve(), { "payments.sum.paid": 30 });
  }));

Deno.test("a month ends at its end, and is kept for so many days more", () => {
  assert.equal(new Date(endOf({ type: TYPE, period: "202402" }, 0)).toISOString(), "2024-03-01T00:00:00.000Z");
  assert.equal(new Date(endOf({ type: TYPE, period: "202412" }, 10)).toISOString(), "2025-01-11T00:00:00.000Z");
});

Deno.test("cut off between the event and the key, the next opening ends it", () =>
  inFolder(async (dir) => {
    const data = `${dir}/data`;
    await opened(data, filled);
    const main = fileURLToPath(new URL("../main.ts", import.meta.url));
    const env = { DAYBOOK__RETENTION__TYPES: `{ ${TYPE}: 30 }`, NO_COLOR: "1" };
    const { signal } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-q", V8_FLAGS, "-A", main, "retention", "apply", "--data", data],
      env: { ...env, DAYBOOK_CRASH_AT: "period.recorded" },
      stdout: "null",
      stderr: "null",
    }).output();
    assert.equal(signal, "SIGKILL");
    const again = await run(["retention", "apply", "--data", data, "--json"], { env });
    assert.deepEqual([again.code, JSON.parse(again.out)], [0, { ok: true, destroyed: [], held: [] }]);
    await opened(data, ({ daybook }) => {
      assert.deepEqual(authors(daybook), ["[erased]", "[erased]", ANN.name]);
      return Promise.resolve();
    });
  }));

Deno.test("a month that was destroyed behind a backup does not come back with it", () =>
  inFolder(async (dir) => {
    const data = `${dir}/data`;
    const pass = { env: { DAYBOOK_PASSPHRASE: "correct horse battery" } };
    await opened(data, filled);
    assert.equal((await run(["backup", `${dir}/backup`, "--with-keys", "--data", data], pass)).code, 0);
    await opened(data, async (system) => assert.equal((await apply(system)).destroyed.length, 1));
    for (const gone of ["log.db", "keys.db"]) {
      const replaced = `${dir}/replaced-${gone}`, copy = `${dir}/copy-${gone}`;
      await Deno.mkdir(replaced);
      for (const { name, isFile } of Deno.readDirSync(data)) {
        if (isFile && name !== gone) Deno.copyFileSync(`${data}/${name}`, `${replaced}/${name}`);
      }
      const restored = await run(["restore", `${dir}/backup`, "--replaces", replaced, "--data", copy, "--json"], pass);
      assert.equal(restored.code, 0, restored.err);
      assert.equal(JSON.parse(restored.out).months, 1, gone);
      const shown = await run(["events", "--type", TYPE, "--personal", "--json", "--data", copy]);
      const names = JSON.parse(shown.out).events.map(({ data }: { data: { author: { name: string } } }) =>
        data.author.name
      );
      assert.deepEqual(names, ["[erased]", "[erased]", ANN.name], gone);
    }
  }));
