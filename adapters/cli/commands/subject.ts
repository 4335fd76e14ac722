/** `subject`: what the log holds of a person, counted, or handed out to answer their request for access. */
import { join } from "node:path";
import { pause } from "../../../actors/kernel/world.ts";
import type { Call, Run } from "../call.ts";
import { archiveOf, flag, pathOf, text, Usage } from "../call.ts";
import type { KnownPerson, Persons, Telling, Trace } from "../persons.ts";
import { count, counted, palette, safe } from "../print.ts";
import { progressBar } from "../progress.ts";
import type { ExitCode, Runtime } from "../runtime.ts";
import { Refused } from "../runtime.ts";
import { operateOn } from "../writer.ts";

export const subject: Run = async (call, runtime) => {
  const [who] = call.args;
  const persons = runtime.persons(call.data, archiveOf(call));
  const person = await persons.find(who!);
  if (!person) throw new Usage(`nothing is known of ${JSON.stringify(who)} here`);
  const folder = text(call, "blobs");
  for (const path of [text(call, "out"), folder]) {
    // What is not sealed has no place where everything else is, and would be found there when the person is erased.
    if (path !== undefined && `${pathOf(call, path)}/`.startsWith(`${call.data}/`)) {
      throw new Usage(`${path} lies in the data folder; a person's data is handed out elsewhere`);
    }
  }
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

const handOut = async (
  call: Call,
  runtime: Runtime,
  { persons, subject, trace }: { readonly persons: Persons; readonly subject: string; readonly trace: Trace },
): Promise<ExitCode> => {
  const { io, clock } = runtime;
  const { size, events, values, blobs } = trace;
  const out = text(call, "out");
  const path = out === undefined ? undefined : pathOf(call, out);
  // Recorded before anything leaves.
  const { position } = await operateOn<{ readonly position: number }>(call, runtime, {
    operation: "export-subject",
    input: { subject, size, events, values, blobs },
  });
  const sink = path === undefined ? undefined : await io.create(path);
  const write = sink ? (piece: string) => sink.write(piece) : (piece: string) => io.out(piece);
  const readable = flag(call, "text");
  const head = { subject, exported: new Date(clock.now()).toISOString(), recorded: position, size, events, values };
  const progress = progressBar("exporting", { io, clock, quiet: call.json || !sink });
  try {
    write(readable ? title(head) : `${JSON.stringify(head).slice(0, -1)},"told":[`);
    let first = true;
    for await (const telling of persons.tell(subject, size, progress.on)) {
      write(readable ? paragraph(telling) : `${first ? "" : ","}\n${JSON.stringify(documentOf(telling))}`);
      first = false;
    }
    const files = await blobsOf(call, runtime, { persons, subject, wanted: blobs > 0 });
    write(
      readable
        ? files.map(({ sha256, bytes, file }) => `\nblob ${sha256}, ${count(bytes)} bytes${file ? `: ${file}` : ""}\n`)
          .join("")
        : `\n],"blobs":${JSON.stringify(files)}}\n`,
    );
  } finally {
    progress.end();
    sink?.close();
  }
  if (sink) {
    io.out(
      call.json
        ? `${JSON.stringify({ ok: true, file: path, ...head, blobs })}\n`
        : `${counted(values, "value")} in ${counted(events, "event")} about ${subject}, to ${
          safe(path!)
        }; recorded at position ${count(position)}\n`,
    );
  }
  return 0;
};

/** Each as a file of its plain bytes where a folder is given, named by the SHA-256 of the sealed ones. */
const blobsOf = async (
  call: Call,
  { io, clock }: Runtime,
  { persons, subject, wanted }: { readonly persons: Persons; readonly subject: string; readonly wanted: boolean },
): Promise<readonly { readonly sha256: string; readonly bytes: number; readonly file?: string }[]> => {
  if (!wanted) return [];
  const folder = text(call, "blobs");
  if (folder !== undefined) await io.folder(pathOf(call, folder));
  const listed = [];
  for await (const { sha256, bytes, read } of persons.blobs(subject)) {
    const name = Uint8Array.fromBase64(sha256).toHex();
    if (folder !== undefined) {
      const plain = await read();
      const file = await io.create(join(pathOf(call, folder), name));
      if (plain) file.write(plain);
      file.close();
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

const title = ({ subject, exported, size, events, values }: {
  readonly subject: string;
  readonly exported: string;
  readonly size: number;
  readonly events: number;
  readonly values: number;
}): string =>
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
