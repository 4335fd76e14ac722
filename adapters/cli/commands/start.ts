/** `start`: the server, until it is told to stop. */
import { isIP } from "node:net";
import { join } from "node:path";
import type { Call, Run } from "../call.ts";
import { Usage } from "../call.ts";
import type { Runtime, Serve } from "../runtime.ts";
import type { Settings } from "../settings.ts";

// Ctrl-C reaches us from the terminal and again from each process above that forwards it; what comes within this time is one wish.
const ONE_WISH_MS = 1_000;

export const start: Run = async (call, runtime) => {
  const { io, clock } = runtime;
  const settings = call.settings!;
  refuseOpen(settings);
  let asked: number | undefined;
  let stop = () => {};
  const stopped = new Promise<undefined>((resolve) => stop = () => resolve(undefined));
  const forget = io.onStop(() => {
    const now = clock.monotonic();
    if (asked === undefined) {
      asked = now;
      io.err("draining; once more to stop at once\n");
      return stop();
    }
    if (now - asked > ONE_WISH_MS) runtime.quit(3);
  });
  try {
    const daybook = await runtime.open(call.data, settings);
    try {
      if (asked !== undefined) return 0;
      const tell: Serve["tell"] = (first) => tellToken(first, { call, runtime });
      const serving = await runtime.serve(daybook, { data: call.data, settings, tell });
      if (call.data === ":memory:") io.err("in memory only: nothing is left when this process ends\n");
      io.out(
        call.json
          ? `${JSON.stringify({ listening: serving.url, data: call.data })}\n`
          : `listening on ${serving.url}\n`,
      );
      serving.told();
      const cause = await Promise.race([stopped, serving.fallen]);
      await serving.stop();
      if (cause === undefined) return 0;
      io.err(`daybook: the supervision tree gave up: ${cause}\n`);
      return 3;
    } finally {
      await daybook.close();
    }
  } finally {
    forget();
  }
};

/** Throws `Usage` for what must not be: another address than loopback in the clear. */
const refuseOpen = ({ config: { server } }: Settings): void => {
  const { certificate, issued } = server.tls;
  if (isLoopback(server.host) || certificate !== null || issued.length > 0 || server.behind_proxy !== null) return;
  throw new Usage(`--host ${server.host} is not loopback: give --tls-cert and --tls-key, or --behind-proxy ADDRESS`);
};

/** 127.0.0.0/8, ::1 and the name localhost (RFC 6761 section 6.3). */
export const isLoopback = (host: string): boolean => {
  const bare = host.replace(/^\[|\]$/g, "").toLowerCase();
  return bare === "localhost" || bare === "::1" || (isIP(bare) === 4 && bare.startsWith("127."));
};

const tellToken = async (
  { url, token }: Parameters<Serve["tell"]>[0],
  { call, runtime: { io } }: { call: Call; runtime: Runtime },
): Promise<void> => {
  if (io.terminal.err) {
    io.err(
      `The first token of this log, shown once; it may do everything:\n\n  ${token}\n\nTry it:\n\n` +
        `  curl -s ${url}/events -H 'authorization: Bearer ${token}' -H 'content-type: application/cloudevents+json' \\\n` +
        `    -d '{"specversion":"1.0","id":"1","source":"/hello","type":"com.example.hello","data":{"hello":"world"}}'\n\n`,
    );
  } else if (call.data === ":memory:") io.err(`first token, shown once: ${token}\n`);
  else {
    const path = join(call.data, "first-token");
    await io.writePrivate({ [path]: `${token}\n` });
    io.err(`the first token is in ${path}\n`);
  }
};
