/** Waiting for what others do. It has an end, and then says what was waited for and what was seen last. */

/** How long anything may take on a busy machine. */
const PATIENCE_S = 120;
/** Most things come at once: looked at after so long, then after twice as long each time, up to every so often. */
const FIRST_MS = 1, EVERY_MS = 20;

const textOf = (seen: unknown): string =>
  typeof seen === "string" ? seen : Deno.inspect(seen, { depth: 6, strAbbreviateSize: 10_000 });

/** What comes of it, if that comes in time; `seen` is told where it does not. */
export const within = async <T>(
  what: string,
  coming: Promise<T>,
  { seconds = PATIENCE_S, seen }: { readonly seconds?: number; readonly seen?: () => unknown } = {},
): Promise<T> => {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    late.reject(new Error(`not within ${seconds} s: ${what}${seen ? `; seen last: ${textOf(seen())}` : ""}`));
  }, seconds * 1_000);
  try {
    return await Promise.race([coming, late.promise]);
  } finally {
    clearTimeout(timer);
  }
};

/**
 * Looks again and again until what is seen holds, and answers with that. A look that does not come back is late too. `every_ms`: how
 * often, where a look is dear.
 */
export const until = async <T>(
  what: string,
  look: () => T | Promise<T>,
  holds: (seen: T) => boolean = Boolean,
  { seconds = PATIENCE_S, every_ms }: { readonly seconds?: number; readonly every_ms?: number } = {},
): Promise<T> => {
  const before = performance.now() + seconds * 1_000;
  let last: T | undefined;
  const seen = () => last;
  for (let wait = every_ms ?? FIRST_MS;; wait = every_ms ?? Math.min(2 * wait, EVERY_MS)) {
    const left = (before - performance.now()) / 1_000;
    last = await within(what, Promise.resolve(look()), { seconds: Math.max(left, 0.001), seen });
    if (holds(last)) return last;
    if (left <= 0) throw new Error(`not within ${seconds} s: ${what}; seen last: ${textOf(last)}`);
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
};

/** Reads on until it holds of all that was read, and answers with that; the stream must not end before. */
export const heard = async (
  what: string,
  reader: ReadableStreamDefaultReader<string>,
  holds: (text: string) => boolean,
  options: { readonly seconds?: number } = {},
): Promise<string> => {
  let text = "";
  const reading = async () => {
    while (!holds(text)) {
      const { value, done } = await reader.read();
      if (done) throw new Error(`it ended before ${what}: ${text}`);
      text += value;
    }
    return text;
  };
  return await within(what, reading(), { ...options, seen: () => text });
};

/** A program's end and all it said. One that does not end is killed, and the test fails with what it had said by then. */
export const ended = async (
  what: string,
  child: Deno.ChildProcess,
  options: { readonly seconds?: number } = {},
): Promise<{ readonly code: number; readonly out: string; readonly err: string }> => {
  const said = { out: "", err: "" };
  const listen = async (stream: ReadableStream<Uint8Array<ArrayBuffer>>, to: "out" | "err") => {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) said[to] += text;
  };
  const all = Promise.all([child.status, listen(child.stdout, "out"), listen(child.stderr, "err")]);
  try {
    const [{ code }] = await within(`the end of ${what}`, all, { ...options, seen: () => said });
    return { code, ...said };
  } catch (error) {
    signal(child, "SIGKILL");
    throw error;
  }
};

/** Sends a signal to a program that may have ended. */
export const signal = (child: Deno.ChildProcess, name: Deno.Signal): void => {
  try {
    child.kill(name);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
  }
};

/** Sends a signal and waits for the end that it brings. */
export const stopped = async (
  child: Deno.ChildProcess,
  name: Deno.Signal = "SIGTERM",
  seen?: () => unknown,
): Promise<Deno.CommandStatus> => {
  signal(child, name);
  try {
    return await within(`the end after ${name}`, child.status, { seen });
  } catch (error) {
    signal(child, "SIGKILL");
    throw error;
  }
};
