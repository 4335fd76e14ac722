/** `export --format tlog-tiles`: the log as a folder that other people's tools read (C2SP tlog-tiles). */
import { LogFault } from "../../../events/log.ts";
import type { Call, Run } from "../call.ts";
import { archiveOf, flag, list, pathOf, text, Usage } from "../call.ts";
import { bytes, count, counted, duration, safe } from "../print.ts";
import { progressBar } from "../progress.ts";
import type { Runtime } from "../runtime.ts";

/** What makes no sense of a folder that has to hold all entries as they are. */
const PARTIAL = ["from", "to", "stream"] as const;

/** Everything that the newest checkpoint covers, into a new folder. */
export const exportTiles: Run = async (call, runtime) => {
  const { io, clock } = runtime;
  const to = placeOf(call);
  await expectFree(to, runtime);
  const reader = await runtime.reader(call.data, archiveOf(call));
  try {
    const checkpoint = await reader.checkpoint();
    if (!checkpoint) throw new LogFault("closed", "the log has signed no checkpoint yet; the next start signs one");
    const began = clock.monotonic();
    const progress = progressBar("exporting", { io, clock, quiet: call.json });
    const written = await runtime.exportTiles({ log: reader, checkpoint }, to, progress.on).finally(progress.end);
    const { origin, size, root } = checkpoint;
    if (call.json) io.out(`${JSON.stringify({ ok: true, folder: to, origin, size, root, ...written })}\n`);
    else {
      io.out(
        `${count(size)} events of ${safe(origin)}, ${counted(written.files, "file")}, ${
          bytes(written.bytes)
        }, to ${to} in ${duration(clock.monotonic() - began)}\nroot ${root}\n`,
      );
    }
    const newer = reader.size - size;
    if (newer > 0) io.err(`daybook: ${counted(newer, "newer event")} that no checkpoint covers yet left out\n`);
    return 0;
  } finally {
    await reader.close();
  }
};

const placeOf = (call: Call): string => {
  const wrong = PARTIAL.find((name) => text(call, name) !== undefined) ??
    (list(call, "type").length > 0 ? "type" : flag(call, "personal") ? "personal" : undefined);
  if (wrong) throw new Usage(`--${wrong} does not go with --format tlog-tiles, which holds all entries as they are`);
  if (text(call, "blobs") !== undefined) throw new Usage("--blobs does not go with --format tlog-tiles");
  const out = text(call, "out");
  if (out === undefined) throw new Usage("--format tlog-tiles needs --out, a folder to make");
  return pathOf(call, out);
};

const expectFree = async (to: string, { io }: Runtime): Promise<void> => {
  if (!await io.isEmpty(to)) throw new Usage(`${to} is not empty; it is written into a new folder`);
};
