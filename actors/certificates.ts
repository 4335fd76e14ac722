/**
 * Certificates by their names, one at a time: what was issued is recorded, and that one ends soon, or has ended, is told once at its time,
 * also after an outage. The certificates are made where the keys are; what is decided here is what they mean.
 */
import { z } from "zod";
import { AUTHORITY, type CertificateFact, certificateFacts } from "../events/certificates.ts";
import {
  accept,
  type Actor,
  type Commands,
  type CommandSchemas,
  type Context,
  type Decision,
  reject,
  type Timer,
} from "./types.ts";

/** How long before the end it is told that it is near. */
const soon_ms = z.int().nonnegative().max(10 * 366 * 86_400_000);

const commands = {
  "certificates.authority.record": certificateFacts["certificates.authority.created"].extend({ soon_ms }),
  "certificates.certificate.record": certificateFacts["certificates.certificate.issued"].extend({ soon_ms }),
  /** Of one that was issued elsewhere. */
  "certificates.certificate.note": certificateFacts["certificates.certificate.found"].extend({ soon_ms }),
  "certificates.certificate.look": z.strictObject({ serial: z.string() }),
} satisfies CommandSchemas;

export type CertificateCommand = Commands<typeof commands>;

export type CertificateState =
  | { readonly is: "unknown" }
  | {
    readonly is: "known";
    readonly serial: string;
    readonly fingerprint: string;
    readonly not_after_ms: number;
    /** Of its end. */
    readonly told: "nothing" | "soon" | "over";
    /** Issued by the folder's own authority. */
    readonly ours: boolean;
    /** What that has issued last, or the authority itself. */
    readonly issued?: Issued;
  };

type Issued = Extract<
  CertificateFact,
  {
    readonly type:
      | "certificates.authority.created"
      | "certificates.certificate.issued"
      | "certificates.certificate.renewed";
  }
>["data"];

const NEAR = "near";
const END = "end";

const timersOf = (
  { serial, not_after_ms, soon_ms }: {
    readonly serial: string;
    readonly not_after_ms: number;
    readonly soon_ms: number;
  },
  { at }: Pick<Context, "at">,
): readonly Timer[] => {
  const command = { type: "certificates.certificate.look", data: { serial } } as const;
  return [
    { set: NEAR, at: Math.max(at, not_after_ms - soon_ms), command },
    { set: END, at: Math.max(at, not_after_ms), command },
  ];
};

export const certificates: Actor<CertificateState, CertificateCommand, CertificateFact> = {
  domain: "certificates",
  version: 2,
  commands,
  facts: [
    "certificates.authority.created",
    "certificates.certificate.issued",
    "certificates.certificate.renewed",
    "certificates.certificate.found",
    "certificates.expiry.neared",
    "certificates.certificate.expired",
  ],
  initial: { is: "unknown" },
  inside: true,
  dated: ["certificates.certificate.look"],

  decide(state, { type, data }, context): Decision<CertificateFact> {
    const known = state.is === "known" && "fingerprint" in data && state.fingerprint === data.fingerprint;
    switch (type) {
      case "certificates.authority.record": {
        if (context.id !== AUTHORITY) return reject("reserved_name", `Only "${AUTHORITY}" is the authority`);
        if (known) return accept();
        if (state.is === "known") return reject("authority_exists", "There is an authority, and it stays the same");
        const { soon_ms: _, ...created } = data;
        return {
          ok: true,
          facts: [{ type: "certificates.authority.created", data: created }],
          timers: timersOf(data, context),
        };
      }
      case "certificates.certificate.record": {
        if (context.id === AUTHORITY) return reject("reserved_name", `The name "${AUTHORITY}" is the authority's own`);
        if (known) return accept();
        const { soon_ms: _, ...issued } = data;
        const fact: CertificateFact = state.is === "known" && state.ours
          ? { type: "certificates.certificate.renewed", data: { ...issued, before: state.serial } }
          : { type: "certificates.certificate.issued", data: issued };
        return { ok: true, facts: [fact], timers: timersOf(data, context) };
      }
      case "certificates.certificate.note": {
        if (context.id === AUTHORITY) return reject("reserved_name", `The name "${AUTHORITY}" is the authority's own`);
        if (known) return accept();
        const { soon_ms: _, ...found } = data;
        return {
          ok: true,
          facts: [{ type: "certificates.certificate.found", data: found }],
          timers: timersOf(data, context),
        };
      }
      case "certificates.certificate.look": {
        // Another one has taken its place.
        if (state.is === "unknown" || state.serial !== data.serial || state.told === "over") return accept();
        const { serial, not_after_ms } = state;
        if (context.at >= not_after_ms) {
          return accept({ type: "certificates.certificate.expired", data: { serial, not_after_ms } });
        }
        if (state.told === "soon") return accept();
        return accept({ type: "certificates.expiry.neared", data: { serial, not_after_ms } });
      }
    }
  },

  evolve(state, fact): CertificateState {
    switch (fact.type) {
      case "certificates.authority.created":
      case "certificates.certificate.issued":
      case "certificates.certificate.renewed":
      case "certificates.certificate.found": {
        const { serial, fingerprint, not_after_ms } = fact.data;
        const known = { is: "known", serial, fingerprint, not_after_ms, told: "nothing" } as const;
        if (fact.type !== "certificates.certificate.found") return { ...known, ours: true, issued: fact.data };
        return { ...known, ours: false, ...(state.is === "known" && state.issued ? { issued: state.issued } : {}) };
      }
      case "certificates.expiry.neared":
        return state.is === "known" && state.told === "nothing" ? { ...state, told: "soon" } : state;
      case "certificates.certificate.expired":
        return state.is === "known" ? { ...state, told: "over" } : state;
    }
  },
};
