/**
 * A tiny witness (https://c2sp.org/tlog-witness): it remembers the newest checkpoint it has seen of each log it knows, and cosigns
 * (https://c2sp.org/tlog-cosignature) another only if it extends that one. So a log that it cosigns cannot show different people
 * different pasts. It is to run elsewhere than the log, under somebody else's hand.
 */
import type { Cosigner } from "../keys/note.ts";
import { NotProven, parseCheckpoint, verifyConsistency, verifyNote } from "../verify/library.ts";
import { fromBase64, readCheckpoint, readNote } from "../verify/note.ts";
import { merkleRoot } from "../verify/library.ts";
import { sameBytes } from "../verify/block.ts";

export const WITNESS_LIMITS = {
  /** A request's body. Over it: 413. */
  body_bytes_max: 131_072,
  /** Hashes of a proof (tlog-witness). Over it: 400. */
  proof_lines_max: 63,
} as const;

/** What is remembered of a log. */
export interface Seen {
  readonly size: number;
  /** Base64. */
  readonly root: string;
}

export interface WitnessOptions {
  /** Public keys of the logs it knows, `name+id+key`; a log's origin is its key's name. Several keys of one name are one log's. */
  readonly logs: readonly string[];
  readonly cosigner: Cosigner;
  readonly memory: {
    get(origin: string): Seen | undefined;
    /** Durable when it returns. */
    set(origin: string, seen: Seen): void;
  };
  /** Seconds since 1970. */
  readonly now: () => number;
}

export interface Answer {
  readonly status: 200 | 400 | 403 | 404 | 409 | 422;
  readonly body: string;
  readonly type: string;
}

const TEXT = "text/plain; charset=utf-8";
const no = (status: Answer["status"], body: string): Answer => ({ status, body: `${body}\n`, type: TEXT });

/** Answers `POST add-checkpoint`. Never throws for what is in the body; looking and remembering are one step, for nothing here waits. */
export const addCheckpoint = (body: string, { logs, cosigner, memory, now }: WitnessOptions): Answer => {
  const asked = readRequest(body);
  if (!asked) return no(400, "The body is not an old size, a proof and a checkpoint, as tlog-witness has them.");
  const { old, proof, note } = asked;
  const claimed = readCheckpoint(readNote(note)!.text)!;
  const keys = logs.filter((vkey) => vkey.slice(0, vkey.indexOf("+")) === claimed.origin);
  if (keys.length === 0) return no(404, "This log is not known here.");
  let text: string;
  try {
    ({ text } = verifyNote(note, keys));
  } catch (error) {
    if (error instanceof NotProven) return no(403, "No key that is known here has signed the checkpoint.");
    throw error;
  }
  const { origin, size, root } = parseCheckpoint(text);
  if (old > size) return no(400, "The old size is larger than the checkpoint's.");
  const seen = memory.get(origin);
  const conflict: Answer = { status: 409, body: `${seen?.size ?? 0}\n`, type: "text/x.tlog.size" };
  if (old !== (seen?.size ?? 0)) return conflict;
  if (old === 0) {
    if (proof.length > 0 || (size === 0 && !sameBytes(root, merkleRoot([])))) {
      return no(422, "The proof does not hold.");
    }
  } else {
    const before = fromBase64(seen!.root)!;
    if (old === size && !sameBytes(before, root)) return conflict;
    if (!verifyConsistency({ size1: old, size2: size, proof, root1: before, root2: root })) {
      return no(422, "The proof does not hold.");
    }
  }
  memory.set(origin, { size, root: claimed.root });
  return { status: 200, body: cosigner.cosign(text, now()), type: TEXT };
};

interface Asked {
  readonly old: number;
  readonly proof: readonly Uint8Array[];
  readonly note: string;
}

/** An old size line, proof lines, an empty line, and a signed note whose text is a checkpoint's. */
const readRequest = (body: string): Asked | undefined => {
  const blank = body.indexOf("\n\n");
  if (blank < 0) return undefined;
  const [first, ...lines] = body.slice(0, blank).split("\n");
  const old = Number(/^old (0|[1-9]\d{0,15})$/.exec(first!)?.[1] ?? NaN);
  const proof = lines.map(fromBase64);
  if (!Number.isSafeInteger(old) || proof.length > WITNESS_LIMITS.proof_lines_max) return undefined;
  if (proof.some((hash) => hash?.length !== 32)) return undefined;
  const note = body.slice(blank + 2);
  const read = readNote(note);
  return read && readCheckpoint(read.text) ? { old, proof: proof as Uint8Array[], note } : undefined;
};

/** The witness over HTTP: `POST /add-checkpoint` and nothing else. */
export const witnessHandler = (options: WitnessOptions) => async (request: Request): Promise<Response> => {
  const { pathname } = new URL(request.url);
  const say = (
    { status, body, type, ...more }: Omit<Answer, "status"> & { readonly status: number; readonly allow?: string },
  ) => new Response(body, { status, headers: { "content-type": type, "cache-control": "no-store", ...more } });
  if (pathname !== "/add-checkpoint") return say({ ...no(404, "There is nothing here."), status: 404 });
  if (request.method !== "POST") return say({ ...no(400, "A checkpoint is posted."), status: 405, allow: "POST" });
  let body: string | undefined;
  try {
    body = await bodyOf(request);
  } catch {
    return say({ ...no(400, "The body was cut off."), status: 400 }); // whoever asks has gone, or we are to stop
  }
  if (body === undefined) return say({ ...no(400, "The body is too large."), status: 413 });
  return say(addCheckpoint(body, options));
};

/** `undefined` when it is longer than it may be. */
const bodyOf = async (request: Request): Promise<string | undefined> => {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of request.body ?? []) {
    length += part.length;
    if (length > WITNESS_LIMITS.body_bytes_max) return undefined;
    parts.push(part);
  }
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return new TextDecoder().decode(whole);
};
