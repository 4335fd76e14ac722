/** `import sshd`: logs of OpenSSH's server. */
import { text } from "../call.ts";
import { counted } from "../print.ts";
import type { SshdFiles, SshdImport } from "../imports.ts";
import { importFiles } from "./import_files.ts";

export const importSshd = importFiles<SshdFiles, SshdImport>({
  check: (runtime, call, paths, on, signal) => runtime.checkSshd(paths, text(call, "zone"), on, signal),
  take: (runtime, target, found, on, signal) => runtime.importSshd(target, found, on, signal),
  nothing: "no log files are there",
  counts: ({ signins, lines }) => `${counted(signins, "message")} about sign-ins in ${counted(lines, "line")} of`,
  notes: (_, { unended }) =>
    unended > 0 ? [`${counted(unended, "file")} without an end of the last line: it is left for the next import`] : [],
  told: (_, { lines, signins, unended }) => ({ lines, signins, unended }),
});
