/** What `receipt --check` tells: the verifier's answer, without what the entry holds. */
import type { Event } from "../../events/event.ts";
import { LogFault } from "../../events/log.ts";
import type { ReceiptReport } from "../cli/runtime.ts";
import { leafHash, NotProven, parseCheckpoint, verifyInclusion } from "../verify/library.ts";
import { readNote, readVerifierKey, signedBy } from "../verify/note.ts";
import { checkReceipt, readReceipt } from "../verify/receipt.ts";

/**
 * What a receipt proves by one of these keys; of the entry its header alone is told. What one of the witnesses has cosigned, too, is
 * anchored. Throws `LogFault` `invalid` for a key that is none.
 */
export const receiptReport = (
  text: string,
  keys: readonly string[],
  witnesses: readonly string[],
): ReceiptReport => {
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
      anchored: cosigned(text, witnesses),
      ...(event ? { event } : {}),
    };
  } catch (error) {
    if (error instanceof NotProven) return { ok: false, because: error.message };
    if (error instanceof TypeError) throw new LogFault("invalid", `Cannot check the receipt: ${error.message}`);
    throw error;
  }
};

/** Whether its entry is in the tree that its checkpoint is of, whoever has signed that. */
export const receiptHolds = (text: string): boolean => {
  const { index, entry, proof, note } = readReceipt(text)!;
  const { size, root } = parseCheckpoint(`${note.split("\n\n")[0]}\n`);
  return verifyInclusion({ leafHash: leafHash(entry!), index, size, proof, root });
};

/** Throws `NotProven` where what is said to be a cosignature of a witness that is believed is none, `TypeError` for a key that is none. */
const cosigned = (text: string, witnesses: readonly string[]): boolean => {
  const states = witnesses.map((vkey) => {
    const key = readVerifierKey(vkey);
    if (key?.signs !== "time and text") {
      throw new TypeError("a witness's key is name+id+key of type 0x04 (cosignature)");
    }
    const state = signedBy(readNote(readReceipt(text)!.note)!, key);
    if (state === "wrong") throw new NotProven(`the note has a wrong cosignature of ${key.name}`);
    return state;
  });
  return states.includes("signed");
};

const headerOf = (entry: Uint8Array): Partial<Event> | undefined => {
  try {
    const { type, stream, revision, position, recordedat, source, id } = JSON.parse(new TextDecoder().decode(entry));
    return { type, stream, revision, position, recordedat, source, id };
  } catch {
    return undefined;
  }
};
