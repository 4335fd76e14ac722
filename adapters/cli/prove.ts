/**
 * Before a command that cannot be undone: who types it shows a second factor, once an account with privileges has one. It keeps a
 * terminal that somebody left from doing harm; who may read the folder's keys is held up by nothing.
 */
import { type Call, text } from "./call.ts";
import { safe } from "./print.ts";
import { readLogin } from "./login_file.ts";
import type { Runtime } from "./runtime.ts";
import { operateOn } from "./writer.ts";

export const prove = async (call: Call, runtime: Runtime, data = call.data): Promise<void> => {
  if (!await (data === call.data ? runtime.accounts(data) : anyAccounts(data, runtime))) return;
  const login = await readLogin(runtime, data);
  const code = text(call, "code");
  await operateOn({ ...call, data }, runtime, {
    operation: "show-factor",
    input: { ...(login && { refresh_token: login.refresh_token }), ...(code === undefined ? {} : { code }) },
  });
};

/** Another folder, whose keys cannot be read, has nobody who could be asked: a copy takes its place because it is damaged. */
const anyAccounts = async (data: string, runtime: Runtime): Promise<boolean> => {
  try {
    return await runtime.accounts(data);
  } catch (error) {
    if (!(error instanceof Error) || error.name !== "KeysFault") throw error;
    runtime.io.err(`daybook: nobody can be asked for a second factor: ${safe(error.message)}\n`);
    return false;
  }
};
