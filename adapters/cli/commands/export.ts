/** `export`: events as NDJSON, each line the exact entry, or as other systems read them. */
import type { Event } from "../../../events/event.ts";
import type { Range } from "../../../events/log.ts";
import type { Call, Moment, Run } from "../call.ts";
import { archiveOf, boundOf, flag, list, moment, pathOf, text, Usage } from "../call.ts";
import type { Draft, OnProgress } from "../io.ts";
import { bytes, counted, duration } from "../print.ts";
import { progressBar } from "../progress.ts";
import type { Reader } from "../reader.ts";
import { exportBlobs } from "./export_blobs.ts";
import { exportTiles } from "./export_tiles.ts";

// Written in pieces of about this many characters, so that a large log costs neither memory nor a system call a line.
const PIECE = 1 << 16;

/** In the form that is asked for. */
export const exportLog: Run = (call, runtime) => {
  const format = text(call, "format") ?? "ndjson";
  if (format === "tlog-tiles") return exportTiles(call, runtime);
  if (format === "ndjson" || FOR_OTHERS.includes(format)) return exportEvents(call, runtime);
  throw new Usage(`--format is ndjson, ${FOR_OTHERS.join(", ")} or tlog-tiles, not ${JSON.stringify(format)}`);
};

/** Formats of other systems, as `Runtime.lines` knows them. */
const FOR_OTHERS: readonly string[] = ["ocsf", "syslog", "cef", "csv"];

/** To standard output or a file, which appears when it is whole; with `--json` the file's summary is the document, without a file an array of the events. */
const exportEvents: Run = async (call, runtime) => {
  const { io, clock } = runtime;
  const [from, to] = [text(call, "from"), text(call, "to")].map((value, i) =>
    value === undefined ? undefined : moment(value, i === 0 ? "--from" : "--to")
  );
  const out = text(call, "out");
  const personal = flag(call, "personal");
  const folder = text(call, "blobs");
  const format = text(call, "format") ?? "ndjson";
  const reader = await runtime.reader(call.data, archiveOf(call));
  const others = FOR_OTHERS.includes(format);
  const edge = personal || others ? await runtime.edge(call.data) : undefined;
  try {
    const { size } = reader;
    const lines = others ? await runtime.lines(format, (await reader.checkpoint())?.origin) : undefined;
    const range = rangeOf(call, reader, { from, to });
    const path = out === undefined ? undefined : pathOf(call, out);
    const sink = path === undefined ? undefined : await io.create(path);
    const began = clock.monotonic();
    const progress = progressBar("exporting", { io, clock, quiet: !sink });
    const fromUtf8 = new TextDecoder();
    const lineOf = (event: Event): string => {
      if (!edge) return fromUtf8.decode(reader.entry(event.position)!);
      const read = personal ? edge.unseal(event) : edge.redact(event);
      return lines ? lines.line(read) : JSON.stringify(read);
    };
    const utf8 = new TextEncoder();
    let [events, length] = [0, 0];
    const toFile = (file: Draft, piece: string): void => {
      const encoded = utf8.encode(piece);
      length += encoded.length;
      file.write(encoded);
    };
    try {
      events = write(reader, range, {
        lineOf,
        head: lines?.head,
        array: call.json && !sink,
        out: (piece) => sink ? toFile(sink, piece) : io.out(piece),
        progress: progress.on,
      });
      await sink?.settle();
      await sink?.name();
    } catch (error) {
      await sink?.drop();
      throw error;
    } finally {
      progress.end();
    }
    const blobs = folder === undefined ? undefined : await exportBlobs(reader, pathOf(call, folder), runtime);
    if (sink && call.json) {
      io.out(`${JSON.stringify({ ok: true, file: path, events, size, ...(blobs ? { blobs: blobs.blobs } : {}) })}\n`);
    } else {
      const told = sink ? [`${counted(events, "event")}, ${bytes(length)}, to ${path}`] : [];
      if (blobs) told.push(`${counted(blobs.blobs, "blob")}, ${bytes(blobs.bytes)}, to ${folder}`);
      if (told.length > 0) io.err(`${told.join("; ")} in ${duration(clock.monotonic() - began)}\n`);
    }
    return 0;
  } finally {
    edge?.close();
    await reader.close();
  }
};

const rangeOf = (
  call: Call,
  reader: Reader,
  { from, to }: { readonly from: Moment | undefined; readonly to: Moment | undefined },
): Range => {
  const types = list(call, "type");
  const range: Range = {
    from: from && boundOf(reader, from, "--from"),
    until: to ? Math.min(reader.size, boundOf(reader, to, "--to")) : reader.size,
    stream: text(call, "stream") as Range["stream"],
    types: types.length > 0 ? types : undefined,
  };
  if (range.from !== undefined && range.until !== undefined && range.from > range.until) {
    throw new Usage("--from lies behind --to");
  }
  return range;
};

/** Writes them line by line or, for `array`, as one document with the log's size; how many there were. */
const write = (reader: Reader, range: Range, { lineOf, head, array, out, progress }: {
  readonly lineOf: (event: Event) => string;
  /** Goes before the first line. */
  readonly head: string | undefined;
  readonly array: boolean;
  readonly out: (piece: string) => void;
  readonly progress: OnProgress;
}): number => {
  const { size } = reader;
  let [piece, events] = [array ? `{"events":[` : head === undefined ? "" : `${head}\n`, 0];
  let last = -1;
  const take = (event: Event): void => {
    // An old shape may be read as several events; its entry is one.
    if (event.position === last) return;
    last = event.position;
    const own = lineOf(event);
    // What is no JSON is a text in the array.
    const line = array && !own.startsWith("{") ? JSON.stringify(own) : own;
    piece += array ? `${events > 0 ? "," : ""}\n${line}` : `${line}\n`;
    events++;
    if (piece.length >= PIECE) out(piece), piece = "";
  };
  for (const batch of reader.read(range)) {
    batch.forEach(take);
    progress({ done: events, unit: "events" });
  }
  out(piece + (array ? `${events > 0 ? "\n" : ""}],"size":${size}}\n` : ""));
  return events;
};
