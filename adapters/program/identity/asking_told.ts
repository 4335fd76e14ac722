/** What is said to who types a command that cannot be undone, in a running folder and before a copy is brought back. */
import { Refused } from "../../cli/runtime.ts";

export const CODE_WANTED = "This cannot be undone: repeat it with --code and a code of your second factor";
export const PASSWORD_WANTED =
  "This cannot be undone: repeat it with --password-file and your password (- for standard input)";
export const FACTOR_MISSING =
  "Others who may do this have a second factor, and you are to have one, too: deno task daybook factors add";

/** What was shown does not count. */
export const notShown = (wanted: "password" | "second_factor"): Refused =>
  wanted === "password"
    ? new Refused("password_refused", "The password is another one, or the account takes none now")
    : new Refused("code_refused", "This code does not fit, or was taken already");
