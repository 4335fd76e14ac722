/** The stored views, for commands that can do without them. */
import { safe } from "./print.ts";
import type { Runtime, StoredViews } from "./runtime.ts";
import { ViewsUnreadable } from "./runtime.ts";

/** Views that cannot be read are told of and passed over, as if there were none. */
export const readableViews = async (runtime: Runtime, data: string): Promise<StoredViews | undefined> => {
  try {
    return await runtime.views(data);
  } catch (error) {
    if (!(error instanceof ViewsUnreadable)) throw error;
    passedOver(runtime, error.message);
    return undefined;
  }
};

/** Tells the operator why the log is folded instead. */
export const passedOver = ({ io }: Runtime, because: string): void =>
  io.err(`daybook: ${safe(because)}; start builds them again, until then the log itself is read\n`);
