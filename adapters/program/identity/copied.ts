/**
 * Before a backup is brought back: who does it shows what the accounts in it have. All is read from the copy, and nothing is written
 * there, so a code that is shown counts at the moment it was typed, and is not used up.
 */
import { type Account, evolve, nobody } from "../../../actors/identity/account.ts";
import { provenBy } from "../../../actors/identity/factor.ts";
import type { Clock } from "../../../actors/kernel/world.ts";
import type { Millis } from "../../../events/event.ts";
import type { IdentityFact } from "../../../events/identity/mod.ts";
import { type EventLog, LogFault } from "../../../events/log.ts";
import type { Shown } from "../../cli/persons.ts";
import { Refused } from "../../cli/runtime.ts";
import { hashed } from "../../hash_wasm/hashing.ts";
import type { Keys } from "../../keys/keys.ts";
import { askingOf } from "./asking.ts";
import { CODE_WANTED, notShown, PASSWORD_WANTED } from "./asking_told.ts";
import { Codes } from "./codes.ts";
import { accountName } from "./names.ts";
import { Passwords, takesPasswords } from "./passwords.ts";

export interface Copy {
  readonly keys: Pick<Keys, "accounts" | "secret" | "isErased">;
  readonly log: Pick<EventLog, "read">;
}

const TYPES = [
  "identity.account.created",
  "identity.account.disabled",
  "identity.account.enabled",
  "identity.account.offboarded",
  "identity.account.locked",
  "identity.account.unlocked",
  "identity.password.set",
  "identity.role.granted",
  "identity.role.revoked",
  "identity.factor.enrolled",
  "identity.factor.removed",
  "identity.factor.verified",
] as const;

/** Throws `Refused` unless nobody is to be asked, or what was shown counts at that time. */
export const proveInCopy = async ({ keys, log }: Copy, shown: Shown, at: Millis): Promise<void> => {
  if (keys.accounts.all().length === 0) return;
  const { wanted, accounts } = await askingOf(accountsIn(log, keys), log);
  if (wanted === "nothing") return;
  const id = shown.account === undefined ? undefined : idOf(shown.account, keys);
  if (shown.account === undefined) throw new Refused("account_wanted", ACCOUNT_WANTED);
  const clock = { now: () => at };
  const state = id === undefined ? undefined : accounts.get(id);
  const fits = wanted === "password" ? passwordFits : codeFits;
  if (!await fits({ id: id ?? "", state: state ?? nobody, keys, clock }, shown)) throw notShown(wanted);
};

const ACCOUNT_WANTED =
  "The backup has accounts, and one of them is to agree: repeat it with --account and its name, and what it has to show";

const ARCHIVE_WANTED =
  "The backup has accounts, and what its log says of them was archived: repeat it with --archive and the archive's folder";

interface Who {
  readonly id: string;
  readonly state: Account;
  readonly keys: Copy["keys"];
  readonly clock: Pick<Clock, "now">;
}

const codeFits = ({ id, state, keys, clock }: Who, { code }: Shown): boolean => {
  if (code === undefined) throw new Refused("factor_wanted", CODE_WANTED);
  const codes = new Codes({ vault: keys.accounts, backupSecret: () => keys.secret("backup-codes"), clock });
  const second = codes.find(id, state, code);
  return second !== undefined && provenBy(state, second, id).ok;
};

const passwordFits = async ({ id, state, keys, clock }: Who, { password }: Shown): Promise<boolean> => {
  if (password === undefined) throw new Refused("password_wanted", PASSWORD_WANTED);
  if (state.password === null || !takesPasswords(state, clock)) return false;
  const passwords = new Passwords({
    vault: keys.accounts,
    hashing: { hash: hashed },
    wanted: NOT_KEPT,
    random: (bytes) => new Uint8Array(bytes),
  });
  return (await passwords.check(id, state, password)).fits;
};

/** What is computed where a hash is missing that the log names. */
const NOT_KEPT = { memory_kib: 19_456, passes: 2, lanes: 1 } as const;

const idOf = (typed: string, { accounts }: Copy["keys"]): string | undefined => {
  const name = accountName(typed);
  return name === undefined ? undefined : accounts.find(name);
};

const accountsIn = (log: Copy["log"], keys: Copy["keys"]): ReadonlyMap<string, Account> => {
  const found = new Map<string, Account>();
  try {
    for (const page of log.read({ types: TYPES })) {
      for (const event of page) {
        const id = event.stream.slice("identity/".length);
        found.set(id, evolve(found.get(id) ?? nobody, event as unknown as IdentityFact));
      }
    }
  } catch (error) {
    if (!(error instanceof LogFault) || error.kind !== "archived") throw error;
    throw new Refused("archive_wanted", ARCHIVE_WANTED);
  }
  for (const id of found.keys()) if (keys.isErased(id)) found.delete(id);
  return found;
};
