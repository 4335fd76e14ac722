/** What a log says of itself as a whole: the row under `["format"]`. */
import { LogFault } from "../../events/log.ts";
import type { Key } from "../../events/store.ts";

export const FORMAT_KEY: Key = ["format"];
const FORMAT = 1;

interface Format {
  readonly format: number;
  /** What blocks, pages of the index and chunks of blobs are sealed under (`Sealing.check`); absent where they are clear. */
  readonly seal?: string;
}

const utf8 = new TextEncoder();
const fromUtf8 = new TextDecoder();

export const encodeFormat = (seal: string | undefined): Uint8Array =>
  utf8.encode(JSON.stringify({ format: FORMAT, ...(seal === undefined ? {} : { seal }) } satisfies Format));

/** Throws `LogFault` `newer`, or `foreign` for what is no format. */
export const decodeFormat = (bytes: Uint8Array): Format => {
  let read: Format;
  try {
    read = JSON.parse(fromUtf8.decode(bytes));
  } catch (cause) {
    throw new LogFault("foreign", "the log's format cannot be read", { cause });
  }
  const { format, seal } = read;
  if (format !== FORMAT) throw new LogFault("newer", `the log has format ${format}, this program knows ${FORMAT}`);
  return { format, seal };
};

/** Throws `LogFault` `sealed` where the log is not read as it was written. */
export const expectSeal = (written: string | undefined, read: string | undefined): void => {
  if (written === read) return;
  throw new LogFault(
    "sealed",
    written === undefined
      ? "the log is not sealed, and was to be read as one that is"
      : read === undefined
      ? "the log is sealed at rest, and nothing in it can be read without its key, which is in the folder's key database"
      : "the log is sealed at rest under another key than the one handed in",
  );
};
