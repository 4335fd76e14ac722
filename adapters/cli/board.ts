/** How the services of a stack stand, read off its stream in the log: with a running server and without one. */
import type { Event } from "../../events/event.ts";
import { folder } from "../../projections/fold.ts";
import type { Call } from "./call.ts";
import { text, Usage } from "./call.ts";
import { nearest } from "./nearest.ts";
import type { Reader, Runtime } from "./runtime.ts";

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

export class Board {
  private read = 0;
  private readonly rows = new Map<string, Map<string, unknown>>();
  private readonly folds: readonly ((event: Event) => void)[];

  private constructor(private readonly reader: Reader, readonly stack: string, runtime: readonly { name: string }[]) {
    this.folds = runtime.map((projection) => {
      const rows = new Map<string, unknown>();
      this.rows.set(projection.name, rows);
      return folder(projection as never, {
        get: (key) => rows.get(key),
        set: ({ key, row }) => void (row === undefined ? rows.delete(key) : rows.set(key, row)),
      });
    });
  }

  /** The stack that was named, or the only one there is. Throws `Usage` where that is not clear. */
  static async of(reader: Reader, call: Call, runtime: Runtime): Promise<Board> {
    const stacks = new Set<string>();
    for (const page of reader.read({ types: ["services.stack.applied"] })) {
      for (const { stream } of page) stacks.add(stream.slice(stream.indexOf("/") + 1));
    }
    const named = text(call, "name");
    const [only] = stacks;
    if (only === undefined) throw new Usage("no services have been run from this folder: start --stack FILE does");
    if (named === undefined && stacks.size > 1) {
      throw new Usage(`there are several stacks: --name ${[...stacks].join(", ")}`);
    }
    if (named !== undefined && !stacks.has(named)) {
      throw new Usage(`there is no stack ${JSON.stringify(named)}, only ${[...stacks].join(", ")}`);
    }
    const projections = (await runtime.projections()).filter(({ name }) =>
      name === "services.board" || name === "services.definitions" || name === "services.findings"
    );
    const board = new Board(reader, named ?? only, projections);
    board.catchUp();
    return board;
  }

  /** Folds what has come since; the events, in order. `reader.renew` before it where time has passed. */
  catchUp(): readonly Event[] {
    const { size } = this.reader;
    const fresh: Event[] = [];
    for (const page of this.reader.read({ stream: `services/${this.stack}`, from: this.read, until: size })) {
      for (const event of page) {
        for (const fold of this.folds) fold(event);
        fresh.push(event);
      }
    }
    this.read = size;
    return fresh;
  }

  get size(): number {
    return this.read;
  }

  /** But those that were taken away and have ended. */
  get instances(): readonly BoardRow[] {
    const replicas = new Map(this.services.map(({ service, replicas }) => [service, replicas]));
    return ([...this.rows.get("services.board")!.values()] as BoardRow[]).filter(({ service, replica, state }) =>
      state !== "stopped" || replica < (replicas.get(service) ?? 0)
    );
  }

  get services(): readonly DefinitionRow[] {
    return [...this.rows.get("services.definitions")!.values()] as DefinitionRow[];
  }

  /** The gravest first. */
  get findings(): readonly FindingRow[] {
    const all = [...this.rows.get("services.findings")!.values()] as FindingRow[];
    return all.toSorted((a, b) => GRAVE.indexOf(a.severity) - GRAVE.indexOf(b.severity));
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
}
