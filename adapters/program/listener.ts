/**
 * A server as a child of the tree; each run of it is a server anew. Where so many connections stand that the process may open no more
 * files, the platform gives its listeners up: whoever opens connections would spend the tree's budget of restarts and end it all, so it
 * listens again in the same run, after those connections are ended.
 */
import type { Child } from "../../actors/kernel/child.ts";
import { aborted, type Clock, pause } from "../../actors/kernel/world.ts";
import type { Server } from "../http/server.ts";

export const LISTENER = { crowded_ms: 1_000, look_ms: 5_000 } as const;

/** Requests under way have 5 s to end; then what is left of them is left behind. */
const GRACE_MS = 6_000;
const READY_WITHIN_MS = 30_000;

export const listener = (
  create: () => Server,
  listen: (server: Server) => Promise<void>,
  { clock, report, keep }: {
    readonly clock: Clock;
    readonly report: (line: string) => void;
    /** Called every `look_ms` to see to it that the server is still found where it listens. */
    readonly keep?: (server: Server) => Promise<void>;
  },
): Child => ({
  id: "http",
  restart: "permanent",
  grace: GRACE_MS,
  readyWithin: READY_WITHIN_MS,
  async run(signal, self) {
    while (!signal.aborted) {
      const server = create();
      const over = new AbortController();
      try {
        await listen(server);
        self.ready();
        if (keep) void keeping(() => keep(server), clock, AbortSignal.any([signal, over.signal]));
        await Promise.race([aborted(signal), server.lost]);
      } catch (error) {
        if (!isCrowded(error)) throw error;
        report(`too many files are open (ulimit -n), so every connection is ended: ${(error as Error).message}`);
      } finally {
        over.abort();
        await server.stop();
      }
      await pause(clock, LISTENER.crowded_ms, signal);
    }
  },
});

/** Ends with the signal. What cannot be put right now is tried again. */
const keeping = async (keep: () => Promise<void>, clock: Clock, signal: AbortSignal): Promise<void> => {
  while (!signal.aborted) {
    await pause(clock, LISTENER.look_ms, signal);
    if (!signal.aborted) await keep().catch(() => {});
  }
};

/** EMFILE, ENFILE; the platform's own listener tells of them by a text alone. */
const isCrowded = (error: unknown): boolean =>
  error instanceof Error && /\b(?:EMFILE|ENFILE|os error 2[34])\b/.test(error.message);

/** For who chose host and port: the platform does not say which it was, nor what else there is to do. */
export const unheard = (
  error: unknown,
  { hostname, port }: { readonly hostname: string; readonly port: number },
): unknown => {
  if (!(error instanceof Error)) return error;
  const { errors } = Deno;
  const host = hostname.includes(":") ? `[${hostname}]` : hostname;
  const told = (because: string) => `cannot listen on ${host}:${port}: ${because}`;
  const code = (error as { readonly code?: string }).code ?? "";
  if (error instanceof errors.AddrInUse) return new errors.AddrInUse(told("another program does; give another --port"));
  if (code === "EACCES") return new errors.PermissionDenied(told("this user may not; give another --port"));
  if (["EADDRNOTAVAIL", "EAFNOSUPPORT", "EINVAL"].includes(code)) {
    return new errors.AddrNotAvailable(told("there is no such address on this machine; give another --host"));
  }
  if (code === "ENOTFOUND" || /^failed to lookup address/.test(error.message)) {
    return new errors.AddrNotAvailable(told("no address is known for that name; give another --host"));
  }
  return error;
};
