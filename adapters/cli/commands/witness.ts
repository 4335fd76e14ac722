/** `witness`: a tiny witness for other logs, until it is told to stop. */
import type { Run } from "../call.ts";
import { list, pathOf, text, Usage } from "../call.ts";
import { HOST, witnessPort } from "../grants.ts";

export const witness: Run = async (call, runtime) => {
  const { io } = runtime;
  const [dir] = call.args;
  const logs = list(call, "log");
  if (logs.length === 0) {
    throw new Usage("witness needs --log, the public key of a log it is to know; it may be repeated");
  }
  let stop = () => {};
  const stopped = new Promise<void>((resolve) => stop = resolve);
  const forget = io.onStop(() => stop());
  try {
    const witness = await runtime.witness({
      dir: pathOf(call, dir!),
      name: text(call, "name") ?? "witness",
      logs,
      host: HOST,
      port: witnessPort(call),
    });
    io.out(
      call.json
        ? `${JSON.stringify({ listening: witness.url, key: witness.vkey })}\n`
        : `key ${witness.vkey}\nlistening on ${witness.url}\n`,
    );
    await stopped;
    await witness.stop();
    return 0;
  } finally {
    forget();
  }
};
