/** `export`: events as NDJSON, each line the exact entry, or as other systems read them. */
import type { Event } from "../../../events/event.ts";
import type { Range } from "../../../events/log.ts";
import type { Run } from "../call.ts";
import { archiveOf, boundOf, flag, list, moment, pathOf, text, Usage } from "../call.ts";
import { bytes, count, counted, duration } from "../print.ts";
import { progressBar } from "../progress.ts";
import type { Draft, Io } from "../runtime.ts";
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
  const types = list(call, "type");
  const out = text(call, "out");
  const personal = flag(call, "personal");
  const folder = text(call, "blobs");
  const format = text(call, "format") ?? "ndjson";
  const reader = await runtime.reader(call.data, archiveOf(call));
  const others = FOR_OTHERS.includes(format);
  const edge = personal || others ? await runtime.edge(call.data) : undefined;
  try {
    const size = reader.size;
    const lines = others ? await runtime.lines(format, (await reader.checkpoint())?.origin) : undefined;
    const range: Range = {
      from: from && boundOf(reader, from, "--from"),
      until: to ? Math.min(size, boundOf(reader, to, "--to")) : size,
      stream: text(call, "stream") as Range["stream"],
      types: types.length > 0 ? types : undefined,
    };
    if (range.from !== undefined && range.until !== undefined && range.from > range.until) {
      throw new Usage("--from lies behind --to");
    }
    const path = out === undefined ? undefined : pathOf(call, out);
    const sink = path === undefined ? undefined : await begun(io, path);
    const write = sink ? (piece: string) => sink.write(piece) : (piece: string) => io.out(piece);
    const began = clock.monotonic();
    const progress = progressBar("exporting", { io, clock, quiet: !sink });
    const whole = call.json && !sink;
    const head = lines?.head === undefined ? "" : `${lines.head}\n`;
    let [piece, events, length] = [whole ? `{"events":[` : head, 0, 0];
    let last = -1;
    const utf8 = new TextDecoder();
    const entry = (event: Event): string => {
      if (!edge) return utf8.decode(reader.entry(event.position)!);
      const read = personal ? edge.unseal(event) : edge.redact(event);
      const line = lines ? lines.line(read) : JSON.stringify(read);
      // What is no JSON is a text in the array.
      return whole && !line.startsWith("{") ? JSON.stringify(line) : line;
    };
    try {
      for (const batch of reader.read(range)) {
        for (const event of batch) {
          // An old shape may be read as several events; its entry is one.
          if (event.position === last) continue;
          last = event.position;
          const line = entry(event);
          piece += whole ? `${events > 0 ? "," : ""}\n${line}` : `${line}\n`;
          events++;
          length += line.length + 1;
          if (piece.length >= PIECE) write(piece), piece = "";
        }
        progress.on({ done: events, unit: "events" });
      }
      write(piece + (whole ? `${events > 0 ? "\n" : ""}],"size":${size}}\n` : ""));
      await sink?.settle();
    } catch (error) {
      await sink?.drop();
      throw error;
    } finally {
      progress.end();
    }
    await sink?.name();
    const blobs = folder === undefined ? undefined : await exportBlobs(reader, pathOf(call, folder), runtime);
    if (sink && call.json) {
      io.out(`${JSON.stringify({ ok: true, file: path, events, size, ...(blobs ? { blobs: blobs.blobs } : {}) })}\n`);
    } else {
      const told = sink ? [`${count(events)} events, ${bytes(length)}, to ${path}`] : [];
      if (blobs) told.push(`${counted(blobs.blobs, "blob")}, ${bytes(blobs.bytes)}, to ${folder}`);
      if (told.length > 0) io.err(`${told.join("; ")} in ${duration(clock.monotonic() - began)}\n`);
    }
    return 0;
  } finally {
    edge?.close();
    await reader.close();
  }
};

/** A file bears its name once all of it is there, so that one that was cut off is not taken for whole; a pipe is written as it goes. */
const begun = async (io: Io, path: string): Promise<Draft> => {
  try {
    return await io.draft(path);
  } catch (error) {
    if (!(error instanceof Usage)) throw error;
  }
  const { write, close } = await io.create(path);
  const done = async () => {};
  return { write, settle: () => Promise.resolve(close()), name: done, drop: () => Promise.resolve(close()) };
};
