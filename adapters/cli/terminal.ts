/** Standard streams, the environment, signals and small files of this process. */
import { ofOpen } from "../../actors/kernel/intake.ts";
import { Usage } from "./call.ts";
import { expectPlace, openDraft, openOutput, OutputFault, writeAll, writePrivate } from "./draft.ts";
import { type Io, OutputClosed } from "./io.ts";

const COLUMNS_DEFAULT = 80;
/** Of a text that is read as a whole: what becomes of it takes many times its memory. */
const TEXT_MIB_MAX = 64;
const utf8 = new TextEncoder();
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Text of a person's: what is not UTF-8 would be recorded as something else than was written. */
const textOf = async (readable: ReadableStream<Uint8Array<ArrayBuffer>>, name: string): Promise<string> => {
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  let length = 0;
  try {
    for await (const piece of readable) {
      // A pipe, a device, and a file that is being written may have no end.
      length += piece.length;
      if (length > TEXT_MIB_MAX * 1_048_576) throw new Usage(`${name} is longer than ${TEXT_MIB_MAX} MiB`);
      pieces.push(piece);
    }
  } catch (error) {
    throw ofOpen(error, name);
  }
  try {
    return strict.decode(await new Blob(pieces).bytes());
  } catch {
    throw new Usage(`${name} is not UTF-8`);
  }
};

export const fileText = async (path: string): Promise<string> => textOf((await Deno.open(path)).readable, path);

/** Of what has no end, such as a pipe, nothing is read. */
export const regularText = async (path: string): Promise<string> => {
  if (!(await Deno.stat(path)).isFile) throw new Usage(`${path} is no file`);
  return await fileText(path);
};

/**
 * `env` reads a variable; unset and not granted are the same to us. `stop` does what a signal would; false when nobody listens.
 */
export const terminal = (env: (name: string) => string | undefined): Io & { stop(): boolean } => {
  const stops = new Set<() => void>();
  const isTerminal = { out: Deno.stdout.isTerminal(), err: Deno.stderr.isTerminal() };
  return {
    out(text) {
      try {
        writeAll(Deno.stdout, utf8.encode(text));
      } catch (error) {
        if (error instanceof Deno.errors.BrokenPipe) {
          throw new OutputClosed("standard output was closed", { cause: error });
        }
        throw new OutputFault(error, "to standard output");
      }
    },
    err(text) {
      try {
        writeAll(Deno.stderr, utf8.encode(text));
      } catch {
        // Whoever listened is gone, or their disk is full; what is said here is for people only, so the work goes on.
      }
    },
    terminal: isTerminal,
    get columns() {
      return isTerminal.out || isTerminal.err ? Deno.consoleSize().columns || COLUMNS_DEFAULT : COLUMNS_DEFAULT;
    },
    env,
    cwd: standingIn(Deno.cwd(), env("INIT_CWD")),
    async readText(path) {
      // What has no end, such as a named pipe that nobody writes to, would be waited for.
      if (!(await Deno.stat(path)).isFile && !await isOpenPipe(path)) throw new Usage(`${path} is no file`);
      return await fileText(path);
    },
    readTail: tailOf,
    readInput: () => textOf(Deno.stdin.readable, "standard input"),
    writePrivate,
    create: openOutput,
    expectPlace,
    draft: (path) => openDraft(path, { many: true }),
    async folder(path) {
      await Deno.mkdir(path, { mode: 0o700 }).catch(async (error) => {
        if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
        if (!(await Deno.stat(path)).isDirectory) throw new Usage(`${path} is no folder`);
      });
    },
    async isEmpty(path) {
      try {
        for await (const _ of Deno.readDir(path)) return false;
        return true;
      } catch (error) {
        if (error instanceof Deno.errors.NotFound) return true;
        throw error instanceof Deno.errors.NotADirectory ? new Usage(`${path} is no folder`) : error;
      }
    },
    onStop(call) {
      // The last is a terminal that went away; the platform would end us at once, also under nohup.
      const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
      for (const signal of signals) Deno.addSignalListener(signal, call);
      stops.add(call);
      return () => {
        for (const signal of signals) Deno.removeSignalListener(signal, call);
        stops.delete(call);
      };
    },
    stop() {
      for (const call of stops) call();
      return stops.size > 0;
    },
  };
};

/** A pipe without a name that was open when this process began, as `<(command)` of a shell is: it ends with whoever writes it. */
const isOpenPipe = async (path: string): Promise<boolean> =>
  /^\/dev\/fd\/\d+$/.test(path) && (await Deno.readLink(path)).startsWith("pipe:");

/**
 * Where the person stood when typing. A task runs in the project's folder and leaves in INIT_CWD where it was started from,
 * at or below it; any other INIT_CWD is left over from something around us.
 */
export const standingIn = (cwd: string, initial: string | undefined): string =>
  initial !== undefined && (initial === cwd || initial.startsWith(cwd.endsWith("/") ? cwd : `${cwd}/`)) ? initial : cwd;

/** Whether it goes on with a character (RFC 3629). */
const isInner = (byte: number): boolean => (byte & 0xc0) === 0x80;

/** Without a character at its end of which more is to come; what is none stays. */
const wholeOf = (bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> => {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back]!;
    if (isInner(byte)) continue;
    const length = byte >= 0xf8 ? 1 : byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return length > back ? bytes.subarray(0, -back) : bytes;
  }
  return bytes;
};

/** As `Io.readTail`. */
const tailOf: Io["readTail"] = async (path, bytes, from) => {
  let file: Deno.FsFile;
  try {
    file = await Deno.open(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return { text: "", end: 0 };
    throw error;
  }
  try {
    const { size } = await file.stat();
    const start = from === undefined ? Math.max(0, size - bytes) : from > size ? 0 : Math.max(from, size - bytes);
    await file.seek(start, Deno.SeekMode.Start);
    const into = new Uint8Array(size - start);
    let read = 0;
    for (let n: number | null; read < into.length && (n = await file.read(into.subarray(read))) !== null;) read += n;
    const whole = wholeOf(into.subarray(0, read));
    // Where it does not go on from where it was, it may begin in the middle of a character.
    const begins = start === 0 || start === from ? 0 : whole.findIndex((byte) => !isInner(byte));
    return { text: new TextDecoder().decode(whole.subarray(Math.max(0, begins))), end: start + whole.length };
  } finally {
    file.close();
  }
};
