/** What `receipt --check` tells: the verifier's answer, without what the entry holds. */
import type { Event } from "../../events/event.ts";
import { LogFault } from "../../events/log.ts";
import type { ReceiptReport } from "../cli/runtime.ts";
import { NotProven } from "../verify/library.ts";
import { checkReceipt } from "../verify/receipt.ts";

/** What a receipt proves by one of these keys; of the entry its header alone is told. Throws `LogFault` `invalid` for a key that is none. */
export const receiptReport = (text: string, keys: readonly string[]): ReceiptReport => {
  try {
    const { index, entry, origin, size, root, names } = checkReceipt(text, keys);
    const event = headerOf(entry);
    return {
      ok: true,
      position: index,
      size,
      root: root.toBase64(),
      origin,
      signed: names,
      ...(event ? { event } : {}),
    };
  } catch (error) {
    if (error instanceof NotProven) return { ok: false, because: error.message };
    if (error instanceof TypeError) throw new LogFault("invalid", `Cannot check the receipt: ${error.message}`);
    throw error;
  }
};

const headerOf = (entry: Uint8Array): Partial<Event> | undefined => {
  try {
    const { type, stream, revision, position, recordedat, source, id } = JSON.parse(new TextDecoder().decode(entry));
    return { type, stream, revision, position, recordedat, source, id };
  } catch {
    return undefined;
  }
};
