/** `subject`: what the log holds of a person, counted, or handed out to answer their request for access. */
import { join } from "node:path";
import { pause } from "../../../actors/kernel/world.ts";
import type { Call, Run } from "../call.ts";
import { archiveOf, flag, pathOf, text, Usage } from "../call.ts";
import type { Draft, ExitCode, Io, OnProgress } from "../io.ts";
import { type KnownPerson, type Persons, tellAccounts, type Telling, type Trace } from "../persons.ts";
import { count, counted, palette, safe } from "../print.ts";
import { progressBar } from "../progress.ts";
import { Refused, type Runtime } from "../runtime.ts";
import { operateOn } from "../writer.ts";

export const subject: Run = async (call, runtime) => {
  const [who] = call.args;
  const persons = runtime.persons(call.data, archiveOf(call));
  const person = await persons.find(who!);
  if (!person) throw new Usage(`nothing is known of ${JSON.stringify(who)} here`);
  tellAccounts(person, runtime.io);
  const folder = text(call, "blobs");
  const { io, clock } = runtime;
  const progress = progressBar("reading", { io, clock, quiet: call.json });
  const trace = await persons.trace(person.subject, progress.on).finally(() => progress.end());
  if (!flag(call, "export")) {
    if (text(call, "out") !== undefined || flag(call, "text") || folder !== undefined) {
      throw new Usage("--out, --text and --blobs go with --export");
    }
    const { size, events, values, types, blobs } = trace;
    io.out(
      call.json
        ? `${JSON.stringify({ ...person, size, events, values, types, blobs })}\n`
        : summary(person, trace, runtime),
    );
    return 0;
  }
  if (person.erased) {
    throw new Refused(
      "already_erased",
      `${person.subject} was erased: what the log holds of them can be read by nobody`,
    );
  }
  return await handOut(call, runtime, { persons, subject: person.subject, trace });
};

const summary = (
  { subject, erased }: KnownPerson,
  { events, values, types, blobs }: Trace,
  { io }: Runtime,
): string => {
  const c = palette(io);
  return [
    `${subject}${erased ? c.yellow(" (erased: nobody can read it)") : ""}`,
    `${counted(values, "value")} in ${counted(events, "event")}${blobs > 0 ? `, ${counted(blobs, "blob")}` : ""}`,
    ...types.map((type) => `  ${safe(type)}`),
  ].join("\n") + "\n";
};

/**
 * What was given is on record, and nothing is on record as given that could not be written. A file, and those of blobs, are written to
 * their end and durable as `FILE.partial`; then it is recorded; then they get their names. Cut off before the record, nothing was given, and
 * what is left is called partial; cut off behind it, all of it is there. What goes to standard output cannot be taken back, so it is
 * recorded before the first byte.
 */
const handOut = async (
  call: Call,
  runtime: Runtime,
  { persons, subject, trace }: { readonly persons: Persons; readonly subject: string; readonly trace: Trace },
): Promise<ExitCode> => {
  const { io, clock } = runtime;
  const { size, events, values, blobs } = trace;
  const out = text(call, "out");
  const path = out === undefined ? undefined : pathOf(call, out);
  const drafts: Draft[] = [];
  const begin: Io["draft"] = async (path) => {
    const draft = await io.draft(path);
    drafts.push(draft);
    return draft;
  };
  const progress = progressBar("exporting", { io, clock, quiet: call.json || path === undefined });
  const head = { subject, exported: new Date(clock.now()).toISOString(), size, events, values };
  let recorded: number | undefined;
  try {
    const file = path === undefined ? undefined : await begin(path);
    const files = blobs > 0 ? await blobsOf(call, runtime, { persons, subject, begin }) : [];
    const told = { persons, files, readable: flag(call, "text"), on: progress.on };
    if (file) await tellAll((piece) => file.write(piece), head, told);
    await file?.settle();
    const input = { subject, size, events, values, blobs };
    const asked = { operation: "export-subject", input };
    ({ position: recorded } = await operateOn<{ readonly position: number }>(call, runtime, asked));
    for (const draft of drafts) await draft.name();
    if (!file) await tellAll((piece) => io.out(piece), { ...head, recorded }, told);
  } finally {
    progress.end();
    // What is on record stays, whatever it is called.
    if (recorded === undefined) { for (const draft of drafts) await draft.drop(); }
  }
  if (path !== undefined) {
    io.out(
      call.json
        ? `${JSON.stringify({ ok: true, file: path, ...head, recorded, blobs })}\n`
        : `${counted(values, "value")} in ${counted(events, "event")} about ${subject}, to ${
          safe(path)
        }; recorded at position ${count(recorded)}\n`,
    );
  }
  return 0;
};

interface Head {
  readonly subject: string;
  readonly exported: string;
  readonly size: number;
  readonly events: number;
  readonly values: number;
  /** Position of what says so; of a file it is not known yet. */
  readonly recorded?: number;
}

const tellAll = async (
  write: (piece: string) => void,
  head: Head,
  { persons, files, readable, on }: {
    readonly persons: Persons;
    readonly files: readonly BlobFile[];
    readonly readable: boolean;
    readonly on: OnProgress;
  },
): Promise<void> => {
  write(readable ? title(head) : `${JSON.stringify(head).slice(0, -1)},"told":[`);
  let first = true;
  for await (const telling of persons.tell(head.subject, head.size, on)) {
    write(readable ? paragraph(telling) : `${first ? "" : ","}\n${JSON.stringify(documentOf(telling))}`);
    first = false;
  }
  write(
    readable
      ? files.map(({ sha256, bytes, file }) => `\nblob ${sha256}, ${count(bytes)} bytes${file ? `: ${file}` : ""}\n`)
        .join("")
      : `\n],"blobs":${JSON.stringify(files)}}\n`,
  );
};

interface BlobFile {
  readonly sha256: string;
  readonly bytes: number;
  readonly file?: string;
}

/** Each as a file of its plain bytes where a folder is given, named by the SHA-256 of the sealed ones. */
const blobsOf = async (
  call: Call,
  { io, clock }: Runtime,
  { persons, subject, begin }: {
    readonly persons: Persons;
    readonly subject: string;
    readonly begin: Io["draft"];
  },
): Promise<readonly BlobFile[]> => {
  const folder = text(call, "blobs");
  if (folder !== undefined) await io.folder(pathOf(call, folder));
  const listed: BlobFile[] = [];
  for await (const { sha256, bytes, read } of persons.blobs(subject)) {
    const name = Uint8Array.fromBase64(sha256).toHex();
    if (folder !== undefined) {
      const plain = await read();
      const file = await begin(join(pathOf(call, folder), name));
      if (plain) file.write(plain);
      await file.settle();
    }
    listed.push({ sha256, bytes, ...(folder === undefined ? {} : { file: name }) });
    await pause(clock, 0);
  }
  return listed;
};

const documentOf = ({ event, values }: Telling) => {
  const { position, recordedat, time, type, stream, source, id, data } = event;
  return { position, recordedat, time, type, stream, source, id, values, data };
};

const title = ({ subject, exported, size, events, values }: Head): string =>
  `What the log holds about ${subject}, as of ${exported}: ${counted(values, "value")} in ${
    counted(events, "event")
  } of ${count(size)}.\n`;

const paragraph = ({ event, values }: Telling): string => {
  const { time, type, stream, position } = event;
  const lines = Object.entries(values).map(([pointer, value]) =>
    `  ${safe(pointer || "/")}  ${safe(typeof value === "string" ? value : JSON.stringify(value))}`
  );
  return `\n${safe(time)}  ${safe(type)} in ${safe(stream)}, position ${count(position)}\n${lines.join("\n")}\n`;
};
