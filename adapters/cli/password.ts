/** A password out of a file or standard input; never from the command line, which others can see. */
import { type Call, pathOf, text, Usage } from "./call.ts";
import type { Io } from "./io.ts";

/** The first line; `undefined` where `--password-file` was not given. */
export const passwordIn = async (call: Call, io: Pick<Io, "readInput" | "readText">): Promise<string | undefined> => {
  const file = text(call, "passwordFile");
  if (file === undefined) return undefined;
  const [password] = (await (file === "-" ? io.readInput() : io.readText(pathOf(call, file)))).split(/\r?\n/);
  if (!password) throw new Usage(`${file === "-" ? "standard input" : file} has no password on its first line`);
  return password;
};
