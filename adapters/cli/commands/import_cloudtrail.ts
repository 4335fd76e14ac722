/** `import cloudtrail`: log files of AWS CloudTrail. */
import { counted } from "../print.ts";
import type { CloudtrailFiles, CloudtrailImport } from "../imports.ts";
import { importFiles } from "./import_files.ts";

export const importCloudtrail = importFiles<CloudtrailFiles, CloudtrailImport>({
  check: (runtime, _, paths, on, signal) => runtime.checkCloudtrail(paths, on, signal),
  take: (runtime, target, found, on, signal) => runtime.importCloudtrail(target, found, on, signal),
  nothing: "no log files of CloudTrail, *.json or *.json.gz, are there",
  counts: ({ records }) => `${counted(records, "record")} in`,
  notes: ({ digests }, { notTaken }) => [
    ...(notTaken > 0 ? [`${counted(notTaken, "value")} that look like secrets were not taken`] : []),
    ...(digests > 0 ? [`${counted(digests, "digest file")} passed over`] : []),
  ],
  told: ({ digests }, { records, notTaken }) => ({ digests, records, notTaken }),
});
