/** What a folder holds of a person: who they are, what is told of them, and whether all of it is gone. */
import { Buffer } from "node:buffer";
import { isArchived } from "../../../actors/kernel/kept.ts";
import { pause } from "../../../actors/kernel/world.ts";
import { canonical } from "../../../events/canonical.ts";
import type { Event } from "../../../events/event.ts";
import { LogFault } from "../../../events/log.ts";
import { ERASED_TEXT, subjectOf } from "../../../events/personal.ts";
import { Usage } from "../../cli/call.ts";
import type { Certified, KnownPerson, Persons, Telling, Trace } from "../../cli/persons.ts";
import type { VerifyReport } from "../../cli/runtime.ts";
import type { Reader } from "../../cli/reader.ts";
import type { OnProgress } from "../../cli/io.ts";
import type { Keys } from "../../keys/keys.ts";
import { normalised } from "../../keys/subjects.ts";
import { systemClock } from "../../system/world.ts";
import { FILES } from "../files.ts";
import { type Certificate, certificateFile } from "./certificate.ts";
import { Needles, scanBlobs, scanFolder } from "./scan.ts";
import { blobsOf, mentions, Runs } from "./trace.ts";

export interface PersonsOptions {
  readonly data: string;
  /** The folder's log and keys, for reading; each is closed when it was used. */
  readonly log: () => Promise<Reader>;
  readonly keys: () => Promise<Keys | undefined>;
  readonly verify: (
    against: readonly { readonly name: string; readonly text: string }[],
    progress: OnProgress,
  ) => Promise<VerifyReport>;
}

export const personsOf = ({ data, log, keys: keysOf, verify }: PersonsOptions): Persons => {
  const withKeys = async <T>(use: (keys: Keys) => Promise<T> | T): Promise<T> => {
    const keys = await keysOf();
    if (!keys) throw new LogFault("missing", `there are no keys in ${data}, so nothing is known of persons`);
    try {
      return await use(keys);
    } finally {
      keys.close();
    }
  };
  const withBoth = <T>(use: (log: Reader, keys: Keys) => Promise<T>): Promise<T> =>
    withKeys(async (keys) => {
      const reader = await log();
      try {
        return await use(reader, keys);
      } finally {
        await reader.close();
      }
    });
  return {
    find: (who) => withBoth((log, keys) => Promise.resolve(foundIn(log, keys, who))),
    async unfinished(subject) {
      const reader = await log();
      try {
        const requested = lastAbout(reader, "privacy.subject.erasure_requested", subject);
        const erased = lastAbout(reader, "privacy.subject.erased", subject);
        return requested !== undefined && (erased === undefined || erased.position < requested.position);
      } finally {
        await reader.close();
      }
    },
    trace: (subject, progress) => withBoth((log, keys) => traceOf(log, keys, { subject, progress })),
    async *tell(subject, until, progress) {
      const keys = await keysOf();
      const reader = await log();
      try {
        for await (const { event, values } of mentions(reader, { subject, until, progress })) {
          yield tellingOf(event, values.map(({ pointer, text }) => [pointer, text] as const), { subject, keys: keys! });
        }
      } finally {
        await reader.close();
        keys?.close();
      }
    },
    async *blobs(subject) {
      const keys = await keysOf();
      const reader = await log();
      try {
        for (const blob of blobsOf(reader, subject)) {
          const { sha256, bytes } = blob;
          yield { sha256, bytes, read: () => keys!.sealer.unsealBlob(blob.read()) };
        }
      } finally {
        await reader.close();
        keys?.close();
      }
    },
    certify: (subject, { texts, more = [] }, progress) =>
      withBoth(async (log, keys) => {
        const needles = texts instanceof Needles ? texts : new Needles();
        for (const text of more) needles.add(text);
        return await certificateOf({ log, keys, data, verify, needles, progress }, subject);
      }),
  };
};

const foundIn = (log: Reader, keys: Keys, who: string): KnownPerson | undefined => {
  const known = keys.known(who);
  if (known?.subject === who) return known;
  let accounts: readonly string[] = [];
  try {
    accounts = accountsOf(log, keys, who);
  } catch (error) {
    if (!known || !isArchived(error)) throw error;
  }
  if (known) return accounts.length === 0 ? known : { ...known, accounts };
  if (accounts.length > 1) throw new Usage(`${accounts.join(" and ")} are called so: name one by its id`);
  return accounts[0] === undefined ? undefined : keys.known(accounts[0]);
};

/** Accounts that were given this name or address: their holders are persons of their own, to whom no identifier leads. */
const accountsOf = (log: Reader, keys: Keys, who: string): readonly string[] => {
  const accounts: string[] = [];
  for (const batch of log.read({ types: ["identity.account.created"] })) {
    for (const { data } of batch) {
      const { account, name, email } = data as {
        readonly account: string;
        readonly name: string;
        readonly email?: string;
      };
      const given = [name, email].map((text) => text === undefined ? undefined : keys.sealer.unseal<unknown>(text));
      if (given.some((text) => typeof text === "string" && normalised(text) === normalised(who))) {
        accounts.push(account);
      }
    }
  }
  return accounts;
};

interface Reading {
  readonly subject: string;
  readonly progress: OnProgress;
}

const traceOf = async (log: Reader, keys: Keys, { subject, progress }: Reading): Promise<Trace> => {
  const needles = new Needles();
  const types = new Set<string>();
  const runs = new Runs();
  const { size } = log;
  let values = 0;
  for await (const mention of mentions(log, { subject, until: size, progress })) {
    runs.add(mention.event.position);
    types.add(mention.event.type);
    values += mention.values.length;
    for (const { text } of mention.values) {
      const plain = keys.sealer.unseal<unknown>(text);
      // A whole event that was sealed is an object.
      needles.add(typeof plain === "string" ? plain : canonical(plain));
    }
  }
  let blobs = 0;
  for (const blob of blobsOf(log, subject)) {
    blobs++;
    const plain = await keys.sealer.unsealBlob(blob.read());
    if (plain) needles.addBytes(plain);
  }
  return { size, events: runs.count, values, types: [...types].sort(), blobs, texts: needles };
};

const tellingOf = (
  event: Event,
  values: readonly (readonly [string, string])[],
  { subject, keys }: { readonly subject: string; readonly keys: Keys },
): Telling => {
  const { sealer } = keys;
  const opened = (value: unknown): unknown => {
    if (typeof value === "string") {
      return subjectOf(value) === subject ? sealer.unseal<unknown>(value) : sealer.redact(value);
    }
    if (typeof value !== "object" || value === null) return value;
    if (Array.isArray(value)) return value.map(opened);
    return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, opened(member)]));
  };
  return {
    event: { ...event, data: opened(event.data) },
    values: Object.fromEntries(values.map(([pointer, text]) => [pointer, sealer.unseal<unknown>(text)])),
  };
};

/** Positions that are told of at once. */
const NAMED_TOLD = 10;

interface Certifying {
  readonly log: Reader;
  readonly keys: Keys;
  readonly data: string;
  readonly verify: PersonsOptions["verify"];
  readonly needles: Needles;
  readonly progress: (what: string) => OnProgress;
}

const lastAbout = (log: Reader, type: string, subject: string): Event | undefined => {
  for (const batch of log.read({ types: [type], backward: true })) {
    for (const event of batch) if ((event.data as { subject: string }).subject === subject) return event;
  }
  return undefined;
};

const certificateOf = async (
  { log, keys, data, verify, needles, progress }: Certifying,
  subject: string,
): Promise<Certified> => {
  const requested = lastAbout(log, "privacy.subject.erasure_requested", subject);
  const erased = lastAbout(log, "privacy.subject.erased", subject);
  if (!requested || !erased || erased.position < requested.position) {
    throw new LogFault("invalid", `the log knows of no erasure of ${subject} that is done`);
  }
  const { due, before } = requested.data as { due?: string; before?: Certificate["before"] };
  const { signer } = keys.logKey;
  const against = before
    ? [{ name: "the log before the erasure", text: `${signer.name}\n${before.size}\n${before.root}\n` }]
    : [];
  const report = await verify(against, progress("verifying"));
  const unreadable = await unreadableIn(log, keys, { subject, progress: progress("reading") });
  const raw = await scanFolder(data, needles, progress("searching"));
  // Where it lies sealed at rest nothing is found in the bytes of the log's file.
  const inBlobs = report.sealed ? await scanBlobs(log, needles) : 0;
  const files = raw.map((file) => file.path === FILES.log ? { ...file, found: file.found + inBlobs } : file);
  const found = files.reduce((sum, file) => sum + file.found, 0);
  const { readable, ...rest } = unreadable;
  const named = new Runs();
  // Of events it is told here, wherever they lie sealed.
  await namedIn(log, { needles, named, progress: progress("locating") });
  const certificate: Certificate = {
    version: 1,
    origin: signer.name,
    subject,
    requested: { position: requested.position, recordedat: requested.recordedat },
    erased: { position: erased.position, recordedat: erased.recordedat },
    ...(due === undefined ? {} : { due }),
    ...(before ? { before } : {}),
    after: { size: report.size, root: report.root },
    verified: report.ok,
    unreadable: rest,
    readable,
    scan: {
      looked_for: needles.size,
      short: needles.short,
      left: needles.left,
      files: [...files],
      found,
      named: { events: named.count, positions: named.runs },
    },
    at: new Date(systemClock.now()).toISOString(),
  };
  const { text, sha256 } = certificateFile(certificate, (text) => signer.note(text));
  return {
    text,
    fact: {
      subject,
      certificate: sha256,
      size: report.size,
      root: report.root,
      unreadable: unreadable.events,
      files: files.length,
      found,
    },
    wanting: [
      ...(report.ok ? [] : ["the log is not what it was; verify tells more"]),
      ...(readable > 0 ? [`${readable} values can be read all the same`] : []),
      ...(found > 0 ? ["something of the person lies in files of the folder"] : []),
      ...(named.count > 0 ? ["others tell of the person in fields that are nobody's"] : []),
    ],
    foundIn: files.filter((file) => file.found > 0),
    namedIn: { events: named.count, first: named.runs.slice(0, NAMED_TOLD).map(([first]) => first) },
    values: unreadable.values,
    lookedFor: needles.size,
    short: needles.short,
    left: needles.left,
  };
};

/** Events that hold something of what is looked for, though nothing sealed of the person's can be read in them. */
const namedIn = async (
  log: Reader,
  { needles, named, progress }: { readonly needles: Needles; readonly named: Runs; readonly progress: OnProgress },
): Promise<void> => {
  const { size } = log;
  for (const batch of log.read({ until: size })) {
    for (const event of batch) {
      const bytes = Buffer.from(JSON.stringify(event));
      if (needles.in(bytes, bytes.length) > 0) named.add(event.position);
    }
    const last = batch.at(-1);
    if (last) progress({ done: last.position + 1, total: size, unit: "events" });
    await pause(systemClock, 0);
  }
};

const unreadableIn = async (
  log: Reader,
  keys: Keys,
  { subject, progress }: Reading,
): Promise<Certificate["unreadable"] & { readonly readable: number }> => {
  const runs = new Runs();
  const types: Record<string, number> = {};
  let [values, readable] = [0, 0];
  for await (const mention of mentions(log, { subject, until: log.size, progress })) {
    runs.add(mention.event.position);
    types[mention.event.type] = (types[mention.event.type] ?? 0) + 1;
    values += mention.values.length;
    for (const { text } of mention.values) if (keys.sealer.unseal<unknown>(text) !== ERASED_TEXT) readable++;
  }
  const blobs: string[] = [];
  for (const blob of blobsOf(log, subject)) {
    blobs.push(blob.sha256);
    if (await keys.sealer.unsealBlob(blob.read()) !== undefined) readable++;
  }
  return { events: runs.count, values, positions: runs.runs, types, blobs, readable };
};
