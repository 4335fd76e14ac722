/**
 * `erase-subject`: a person's key is destroyed. In this order, each step durable before the next: the request is recorded, with the
 * newest checkpoint; the key and all that leads to it are deleted, and their bytes overwritten; the erasure is recorded. Where it is cut off, the next opening ends it (`settle.ts`).
 */
import { z } from "zod";
import type { Register } from "../../../actors/privacy.ts";
import { PRIVACY_LIMITS, PRIVACY_STREAM, privacyFacts, subjectId } from "../../../events/privacy.ts";
import { Refused } from "../../cli/runtime.ts";
import { operation } from "../operation.ts";
import { signed } from "../settled.ts";
import { decide } from "./register.ts";

const { due, reason } = privacyFacts["privacy.subject.erasure_requested"].shape;

export const eraseSubject = operation({
  about: "Destroys the key of a person.",
  input: z.strictObject({
    subject: subjectId,
    due,
    reason,
    /** Types of the events that tell of them; absent: not known. */
    types: z.array(z.string()).max(PRIVACY_LIMITS.hold_names_max).optional(),
  }),
  async run(opened, { input }) {
    const { keys, log, crash, entities } = opened;
    const { subject } = input;
    const known = keys.known(subject);
    if (!known) throw new Refused("unknown_subject", `Nothing is known of ${subject}`);
    if (known.erased) {
      const { erasing } = entities.look(PRIVACY_STREAM).state as Register;
      if (!erasing.includes(subject)) {
        throw new Refused(
          "already_erased",
          `${subject} was erased already; --certify makes a certificate of it once more`,
        );
      }
      // The log could not be written when the key was destroyed.
      const erased = await decide(opened, {
        type: "privacy.subject.finish_erasure",
        data: { subject, key: "destroyed" },
      });
      return { subject, key: "destroyed", ...(erased === undefined ? {} : { erased }) };
    }
    const newest = await log.checkpoint();
    const before = newest && { size: newest.size, root: newest.root };
    const requested = await decide(opened, {
      type: "privacy.subject.erase",
      data: { ...input, ...(before ? { before } : {}) },
    });
    crash?.("erasure.requested");
    const key = keys.eraseKey(subject) ? "destroyed" as const : "none" as const;
    crash?.("erasure.destroyed");
    const erased = await decide(opened, { type: "privacy.subject.finish_erasure", data: { subject, key } });
    crash?.("erasure.recorded");
    // The checkpoint covers it before the answer leaves, so that it can be certified. Where none can be made now it is erased all the same.
    const checkpoint = erased === undefined
      ? await log.checkpoint()
      : await signed(log, erased + 1).catch(() => undefined);
    return {
      subject,
      key,
      ...(requested === undefined ? {} : { requested }),
      ...(erased === undefined ? {} : { erased }),
      ...(checkpoint ? { size: checkpoint.size } : {}),
    };
  },
});

/** `certify-erasure`: what was found after an erasure is recorded. */
export const certifyErasure = operation({
  about: "Records the certificate of an erasure.",
  input: privacyFacts["privacy.erasure.certified"],
  async run(opened, { input: data }) {
    const position = await decide(opened, { type: "privacy.erasure.certify", data }, `certify ${data.certificate}`);
    return { position };
  },
});

/** `export-subject`: that a person's data is handed out is recorded before it is. */
export const exportSubject = operation({
  about: "Records that a person's data is handed out.",
  input: privacyFacts["privacy.subject.exported"],
  async run(opened, { input: data }) {
    return { position: await decide(opened, { type: "privacy.subject.export", data }) };
  },
});
