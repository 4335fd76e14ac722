/** The two ends of a line between this thread and a worker of it. */
import type { Line } from "../../actors/kernel/project_line.ts";

/** The end of the thread that started the worker. A worker that dies never takes this thread with it. */
export const lineToWorker = <Out, In>(worker: Worker): Line<Out, In> => ({
  send: (message) => worker.postMessage(message),
  listen(heard, died) {
    worker.onmessage = ({ data }: MessageEvent<In>) => heard(data);
    worker.onerror = (event) => {
      event.preventDefault();
      died(event.message);
    };
    worker.onmessageerror = () => died("a message could not be read");
  },
  cut: () => worker.terminate(),
});

/** What of the global scope of a worker is used here; the types of the main thread do not have it. */
interface WorkerScope {
  onmessage: ((event: MessageEvent) => void) | null;
  postMessage(message: unknown): void;
  close(): void;
}

/** The worker's end. */
export const lineToParent = <Out, In>(): Line<Out, In> => {
  const scope = globalThis as unknown as WorkerScope;
  return {
    send: (message) => scope.postMessage(message),
    listen(heard) {
      scope.onmessage = ({ data }) => heard(data as In);
    },
    cut: () => scope.close(),
  };
};
