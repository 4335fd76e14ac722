/** `rotate-root-key`: every key is wrapped anew under another root key, while everything else goes on. */
import { Buffer } from "node:buffer";
import { z } from "zod";
import { pause } from "../../../actors/kernel/world.ts";
import type { Rotated, RotationOptions, RotationStep } from "../../keys/keys.ts";
import { kdfSchema } from "../../keys/passphrase.ts";
import type { CrashPoint } from "../../process/crash.ts";
import { systemClock } from "../../system/world.ts";
import type { Opened } from "../opened.ts";
import { operation } from "../operation.ts";
import { decide } from "./register.ts";

const POINTS: Readonly<Record<RotationStep, CrashPoint>> = {
  waiting: "root_key.waiting",
  wrapped: "root_key.wrapped",
  replaced: "root_key.replaced",
  batch: "root_key.batch",
  rewrapped: "root_key.rewrapped",
};

export const rotateRootKey = operation({
  about: "Replaces the root key and wraps every key anew.",
  input: z.strictObject({
    /** Where the new one is the caller's affair: its bytes, base64, and what a passphrase became them by. */
    to: z.strictObject({ key: z.base64().length(44), kdf: kdfSchema.optional() }).optional(),
  }),
  async run(opened, { input: { to }, progress }) {
    const given = to && { key: Buffer.from(to.key, "base64"), ...(to.kdf && { kdf: to.kdf }) };
    return await rotate(
      opened,
      { ...(given && { to: given }) },
      (done, total) => progress({ done, total, unit: "keys" }),
    );
  },
});

/** To its end, and recorded; also one that was cut off. */
export const rotate = async (
  opened: Pick<Opened, "keys" | "crash" | "entities">,
  options: RotationOptions,
  told: (done: number, total: number) => void = () => {},
): Promise<Rotated & { readonly position?: number }> => {
  const { keys, crash } = opened;
  const rotation = keys.rotate({ ...options, ...(crash && { passed: (step) => crash(POINTS[step]) }) });
  let step = rotation.next();
  for (; !step.done; step = rotation.next()) {
    told(step.value.done, step.value.total);
    // Others get their turn.
    await pause(systemClock, 0);
  }
  const { from, to, keys: counts } = step.value;
  const position = await decide(
    opened,
    { type: "privacy.root_key.rotate", data: { from, to, keys: counts } },
    `root key ${to}`,
  );
  crash?.("root_key.recorded");
  keys.rotationRecorded();
  return { ...step.value, ...(position === undefined ? {} : { position }) };
};
