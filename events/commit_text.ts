/**
 * How every adapter that tells of commits names a repository and words what people wrote, so that the same commit is told in
 * the same way whoever tells it.
 */
import { COMMIT_LIMITS, type CommitRecorded } from "./commits.ts";
import { looksSealed } from "./personal.ts";

/** Bytes of what people wrote in one commit, so that sealed it stays below an entry. */
export const WORDS_LIMITS = {
  message_bytes_max: 16_000,
  /** Of a name or an address; more is cut and ends in `…`. */
  person_bytes_max: 500,
} as const;

/** What stands in a subject where a person was named. */
const MASK = "[personal]";

// GitHub's names are the same in upper and lower case, and its webhooks spell them as their owner did.
const CASELESS = new Set(["github.com"]);

/**
 * The URL of a remote as the one name of the repository: `https://host/path`, whatever the protocol, without user, password,
 * port of ssh, query, `.git` or a slash at the end. `undefined` for one on this machine.
 */
export const repositorySource = (remote: string): string | undefined => {
  const scp = /^(?:[^/@:]+@)?([^/@:]{2,}):(?!\/\/)(.+)$/.exec(remote);
  const url = URL.parse(scp ? `ssh://${scp[1]}/${scp[2]!.replace(/^\/+/, "")}` : remote);
  if (!url || !/^(?:https?|ssh|git|git\+ssh|ftps?):$/.test(url.protocol) || url.hostname === "") return undefined;
  const host = url.hostname.toLowerCase() + (/^https?:$/.test(url.protocol) && url.port !== "" ? `:${url.port}` : "");
  const path = url.pathname.replace(/\/+$/, "").replace(/\.git$/, "").replace(/\/{2,}/g, "/");
  return `https://${host}${CASELESS.has(host) ? path.toLowerCase() : path}`;
};

export interface Person {
  readonly name: string;
  readonly email: string;
}

/** The part of `commits.commit.recorded` that people wrote: who they are, the subject for everybody, the message for few. */
export type Words = Pick<CommitRecorded, "author" | "committer" | "subject" | "message_cut">;

export const commitWords = (
  said: { readonly author: Person; readonly committer: Person; readonly message: string },
): Words => {
  const [author, committer] = [person(said.author), person(said.committer)];
  const message = said.message.replace(/^(?:[ \t\r]*\n)+|\s+$/g, "");
  const subject = shortened(masked(subjectOf(message), [author, committer]), COMMIT_LIMITS.subject_chars_max);
  const kept = clipped(message, WORDS_LIMITS.message_bytes_max);
  const told = plain(kept.text);
  return {
    author: { ...author, ...(message === subject || told === "" ? {} : { message: told }) },
    ...(author.name === committer.name && author.email === committer.email ? {} : { committer }),
    subject: plain(subject),
    ...(kept.left > 0 ? { message_cut: kept.left } : {}),
  };
};

const person = ({ name, email }: Person): Person => ({ email: bounded(email), name: bounded(name) });

const bounded = (text: string): string => {
  const { text: kept, left } = clipped(text, WORDS_LIMITS.person_bytes_max);
  return plain(left > 0 ? `${kept}…` : text);
};

/** Of text that only looks sealed nothing is kept, so that whoever writes it keeps no commit out. */
const plain = (text: string): string => looksSealed(text) ? "" : text;

const shortened = (text: string, max: number): string =>
  text.length <= max ? text : `${text.slice(0, max - 1).replace(/[\ud800-\udbff]$/, "")}…`;

const utf8 = new TextEncoder();
const text = new TextDecoder("utf-8", { ignoreBOM: true });

/** The longest beginning of at most `max` UTF-8 bytes that splits no character, and how many bytes are left out. */
const clipped = (whole: string, max: number): { readonly text: string; readonly left: number } => {
  if (whole.length * 3 <= max) return { text: whole, left: 0 };
  const bytes = utf8.encode(whole);
  if (bytes.length <= max) return { text: whole, left: 0 };
  let end = max;
  while (end > 0 && (bytes[end]! & 0xc0) === 0x80) end--;
  return { text: text.decode(bytes.subarray(0, end)), left: bytes.length - end };
};

/** First paragraph in one line, as git's `%s`; control characters become spaces. */
const subjectOf = (message: string): string => inOneLine(message.split(/\n[ \t\r]*\n/, 1)[0]!);

// deno-lint-ignore no-control-regex
const inOneLine = (text: string): string => text.replace(/[\x00-\x20\x7f-\x9f]+/g, " ").trim();

const ADDRESS = /[^\s<>()[\],;:"']+@[^\s<>()[\],;:"']*[^\s<>()[\],;:"'.!?]/g;
// The forge writes the owner of the branch, a person's login as a rule.
const MERGED_FROM = /^(Merge pull request #\d+ from )[^/\s]+(?=\/)/;
const NAME_CHARS_MIN = 3;
// Written without spaces between words, or with what belongs to a name right behind it: a name begins and ends anywhere, and is short.
const CLOSE = String
  .raw`[\p{Script_Extensions=Han}\p{Script_Extensions=Hiragana}\p{Script_Extensions=Katakana}\p{Script_Extensions=Hangul}\p{Script_Extensions=Thai}\p{Script_Extensions=Lao}\p{Script_Extensions=Khmer}\p{Script_Extensions=Myanmar}]`;
const OPEN = String.raw`[[\p{L}\p{N}]--${CLOSE}]`;
const BEGINS_CLOSE = new RegExp(`^${CLOSE}`, "v");
const ENDS_CLOSE = new RegExp(`${CLOSE}$`, "v");
const CLOSE_CHARS_MIN = 2;
// It commits what is merged on its pages, and is a word that many subjects need.
const NOBODY = "noreply@github.com";

const masked = (subject: string, people: readonly Person[]): string => {
  let text = subject.includes("@") ? subject.replace(ADDRESS, MASK) : subject;
  text = text.replace(MERGED_FROM, `$1${MASK}`);
  // As they stand in one line; who is called as the other and more than that comes first, or the rest of the name would stay.
  const words = people.flatMap(({ name, email }) => email === NOBODY ? [] : [inOneLine(name), inOneLine(email)])
    .sort((a, b) => b.length - a.length);
  for (const word of words) {
    const [from, to] = [BEGINS_CLOSE.test(word), ENDS_CLOSE.test(word)];
    if (word.length < (from && to ? CLOSE_CHARS_MIN : NAME_CHARS_MIN) || !text.includes(word)) continue;
    const pattern = `${from ? "" : `(?<!${OPEN})`}${RegExp.escape(word)}${to ? "" : `(?!${OPEN})`}`;
    text = text.replace(new RegExp(pattern, "gv"), MASK);
  }
  return text;
};
