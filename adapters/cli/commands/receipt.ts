/** `receipt`: writes the proof that an event is in the log, and checks one that somebody has kept. */
import type { Event } from "../../../events/event.ts";
import { type Checkpoint, LogFault } from "../../../events/log.ts";
import { pause } from "../../../actors/kernel/world.ts";
import type { Call, Run } from "../call.ts";
import { archiveOf, list, pathOf, text, Usage, wholeFrom } from "../call.ts";
import { checkpointFile } from "../checkpoints.ts";
import { writeOutput } from "../draft.ts";
import { count, palette, safe } from "../print.ts";
import { type ReceiptReport, Refused, type Runtime } from "../runtime.ts";
import type { Reader } from "../reader.ts";
import type { ExitCode, Io } from "../io.ts";

/** A running server signs within a second; it is waited for a little longer. */
const SIGNED_MS_MAX = 3_000;
const LOOK_MS = 100;

export const receipt: Run = (call, runtime) => {
  const [position] = call.args;
  const file = text(call, "check");
  if ((position === undefined) === (file === undefined)) {
    throw new Usage("receipt takes the position of an event, or --check and a file");
  }
  if (file !== undefined) {
    if (text(call, "cosigned") !== undefined) {
      throw new Usage("--cosigned goes with a position; with --check it is --witness");
    }
    return check(call, runtime, file);
  }
  if (text(call, "key") !== undefined) throw new Usage("--key goes with --check");
  if (list(call, "witness").length > 0) throw new Usage("--witness goes with --check");
  return write(call, runtime, wholeFrom(position!, "<position>", { min: 0, max: Number.MAX_SAFE_INTEGER }));
};

/** C2SP tlog-proof with the entry as its extra data. */
const write = async (call: Call, runtime: Runtime, position: number): Promise<ExitCode> => {
  const { io } = runtime;
  const reader = await runtime.reader(call.data, archiveOf(call));
  try {
    const { size } = reader;
    if (position >= size) {
      throw new Usage(size === 0 ? "the log is empty" : `there is no event ${position}; the last is ${size - 1}`);
    }
    const given = text(call, "cosigned");
    const checkpoint = given === undefined
      ? await covering(call, runtime, { reader, position })
      : await cosigned(call, io, { reader, position, path: given });
    const proof = checkpoint && reader.tree.inclusion(position, checkpoint.size);
    if (!proof) {
      throw new LogFault("closed", `no checkpoint covers position ${position} yet; the next start signs one`);
    }
    const lines = [
      "c2sp.org/tlog-proof@v1",
      `extra ${reader.entry(position)!.toBase64()}`,
      `index ${position}`,
      ...proof.map((hash) => hash.toBase64()),
    ];
    const receipt = `${lines.join("\n")}\n\n${checkpoint.note}`;
    if (!await runtime.receiptHolds(receipt)) {
      throw new LogFault(
        "truncated",
        `the event at position ${position} is not the one that checkpoint ${checkpoint.size} is signed over, so there is no receipt for it; ` +
          "verify says where the log is not intact",
      );
    }
    const out = text(call, "out");
    if (out === undefined) {
      io.out(call.json ? `${JSON.stringify({ position, size: checkpoint.size, receipt })}\n` : receipt);
      return 0;
    }
    await writeOutput(io, pathOf(call, out), receipt);
    io.out(
      call.json
        ? `${JSON.stringify({ position, size: checkpoint.size, file: out })}\n`
        : `${safe(out)}: event ${count(position)} among the first ${count(checkpoint.size)} of ${
          safe(checkpoint.origin)
        }\n`,
    );
    return 0;
  } finally {
    await reader.close();
  }
};

/** A checkpoint of this log that somebody has kept. */
const cosigned = async (
  call: Call,
  io: Io,
  { reader, position, path }: { readonly reader: Reader; readonly position: number; readonly path: string },
): Promise<Pick<Checkpoint, "origin" | "size" | "note">> => {
  const { text: note } = await checkpointFile(call, io, { option: "cosigned", path });
  const [origin = "", said, root] = note.split("\n");
  const size = Number(said);
  if (!note.includes("\n\n")) throw new Usage(`--cosigned ${path} is signed by nobody`);
  if (size <= position) throw new Usage(`--cosigned ${path} is of ${size} events, which ${position} is not among`);
  if (reader.tree.root(size)?.toBase64() !== root) {
    throw new Refused("other_log", `--cosigned ${path} is not a checkpoint of this log`);
  }
  return { origin, size, note };
};

/** The newest checkpoint, once it covers the position: who appends beside us is about to sign. */
const covering = async (
  call: Call,
  runtime: Runtime,
  { reader, position }: { readonly reader: Reader; readonly position: number },
): Promise<Checkpoint | undefined> => {
  const { clock } = runtime;
  const newest = async () => {
    const checkpoint = await reader.checkpoint();
    return checkpoint && checkpoint.size > position ? checkpoint : undefined;
  };
  const now = await newest();
  if (now) return now;
  const remote = await runtime.remote(call.data);
  remote?.close();
  for (const began = clock.monotonic(); remote && clock.monotonic() - began < SIGNED_MS_MAX;) {
    await pause(clock, LOOK_MS);
    await reader.renew();
    const later = await newest();
    if (later) return later;
  }
  return undefined;
};

const check = async (call: Call, runtime: Runtime, file: string): Promise<ExitCode> => {
  const { io } = runtime;
  const given = text(call, "key");
  const keys = given === undefined ? await runtime.verifierKeys(call.data) : [given];
  if (keys.length === 0) throw new Usage("--check needs --key, the public key of the log, from somewhere you trust");
  const witnesses = list(call, "witness");
  const report = await runtime.checkReceipt(await io.readText(pathOf(call, file)), { keys, witnesses });
  io.out(
    call.json
      ? `${JSON.stringify({ ...report, authenticated: given !== undefined })}\n`
      : describe(report, call, runtime),
  );
  return report.ok ? 0 : 1;
};

const describe = (report: ReceiptReport, call: Call, { io }: Runtime): string => {
  const c = palette(io);
  if (!report.ok) return `${c.red("the receipt proves nothing")}: ${safe(report.because)}\n`;
  const { event, position, size, origin, root, anchored } = report;
  const lines = [
    `${c.green("the receipt holds")}: event ${count(position)} is among the first ${count(size)} of ${safe(origin)}`,
    ...(event ? [`event     ${told(event)}`] : []),
    `root      ${root}`,
    anchored
      ? `anchored  by a witness that was given`
      : `${c.yellow("unanchored")}: the log alone has signed this past (give --witness)`,
  ];
  if (text(call, "key") === undefined) {
    lines.push(
      c.yellow("key       of the data folder, not authenticated") + " (give --key from a source you trust)",
    );
  }
  return `${lines.join("\n")}\n`;
};

const told = ({ type, stream, revision, recordedat, source, id }: Partial<Event>): string =>
  `${safe(String(type))} in ${safe(String(stream))} at revision ${revision}, recorded ${safe(String(recordedat))}, id ${
    safe(String(id))
  } of ${safe(String(source))}`;
