/** `cert` on the command line, as the process that has the folder takes it. Private keys stay where they were made. */
import { Buffer } from "node:buffer";
import { z } from "zod";
import type { Daybook } from "../../../actors/kernel/daybook.ts";
import { CERTIFICATE_LIMITS, certificateNames, certificateUses } from "../../../events/certificates.ts";
import { Refused } from "../../cli/runtime.ts";
import { systemClock } from "../../system/world.ts";
import type { Opened } from "../opened.ts";
import { operation } from "../operation.ts";
import { authorityOf, issue, issuedAs, knownAuthority } from "./issuer.ts";
import { KeptCertificates, type KeptOptions } from "./kept.ts";

/** By the daybook that keeps them. */
const keepers = new WeakMap<Daybook, KeptCertificates>();

/** The one of a daybook, planted when it is first asked for. */
export const keeperIn = async (
  opened: Opened,
  { data, report }: Pick<KeptOptions, "data" | "report">,
): Promise<KeptCertificates> => {
  const known = keepers.get(opened.daybook);
  if (known) return known;
  const keeper = new KeptCertificates({ parts: opened, clock: systemClock, data, report });
  keepers.set(opened.daybook, keeper);
  await opened.tree.add(keeper);
  return keeper;
};

const name = z.string().min(1).max(CERTIFICATE_LIMITS.name_chars_max);
/** SubjectPublicKeyInfo, DER. */
const public_key = z.base64().max(1_024);

export const issueCertificate = operation({
  about: "Has the folder's own authority certify a public key.",
  input: z.strictObject({
    name: name.regex(/^[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?$/, "small letters, digits, - and _"),
    names: certificateNames,
    uses: certificateUses,
    valid_ms: z.int().min(1_000).max(825 * 86_400_000).optional(),
    public_key,
  }),
  async run(opened, { input: { public_key, ...wanted } }) {
    if (keepers.get(opened.daybook)?.keeps(wanted.name)) {
      throw new Refused(
        "certificate_kept",
        `"${wanted.name}" is kept by the server itself; cert renew has it renewed now`,
      );
    }
    refuseOutOfTime(opened);
    return await issue(opened, wanted, Buffer.from(public_key, "base64"));
  },
});

/** What it certifies begins and ends with it. A server still makes the one that it is reached by: without, it would not start. */
const refuseOutOfTime = (opened: Opened): void => {
  const { not_before_ms = -Infinity, not_after_ms = Infinity } = knownAuthority(opened) ?? {};
  if (systemClock.now() < not_before_ms) {
    const begins = new Date(not_before_ms).toISOString();
    const told =
      `The folder's own authority was made by a clock that was ahead and counts from ${begins} on; another folder has another`;
    throw new Refused("authority_ahead", told);
  }
  if (systemClock.now() < not_after_ms) return;
  const ended = new Date(not_after_ms).toISOString();
  const told =
    `The folder's own authority ended at ${ended} and certifies nothing any more; another folder has another`;
  throw new Refused("authority_ended", told);
};

export const renewCertificate = operation({
  about: "Certifies another public key in place of one before; one that the server keeps it renews itself.",
  input: z.strictObject({ name, valid_ms: z.int().min(1_000).max(825 * 86_400_000).optional(), public_key }),
  async run(opened, { input: { name, valid_ms, public_key } }) {
    refuseOutOfTime(opened);
    const keeper = keepers.get(opened.daybook);
    if (await keeper?.renew(name)) {
      return { kept: true, folder: keeper!.folderOf(name), ...shown(issuedAs(opened, name)!) };
    }
    const before = issuedAs(opened, name);
    if (!before) throw new Refused("no_certificate", `There is no certificate "${name}" of the folder's own authority`);
    const { names, uses } = before;
    const wanted = { name, names, uses, ...(valid_ms === undefined ? {} : { valid_ms }) };
    return { kept: false, ...await issue(opened, wanted, Buffer.from(public_key, "base64")) };
  },
});

const shown = ({ certificate, not_after_ms }: { readonly certificate: string; readonly not_after_ms: number }) => ({
  certificate,
  not_after_ms,
});

export const showAuthority = operation({
  about: "The certificate of the folder's own authority, which is made if there is none.",
  input: z.strictObject({}),
  async run(opened) {
    const { certificate, permitted, not_after_ms } = await authorityOf(opened);
    return { certificate, permitted, not_after_ms };
  },
});
