/** All general actors by name, so that they can be told and watched by who knows no more than that. */
import { Cell, type CellSpec } from "./cell.ts";
import type { DeadLetters } from "./dead_letters.ts";
import { Deadlines } from "./deadlines.ts";
import type { Ended } from "./slot.ts";
import { notifyAtOnce } from "./slot.ts";
import { Turns } from "./turns.ts";
import type { Clock } from "./world.ts";

export { AskFailed, type Behaviour, CELL, Cell, type CellSpec } from "./cell.ts";

/** Cells of one registry. */
export const CELLS_MAX = 100_000;

export interface CellsWorld {
  readonly clock: Clock;
  readonly deadLetters: DeadLetters;
}

export class Cells {
  private readonly cells = new Map<string, Cell<never>>();
  private readonly deadlines: Deadlines;
  private readonly turns: Turns;

  constructor(private readonly world: CellsWorld) {
    this.deadlines = new Deadlines(world.clock);
    this.turns = new Turns(world.clock);
    world.deadLetters.route("cell", ({ target, message }) => this.redeliver(target.slice("cell:".length), message));
  }

  get size(): number {
    return this.cells.size;
  }

  /** Makes a cell; it lives once a supervisor runs it. Throws `TypeError` on a name that is taken. */
  cell<M>(spec: CellSpec<M>): Cell<M> {
    if (this.cells.has(spec.id)) throw new TypeError(`There is a cell "${spec.id}" already`);
    if (this.cells.size >= CELLS_MAX) throw new RangeError(`There are ${CELLS_MAX} cells already`);
    const { clock, deadLetters } = this.world;
    const cell = new Cell(spec, { clock, deadLetters, deadlines: this.deadlines, turns: this.turns });
    this.cells.set(spec.id, cell as unknown as Cell<never>);
    return cell;
  }

  /** Forgets a cell; its name is free again. It should have been stopped. */
  forget(id: string): void {
    this.cells.delete(id);
  }

  /** Never throws; a message for nobody becomes a dead letter. */
  tell(id: string, message: unknown): void {
    const cell = this.cells.get(id);
    if (cell) cell.tell(message as never);
    else this.world.deadLetters.add({ target: `cell:${id}`, cause: "unknown", message, lasting: false });
  }

  /** As `Cell.watch`; one that is unknown is answered at once. */
  watch(id: string, call: (how: Ended) => void): () => void {
    return this.cells.get(id)?.watch(call) ?? notifyAtOnce(call, "unknown");
  }

  /** Lets go of the timer of deadlines; to be called when all cells have stopped. */
  close(): void {
    this.deadlines.close();
  }

  private redeliver(id: string, message: unknown): Promise<void> {
    const cell = this.cells.get(id);
    if (!cell) return Promise.reject(new Error(`there is no cell "${id}"`));
    if (!cell.takes) return Promise.reject(new Error(`"${id}" does not take messages now`));
    cell.tell(message as never);
    return Promise.resolve();
  }
}
