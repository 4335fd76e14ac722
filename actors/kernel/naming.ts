/** What callers may name: entities and commands; and how what does not parse is said. */
import { LIMITS } from "../../events/log.ts";
import type { Issue } from "./daybook.ts";

/** Room for the index behind the command's key. */
const KEY_BYTES_MAX = LIMITS.attribute_bytes_max - 8;

const PLAIN = /^[\x20-\x7e]+$/;
const PRINTABLE = /^[^\p{Cc}\p{Cs}]+$/u;
const bytesOf = (text: string): number => new TextEncoder().encode(text).length;

/** Why there can be no entity of this id. `stream` is the domain and the id. */
export const streamFault = (stream: string, id: string): string | undefined => {
  if (id === "") return "the entity's id must not be empty";
  // No URL could name it (RFC 3986 section 5.2.4).
  if (id === "." || id === "..") return "the entity's id must not be a step in a path";
  if (!PRINTABLE.test(id)) return "the entity's id must be printable";
  if (bytesOf(stream) <= LIMITS.stream_bytes_max) return undefined;
  return `domain and id together have at most ${LIMITS.stream_bytes_max} bytes`;
};

/** Why a command cannot have this id. `key` is the caller and the id. */
export const commandFault = (command: string, key: string): string | undefined => {
  if (PLAIN.test(command) && 3 * key.length <= KEY_BYTES_MAX) return undefined;
  if (command !== "" && PRINTABLE.test(command) && bytesOf(key) <= KEY_BYTES_MAX) return undefined;
  return `the command's id must be printable and, with the caller's, have 1 to ${KEY_BYTES_MAX} bytes`;
};

/** A parser's issue, its path as a JSON Pointer (RFC 6901). */
export const issueOf = (
  { path, message }: { readonly path: readonly PropertyKey[]; readonly message: string },
): Issue => ({
  path: path.map((step) => "/" + String(step).replaceAll("~", "~0").replaceAll("/", "~1")).join(""),
  message,
});
