/** The worker's end of a `WorkerChild`: answers heartbeats, hands messages to the work, and stops when asked. */

import { tellUncaught } from "./thread.ts";

/** What passes between the two ends; everything else is wrapped as `data`. */
export type Wire =
  | { readonly is: "ping" | "pong" | "ready" | "stop" | "stopped" }
  | { readonly is: "failed"; readonly cause: string }
  | { readonly is: "data"; readonly data: unknown };

export interface Work {
  /** Throwing is a crash of the worker. */
  message(data: unknown, reply: (data: unknown) => void): void | Promise<void>;
  /** Finishes what is under way; the worker ends when it is done. */
  stop?(): void | Promise<void>;
}

interface Scope {
  onmessage: ((event: MessageEvent<Wire>) => void) | null;
  postMessage(message: Wire): void;
  close(): void;
}

/** To be called once, at the top of the worker's module. */
export const work = ({ message, stop }: Work): void => {
  const scope = self as unknown as Scope;
  const reply = (data: unknown) => scope.postMessage({ is: "data", data });
  const take = async (wire: Wire): Promise<void> => {
    switch (wire.is) {
      case "ping":
        return scope.postMessage({ is: "pong" });
      case "data":
        return await message(wire.data, reply);
      case "stop":
        await stop?.();
        scope.postMessage({ is: "stopped" });
        scope.close();
    }
  };
  scope.onmessage = ({ data: wire }) => {
    take(wire).catch((error) => scope.postMessage({ is: "failed", cause: String(error) }));
  };
  tellUncaught((cause) => scope.postMessage({ is: "failed", cause }));
  scope.postMessage({ is: "ready" });
};
