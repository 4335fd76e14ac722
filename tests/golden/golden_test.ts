/** Every released version's log opens, verifies and folds to what it did then. */
import assert from "node:assert/strict";
import { verifyLog } from "../../adapters/verify/verify.ts";
import { actors } from "../../actors/mod.ts";
import type { Daybook } from "../../actors/kernel/daybook.ts";
import { openKeys } from "../../adapters/keys/keys.ts";
import { FolderReader } from "../../adapters/kv/folder_reader.ts";
import { systemClock } from "../../adapters/system/world.ts";
import { canonical } from "../../events/canonical.ts";
import type { Event } from "../../events/event.ts";
import { events } from "../../events/mod.ts";
import { isSealed, sealedIn } from "../../events/personal.ts";
import { openDaybook, VERSION } from "../../main.ts";
import { projections } from "../../projections/mod.ts";
import type { AnyProjection } from "../../projections/projection.ts";
import { changed, type Fold, foldActors, foldProjections, type Folds, HERE, readFolds, versions } from "./golden.ts";
import { makeGolden } from "./make.ts";
import { inFolder } from "../folder_given.ts";

const filesOf = (folder: string): readonly string[] => [...Deno.readDirSync(folder)].map(({ name }) => name).sort();

const reading = async <T>(folder: string, ask: (log: FolderReader) => T): Promise<T> => {
  const log = new FolderReader(`${folder}/log.db`, { catalogue: events });
  try {
    return ask(log);
  } finally {
    await log.close();
  }
};

const allOf = (log: Pick<FolderReader, "read">): readonly Event[] => [...log.read({})].flat();

/** Everything sealed opens with the folder's own keys. */
const unsealed = async (folder: string, sealed: readonly Event[]): Promise<readonly Event[]> => {
  const keys = openKeys({ path: `${folder}/keys.db`, catalogue: events, clock: systemClock, readOnly: true });
  try {
    return await Promise.resolve(keys.sealer.unseal(sealed));
  } finally {
    keys.close();
  }
};

const quiet = async (daybook: Daybook): Promise<void> => {
  await daybook.view("audit.trail", { wait: daybook.status().size - 1, deadline: 120_000 });
};

Deno.test("the version that this is has a golden log", () => {
  assert.ok(versions().includes(VERSION), `make it: deno run -A tests/golden/make.ts`);
});

for (const version of versions()) {
  const folder = HERE + version;

  Deno.test(`the log of ${version} is verified, signature and all, and reading leaves nothing beside it`, async () => {
    const { size, root, key, blobs } = await readFolds(folder);
    const before = filesOf(folder);
    const report = await verifyLog({ path: `${folder}/log.db`, key });
    assert.deepEqual(report.failures, []);
    assert.deepEqual([report.ok, report.size, report.root, report.authenticated, report.signed], [
      true,
      size,
      root,
      true,
      size,
    ]);
    assert.equal(report.blobs, blobs.length);
    await reading(folder, (log) => {
      assert.equal(allOf(log).length, size);
      const stored = new Map([...log.blobs()].map((blob) => [blob.sha256, blob.read().length]));
      assert.deepEqual(stored, new Map(blobs.map(({ sha256, bytes }) => [sha256, bytes])));
    });
    assert.deepEqual(filesOf(folder), before);
  });

  Deno.test(`every question about the log of ${version} is answered as a scan would answer it`, async () => {
    await reading(folder, (log) => {
      const all = allOf(log);
      const ask = (range: Parameters<typeof log.read>[0]) =>
        [...log.read(range)].flat().map(({ position }) => position);
      const where = (holds: (event: Event) => boolean) => all.filter(holds).map(({ position }) => position);
      for (const stream of new Set(all.map(({ stream }) => stream))) {
        assert.deepEqual(ask({ stream }), where((event) => event.stream === stream), stream);
      }
      for (const type of new Set(all.map(({ type }) => type))) {
        assert.deepEqual(ask({ types: [type] }), where((event) => event.type === type), type);
      }
      for (const { source, id, position } of all) assert.equal(log.find(source, id)?.position, position);
      assert.equal(log.find("urn:golden:sensor", "reading-none"), undefined);
    });
  });

  Deno.test(`what is sealed in the log of ${version} opens with its keys`, async () => {
    const sealed = await reading(folder, allOf);
    const inFolderOfKeys = async (copy: string) => {
      // Keys are asked for where they may be written: git keeps no modes, and the original is to stay as it is.
      for (const name of ["keys.db", "root.key"]) await Deno.copyFile(`${folder}/${name}`, `${copy}/${name}`);
      return await unsealed(copy, sealed);
    };
    const opened = await inFolder(inFolderOfKeys);
    const authors = (list: readonly Event[]) =>
      list.filter(({ type }) => type === "commits.commit.recorded")
        .map(({ data }) => (data as { author: { email: string } }).author.email);
    assert.ok(authors(sealed).length > 10 && authors(sealed).every(isSealed));
    assert.ok(authors(opened).every((email) => /^\w+@example\.com$/.test(email)), authors(opened).join());
    // Pseudonyms stay; nothing else does.
    assert.deepEqual(opened.flatMap(({ data }) => sealedIn(data)).filter((path) => !path.endsWith("/pseudonym")), []);
  });

  Deno.test(`the log of ${version} folds to what it did: views and states of actors`, async () => {
    const known = await readFolds(folder);
    const now = await reading(folder, (log) => ({
      projections: foldProjections(log, projections),
      actors: foldActors(log, actors),
      types: new Set<string>(allOf(log).map(({ type }) => type)),
    }));
    assert.deepEqual(changed(known.projections, now.projections), []);
    assert.deepEqual(changed(known.actors, now.actors), []);
    // An actor of a domain that came later has decided nothing in it.
    const idle = actors.filter(({ facts }) => !facts.some((type) => now.types.has(type))).map(({ domain }) => domain);
    const streamless = now.actors.filter(({ rows }) => rows === 0).map(({ name }) => name);
    assert.deepEqual(streamless, idle, "every other actor has a stream in it");
    // A view of a domain that came later has nothing to hear in it.
    const silent = projections.filter(({ hears }) => hears !== "*" && !hears.some((type) => now.types.has(type)));
    const rowless = now.projections.filter(({ rows }) => rows === 0).map(({ name }) => name);
    assert.deepEqual(rowless, silent.map(({ name }) => name), "every other view has a row of it");
  });

  Deno.test(`the log of ${version} is gone on with: what is repeated is known, what is new is appended`, async () => {
    await inFolder(async (copy) => {
      for (const name of ["log.db", "keys.db", "root.key"]) await Deno.copyFile(`${folder}/${name}`, `${copy}/${name}`);
      const { size, key } = await readFolds(folder);
      const told: string[] = [];
      await Deno.chmod(`${copy}/root.key`, 0o600);
      await Deno.chmod(`${copy}/keys.db`, 0o600);
      const daybook = await openDaybook({ data: copy, report: (line) => told.push(line) });
      try {
        const by = { authtype: "api_key", authid: "t_golden" } as const;
        const old = daybook.unseal([...daybook.log.read({ types: ["commits.commit.recorded"] })].flat()[0]!);
        const { id, source, type, time } = old;
        const { author, ...data } = old.data as { author: object };
        const { pseudonym: _, ...person } = author as { pseudonym: string };
        const again = { id, source, type, time, data: { ...data, author: person } };
        const repeated = await daybook.ingest([again], by);
        assert.ok(repeated.ok && repeated.duplicates === 1 && repeated.receipts[0]!.position === old.position);
        const other = await daybook.ingest([{ ...again, data: { ...again.data, subject: "Another" } }], by);
        assert.ok(!other.ok && other.conflict === "id", JSON.stringify(other));
        const fresh = await daybook.ingest([{
          ...again,
          id: "f".repeat(40),
          data: { ...again.data, sha: "f".repeat(40) },
        }], by);
        assert.ok(fresh.ok && fresh.accepted === 1 && fresh.receipts[0]!.position >= size, JSON.stringify(fresh));
        const moved = await daybook.ask({
          type: "commits.branch.move",
          id: "example.org:garden",
          data: { branch: "main", to: "f".repeat(40), from: mainOf(daybook) },
          by,
        });
        assert.equal(moved.is, "accepted", JSON.stringify(moved));
        await quiet(daybook);
      } finally {
        await daybook.close();
      }
      assert.deepEqual(told, []);
      const report = await verifyLog({ path: `${copy}/log.db`, key });
      assert.deepEqual([report.failures, report.authenticated], [[], true]);
      assert.ok(report.size > size && report.signed === report.size);
    });
  });
}

/** Where the branch stands, by its last move. */
const mainOf = (daybook: Daybook): string => {
  const moves = [...daybook.log.read({ types: ["commits.branch.moved"] })].flat();
  return moves.map(({ data }) => data as { branch: string; to: string }).findLast(({ branch }) => branch === "main")!
    .to;
};

const first = (folds: Folds): Fold => folds.projections.find(({ name }) => name === "commits.history")!;

Deno.test("a fold that changes and keeps its version is caught, of a projection and of an actor", async () => {
  const folder = HERE + VERSION;
  const known = await readFolds(folder);
  const history = projections.find(({ name }) => name === first(known).name)!;
  const other: AnyProjection = {
    ...history,
    apply(row, event, key, read) {
      const applied = history.apply(row, event, key, read);
      const { subject } = applied as { subject?: string };
      return subject === "Plant row 7" ? { ...applied as object, subject: "Plant row 8" } : applied;
    },
  };
  const [actor] = actors;
  const forgetful = {
    ...actor!,
    evolve: (state: unknown, fact: Parameters<NonNullable<typeof actor>["evolve"]>[1]) =>
      fact.type === "commits.branch.deleted" ? state : actor!.evolve(state, fact),
  };
  await reading(folder, (log) => {
    const fold = (projection: AnyProjection) => changed(known.projections, foldProjections(log, [projection]));
    assert.deepEqual(fold(history), []);
    assert.match(fold(other).join(), /^commits\.history version 1 gives another result than it did/);
    assert.match(fold({ ...other, version: 999 }).join(), /^commits\.history version 999 has no line/);
    assert.deepEqual(changed(known.actors, foldActors(log, [actor!])), []);
    assert.match(changed(known.actors, foldActors(log, [forgetful])).join(), /^commits version 1 gives another result/);
  });
});

Deno.test("a golden log that is made again is the same, and holds every fact type of the catalogue", async () => {
  const [one, two] = [await inFolder(makeGolden), await inFolder(makeGolden)];
  assert.equal(canonical(one), canonical(two));
  assert.ok(one.size > 100);
  assert.deepEqual(one.projections.filter(({ rows }) => rows === 0), [], "every view has a row of it");
});
