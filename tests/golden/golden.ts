/**
 * Golden logs: a small log of every released version, never changed, in `tests/golden/<version>/`, and what folds made of it.
 *
 * `folds.json` has one line for each version of each projection and actor. Lines are only added: a fold that gives something
 * else needs a new version, and with it a line of its own.
 */
import { fileURLToPath } from "node:url";
import type { Actor } from "../../actors/types.ts";
import { replay } from "../../actors/kernel/replay.ts";
import type { BlobRef } from "../../events/blobs.ts";
import { canonical } from "../../events/canonical.ts";
import type { Event, FactType } from "../../events/event.ts";
import type { Range } from "../../events/log.ts";
import { RowsSum } from "../../projections/digest.ts";
import type { AnyProjection } from "../../projections/projection.ts";
import { primitives } from "../projections_given.ts";

export const HERE = fileURLToPath(new URL(".", import.meta.url));

export interface Fold {
  /** Of an actor its domain. */
  readonly name: string;
  readonly version: number;
  /** Events folded. */
  readonly size: number;
  /** Of a projection its rows, of an actor its streams. */
  readonly rows: number;
  /** See `projections/digest.ts`; of an actor over its states by stream. */
  readonly digest: string;
}

export interface Folds {
  readonly size: number;
  /** Root hash over all entries, base64. */
  readonly root: string;
  /** The log's public key, as a verifier takes it. */
  readonly key: string;
  /** What lies beside the events. */
  readonly blobs: readonly BlobRef[];
  readonly projections: readonly Fold[];
  readonly actors: readonly Fold[];
}

/** The versions that have a golden log. */
export const versions = (): readonly string[] =>
  [...Deno.readDirSync(HERE)].filter(({ isDirectory }) => isDirectory).map(({ name }) => name).sort();

export const readFolds = async (folder: string): Promise<Folds> =>
  JSON.parse(await Deno.readTextFile(`${folder}/folds.json`));
export const writeFolds = (folder: string, folds: Folds): Promise<void> =>
  Deno.writeTextFile(`${folder}/folds.json`, JSON.stringify(folds, undefined, 2) + "\n");

interface Log {
  readonly size: number;
  read(range: Range): Iterable<readonly Event[]>;
}

export const foldProjections = (log: Log, projections: readonly AnyProjection[]): readonly Fold[] =>
  replay({ log, projections, primitives }).views
    .map(({ name, version, size, rows, digest }) => ({ name, version, size, rows, digest }));

/** The state of every stream of an actor after the whole log. */
export const foldActors = (log: Log, actors: readonly Actor[]): readonly Fold[] =>
  actors.map((actor) => {
    const states = new Map<string, unknown>();
    for (const batch of log.read({})) {
      for (const { stream, type, data } of batch) {
        if (!stream.startsWith(`${actor.domain}/`) || !actor.facts.includes(type as FactType)) continue;
        const state = states.has(stream) ? states.get(stream) : actor.initial;
        states.set(stream, actor.evolve(state, { type: type as FactType, data }));
      }
    }
    const sum = new RowsSum(primitives);
    for (const [stream, state] of states) sum.add(stream, canonical(state));
    return { name: actor.domain, version: actor.version, size: log.size, ...sum.digest() };
  });

/** What does not hold, one line each: a fold whose result changed without a new version, or a version without a line. */
export const changed = (known: readonly Fold[], now: readonly Fold[]): readonly string[] =>
  now.flatMap((fold) => {
    const before = known.find(({ name, version }) => name === fold.name && version === fold.version);
    if (!before) return [`${fold.name} version ${fold.version} has no line: deno run -A tests/golden/make.ts --folds`];
    if (before.digest === fold.digest && before.rows === fold.rows && before.size === fold.size) return [];
    return [`${fold.name} version ${fold.version} gives another result than it did: it needs a new version`];
  });

/** The lines there are, and those that were missing. */
export const added = (known: readonly Fold[], now: readonly Fold[]): readonly Fold[] => [
  ...known,
  ...now.filter((fold) => !known.some(({ name, version }) => name === fold.name && version === fold.version)),
];
