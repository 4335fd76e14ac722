/** How the services of a stack stand, read off its stream in the log: with a running server and without one. */
import { readableFrom } from "../../actors/kernel/kept.ts";
import type { Event } from "../../events/event.ts";
import type { Call } from "./call.ts";
import { text, Usage } from "./call.ts";
import { nearest } from "./nearest.ts";
import type { Runtime } from "./runtime.ts";
import type { Reader } from "./reader.ts";
import { Standing } from "./standing.ts";

/** Of `services.board`. */
export interface BoardRow {
  readonly stack: string;
  readonly service: string;
  readonly replica: number;
  readonly state: string;
  readonly since: string;
  readonly because?: string;
  readonly pid?: number;
  readonly probed?: boolean;
  readonly started?: string;
  readonly starts: number;
  readonly adopted: number;
  readonly failures: number;
  readonly last_exit?: string;
}

/** Of `services.definitions`. */
export interface DefinitionRow {
  readonly service: string;
  readonly program: string;
  readonly wanted: boolean;
  readonly replicas: number;
  /** Cron, of one that runs at stated times. */
  readonly schedule?: string;
  /** Of the last change that took the place of what ran. */
  readonly update?: "begun" | "completed" | "reverted" | "failed";
  readonly needs: readonly { readonly service: string; readonly condition: string; readonly required: boolean }[];
}

/** Of `services.findings`. */
export interface FindingRow {
  readonly service: string;
  readonly replica: number;
  readonly check: string;
  readonly severity: string;
  readonly policy: "warn" | "refuse";
  readonly because: string;
  readonly since: string;
}

const GRAVE = ["high", "medium", "low"];

/** States in which nothing more happens by itself. */
const SETTLED = new Set(["healthy", "completed", "failed", "stopped", "skipped"]);

const VIEWS = ["services.board", "services.definitions", "services.findings"] as const;

export class Board {
  private constructor(private readonly standing: Standing, readonly stack: string) {}

  /** The stack that was named, or the only one there is. Throws `Usage` where that is not clear. */
  static async of(reader: Reader, call: Call, runtime: Runtime): Promise<Board> {
    const standing = await Standing.of(VIEWS, { reader, call, runtime });
    const stacks = stacksOf(reader, standing);
    const named = text(call, "name");
    const [only] = stacks;
    if (only === undefined) {
      // Where the views cannot be gone on with they may lie in an archive.
      standing.catchUp();
      throw new Usage("no services have been run from this folder: start --stack FILE does");
    }
    if (named === undefined && stacks.size > 1) {
      throw new Usage(`there are several stacks: --name ${[...stacks].join(", ")}`);
    }
    if (named !== undefined && !stacks.has(named)) {
      throw new Usage(`there is no stack ${JSON.stringify(named)}, only ${[...stacks].join(", ")}`);
    }
    const board = new Board(standing, named ?? only);
    board.catchUp();
    return board;
  }

  /** Folds what has come since; the events, in order. `reader.renew` before it where time has passed. */
  catchUp(): readonly Event[] {
    return this.standing.catchUp({ stream: `services/${this.stack}` });
  }

  get size(): number {
    return this.standing.size;
  }

  /** But those that were taken away and have ended. */
  get instances(): readonly BoardRow[] {
    const replicas = new Map(this.services.map(({ service, replicas }) => [service, replicas]));
    return this.rows<BoardRow>("services.board").filter(({ service, replica, state }) =>
      state !== "stopped" || replica < (replicas.get(service) ?? 0)
    );
  }

  get services(): readonly DefinitionRow[] {
    return this.rows<DefinitionRow>("services.definitions");
  }

  /** The gravest first. */
  get findings(): readonly FindingRow[] {
    return this.rows<FindingRow>("services.findings").toSorted((a, b) =>
      GRAVE.indexOf(a.severity) - GRAVE.indexOf(b.severity)
    );
  }

  /** Nothing more happens by itself: all that is to run does, or has been given up; all that is not to has ended. */
  settled(names: readonly string[]): boolean {
    const wanted = new Map(this.services.map(({ service, wanted }) => [service, wanted]));
    if (this.services.some(({ service, update }) => names.includes(service) && update === "begun")) return false;
    const of = this.instances.filter(({ service }) => names.includes(service));
    const timed = new Set(this.services.filter(({ schedule }) => schedule !== undefined).map(({ service }) => service));
    return names.every((name) => !wanted.get(name) || timed.has(name) || of.some(({ service }) => service === name)) &&
      of.every(({ service, state }) => SETTLED.has(state) && (wanted.get(service) || state !== "healthy"));
  }

  /** Throws `Usage` for names that are none. */
  known(names: readonly string[]): readonly string[] {
    const all = this.services.map(({ service }) => service);
    for (const name of names) {
      if (all.includes(name)) continue;
      const close = nearest(name, all);
      throw new Usage(
        `there is no service ${JSON.stringify(name)} in ${this.stack}; ${
          close ? `did you mean ${close}?` : `there are ${all.join(", ")}`
        }`,
      );
    }
    return names.length > 0 ? names : all;
  }

  private rows<R>(name: typeof VIEWS[number]): readonly R[] {
    const rows = [...this.standing.rows(name) as ReadonlyMap<string, R>];
    return rows.filter(([key]) => key.startsWith(`${this.stack}/`)).map(([, row]) => row);
  }
}

/** Those that what is here of the log tells of, and those of the views. */
const stacksOf = (reader: Reader, standing: Standing): ReadonlySet<string> => {
  const stacks = new Set<string>();
  for (const page of reader.read({ types: ["services.stack.applied"], from: readableFrom(reader) })) {
    for (const { stream } of page) stacks.add(stream.slice(stream.indexOf("/") + 1));
  }
  for (const name of VIEWS) {
    for (const key of standing.rows(name).keys()) stacks.add(key.slice(0, key.indexOf("/")));
  }
  return stacks;
};
