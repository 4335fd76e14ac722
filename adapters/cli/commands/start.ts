/** `start`: the server, until it is told to stop. */
import { isIP } from "node:net";
import { join } from "node:path";
import type { Call, Run } from "../call.ts";
import { pathOf, text, Usage, whole } from "../call.ts";
import type { Runtime, ServeOptions, Serving } from "../runtime.ts";
import { HOST, PORT } from "../table.ts";

// Ctrl-C reaches us from the terminal and again from each process above that forwards it; what comes within this time is one wish.
const ONE_WISH_MS = 1_000;

export const start: Run = async (call, runtime) => {
  const { io, clock } = runtime;
  const options = await optionsOf(call, runtime);
  let asked: number | undefined;
  let stop = () => {};
  const stopped = new Promise<void>((resolve) => stop = resolve);
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
    const daybook = await runtime.open(call.data, { profile: text(call, "profile"), config: configOf(call) });
    try {
      if (asked !== undefined) return 0;
      const serving = await runtime.serve(daybook, options);
      if (call.data === ":memory:") io.err("in memory only: nothing is left when this process ends\n");
      await tellToken(serving, { call, runtime });
      io.out(
        call.json
          ? `${JSON.stringify({ listening: serving.url, data: call.data })}\n`
          : `listening on ${serving.url}\n`,
      );
      await stopped;
      await serving.stop();
    } finally {
      await daybook.close();
    }
    return 0;
  } finally {
    forget();
  }
};

const configOf = (call: Call): string | undefined => {
  const config = text(call, "config");
  return config === undefined ? undefined : pathOf(call, config);
};

/** Throws `Usage` for what must not be: another address than loopback in the clear. */
const optionsOf = async (call: Call, { io }: Runtime): Promise<ServeOptions> => {
  const host = text(call, "host") ?? HOST;
  const [cert, key] = [text(call, "tlsCert"), text(call, "tlsKey")];
  const behindProxy = text(call, "behindProxy");
  if ((cert === undefined) !== (key === undefined)) throw new Usage("--tls-cert and --tls-key go together");
  if (behindProxy !== undefined && isIP(behindProxy) === 0) {
    throw new Usage(`--behind-proxy takes the IP address of the proxy, not ${JSON.stringify(behindProxy)}`);
  }
  if (!isLoopback(host) && cert === undefined && behindProxy === undefined) {
    throw new Usage(`--host ${host} is not loopback: give --tls-cert and --tls-key, or --behind-proxy ADDRESS`);
  }
  const tls = cert === undefined || key === undefined
    ? undefined
    : { cert: await io.readText(pathOf(call, cert)), key: await io.readText(pathOf(call, key)) };
  return { data: call.data, host, port: whole(call, "port", { min: 0, max: 65_535 }) ?? PORT, tls, behindProxy };
};

/** 127.0.0.0/8, ::1 and the name localhost (RFC 6761 section 6.3). */
export const isLoopback = (host: string): boolean => {
  const bare = host.replace(/^\[|\]$/g, "").toLowerCase();
  return bare === "localhost" || bare === "::1" || (isIP(bare) === 4 && bare.startsWith("127."));
};

const tellToken = async (
  { url, firstToken }: Serving,
  { call, runtime: { io } }: { call: Call; runtime: Runtime },
): Promise<void> => {
  if (firstToken === undefined) return;
  if (io.terminal.err) {
    io.err(
      `The first token of this log, shown once; it may do everything:\n\n  ${firstToken}\n\nTry it:\n\n` +
        `  curl -s ${url}/events -H 'authorization: Bearer ${firstToken}' -H 'content-type: application/cloudevents+json' \\\n` +
        `    -d '{"specversion":"1.0","id":"1","source":"/hello","type":"com.example.hello","data":{"hello":"world"}}'\n\n`,
    );
    return;
  }
  if (call.data === ":memory:") return io.err(`first token, shown once: ${firstToken}\n`);
  const path = join(call.data, "first-token");
  await io.writePrivate(path, `${firstToken}\n`);
  io.err(`the first token is in ${path}\n`);
};
