/** One commit of git to the events that tell of it. A function of the commit alone, so that a repeat gives the same events. */
import { createHash } from "node:crypto";
import type { Incoming } from "../../actors/kernel/daybook.ts";
import { type ChangedFile, COMMIT_LIMITS, type CommitRecorded } from "../../events/commits.ts";
import { commitWords, type Words } from "../../events/commit_text.ts";
import type { RawCommit, RawFile, RawPerson } from "./parse.ts";
import { asUtf8, cQuoted, jsonBytes } from "./text.ts";

/** Bytes of the files in one event, so that with its header and a long source it stays below an entry. */
const PART_BYTES_MAX = 48_000;

/** What the list of commits says of one. */
export interface Listed {
  readonly sha: string;
  readonly parents: readonly string[];
  /** The end of a shallow clone: there are parents, but not here. */
  readonly boundary?: true;
  /** It was recorded as incomplete before; what it changed is known now. */
  readonly completes?: true;
}

export interface Translated {
  readonly events: readonly Incoming[];
  /** Bytes they take at most once sealed; for cutting batches. */
  readonly bytes: number;
}

/** Parts first, then the commit. */
export const translate = (raw: RawCommit, listed: Listed, source: string): Translated => {
  const { sha } = raw;
  const authored = timeOf(raw.author.date);
  const committed = timeOf(raw.committer.date);
  const time = committed ?? authored;
  const header = { source, ...(time === undefined ? {} : { time }) };
  const known = listed.boundary ? [] : listed.parents;
  const merge: { readonly merge?: true } = known.length > 1 ? { merge: true } : {};
  const parts = partsOf(raw.files, merge.merge !== true);
  const events: Incoming[] = parts.map(({ files }, part) => ({
    ...header,
    id: `${sha}/${part}`,
    type: "commits.changes.listed",
    correlationid: sha,
    data: { files, ...merge, part, sha },
  }));
  const parents = known.slice(0, COMMIT_LIMITS.parents_max);
  const changed = {
    sha,
    parts: parts.length,
    files: raw.files.length,
    ...(merge.merge ? {} : { added: linesOf(raw.files, "added"), deleted: linesOf(raw.files, "deleted") }),
    parents,
    ...(parents.length < known.length ? { parents_left_out: known.length - parents.length } : {}),
    ...merge,
  };
  let bytes = parts.reduce((sum, part) => sum + part.bytes, 0) +
    (parts.length + 1) * (HEADER_BYTES + 2 * source.length) +
    parents.length * (sha.length + 3);
  if (listed.completes) {
    const data = { ...changed, ...(committed === undefined ? {} : { committed }) };
    const why = { causationid: sha, correlationid: sha };
    events.push({ ...header, id: `${sha}/completed`, type: "commits.commit.completed", ...why, data });
  } else {
    const said = wordsOf(raw);
    const data: CommitRecorded = {
      ...changed,
      ...said,
      times: { ...(authored === undefined ? {} : { authored }), ...(committed === undefined ? {} : { committed }) },
      ...(listed.boundary ? { incomplete: "boundary" } : {}),
    };
    events.push({ ...header, id: sha, type: "commits.commit.recorded", data });
    bytes += sealedBytes(said);
  }
  return { events, bytes };
};

// The attributes of an entry but for source and stream, which is made of it.
const HEADER_BYTES = 550;

const linesOf = (files: readonly RawFile[], which: "added" | "deleted"): number => {
  let sum = 0;
  for (const file of files) sum += file[which] ?? 0;
  return sum;
};

interface Part {
  readonly files: readonly ChangedFile[];
  readonly bytes: number;
}

// `{"added":1234567,"binary":true,…}` without the paths.
const FILE_BYTES = 150;

const partsOf = (raw: readonly RawFile[], counted: boolean): readonly Part[] => {
  const parts: Part[] = [];
  let files: ChangedFile[] = [];
  let bytes = 0;
  for (const one of raw) {
    const file = fileOf(one, counted);
    const more = FILE_BYTES + jsonBytes(file.path) + (file.old_path === undefined ? 0 : jsonBytes(file.old_path));
    if (
      files.length > 0 &&
      (files.length >= COMMIT_LIMITS.part_files_max || bytes + more > PART_BYTES_MAX)
    ) {
      parts.push({ files, bytes });
      files = [];
      bytes = 0;
    }
    files.push(file);
    bytes += more;
  }
  if (files.length > 0) parts.push({ files, bytes });
  return parts;
};

const KINDS: Readonly<Record<string, "symlink" | "submodule">> = { "120000": "symlink", "160000": "submodule" };

const fileOf = (
  { status, similarity, mode, path, oldPath, added, deleted }: RawFile,
  counted: boolean,
): ChangedFile => {
  const [text, oldText] = [asUtf8(path), oldPath === undefined ? undefined : asUtf8(oldPath)];
  const quoted = text === undefined || (oldPath !== undefined && oldText === undefined);
  const [now, before] = quoted
    ? [cQuoted(path), oldPath === undefined ? undefined : cQuoted(oldPath)]
    : [text, oldText];
  const long = (name: string | undefined) => name !== undefined && name.length > COMMIT_LIMITS.path_chars_max;
  const kind = KINDS[mode];
  return {
    ...(!counted ? {} : added === undefined ? { binary: true as const } : { added }),
    ...(long(now) || long(before) ? { cut: true as const } : {}),
    ...(!counted || deleted === undefined ? {} : { deleted }),
    ...(kind ? { kind } : {}),
    ...(before === undefined ? {} : { old_path: fitted(before) }),
    path: fitted(now),
    ...(quoted ? { quoted: true as const } : {}),
    ...(similarity === undefined ? {} : { similarity }),
    status: status as ChangedFile["status"],
  };
};

const fitted = (path: string): string => {
  if (path.length <= COMMIT_LIMITS.path_chars_max) return path;
  const digest = createHash("sha256").update(path).digest("hex");
  return `${path.slice(0, COMMIT_LIMITS.path_chars_max - digest.length - 1).toWellFormed()}~${digest}`;
};

const RAW_TIME = /^(\d{1,12}) ([+-])(\d{2,})(\d{2})$/;
/** 9999-12-31T23:59:59Z: RFC 3339 has four digits for the year. */
const SECONDS_MAX = 253_402_300_799;

/** `1237714218 +0100` as RFC 3339 with that offset; an offset that is none counts as UTC. `undefined`: no time that can be said. */
export const timeOf = (date: string): string | undefined => {
  const found = RAW_TIME.exec(date);
  if (!found) return undefined;
  const [, text, sign, hours, minutes] = found;
  const seconds = Number(text);
  if (seconds > SECONDS_MAX) return undefined;
  const valid = Number(hours) <= 23 && Number(minutes) <= 59;
  const offset = valid ? (sign === "-" ? -60 : 60) * (Number(hours) * 60 + Number(minutes)) : 0;
  const local = new Date((seconds + offset) * 1000);
  if (local.getUTCFullYear() > 9999 || local.getUTCFullYear() < 0) return undefined;
  return local.toISOString().slice(0, 19) + (offset === 0 ? "Z" : `${sign}${hours}:${minutes}`);
};

type Said = Words & Pick<CommitRecorded, "latin1">;

const wordsOf = ({ author, committer, message }: RawCommit): Said => {
  let latin1 = false;
  const text = (bytes: string): string => {
    const decoded = asUtf8(bytes);
    if (decoded !== undefined) return decoded;
    latin1 = true;
    return bytes;
  };
  const person = ({ name, email }: RawPerson) => ({ email: text(email), name: text(name) });
  const words = commitWords({ author: person(author), committer: person(committer), message: text(message) });
  return { ...words, ...(latin1 ? { latin1: true } : {}) };
};

// A sealed text is longer than the plain one: base64 of it, a tag, whose key; a pseudonym stands beside each address.
const sealedBytes = ({ author, committer, subject }: Said): number => {
  let bytes = jsonBytes(subject) + 200;
  for (const text of [author.name, author.email, author.message, committer?.name, committer?.email]) {
    if (text !== undefined) bytes += text.length * 4 + 130;
  }
  return bytes;
};
