/**
 * What is claimed about the log: checkpoints in its own file and those that were handed in. Collected before the
 * walk, so that it keeps the roots they speak of, and judged behind it.
 */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import type { Claim, Keys } from "./claim.ts";
import { isCount } from "./counts.ts";
import { type Failures, shown } from "./failures.ts";
import { unsignedOf } from "./key_chain.ts";
import type { Lineage } from "./lineage.ts";
import { readCheckpoint, readNote } from "./note.ts";
import type { Rows } from "./rows.ts";

/** A checkpoint to hold the log against. */
export interface Against {
  /** A signed note, or the bare text of a checkpoint (origin, size, root, a line each). */
  readonly text: string;
  /** How the report calls it, e.g. the file's name. */
  readonly name: string;
  /**
   * True: it was kept elsewhere, so what it covers is anchored. False: it lies in the folder too, as what the keys
   * remember does.
   */
  readonly elsewhere: boolean;
}

export interface Frontier {
  readonly size: number;
  readonly hashes: readonly Uint8Array[];
  /** Tiles are promised of a tree of this size; absent where none are. */
  readonly tiled: number | undefined;
}

export interface Claims {
  readonly claims: readonly Claim[];
  /** The newest of the file's own. */
  readonly newest: Claim | undefined;
  readonly frontier: Frontier | undefined;
  /** Hash of the index's manifest, as the row of the newest checkpoint says it; base64. */
  readonly index: string | undefined;
  /** What could not be read as a claim, said once the walk has shown where the log ends. */
  readonly faults: readonly {
    readonly kind: "checkpoint" | "tree";
    readonly expected: string;
    readonly found: string;
  }[];
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** A checkpoint's text or note as a claim; why it is none. */
export const claimOf = (text: string, name: string, from: Claim["from"], keys: Keys): Claim | string => {
  const note = readNote(text);
  const said = readCheckpoint(note?.text ?? text);
  if (!said) return `${name} is not a checkpoint: ${shown(text, 60)}`;
  const key = keys.given ?? keys.folder;
  // A bare text from elsewhere is believed because of where it comes from; what lies in the folder must be signed.
  const unsigned = !key || (!note && from === "elsewhere")
    ? undefined
    : note
    ? unsignedOf({ name }, note, key)
    : `${name} is not signed by ${key.name}`;
  const signed = keys.given !== undefined && note !== undefined && unsigned === undefined;
  return { name, from, ...said, note, signed, unsigned };
};

class Collector {
  readonly claims: Claim[] = [];
  readonly faults: { kind: "checkpoint" | "tree"; expected: string; found: string }[] = [];
  newest: Claim | undefined;
  index: string | undefined;
  /** Kept checkpoints that the newest one says there are. */
  private kept = 0;

  constructor(private readonly rows: Rows, private readonly keys: Keys) {}

  wrong(kind: "checkpoint" | "tree", expected: string, found: string): void {
    this.faults.push({ kind, expected, found });
  }

  take(text: string, name: string, from: Claim["from"]): Claim | undefined {
    const claim = claimOf(text, name, from, this.keys);
    if (typeof claim === "string") return void this.wrong("checkpoint", "the text of a checkpoint", claim);
    this.claims.push(claim);
    return claim;
  }

  json(name: "checkpoint" | "tree"): Record<string, unknown> | undefined {
    const bytes = this.rows.get(name);
    if (bytes === undefined) return undefined;
    try {
      if (typeof bytes === "string") throw new Error(bytes);
      const value = JSON.parse(utf8.decode(bytes)) as unknown;
      if (typeof value !== "object" || value === null) throw new Error(shown(value));
      return value as Record<string, unknown>;
    } catch (error) {
      return void this.wrong(name, `a row "${name}" that can be read`, shown((error as Error).message));
    }
  }

  readNewest(): void {
    const row = this.json("checkpoint");
    if (!row) return;
    if (typeof row.note !== "string") {
      return this.wrong("checkpoint", 'a note in the row "checkpoint"', shown(row.note));
    }
    this.newest = this.take(row.note, "the newest checkpoint", "file");
    if (!this.newest) return;
    const { origin, size, root } = this.newest;
    if (row.origin !== origin || row.size !== size || row.root !== root) {
      this.wrong(
        "checkpoint",
        `the newest checkpoint to say what its note says (${size})`,
        `it says ${shown(row.size)}`,
      );
    }
    this.readSaid(row);
  }

  /** What the row says beside the checkpoint; older versions say nothing. */
  private readSaid({ origin: _o, size: _s, root: _r, note: _n, ...said }: Record<string, unknown>): void {
    if (Object.keys(said).length === 0) return;
    const { kept, index, sum, ...more } = said;
    const expected = createHash("sha256").update(`${kept} ${index ?? ""}`).digest("base64");
    const known = Number.isSafeInteger(kept) && (index === undefined || typeof index === "string");
    if (known && sum === expected && Object.keys(more).length === 0) {
      this.kept = kept as number;
      this.index = index;
    } else this.wrong("checkpoint", "how many checkpoints are kept, and the hash of the index", shown(said));
  }

  readKept(): void {
    let [last, count] = [0, 0];
    for (const { number, value } of this.rows.list("checkpoints")) {
      count++;
      const name = `the checkpoint kept at ${number ?? "no number"}`;
      let text: string;
      try {
        if (typeof value === "string") throw new Error(value);
        text = utf8.decode(value);
      } catch (error) {
        this.wrong("checkpoint", `${name} to be text`, shown((error as Error).message));
        continue;
      }
      const claim = this.take(text, name, "file");
      if (claim && claim.size !== number) {
        this.wrong("checkpoint", `${name} to be of that size`, `it is of ${claim.size}`);
      }
      last = Math.max(last, claim?.size ?? 0);
    }
    if (count < this.kept) this.wrong("checkpoint", `${this.kept} checkpoints that are kept for good`, `${count}`);
    if (last > (this.newest?.size ?? 0)) {
      this.wrong(
        "checkpoint",
        `a newest checkpoint of ${last} or more`,
        this.newest ? `one of ${this.newest.size}` : "none",
      );
    }
  }

  readFrontier(): Frontier | undefined {
    const row = this.json("tree");
    if (!row) {
      if (this.newest) this.wrong("tree", "the tree's frontier beside the newest checkpoint", "none");
      return undefined;
    }
    const { size, nodes, tiled, ...more } = row;
    const hashes = Array.isArray(nodes) ? nodes.map((node) => Buffer.from(String(node), "base64")) : [];
    const whole = hashes.every((hash, i) => hash.length === 32 && hash.toString("base64") === (nodes as unknown[])[i]);
    if (!isCount(size) || !whole || Object.keys(more).length > 0) {
      return void this.wrong("tree", "a frontier of a size and hashes", shown(row));
    }
    if (size !== this.newest?.size) {
      this.wrong(
        "tree",
        `a frontier of the newest checkpoint's size`,
        `frontier ${size}, checkpoint ${this.newest?.size ?? "none"}`,
      );
    }
    const sound = tiled === undefined || (isCount(tiled) && tiled <= size!);
    if (!sound) this.wrong("tree", `tiles of at most ${size} entries`, shown(tiled));
    return { size: size as number, hashes, tiled: sound ? tiled as number | undefined : undefined };
  }
}

/** Reads all there is. Nothing is thrown for what is in the file or the texts. */
export const collectClaims = (rows: Rows, against: readonly Against[], keys: Keys): Claims => {
  const collector = new Collector(rows, keys);
  collector.readNewest();
  collector.readKept();
  const frontier = collector.readFrontier();
  for (const { text, name, elsewhere } of against) collector.take(text, name, elsewhere ? "elsewhere" : "folder");
  const { claims, newest, index, faults } = collector;
  return { claims, newest, frontier, index, faults };
};

/** What the walk found out. */
export interface Walked {
  /** Entries from the first on that could be read without a gap. */
  readonly size: number;
  /** Position behind the last block. */
  readonly end: number;
  /** By size, those that claims ask for, as far as they could be computed; base64. */
  readonly roots: ReadonlyMap<number, string>;
  /** First position at which the walk itself found something. */
  readonly firstBad: number;
  /** Whose log it was; absent where nobody looked. */
  readonly lineage?: Lineage;
}

export interface Judged {
  /** Largest size that a true claim of any kind covers. */
  readonly cleared: number;
  /** What a true claim from elsewhere covers. The log's own checkpoints anchor nothing, whoever has signed them: an older copy has them, too. */
  readonly anchored: number;
  /** What a true claim covers that the given key has signed. */
  readonly signed: number;
  readonly authenticated: boolean;
}

/**
 * Compares the claims with the log. `suspect`: from where on entries may differ, between what is cleared and a size.
 */
export const judgeClaims = (
  { claims: read, newest, faults }: Pick<Claims, "claims" | "newest" | "faults">,
  walked: Walked,
  keys: Keys,
  failures: Failures,
  suspect: (cleared: number, claim: Claim) => number,
): Judged => {
  const claims: Claim[] = [];
  for (const claim of read) {
    const taken = walked.lineage ? walked.lineage.take(claim, keys) : plainly(claim, newest);
    if ("claim" in taken) claims.push(taken.claim);
    else failures.add(taken.position, taken.kind, taken.expected, taken.found);
  }
  const last = Math.max(0, walked.end - 1);
  for (const { kind, expected, found } of faults) failures.add(last, kind, expected, found);
  const holds = (claim: Claim) => walked.roots.get(claim.size) === claim.root;
  const cleared = claims.reduce((most, claim) => holds(claim) ? Math.max(most, claim.size) : most, 0);
  let [anchored, signed] = [0, 0];
  let authenticated = false;
  for (const claim of claims) {
    if (claim.unsigned !== undefined) {
      failures.add(Math.max(0, claim.size - 1), "signature", "a checkpoint signed by the key", claim.unsigned);
    }
    if (holds(claim)) {
      if (claim.unsigned === undefined && claim.from === "elsewhere") anchored = Math.max(anchored, claim.size);
      if (claim.signed) signed = Math.max(signed, claim.size);
      authenticated ||= claim.signed;
    } else judgeWrong(claim, claims.filter(holds), walked, failures, suspect);
  }
  // Who asks by a key wants to know more than that the folder agrees with itself. An untrue one has been named
  // already.
  if (keys.given && walked.end > 0 && !claims.some(({ signed }) => signed)) {
    failures.add(last, "signature", `a checkpoint signed by ${keys.given.name}`, "none");
  }
  return { cleared, anchored, signed, authenticated };
};

/** A claim of a log that had one name for ever. */
const plainly = (claim: Claim, newest: Claim | undefined): ReturnType<Lineage["take"]> =>
  !newest || claim.origin === newest.origin ? { claim } : {
    kind: "checkpoint",
    position: 0,
    expected: `checkpoints of ${shown(newest.origin)}`,
    found: `${claim.name} is of ${shown(claim.origin)}`,
  };

const judgeWrong = (
  claim: Claim,
  holding: readonly Claim[],
  walked: Walked,
  failures: Failures,
  suspect: (cleared: number, claim: Claim) => number,
): void => {
  const root = walked.roots.get(claim.size);
  if (claim.size > walked.end) {
    failures.add(walked.end, "truncated", `${claim.size} entries, which ${claim.name} covers`, `${walked.end}`);
  } else if (root !== undefined) {
    const below = holding.reduce((most, { size }) => size < claim.size ? Math.max(most, size) : most, 0);
    const from = suspect(below, claim);
    const position = walked.firstBad >= from && walked.firstBad < claim.size ? walked.firstBad : from;
    const kind = claim.from === "file" ? "checkpoint" : "forked";
    failures.add(
      Math.min(position, Math.max(0, claim.size - 1)),
      kind,
      `root ${claim.root} over ${claim.size} entries, by ${claim.name}`,
      root,
    );
  }
  // Else the walk has said why there is no root of that size.
};
