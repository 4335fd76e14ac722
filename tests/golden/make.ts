/**
 * `deno run -A tests/golden/make.ts`: makes the golden log of the version this is, in `tests/golden/<version>/`. Clock, chance and
 * keys are fixed, so that it can be made again and compared; one that is there is never overwritten.
 *
 * With `--folds` it adds the lines that new versions of projections and actors need to every golden log there is.
 */
import { actors } from "../../actors/mod.ts";
import type { Clock } from "../../actors/kernel/world.ts";
import { openKeys } from "../../adapters/keys/keys.ts";
import { inlineBackground } from "../../adapters/kv/background.ts";
import { FolderReader } from "../../adapters/kv/folder_reader.ts";
import { KvLog } from "../../adapters/kv/log.ts";
import { KvStore } from "../../adapters/kv/store.ts";
import { seededRandom } from "../../adapters/simulation/random.ts";
import { systemClock } from "../../adapters/system/world.ts";
import type { BlobRef } from "../../events/blobs.ts";
import { events } from "../../events/mod.ts";
import type { NewEvent } from "../../events/log.ts";
import { VERSION } from "../../main.ts";
import { projections } from "../../projections/mod.ts";
import { added, foldActors, foldProjections, type Folds, HERE, readFolds, versions, writeFolds } from "./golden.ts";
import { PROVEN } from "./retention_story.ts";
import { keepShapes, shapesOf } from "./shapes.ts";
import { type Step, story } from "./story.ts";
import { until } from "../until.ts";

/** Events of a segment: eight of the first and more become one of the next level; the second holds a stream that is thin in it. */
const SEGMENT_EVENTS = { first: 3, second: 41, tail: 1_000 };

/** The index waits for a lull before it makes a segment, hundreds of times here: its time runs so much faster. */
const FASTER = 50;

/** Bytes that lie beside the events. */
const BLOB = Uint8Array.from({ length: 500 }, (_, i) => (i * 7) % 256);

/** Makes the log and its keys in an empty folder. */
export const makeGolden = async (folder: string): Promise<Folds> => {
  const clock = { ms: 0 };
  const port: Clock = {
    now: () => clock.ms,
    monotonic: () => FASTER * systemClock.monotonic(),
    schedule: (after, call) => systemClock.schedule(after / FASTER, call),
  };
  const random = seededRandom(1, port.now);
  const keys = openKeys({
    path: `${folder}/keys.db`,
    catalogue: events,
    clock: port,
    origin: "golden.example/daybook",
    random: (bytes) => Uint8Array.from({ length: bytes }, () => random.between(0, 256)),
  });
  try {
    const seal = (plain: readonly NewEvent[]): readonly NewEvent[] => {
      for (const { type, data } of plain) events.spec(type)?.schema.parse(data);
      const sealed = keys.sealer.seal(plain);
      if (!sealed.ok) throw new Error(JSON.stringify(sealed.issues));
      return sealed.events;
    };
    const { first, second, tail } = story();
    refuseMissing([...first, ...second, ...tail]);
    const path = `${folder}/log.db`;
    const { signer } = keys.logKey;
    const blobs: BlobRef[] = [];
    const append = async (steps: readonly Step[], segmentEvents: number, merged: boolean) => {
      const store = await KvStore.open(path, { clock: port, random });
      const log = await KvLog.open(store, {
        catalogue: events,
        clock: port,
        background: inlineBackground(store, port),
        segmentEvents,
        trouble: (line) => console.error(line),
        signer: { origin: signer.name, sign: (size, root) => signer.checkpoint(size, root) },
        bounds: { checkpoint_ms: 3_600_000 },
      });
      for (const { at, events } of steps) {
        clock.ms = at;
        const appended = await log.append({ events: seal(events) });
        if (!appended.ok) throw new Error(JSON.stringify(appended));
        // The index keeps step, so that its pages come in the same order whenever it is made.
        await until("a segment is built", () => log.index.generations.length <= 1);
      }
      if (merged) await until("segments merge", () => log.index.manifest.segments.some(({ level }) => level > 0));
      if (blobs.length === 0) blobs.push(await log.putBlob(BLOB), await log.putBlob(new Uint8Array()));
      await log.close();
    };
    await append(first, SEGMENT_EVENTS.first, true);
    await append(second, SEGMENT_EVENTS.second, false);
    await append(tail, SEGMENT_EVENTS.tail, false);
    return await foldsOf(folder, signer.vkey, blobs);
  } finally {
    keys.close();
    await Deno.remove(`${folder}/keys.db-journal`).catch(() => {}); // empty, and made again when needed
  }
};

/** Every type of the catalogue has happened at least once. */
const refuseMissing = (steps: readonly Step[]): void => {
  const told = new Set(steps.flatMap(({ events }) => events.map(({ type }) => type)));
  const missing = events.domains.flatMap(({ facts }) => Object.keys(facts))
    .filter((type) => !told.has(type) && !PROVEN.includes(type));
  if (missing.length > 0) throw new Error(`the story has no ${missing.join(", ")}: add them to tests/golden/story.ts`);
};

const foldsOf = async (folder: string, key: string, blobs: readonly BlobRef[]): Promise<Folds> => {
  const log = new FolderReader(`${folder}/log.db`, { catalogue: events });
  try {
    const checkpoint = await log.checkpoint();
    return {
      size: log.size,
      root: checkpoint!.root,
      key,
      blobs,
      projections: foldProjections(log, projections),
      actors: foldActors(log, actors),
    };
  } finally {
    await log.close();
  }
};

const main = async (): Promise<number> => {
  if (Deno.args.includes("--shapes")) {
    await keepShapes(shapesOf(events));
    return 0;
  }
  if (Deno.args.includes("--folds")) {
    for (const version of versions()) {
      const before = await readFolds(HERE + version);
      const now = await foldsOf(HERE + version, before.key, before.blobs);
      await writeFolds(HERE + version, {
        ...before,
        projections: added(before.projections, now.projections),
        actors: added(before.actors, now.actors),
      });
    }
    return 0;
  }
  const folder = HERE + VERSION;
  try {
    await Deno.mkdir(folder);
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    console.error(`there is a golden log of ${VERSION} already; it is kept as it is`);
    return 3;
  }
  await writeFolds(folder, await makeGolden(folder));
  console.log(`made the golden log of ${VERSION}`);
  return 0;
};

if (import.meta.main) Deno.exit(await main());
