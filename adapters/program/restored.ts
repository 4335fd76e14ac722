/**
 * What a restored folder says of itself until it is opened to be written: then its log says it, as the first event behind the backup,
 * so that an older copy never goes on in silence. Where a newer checkpoint is known it does not go on at all, unless under another name.
 */
import { z } from "zod";
import { kernelEvent } from "../../actors/kernel/kernel_event.ts";
import { LOG_STREAM } from "../../events/kernel_log.ts";
import { LogFault } from "../../events/log.ts";
import type { KvLog } from "../kv/log.ts";
import { systemClock } from "../system/world.ts";
import { FILES } from "./files.ts";
import { OPERATOR } from "./operator.ts";

const size = z.int().nonnegative();

const markSchema = z.strictObject({
  /** What was restored. */
  size,
  root: z.string(),
  /** When the backup was made. */
  backup: z.string(),
  /** A checkpoint known elsewhere that covers more. */
  beyond: z.strictObject({ name: z.string(), size, root: z.string() }).optional(),
  /** It goes on under another name. */
  fork: z.strictObject({ origin: z.string(), key: z.string(), to: z.string() }).optional(),
});
export type RestoredMark = z.infer<typeof markSchema>;

const pathIn = (data: string): string => `${data}/${FILES.restored}`;

/** Into a folder that is not in its place yet; durable with the rest of it. */
export const markRestored = (folder: string, mark: RestoredMark): Promise<void> =>
  Deno.writeTextFile(pathIn(folder), `${JSON.stringify(mark)}\n`, { createNew: true, mode: 0o600 });

/** What the folder is to say of itself; absent where it has said it. Throws `LogFault` `foreign` for one that is damaged. */
export const readMark = async (data: string): Promise<RestoredMark | undefined> => {
  let text: string;
  try {
    text = await Deno.readTextFile(pathIn(data));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
  try {
    return markSchema.parse(JSON.parse(text));
  } catch (cause) {
    // To pass it over would be to go on in silence.
    throw new LogFault("foreign", `${pathIn(data)} is damaged; restore the backup again`, { cause });
  }
};

/** Before anything else is appended. Throws `LogFault` `truncated` where the log must not be gone on with. May be repeated. */
export const settleRestored = async (data: string, log: Pick<KvLog, "append" | "size">): Promise<void> => {
  const mark = await readMark(data);
  if (!mark) return;
  const { size, root, backup, beyond, fork } = mark;
  if (beyond && !fork && log.size < beyond.size) {
    throw new LogFault(
      "truncated",
      `the log was restored with ${size} events, and ${beyond.name} covers ${beyond.size}; it can be read, not written: ` +
        "to go on under another name, restore the backup with --new-origin",
    );
  }
  const known = beyond ? { beyond: { size: beyond.size, root: beyond.root } } : {};
  const fact = fork
    ? {
      type: "kernel.log.forked",
      data: { from: { origin: fork.origin, key: fork.key, size, root }, to: fork.to, backup, ...known },
    }
    : { type: "kernel.log.restored", data: { size, root, backup } };
  const appended = await log.append({
    events: [kernelEvent(fact, {
      id: `${fact.type} ${size} ${root} ${backup}`,
      at: systemClock.now(),
      timeGiven: false,
      stream: LOG_STREAM,
      ...OPERATOR.principal,
    })],
  });
  if (!appended.ok) throw new LogFault("foreign", "the log tells otherwise of how it was restored");
  await Deno.remove(pathIn(data));
};
