/**
 * Declines what enforced controls guard. Which are enforced is on record: from `kernel.control.enforced` on, until
 * `kernel.control.relaxed`, whoever writes the log holds to it, with a server or without.
 *
 * Nothing follows the log for it: when something guarded is asked for, what was recorded since the last time is folded, and
 * the controls are judged as of now. So it costs nothing where nothing is guarded.
 */
import { type Action, Declined, type Gate } from "../../../actors/kernel/gate.ts";
import { instant } from "../../../actors/kernel/instant.ts";
import { readableFrom } from "../../../actors/kernel/kept.ts";
import type { Recorder } from "../../../actors/kernel/recorder.ts";
import type { Clock } from "../../../actors/kernel/world.ts";
import type { Event } from "../../../events/event.ts";
import type { ControlKernelFact } from "../../../events/kernel_controls.ts";
import type { EventLog, NewEvent } from "../../../events/log.ts";
import { ControlsFold } from "../../../projections/controls/mod.ts";
import { CaughtUp } from "./caught_up.ts";

/** Facts about controls lie there. */
export const CONTROLS = { child: "controls", stream: "kernel/controls" } as const;

const ON_RECORD = ["kernel.control.enforced", "kernel.control.relaxed", "kernel.control.dropped"] as const;

type Told = Extract<ControlKernelFact, { type: typeof ON_RECORD[number] }>;

/** A control that is on record as enforced. */
export interface Enforced {
  /** Where it is on record. */
  readonly position: number;
  readonly guards: readonly string[];
  /** As the catalogue said it then. */
  readonly stated: unknown;
}

/** Which controls are enforced, by what is on record. */
export const enforcedIn = (log: Pick<EventLog, "read">): Map<string, Enforced> => {
  const enforced = new Map<string, Enforced>();
  for (const batch of log.read({ types: ON_RECORD, from: readableFrom(log) })) {
    for (const { type, data, position } of batch as readonly (Event & Told)[]) {
      if (type === "kernel.control.enforced") enforced.set(data.control, { ...data, position });
      else enforced.delete(data.control);
    }
  }
  return enforced;
};

export interface GateParts {
  readonly log: Pick<EventLog, "read" | "size">;
  readonly clock: Clock;
  readonly recorder: Recorder;
}

export class ControlGate implements Gate {
  private enforced: ReadonlyMap<string, Enforced> = new Map();
  /** Which controls guard an action. */
  private byAction = new Map<string, string[]>();
  private folded: Promise<Folded> | undefined;

  constructor(private readonly parts: GateParts) {
    this.renew();
  }

  /** Reads again what is on record. */
  renew(): void {
    this.hold(enforcedIn(this.parts.log));
  }

  /** Holds to what is about to be put on record as well, until it is read again: nothing slips through in between. */
  expect(coming: ReadonlyMap<string, Pick<Enforced, "guards" | "stated">>): void {
    const { size } = this.parts.log;
    const expected = [...coming].map(([control, said]) => [control, { ...said, position: size }] as const);
    this.hold(new Map([...this.enforced, ...expected]));
  }

  private hold(enforced: ReadonlyMap<string, Enforced>): void {
    this.enforced = enforced;
    this.byAction = new Map();
    this.folded = undefined;
    for (const [control, { guards }] of enforced) {
      for (const action of guards) this.byAction.set(action, [...this.byAction.get(action) ?? [], control]);
    }
  }

  /** Puts on record anew what is enforced by facts before this position, which are about to go into an archive. */
  async retell(before: number): Promise<void> {
    const { recorder } = this.parts;
    for (const [control, { position, guards, stated }] of this.enforced) {
      if (position >= before) continue;
      const data = { control, guards: [...guards], stated: stated as never };
      recorder.record({ type: "kernel.control.enforced", data }, { ...CONTROLS, essential: true });
    }
    await recorder.flush();
    this.renew();
  }

  guards(type: string): boolean {
    return this.byAction.has(type);
  }

  async check({ type, target, event }: Action): Promise<void> {
    const controls = this.byAction.get(type);
    if (!controls) return;
    const { clock, recorder } = this.parts;
    const { fold, unreadable } = await (this.folded ??= this.fold());
    await fold.catchUp();
    const now = clock.now();
    const why = this.why(controls, { fold: fold.fold, unreadable, now, event });
    if (!why) return;
    const data = { control: why.id, action: type, ...(target === undefined ? {} : { target }), because: why.because };
    recorder.record({ type: "kernel.action.declined", data }, { ...CONTROLS, cause: `declined by ${why.id}` });
    throw new Declined(why.id, type, why.because);
  }

  private why(
    controls: readonly string[],
    { fold, unreadable, now, event }: {
      readonly fold: ControlsFold;
      readonly unreadable: ReadonlySet<string>;
      readonly now: number;
      readonly event: NewEvent | undefined;
    },
  ): { readonly id: string; readonly because: string } | undefined {
    const unread = controls.find((id) => unreadable.has(id));
    if (unread !== undefined) return { id: unread, because: "This version of the program cannot read what it says" };
    const red = fold.results(now).find(({ id, status }) => status === "fail" && controls.includes(id));
    if (red || !event) return red;
    const broken = fold.foresee(placed(event, this.parts.log.size, now)).find(({ id }) => controls.includes(id));
    return broken && { id: broken.id, because: `Recorded now, it would break the rule: ${broken.because}` };
  }

  private async fold(): Promise<Folded> {
    // Reads YAML as well, which most who open a log never need.
    const { parseControl } = await import("../../../config/controls.ts");
    const unreadable = new Set<string>();
    const controls = [...this.enforced].flatMap(([id, { stated }]) => {
      const control = parseControl(stated);
      if (control) return [control];
      unreadable.add(id);
      return [];
    });
    return { fold: new CaughtUp(new ControlsFold(controls), this.parts), unreadable };
  }
}

interface Folded {
  readonly fold: CaughtUp<ControlsFold>;
  /** Enforced by another version of the program, in words that this one does not know. */
  readonly unreadable: ReadonlySet<string>;
}

/** The event as it would be recorded now. */
const placed = ({ extensions, timeGiven: _, traceGiven: __, ...event }: NewEvent, position: number, now: number) =>
  ({
    specversion: "1.0",
    ...extensions,
    ...event,
    revision: 0,
    position,
    recordedat: instant(now),
  }) as unknown as Event;
