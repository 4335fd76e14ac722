/** What the command line may ask about a person, in a port; `../program/privacy/persons.ts` implements it. Reads a folder, never writes. */
import type { Event } from "../../events/event.ts";
import type { Kept } from "./reader.ts";
import type { Io, OnProgress } from "./io.ts";

/** A person as the keys know them. */
export interface KnownPerson {
  /** Opaque id. */
  readonly subject: string;
  readonly erased: boolean;
  /** Opaque ids of accounts with what the person was found by as their name or address; each is a person of its own. */
  readonly accounts?: readonly string[];
}

/** That somebody else here goes by the same name or address, so that they are not thought to be meant as well. */
export const tellAccounts = ({ subject, accounts = [] }: KnownPerson, io: Pick<Io, "err">): void => {
  for (const account of accounts) {
    io.err(`${account} is an account of that name or address; ${subject} is another subject\n`);
  }
};

/** What the log holds of a person, counted; `texts` is what they can be found by in raw bytes, and goes into no file. */
export interface Trace {
  /** The log's size when it was read. */
  readonly size: number;
  readonly events: number;
  readonly values: number;
  /** Of the events. */
  readonly types: readonly string[];
  readonly blobs: number;
  readonly texts: unknown;
}

/** An event about a person, readable: their own values in plain text, those of others as everybody sees them. */
export interface Telling {
  readonly event: Event;
  /** By JSON Pointer from the root of `data`. */
  readonly values: Readonly<Record<string, unknown>>;
}

export interface PersonalBlob {
  /** Of the sealed bytes, as events name it: base64. */
  readonly sha256: string;
  /** Sealed. */
  readonly bytes: number;
  /** The plain bytes; undefined where they cannot be read. */
  read(): Promise<Uint8Array | undefined>;
}

/** What is recorded of a certificate. */
export interface CertifiedFact {
  readonly subject: string;
  readonly certificate: string;
  readonly size: number;
  readonly root: string;
  readonly unreadable: number;
  readonly files: number;
  readonly found: number;
}

export interface Certified {
  /** The document. */
  readonly text: string;
  readonly fact: CertifiedFact;
  /** Whether all is as it should be; else what is wanting, a line each. */
  readonly wanting: readonly string[];
  /** Files in which something was found, and how often. */
  readonly foundIn: readonly { readonly path: string; readonly found: number }[];
  /** Events that tell of the person in fields which are nobody's, and positions of the first of them. */
  readonly namedIn: { readonly events: number; readonly first: readonly number[] };
  readonly values: number;
  readonly lookedFor: number;
  /** Texts that were not looked for: too short to mean anything, or too many. */
  readonly short: number;
  readonly left: number;
}

export interface Persons {
  /** By an opaque id, or an identifier such as an address; else by the name or address of an account. */
  find(who: string): Promise<KnownPerson | undefined>;
  /** Whether an erasure was asked for and is not recorded as done. */
  unfinished(subject: string): Promise<boolean>;
  trace(subject: string, progress: OnProgress): Promise<Trace>;
  /** Events up to the log's size then. */
  tell(subject: string, until: number, progress: OnProgress): AsyncIterable<Telling>;
  blobs(subject: string): AsyncIterable<PersonalBlob>;
  /**
   * Of an erasure that is recorded: reads and verifies the log, and searches every file of the folder. `texts`: from the trace before it;
   * `more`: what else to look for. Throws `LogFault` `invalid` where the log knows of no such erasure.
   */
  certify(
    subject: string,
    options: { readonly texts?: unknown; readonly more?: readonly string[] },
    progress: (what: string) => OnProgress,
  ): Promise<Certified>;
}

/** What a certificate that was kept proves. */
export type CertificateReport =
  | {
    readonly ok: true;
    readonly subject: string;
    readonly origin: string;
    readonly erased: string;
    readonly unreadable: number;
    readonly found: number;
    /** Texts and blobs that files were searched for, and how many were not: too short, or too many. */
    readonly looked_for: number;
    readonly short: number;
    readonly left: number;
    readonly signed: readonly string[];
  }
  | { readonly ok: false; readonly because: string };

/** How a backup comes back. */
export interface RestoreOptions {
  readonly passphrase?: string;
  readonly against: readonly Kept[];
  /** The log goes on under this name, and says what it left. */
  readonly newOrigin?: string;
  /** Erasures that this folder knows of are applied again, and those of certificates. */
  readonly replaces?: string;
  readonly erasures?: readonly Kept[];
  /** What is shown to the accounts in the backup. */
  readonly proof: Shown;
  /** Those of the folder it replaces were asked, and are asked no second time where it is of the same log. */
  readonly agreed?: boolean;
  /** Where what was archived of the log can be read, to know those accounts. */
  readonly archive?: string;
  readonly signal?: AbortSignal;
}

/** What somebody shows before what cannot be undone. */
export interface Shown {
  /** Name of the account whose it is. */
  readonly account?: string | undefined;
  readonly code?: string | undefined;
  readonly password?: string | undefined;
}

/** The part of `Runtime` that persons and the root key need. */
export interface PrivacyRuntime {
  /** What is known of persons in a folder. `archive`: what was archived of its log. */
  persons(data: string, archive?: string): Persons;
  /** By one of these public keys and nothing else. Never throws over the text. */
  checkCertificate(text: string, keys: readonly string[]): Promise<CertificateReport>;
  /** The bytes of a root key from elsewhere; a file is made if it is missing, for who has the folder `data`. `kdf`: how a passphrase became them. */
  rootKey(
    from: { readonly file: string } | { readonly env: string } | { readonly passphraseFile: string },
    data: string,
  ): Promise<{ readonly key: Uint8Array; readonly kdf?: unknown }>;
}
