/** Commands that write take the folder's lock if they can, else they ask the process that has it. */
import type { Daybook } from "../../actors/kernel/daybook.ts";
import { LogFault } from "../../events/log.ts";
import type { Call } from "./call.ts";
import type { Remote, Runtime } from "./runtime.ts";
import type { OnProgress } from "./io.ts";

export type Writer = { readonly is: "local"; readonly daybook: Daybook } | {
  readonly is: "remote";
  readonly remote: Remote;
};

// Between a process taking the lock and answering on its socket, or closing one and freeing the other, lies a moment.
const TRIES = 20;
const TRY_MS = 100;
// Of one that hangs each try takes long.
const TRIES_MS = 5_000;

/** Opens, hands over, closes again whatever comes. Throws `LogFault` `locked` when who has the lock does not answer. */
export const withWriter = async <T>(call: Call, runtime: Runtime, work: (writer: Writer) => Promise<T>): Promise<T> => {
  const writer = await openWriter(call.data, runtime);
  try {
    return await work(writer);
  } finally {
    await (writer.is === "local" ? writer.daybook.close() : writer.remote.close());
  }
};

/** Does an operation here, or has it done by who has the folder. Throws `Refused`, or a fault. */
export const operateOn = <T>(
  call: Call,
  runtime: Runtime,
  { operation, input, progress = () => {} }: {
    readonly operation: string;
    readonly input: unknown;
    readonly progress?: OnProgress;
  },
): Promise<T> =>
  withWriter(
    call,
    runtime,
    (writer) =>
      (writer.is === "local"
        ? runtime.operate(writer.daybook, operation, input, progress)
        : writer.remote.operate(operation, input, progress)) as Promise<T>,
  );

const openWriter = async (data: string, runtime: Runtime): Promise<Writer> => {
  const began = runtime.clock.monotonic();
  for (let tried = 1;; tried++) {
    try {
      return { is: "local", daybook: await runtime.open(data) };
    } catch (error) {
      if (!(error instanceof LogFault) || error.kind !== "locked") throw error;
      const remote = await runtime.remote(data);
      if (remote) return { is: "remote", remote };
      if (tried === TRIES || runtime.clock.monotonic() - began > TRIES_MS) throw error;
    }
    await new Promise<void>((resolve) => runtime.clock.schedule(TRY_MS, resolve));
  }
};
