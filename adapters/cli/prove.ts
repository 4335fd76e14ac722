/**
 * Before a command that cannot be undone: who types it shows a second factor, once an account with privileges has one. It keeps a
 * terminal that somebody left from doing harm; who may read the folder's keys is held up by nothing.
 */
import { type Call, text } from "./call.ts";
import { readLogin } from "./login_file.ts";
import type { Runtime } from "./runtime.ts";
import { operateOn } from "./writer.ts";

export const prove = async (call: Call, runtime: Runtime): Promise<void> => {
  if (!await runtime.accounts(call.data)) return;
  const login = await readLogin(runtime, call.data);
  const code = text(call, "code");
  await operateOn(call, runtime, {
    operation: "show-factor",
    input: { ...(login && { refresh_token: login.refresh_token }), ...(code === undefined ? {} : { code }) },
  });
};
