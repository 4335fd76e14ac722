/** What was archived, out of the folder that it lies in; nothing of the folder is looked at before it is needed. */
import { events } from "../../events/mod.ts";
import type { ArchivedEntries } from "../kv/archive.ts";
import { TlogFolder } from "../tlog/reader.ts";

export const archiveIn = (folder: string | null | undefined): ArchivedEntries | undefined =>
  folder == null ? undefined : new TlogFolder(folder, Number.MAX_SAFE_INTEGER, events);
