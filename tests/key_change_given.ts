/** Logs whose key is changed on the way, truly or not. */
import { type NoteSigner, noteSigner } from "../adapters/keys/note.ts";
import { type RotationStatement, rotationText } from "../adapters/keys/rotation.ts";
import { inlineBackground } from "../adapters/kv/background.ts";
import { KvLog } from "../adapters/kv/log.ts";
import { KvStore } from "../adapters/kv/store.ts";
import { systemClock, systemRandom } from "../adapters/system/world.ts";
import { catalogue } from "../events/catalogue.ts";
import type { Checkpoint } from "../events/log.ts";
import { event } from "./verify_given.ts";

export const ORIGIN = "log.example/changing";
export const [FIRST, SECOND, THIRD, STRANGER] = [11, 12, 13, 14].map((seed) =>
  noteSigner(ORIGIN, new Uint8Array(32).fill(seed))
) as [NoteSigner, NoteSigner, NoteSigner, NoteSigner];
export const UNTIL = "2026-12-20T00:00:00.000Z";

export const signedBy = (text: string, ...signers: readonly NoteSigner[]): string =>
  `${text}\n${signers.map((signer) => signer.signature(text)).join("")}`;

/** The data of a true change; `over`: where it is not. */
export const changed = (
  { size, root }: Pick<Checkpoint, "size" | "root">,
  [old, next]: readonly [NoteSigner, NoteSigner],
  over: Partial<RotationStatement> = {},
): Record<string, string> => {
  const said = { origin: ORIGIN, size, root, old: old.vkey, new: next.vkey, until: UNTIL, ...over };
  return { old: said.old, new: said.new, until: said.until, note: signedBy(rotationText(said), old, next) };
};

export type Step =
  /** So many events, then a checkpoint that is kept. */
  | number
  /** From here on these sign. */
  | readonly NoteSigner[]
  /** An event that says that the key was changed. */
  | ((checkpoint: Checkpoint) => unknown)
  /** An event that says that the log left another. */
  | { readonly forked: (checkpoint: Checkpoint) => unknown };

/** The newest checkpoint, and all that were kept on the way, by size. */
export interface Changed {
  readonly size: number;
  readonly note: string;
  readonly notes: ReadonlyMap<number, string>;
}

export const makeChanging = async (path: string, steps: readonly Step[]): Promise<Changed> => {
  const store = await KvStore.open(path, { clock: systemClock, random: systemRandom });
  let signers: readonly NoteSigner[] = [FIRST];
  const log = await KvLog.open(store, {
    catalogue: catalogue(),
    clock: systemClock,
    background: inlineBackground(store, systemClock),
    signer: {
      get origin() {
        return signers[0]!.name;
      },
      sign: (size, root) => signedBy(`${signers[0]!.name}\n${size}\n${root}\n`, ...signers),
    },
  });
  const notes = new Map<number, string>();
  try {
    for (const step of steps) {
      if (typeof step === "number") {
        const from = log.size;
        await log.append({ events: Array.from({ length: step }, (_, i) => event(from + i)) });
      } else if (Array.isArray(step)) {
        signers = step;
        continue;
      } else {
        const [type, told] = typeof step === "function"
          ? ["kernel.log.key_rotated", step] as const
          : ["kernel.log.forked", (step as Extract<Step, { forked: unknown }>).forked] as const;
        const data = told((await log.keepCheckpoint())!);
        await log.append({ events: [{ ...event(log.size), type, stream: "kernel/log", data }] });
      }
      const kept = (await log.keepCheckpoint())!;
      notes.set(kept.size, kept.note);
    }
    const { size, note } = (await log.checkpoint(log.size))!;
    return { size, note, notes };
  } finally {
    await log.close();
  }
};
