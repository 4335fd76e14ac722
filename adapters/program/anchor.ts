/**
 * Anchoring a log off its machine: the newest checkpoint goes to a witness (https://c2sp.org/tlog-witness), which cosigns it if it extends
 * what the witness has seen. The cosigned checkpoint is what `verify --against` holds the log to.
 */
import { type Checkpoint, type HashTree, LogFault } from "../../events/log.ts";
import type { AnchorReport } from "../cli/runtime.ts";
import { NotProven, verifyNote } from "../verify/library.ts";
import { readVerifierKey } from "../verify/note.ts";

/** A witness that others use too may have moved on between two questions; so often it is asked again. */
const ATTEMPTS_MAX = 4;
const ANSWER_BYTES_MAX = 65_536;
/** What a refusal says of who asked (tlog-witness, "add-checkpoint"). */
const REFUSED: Readonly<Record<number, string>> = {
  403: ": no signature of it is by a key that it has of this log",
  404: ": it does not know this log, or there is no witness at this URL",
};

export interface Anchoring {
  readonly checkpoint: Checkpoint;
  readonly tree: Pick<HashTree, "consistency">;
  /** The witness's public key, of cosignatures. */
  readonly key: string;
  /** Posts to the witness's `add-checkpoint`. */
  readonly post: (body: string) => Promise<Response>;
}

/** Throws `LogFault`: `invalid` for a key that is none, `io` when the witness cannot be asked or does not answer as one. */
export const anchor = async ({ checkpoint, tree, key, post }: Anchoring): Promise<AnchorReport> => {
  checkKey(key);
  const { origin, size } = checkpoint;
  let old = 0;
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const proof = old === 0 || old === size ? [] : tree.consistency(old, size);
    if (!proof) throw new LogFault("io", `Cannot prove that the log extends its first ${old} events`);
    const lines = [`old ${old}`, ...proof.map((hash) => hash.toBase64())];
    const { status, body } = await asked(() => post(`${lines.join("\n")}\n\n${checkpoint.note}`));
    if (status === 200) return { ok: true, origin, size, note: cosigned(checkpoint.note, body, key) };
    if (status === 422) return { ok: false, because: `the witness has seen another past of ${old} events` };
    if (status !== 409) {
      throw new LogFault("io", `The witness refused the checkpoint with ${status}${REFUSED[status] ?? ""}`);
    }
    const known = /^(0|[1-9]\d{0,15})\n$/.test(body) ? Number(body) : undefined;
    if (known === undefined) throw new LogFault("io", "The witness answered 409 without a size");
    if (known > size) return { ok: false, because: `the witness has seen ${known} events, the checkpoint has ${size}` };
    if (known === old && old === size) {
      return { ok: false, because: `the witness has seen another root of ${size} events` };
    }
    old = known;
  }
  throw new LogFault("io", "The witness was busy with others each time it was asked");
};

const asked = async (
  post: () => Promise<Response>,
): Promise<{ readonly status: number; readonly body: string }> => {
  try {
    const answer = await post();
    return { status: answer.status, body: await bodyOf(answer) };
  } catch (error) {
    const { message, cause } = error as Error; // of a fetch the cause alone says where to, and why not
    const said = cause instanceof Error ? cause.message : message;
    throw new LogFault("io", `Cannot ask the witness: ${said}`, { cause: error });
  }
};

/** Of one that says more than a witness has to say, the beginning; the rest is not waited for. */
const bodyOf = async ({ body }: Response): Promise<string> => {
  const utf8 = new TextDecoder();
  let [text, bytes] = ["", 0];
  for await (const piece of body ?? []) {
    text += utf8.decode(piece, { stream: true });
    bytes += piece.length;
    if (bytes >= ANSWER_BYTES_MAX) break;
  }
  return text.slice(0, ANSWER_BYTES_MAX);
};

const checkKey = (key: string): void => {
  if (readVerifierKey(key)?.signs === "time and text") return;
  throw new LogFault("invalid", "Cannot ask the witness: its key is name+id+key, of type 0x04 (cosignature)");
};

/** The checkpoint with those lines that are the witness's; what others have signed is passed over (tlog-witness). */
const cosigned = (note: string, lines: string, key: string): string => {
  const text = note.slice(0, note.lastIndexOf("\n\n") + 2);
  for (const line of lines.split("\n").filter((one) => one !== "")) {
    try {
      verifyNote(`${text}${line}\n`, [key]);
      return `${note}${line}\n`;
    } catch (error) {
      if (!(error instanceof NotProven)) throw error;
    }
  }
  throw new LogFault("io", "The witness answered without a cosignature of its key");
};
