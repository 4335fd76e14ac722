/** The log's file against the newest checkpoint that the keys remember: where that knows more, nothing is written. */
import { LogFault } from "../../events/log.ts";

interface Known {
  readonly size: number;
}

/**
 * Something else of the log's name, such as a pipe, is not opened, and in the place of a log that was emptied or lost none is begun. Throws
 * `LogFault`: `foreign`, `truncated`.
 */
export const expectThere = async (path: string, known: Known | undefined): Promise<void> => {
  const there = await Deno.stat(path).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
  if (there && !there.isFile) throw new LogFault("foreign", `${path} is no file`);
  if (!known || (there && there.size > 0)) return;
  throw new LogFault(
    "truncated",
    `${path} is ${
      there ? "empty" : "not there"
    }, but a checkpoint of size ${known.size} is known; restore it from a backup`,
  );
};

/** A log that ends before a checkpoint that is known has lost events, or was put back; going on would fork it. Throws `LogFault` `truncated`. */
export const expectWhole = (log: Known, known: Known | undefined): void => {
  if (!known || known.size <= log.size) return;
  throw new LogFault(
    "truncated",
    `the log ends at ${log.size}, but a checkpoint of size ${known.size} is known; it can be read, not written`,
  );
};
