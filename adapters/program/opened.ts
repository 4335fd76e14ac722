/** A daybook that was put together (`daybook.ts`), as the command line and the server have it. */
import type { Daybook } from "../../actors/kernel/daybook.ts";
import type { DeadLetters } from "../../actors/kernel/dead_letters.ts";
import type { Entities } from "../../actors/kernel/entities.ts";
import type { Manager, ManagerOptions, Perform } from "../../actors/kernel/manage.ts";
import type { Places } from "../../actors/kernel/places.ts";
import type { Supervisor, SupervisorSpec, SupervisorWorld } from "../../actors/kernel/supervisor.ts";
import type { ProcessManager } from "../../actors/types.ts";
import type { Config } from "../../config/config.ts";
import type { Store } from "../../events/store.ts";
import type { Keys } from "../keys/keys.ts";
import type { KvLog } from "../kv/log.ts";
import type { Crash } from "../process/crash.ts";
import type { SqliteViews } from "../sqlite/views.ts";
import type { PlatformTelemetry } from "../system/telemetry.ts";
import type { ControlGate } from "./controls/gate.ts";

/** A process manager, and who does in the world what it asks for. */
export interface Managed extends Pick<ManagerOptions, "keptIsEnough"> {
  readonly manager: ProcessManager;
  /** Performs effects that are not commands, each at least once, keyed by position and index. Without it they become dead letters. */
  readonly perform?: Perform;
  /**
   * Where it begins when it has no cursor yet: what lies before is folded into its states, and has no effects. A position; `end` is
   * the log's end at that moment. Default 0. The cursor lies in `notes.db`: where that is deleted, it begins here again.
   */
  readonly from?: number | "end";
}

/** What the command line and the server need beside the daybook itself. */
export interface Opened {
  readonly daybook: Daybook;
  readonly keys: Keys;
  readonly config: Config;
  readonly log: Pick<
    KvLog,
    | "counts"
    | "append"
    | "read"
    | "checkpoint"
    | "keepCheckpoint"
    | "indexed"
    | "positionAt"
    | "forgetBefore"
    | "settleIndex"
    | "size"
    | "tree"
    | "hindered"
  >;
  /** The store below the log, as it lies: what was archived is not in it. */
  readonly lies: Store;
  readonly entities: Pick<Entities, "ask" | "counts" | "depth" | "has" | "leave" | "look" | "resident">;
  /** What enforced controls decline. */
  readonly gate: ControlGate;
  readonly crash: Crash | undefined;
  /** Absent where nobody traces. */
  readonly telemetry: PlatformTelemetry | undefined;
  /** The root of the supervision tree, for what else the process runs. */
  readonly tree: Pick<Supervisor, "add" | "stop">;
  /** For supervisors that are added to it: restarts and pauses as configured. */
  readonly supervision: {
    readonly bounds: Required<Pick<SupervisorSpec, "restarts" | "backoff">>;
    readonly world: SupervisorWorld;
  };
  /** For sinks: where they note how far they are, what becomes of what they cannot deliver, and who asks where they all are. */
  readonly outbound: {
    readonly views: Pick<SqliteViews, "note" | "notes" | "setNote" | "flush">;
    readonly deadLetters: DeadLetters;
    readonly places: Places;
  };
  /** A process manager of the program's own, to be added to the tree. */
  readonly managed: (managed: Managed) => Manager;
  /** Resolves when the tree has come to its end: with the cause when its root gave up, with nothing when it was stopped. */
  readonly fallen: Promise<string | undefined>;
}
