/** Entities in memory, in their order of use; those that are not used are let go, by number and by time. */
import type { Entity } from "./entity.ts";
import type { Clock } from "./world.ts";

export interface ResidentsBounds {
  readonly resident_max: number;
  readonly idle_ms: number;
  readonly passed_over_max: number;
}

/** Sweeps in one idle time; an entity stays at most one of them longer. */
const SWEEPS = 4;

export class Residents {
  private readonly byStream = new Map<string, Entity>();
  private oldest: Entity | undefined;
  private newest: Entity | undefined;
  private sweeps = 0;
  private cancel: (() => void) | undefined;

  /** `gone` is told of each that is let go, which is only ever an idle one: nothing waits for it or is on its way. */
  constructor(
    private readonly clock: Clock,
    private readonly bounds: ResidentsBounds,
    private readonly gone: (entity: Entity) => void,
  ) {}

  get size(): number {
    return this.byStream.size;
  }

  get(stream: string): Entity | undefined {
    return this.byStream.get(stream);
  }

  /** Whether one more has room, made by letting go of the one longest unused if need be. */
  room(): boolean {
    if (this.byStream.size < this.bounds.resident_max) return true;
    let entity = this.oldest;
    for (let i = 0; entity && i < this.bounds.passed_over_max; i++) {
      if (this.letGo(entity)) return true;
      entity = entity.newer;
    }
    return false;
  }

  add(entity: Entity): void {
    this.byStream.set(entity.stream, entity);
    this.touch(entity);
    this.arm();
  }

  /** Makes an entity the newest in the order of use. */
  touch(entity: Entity): void {
    entity.used = this.sweeps;
    if (this.newest === entity) return;
    this.unlink(entity);
    entity.older = this.newest;
    if (this.newest) this.newest.newer = entity;
    else this.oldest = entity;
    this.newest = entity;
  }

  /** Lets go of all that are idle. */
  clear(): void {
    this.cancel?.();
    this.cancel = undefined;
    for (const entity of [...this.byStream.values()]) this.letGo(entity);
  }

  private letGo(entity: Entity): boolean {
    if (!entity.idle) return false;
    this.unlink(entity);
    this.byStream.delete(entity.stream);
    this.gone(entity);
    return true;
  }

  private unlink(entity: Entity): void {
    const { older, newer } = entity;
    if (older) older.newer = newer;
    else if (this.oldest === entity) this.oldest = newer;
    if (newer) newer.older = older;
    else if (this.newest === entity) this.newest = older;
    entity.older = entity.newer = undefined;
  }

  private arm(): void {
    this.cancel ??= this.clock.schedule(this.bounds.idle_ms / SWEEPS, () => this.sweep());
  }

  private sweep(): void {
    this.cancel = undefined;
    this.sweeps++;
    for (let entity = this.oldest; entity && this.sweeps - entity.used > SWEEPS;) {
      const { newer } = entity;
      this.letGo(entity);
      entity = newer;
    }
    if (this.byStream.size > 0) this.arm();
  }
}
