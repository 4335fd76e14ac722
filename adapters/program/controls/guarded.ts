/** What a control may guard beside commands and events: operations, by their names in the catalogue. */

/** Of those in `operations.ts`, by their names there. */
export const GUARDED: Readonly<Record<string, string>> = {
  "erase-subject": "privacy.subject.erase",
  "export-subject": "privacy.subject.export",
  "rotate-root-key": "privacy.root_key.rotate",
  "rotate-log-key": "kernel.log.rotate_key",
};

/** Asked about before they are done, by their name. */
export const ARCHIVE = "kernel.log.archive";
const TOKEN_CREATE = "token.create";
export const OPERATIONS: readonly string[] = [...Object.values(GUARDED), ARCHIVE, TOKEN_CREATE];
