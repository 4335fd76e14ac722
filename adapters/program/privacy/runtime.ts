/** What the command line asks about persons and the root key; loaded in parts, when it is asked. */
import type { Persons, PrivacyRuntime } from "../../cli/persons.ts";
import type { Runtime } from "../../cli/runtime.ts";
import type { Io } from "../../cli/io.ts";
import type { Folders } from "../folder.ts";

export const privacyRuntime = (
  { io, folders }: { readonly io: Pick<Io, "env" | "readText">; readonly folders: Folders },
): PrivacyRuntime => ({
  persons(this: Pick<Runtime, "verify">, data, archive) {
    const loaded = async (): Promise<Persons> => {
      const { personsOf } = await import("./persons.ts");
      return personsOf({
        data,
        log: () => folders.log(data, archive),
        keys: () => folders.keys(data),
        verify: (against, progress) => this.verify(data, { against, archive }, progress),
      });
    };
    return {
      find: async (who) => await (await loaded()).find(who),
      unfinished: async (subject) => await (await loaded()).unfinished(subject),
      trace: async (subject, progress) => await (await loaded()).trace(subject, progress),
      async *tell(subject, until, progress) {
        yield* (await loaded()).tell(subject, until, progress);
      },
      async *blobs(subject) {
        yield* (await loaded()).blobs(subject);
      },
      certify: async (subject, options, progress) => await (await loaded()).certify(subject, options, progress),
    };
  },
  async checkCertificate(text, keys) {
    const { checkCertificate } = await import("./certificate.ts");
    const checked = checkCertificate(text, keys);
    if (!checked.ok) return checked;
    const { subject, origin, erased, unreadable, scan } = checked.certificate;
    return {
      ok: true,
      subject,
      origin,
      erased: erased.recordedat,
      unreadable: unreadable.events,
      found: scan.found,
      looked_for: scan.looked_for,
      short: scan.short,
      left: scan.left,
      signed: checked.signed,
    };
  },
  async rootKey(from, data) {
    const { rootKeyFrom } = await import("../root_key.ts");
    return await rootKeyFrom(from, { data, io });
  },
});
