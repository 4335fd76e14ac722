/**
 * What an audit says of a log, from one reading of it: what became of each control, what each source can be vouched for, what was
 * attested, and how much happened when. A function of the events and of what is asked, so that whoever has the entries gets the same.
 */
import { type Attestation, attestationOf } from "../../actors/kernel/attestations.ts";
import { type Event, type Millis, millis } from "../../events/event.ts";
import { type Control, ControlsFold, type SourceRow } from "../../projections/controls/mod.ts";
import type { ControlResult, Vouched } from "../../projections/controls/mod.ts";
import { vouchedFor } from "../../projections/controls/mod.ts";
import { folder } from "../../projections/fold.ts";
import type { AnyProjection } from "../../projections/projection.ts";
import { isWorking } from "../../projections/query.ts";
import { type Bin, Tally } from "./tally.ts";

/** Sources that a page tells of. */
const SOURCES_MAX = 200;

/** What is asked. */
export interface Asked {
  /** Events: the first so many. */
  readonly size: number;
  /** Of the period, RFC 3339, inclusive. Default: all. */
  readonly from?: string;
  readonly to?: string;
  /** Only controls of this framework. */
  readonly framework?: string;
  /** Time at which controls are judged, RFC 3339. Default: when the newest of the events was recorded. */
  readonly at?: string;
}

export interface Source {
  readonly source: string;
  readonly vouched: readonly Vouched[];
}

export interface Assessment {
  /** RFC 3339; of a log without events the beginning of 1970. */
  readonly at: string;
  /** When the newest of the events was recorded. Who judges as of an earlier time can hide that something has stopped. */
  readonly newest?: string;
  /** When the first and the last event were recorded that lie in the period. */
  readonly first?: string;
  readonly last?: string;
  readonly results: readonly ControlResult[];
  readonly sources: readonly Source[];
  /** Sources beyond those. */
  readonly more_sources: number;
  readonly attestations: readonly Attestation[];
  readonly bins: readonly Bin[];
}

/** What is read. */
export interface AssessedLog {
  read(range: { readonly until: number }): Iterable<readonly Event[]>;
}

/** Controls of one framework, or all of them. */
const chosen = (controls: readonly Control[], framework: string | undefined): readonly Control[] =>
  framework === undefined
    ? controls
    : controls.filter(({ frameworks }) => frameworks.some(({ name }) => isCalled(name, framework)));

/** However it is written: `SOC 2`, `soc2`. */
export const isCalled = (name: string, wanted: string): boolean => plain(name) === plain(wanted);
const plain = (name: string): string => name.toLowerCase().replaceAll(/[^a-z0-9]/g, "");

/**
 * Reads the log once. `sources`: the projection that follows sources (`audit.sources`). Memory: what controls and that projection hold,
 * the attestations, and a count for each day. Throws what reading throws.
 */
export const assess = (
  log: AssessedLog,
  asked: Asked,
  { controls, sources, onProgress }: {
    readonly controls: readonly Control[];
    readonly sources: AnyProjection;
    readonly onProgress?: (done: number, total: number) => void;
  },
): Assessment => {
  const period = { from: millisOf(asked.from), to: millisOf(asked.to) };
  const fold = new ControlsFold(chosen(controls, asked.framework), given(period));
  const rows = new Map<string, unknown>();
  const follow = folder(sources, {
    get: (key) => rows.get(key),
    set: ({ key, row }) => void (row === undefined ? rows.delete(key) : rows.set(key, row)),
  });
  const tally = new Tally(period);
  const attestations: Attestation[] = [];
  let newest: string | undefined;
  for (const batch of log.read({ until: asked.size })) {
    for (const event of batch) {
      fold.apply(event);
      follow(event);
      tally.add(event);
      if (event.type === "kernel.projection.attested") attestations.push(attestationOf(event));
    }
    newest = batch.at(-1)!.recordedat;
    onProgress?.(batch.at(-1)!.position + 1, asked.size);
  }
  const at = asked.at ?? newest ?? new Date(0).toISOString();
  const results = fold.results(millis(at));
  const told = sourcesOf(rows, millis(at));
  return {
    at,
    ...(newest === undefined ? {} : { newest }),
    ...tally.span,
    results,
    sources: told.slice(0, SOURCES_MAX),
    more_sources: Math.max(0, told.length - SOURCES_MAX),
    attestations,
    bins: tally.bins(results.filter(({ status }) => status === "fail").flatMap(({ evidence }) => evidence)),
  };
};

const millisOf = (time: string | undefined): Millis | undefined => time === undefined ? undefined : millis(time);

const given = ({ from, to }: { readonly from: Millis | undefined; readonly to: Millis | undefined }) => ({
  ...(from === undefined ? {} : { from }),
  ...(to === undefined ? {} : { to }),
});

/** Whether it was judged as of a time before its newest event. */
export const isEarly = ({ at, newest }: Pick<Assessment, "at" | "newest">): boolean =>
  newest !== undefined && millis(at) < millis(newest);

/** Those that have something to say come first, what is missing before all. */
const sourcesOf = (rows: ReadonlyMap<string, unknown>, at: Millis): readonly Source[] =>
  [...rows].filter(([key]) => !isWorking(key))
    .map(([source, row]) => ({ source, vouched: vouchedFor(row as SourceRow, at) }))
    .sort((a, b) => weight(b) - weight(a) || (a.source < b.source ? -1 : 1));

const weight = ({ vouched }: Source): number =>
  vouched.some(({ is }) => is === "gap" || is === "silent") ? 2 : vouched.some(({ is }) => is !== "nothing") ? 1 : 0;

/** Positions that the results speak of, each once, ascending. */
export const citedBy = ({ results, sources, attestations }: Assessment): readonly number[] => {
  const positions = new Set<number>();
  for (const { evidence, newest } of results) {
    for (const { position } of evidence) positions.add(position);
    if (newest !== undefined) positions.add(newest);
  }
  for (const { vouched } of sources) {
    for (const { position } of vouched) if (position !== undefined) positions.add(position);
  }
  const last = attestations.at(-1);
  if (last) positions.add(last.position);
  return [...positions].sort((a, b) => a - b);
};
