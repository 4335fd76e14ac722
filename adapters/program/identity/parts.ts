/** What the parts of identity share. */
import type { Principal } from "../../../actors/kernel/daybook.ts";
import type { Clock } from "../../../actors/kernel/world.ts";
import type { Roles } from "../../../config/access.ts";
import type { Config } from "../../../config/config.ts";
import type { Event, StreamId } from "../../../events/event.ts";
import type { Wait } from "../../http/identity/port.ts";
import type { RateLimiter } from "../../http/rate.ts";
import { type Accounts, idOf } from "../../keys/accounts.ts";
import type { AccountStates } from "./accounts.ts";
import type { Breached } from "./breached.ts";
import type { Passwords } from "./passwords.ts";
import type { SessionPolicy, Sessions } from "./sessions.ts";
import type { SigningKeys } from "./signing.ts";
import type { Tickets } from "./tickets.ts";

/** Windows of what is tried. */
export interface TryLimits {
  readonly name: RateLimiter;
  readonly address: RateLimiter;
  readonly credential: RateLimiter;
}

export interface Parts {
  readonly config: Config["identity"];
  readonly roles: Roles;
  readonly states: AccountStates;
  readonly vault: Accounts;
  readonly passwords: Passwords;
  readonly breached?: Breached | undefined;
  readonly sessions: Sessions;
  readonly signing: SigningKeys;
  readonly tickets: Tickets;
  readonly policy: (tenant: string) => SessionPolicy;
  readonly clock: Clock;
  /** Begins a session unless its tenant has as many as it may; one after the other within a tenant that has a bound. */
  readonly withinQuota: <T>(tenant: string, begin: () => Promise<T>) => Promise<T | Wait>;
  /** How often a sign-in may be tried. */
  readonly limits: TryLimits;
  readonly random: (bytes: number) => Uint8Array;
  /** The name an account was made with, in clear; for what its password must not be. */
  readonly nameOf: (account: string) => string | undefined;
  /** A personal text of the log in clear, for whose it is. */
  readonly unseal: (text: string) => string;
  /** Events of one stream in clear, the newest first; those that were archived are left out. */
  readonly newest: (asked: {
    readonly stream: StreamId;
    readonly types: readonly string[];
    readonly limit: number;
  }) => readonly Event[];
  /** Whether the person behind an account was erased. */
  readonly erased: (account: string) => boolean;
  /** Under which backup codes are made. */
  readonly backupSecret: () => Uint8Array;
  /** Who issues tokens, and what an authenticator shows. */
  readonly issuer: () => string;
}

const ID_BYTES = 18;

/** A fresh id of 143 random bits (ASVS 7.2.3 asks for 128). */
export const freshId = ({ random }: Pick<Parts, "random">): string => idOf(random(ID_BYTES));

/** Who tells of a try before anybody is known. */
export const DOOR: Principal = { authtype: "system", authid: "identity" };

/** Where there is no password that could be right. */
export const NO_PASSWORD = { password: null };

/** How long to wait when the threads that hash are busy. */
export const BUSY_MS = 2_000;
