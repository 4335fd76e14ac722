/** Checkpoints that were kept elsewhere and are named on the command line. */
import type { Call } from "./call.ts";
import { list, pathOf, Usage } from "./call.ts";
import type { Kept } from "./reader.ts";
import type { Io } from "./io.ts";

/** Origin, size and root (base64 of 32 bytes), a line each (C2SP tlog-checkpoint); what follows is for the verifier. */
const CHECKPOINT = /^[^\n]+\n(0|[1-9]\d*)\n[A-Za-z0-9+/]{43}=(\n|$)/;

/** The files of `--against`. */
export const keptCheckpoints = (call: Call, io: Io): Promise<readonly Kept[]> => checkpointFiles(call, io, "against");

/** The files of an option. */
export const checkpointFiles = (call: Call, io: Io, option: string): Promise<readonly Kept[]> =>
  Promise.all(list(call, option).map((path) => checkpointFile(call, io, { option, path })));

/** `Usage` for one that is no checkpoint: that says nothing about the log, and its text is not repeated. */
export const checkpointFile = async (
  call: Call,
  io: Io,
  { option, path }: { readonly option: string; readonly path: string },
): Promise<Kept> => {
  const text = await io.readText(pathOf(call, path));
  if (!CHECKPOINT.test(text)) {
    throw new Usage(`--${option} ${path} is not a checkpoint: its first lines are an origin, a size and a root`);
  }
  return { name: path, text };
};
