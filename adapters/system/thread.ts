/** The two ends of a line between this thread and a worker of it. */
import { setPriority } from "node:os";
import type { Line } from "../../actors/kernel/project_line.ts";

/** The end of the thread that started the worker. A worker that dies never takes this thread with it. */
export const lineToWorker = <Out, In>(worker: Worker): Line<Out, In> => ({
  send: (message) => worker.postMessage(message),
  listen(heard, died) {
    worker.onmessage = ({ data }: MessageEvent<In | Uncaught>) => isUncaught(data) ? died(data.uncaught) : heard(data);
    worker.onerror = (event) => {
      event.preventDefault();
      died(event.message);
    };
    worker.onmessageerror = () => died("a message could not be read");
  },
  cut: () => worker.terminate(),
});

/** The last word of a worker. */
interface Uncaught {
  readonly uncaught: string;
}

const isUncaught = (message: unknown): message is Uncaught =>
  typeof message === "object" && message !== null && "uncaught" in message;

/** What of the global scope of a worker is used here; the types of the main thread do not have it. */
interface WorkerScope {
  addEventListener(type: string, listener: (event: ErrorEvent | PromiseRejectionEvent) => void): void;
  onmessage: ((event: MessageEvent) => void) | null;
  postMessage(message: unknown): void;
  close(): void;
}

/** Whoever started this worker is told what nobody catches here; else the platform prints it, with its stack. */
export const tellUncaught = (tell: (cause: string) => void): void => {
  const scope = globalThis as unknown as WorkerScope;
  for (const type of ["error", "unhandledrejection"]) {
    scope.addEventListener(type, (event) => {
      event.preventDefault();
      tell(String("reason" in event ? event.reason : event.error ?? event.message));
    });
  }
};

/** The worker's end. */
export const lineToParent = <Out, In>(): Line<Out, In> => {
  const scope = globalThis as unknown as WorkerScope;
  tellUncaught((uncaught) => scope.postMessage({ uncaught } satisfies Uncaught));
  return {
    send: (message) => scope.postMessage(message),
    listen(heard) {
      scope.onmessage = ({ data }) => heard(data as In);
    },
    cut: () => scope.close(),
  };
};

/** What a worker that is to `giveWay` needs, as far as it can be handed on. */
export const givingWay = (): Pick<Deno.PermissionOptionsObject, "sys"> =>
  Deno.permissions.querySync({ name: "sys", kind: PRIORITY }).state === "granted" ? { sys: [PRIORITY] } : {};

const PRIORITY = "setPriority";

/**
 * Asks the system to let other threads of a busy machine go first; `nice` is 1 (a little) to 19. What is idle anyway is still used.
 * On Linux only: there setpriority(2) of 0 is about the calling thread alone. Needs `--allow-sys=setPriority`; without it
 * nothing changes.
 */
export const giveWay = (nice: number): void => {
  if (Deno.build.os !== "linux") return;
  try {
    setPriority(0, nice);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotCapable)) throw error;
  }
};
