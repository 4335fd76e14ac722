/** Secrets that are stored: set, replaced and deleted from the machine itself. A value comes in here, and goes out nowhere. */
import { z } from "zod";
import type { AccessCommand } from "../../../actors/access.ts";
import { LogFault } from "../../../events/log.ts";
import { Refused } from "../../cli/runtime.ts";
import { KeysFault } from "../../keys/fault.ts";
import { STORED_BYTES_MAX } from "../../keys/stored.ts";
import type { Opened } from "../opened.ts";
import { type Operation, operation } from "../operation.ts";
import { OPERATOR } from "../operator.ts";

const name = z.string().min(1).max(64);

export const storeSecret: Operation = operation({
  about: "Keeps a secret under a name, or another in its place.",
  input: z.strictObject({ name, value: z.string().min(1).max(STORED_BYTES_MAX), replace: z.boolean() }),
  async run(opened, { input: { name, value, replace } }) {
    const version = kept(() => opened.keys.stored.put(name, value, { replace }));
    await tell(opened, name, { type: "access.secret.store", data: { version } });
    return { name, version };
  },
});

export const deleteSecret: Operation = operation({
  about: "Destroys a secret that was stored.",
  input: z.strictObject({ name }),
  async run(opened, { input: { name } }) {
    if (!opened.keys.stored.delete(name)) throw new Refused("no_secret", `There is no secret ${JSON.stringify(name)}`);
    await tell(opened, name, { type: "access.secret.delete", data: {} });
    return { name };
  },
});

const kept = (work: () => number): number => {
  try {
    return work();
  } catch (error) {
    if (error instanceof KeysFault && error.kind === "invalid") throw new Refused("not_stored", error.message);
    throw error;
  }
};

const tell = async ({ entities }: Opened, name: string, command: AccessCommand): Promise<void> => {
  const outcome = await entities.ask({ ...command, id: `secret.${name}`, by: OPERATOR.principal });
  if (outcome.is === "accepted") return;
  throw new LogFault(
    "io",
    `Cannot put on record what was done with the secret ${JSON.stringify(name)}: ${outcome.is}; it is done`,
  );
};
