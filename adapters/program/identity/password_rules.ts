/**
 * What a password must be: exactly OWASP ASVS 5.0 section V6.2. Long enough, not one that everybody guesses first, and nothing else: no
 * kinds of characters are asked for (6.2.5), nothing is cut, folded or normalised (6.2.8), and none grows old (6.2.10).
 */
export const PASSWORD_LIMITS = {
  /** Longer ones are refused whole, never cut; ASVS asks for 64 at least (6.2.9). */
  chars_max: 1_024,
} as const;

export interface PasswordRules {
  /** In characters (6.2.1). */
  readonly length_min: number;
  /** Words of the context (6.2.11): of the company, the product, the account. */
  readonly words: readonly string[];
  /** Passwords of breaches, where a file of them is there (6.2.12). */
  readonly breached?: { has(password: string): Promise<boolean> } | undefined;
}

/** Why it cannot be taken; `undefined` when it can. */
export type PasswordFault = "too_short" | "too_long" | "common" | "context" | "breached";

let common: ReadonlySet<string> | undefined;

/** 49,233 from leaked lists, in small letters; some 18,000 of them have eight characters or more (6.2.4 asks for 3,000). */
const commonPasswords = async (): Promise<ReadonlySet<string>> => {
  if (!common) {
    const { dictionary } = await import("@zxcvbn-ts/language-common");
    common = new Set(dictionary["passwords-common"] as readonly string[]);
  }
  return common;
};

/** Letters alone, in small: what is left of `Daybook-2026!` is `daybook`. */
const core = (text: string): string => text.toLowerCase().replace(/[^\p{L}]+/gu, "");

export const passwordFault = async (
  password: string,
  { length_min, words, breached }: PasswordRules,
): Promise<PasswordFault | undefined> => {
  const length = [...password].length;
  if (length < length_min) return "too_short";
  if (length > PASSWORD_LIMITS.chars_max) return "too_long";
  if ((await commonPasswords()).has(password.toLowerCase())) return "common";
  const left = core(password);
  if (words.some((word) => core(word).length >= 3 && repeats(left, core(word)))) return "context";
  return await breached?.has(password) ? "breached" : undefined;
};

/** Whether a text is nothing but a word, once or several times. */
const repeats = (text: string, word: string): boolean =>
  text !== "" && text.length % word.length === 0 && text === word.repeat(text.length / word.length);

export const FAULT_TOLD: Readonly<Record<PasswordFault, string>> = {
  too_short: "is too short",
  too_long: `has more than ${PASSWORD_LIMITS.chars_max} characters`,
  common: "is among those that are guessed first",
  context: "is a name that is known here, with something added",
  breached: "is known from a breach of others",
};
