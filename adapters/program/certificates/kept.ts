/**
 * Certificates that are kept in the folder: there as long as they are wanted, renewed before they end, and taken up by who uses them. The
 * files are the truth; whoever dies between two of them leaves some that do not belong together, and others are issued.
 */
import { join } from "node:path";
import type { Child, Self } from "../../../actors/kernel/child.ts";
import { type Clock, pause } from "../../../actors/kernel/world.ts";
import { belongTogether, isSignedBy, readCertificate } from "../../x509/certificate.ts";
import { keyPem, newKey, publicKeyOf } from "../../x509/key.ts";
import { writeWhole } from "../whole_file.ts";
import { CERTIFICATE_FILES, CERTIFICATES_FOLDER } from "./files.ts";
import { authorityOf, issue, type IssuingParts, type Wanted } from "./issuer.ts";

export interface Pair {
  /** PEM. */
  readonly certificate: string;
  readonly key: string;
  readonly authority: string;
}

interface Watched {
  look(): Promise<void>;
}

export interface KeptOptions {
  readonly parts: IssuingParts;
  readonly clock: Clock;
  /** Data folder, absolute. */
  readonly data: string;
  readonly report: (line: string) => void;
}

/** A child of the tree: looks at the files again and again. */
export class KeptCertificates implements Child {
  readonly id = "certificates";
  readonly restart = "permanent";
  readonly grace = 5_000;
  private readonly wanted = new Map<string, Wanted>();
  private readonly watched = new Map<string, Watched>();
  private last: Promise<unknown> = Promise.resolve();
  /** Of which it was told that they do not count yet. */
  private readonly early = new Set<string>();

  constructor(private readonly options: KeptOptions) {}

  /** Is there when it resolves, and may be asked for again and again. Throws `Refused` for what may not be certified. */
  async keep(wanted: Wanted): Promise<Pair> {
    const pair = await this.alone(() => this.ensure(wanted));
    this.wanted.set(wanted.name, wanted);
    this.tellEarly(wanted.name, pair);
    return pair;
  }

  /** As its authority was made by a clock that was ahead, another one would count no sooner. */
  private tellEarly(name: string, { certificate }: Pair): void {
    const { not_before_ms = -Infinity } = readCertificate(certificate) ?? {};
    if (not_before_ms <= this.options.clock.now() || this.early.has(name)) return;
    this.early.add(name);
    const begins = new Date(not_before_ms).toISOString();
    this.options.report(`the certificate ${name}: counts from ${begins} on, as the authority that has issued it`);
  }

  /** Reads now and at each look; `taken` is told of what differs from what it was told of before. */
  async watch<T>(name: string, read: () => Promise<T>, taken: (found: T) => void | Promise<void>): Promise<T> {
    const first = await read();
    this.follow(name, read, taken, first);
    return first;
  }

  /** The same from the next look on, when `taken` is told of what there is, unless that is `first`. What it throws is tried again. */
  follow<T>(name: string, read: () => Promise<T>, taken: (found: T) => void | Promise<void>, first?: T): void {
    let present = JSON.stringify(first);
    this.watched.set(name, {
      async look() {
        const found = await read();
        const text = JSON.stringify(found);
        if (text === present) return;
        await taken(found);
        present = text;
      },
    });
  }

  /** Not looked at any more; its files stay. */
  leave(name: string): void {
    this.wanted.delete(name);
    this.watched.delete(name);
  }

  keeps(name: string): boolean {
    return this.wanted.has(name);
  }

  folderOf(name: string): string {
    return join(this.options.data, CERTIFICATES_FOLDER, name);
  }

  /** When the last of its files was written, ms since 1970; certificates themselves know seconds. */
  async writtenAt(name: string): Promise<number> {
    const { mtime } = await Deno.stat(join(this.folderOf(name), CERTIFICATE_FILES.authority));
    return mtime?.getTime() ?? 0;
  }

  /** Another one at once; false for what is not kept here. Where it cannot be taken up now, that is told, and tried at the next look. */
  async renew(name: string): Promise<boolean> {
    const wanted = this.wanted.get(name);
    if (!wanted) return false;
    await this.alone(() => this.another(wanted));
    await this.lookAt(name);
    return true;
  }

  async run(signal: AbortSignal, self: Self): Promise<void> {
    const { clock, parts: { config: { certificates: { look_ms } } } } = this.options;
    self.ready();
    while (!signal.aborted) {
      await pause(clock, look_ms, signal);
      if (!signal.aborted) await this.look();
    }
  }

  /** What cannot be done now is told, and tried again at the next look. */
  async look(): Promise<void> {
    for (const name of [...this.watched.keys()]) await this.lookAt(name);
  }

  private async lookAt(name: string): Promise<void> {
    try {
      await this.watched.get(name)?.look();
    } catch (error) {
      this.options.report(`the certificate ${name}: ${error instanceof Error ? error.message : error}`);
    }
  }

  /** One after another, so that two do not write the same files. */
  private alone<T>(work: () => Promise<T>): Promise<T> {
    const done = this.last.then(work);
    this.last = done.catch(() => {});
    return done;
  }

  private async ensure(wanted: Wanted): Promise<Pair> {
    const { parts, clock } = this.options;
    const authority = await authorityOf(parts);
    const pair = await this.read(wanted.name);
    if (pair && isFit(pair, { wanted, authority, at: clock.now(), renew_ms: parts.config.certificates.renew_ms })) {
      return pair;
    }
    return await this.another(wanted);
  }

  private async another(wanted: Wanted): Promise<Pair> {
    const key = newKey();
    const { certificate, authority } = await issue(this.options.parts, wanted, publicKeyOf(key));
    const pair = { certificate, authority, key: keyPem(key) };
    await this.write(wanted.name, pair);
    return pair;
  }

  private async read(name: string): Promise<Pair | undefined> {
    const folder = this.folderOf(name);
    const read = (file: string) => Deno.readTextFile(join(folder, file));
    try {
      const { key, certificate, authority } = CERTIFICATE_FILES;
      return { key: await read(key), certificate: await read(certificate), authority: await read(authority) };
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  }

  private async write(name: string, pair: Pair): Promise<void> {
    const folder = this.folderOf(name);
    await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
    for (const [kind, file] of Object.entries(CERTIFICATE_FILES)) {
      await writeWhole(join(folder, file), pair[kind as keyof Pair]);
    }
  }
}

/** Whether a pair is what is wanted, and will be for a while. */
const isFit = (
  { certificate, key, authority: own }: Pair,
  { wanted, authority, at, renew_ms }: {
    readonly wanted: Wanted;
    readonly authority: { readonly certificate: string; readonly not_after_ms: number };
    readonly at: number;
    readonly renew_ms: number;
  },
): boolean => {
  const read = readCertificate(certificate);
  if (!read || own !== authority.certificate || !belongTogether(certificate, key) || !isSignedBy(certificate, own)) {
    return false;
  }
  const same = (a: readonly string[], b: readonly string[]) =>
    JSON.stringify([...a].sort()) === JSON.stringify([...b].sort());
  if (!same(read.names, wanted.names.map(plainAddress))) return false;
  // The clock was ahead when it was issued; another one would begin no sooner than the authority itself.
  if (read.not_before_ms > at && read.not_before_ms !== readCertificate(own)?.not_before_ms) return false;
  // Another one would end no later than the authority itself.
  return read.not_after_ms - at > renew_ms || read.not_after_ms === authority.not_after_ms;
};

/** An address as certificates are printed with it; names stay as they are. */
const plainAddress = (name: string): string =>
  name.includes(":") ? new URL(`http://[${name}]`).hostname.slice(1, -1) : name;
