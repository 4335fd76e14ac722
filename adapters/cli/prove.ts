/**
 * Before a command that cannot be undone: who types it shows what an account has that may do it, a second factor or the password. It
 * keeps a terminal that somebody left from doing harm; who may read the folder's keys is held up by nothing.
 */
import { type Call, text } from "./call.ts";
import { readLogin } from "./login_file.ts";
import { passwordIn } from "./password.ts";
import type { Shown } from "./persons.ts";
import { safe } from "./print.ts";
import type { Runtime } from "./runtime.ts";
import { operateOn } from "./writer.ts";

/** True when somebody has shown it; false where there is nobody to ask. `shown`: what was typed, where it was read already. */
export const prove = async (call: Call, runtime: Runtime, data = call.data, shown?: Shown): Promise<boolean> => {
  if (!await (data === call.data ? runtime.accounts(data) : anyAccounts(data, runtime))) return false;
  const login = await readLogin(runtime, data);
  const { code, password } = shown ?? await shownIn(call, runtime);
  const { wanted } = await operateOn<{ readonly wanted: boolean }>({ ...call, data }, runtime, {
    operation: "show-factor",
    input: {
      ...(login && { refresh_token: login.refresh_token }),
      ...(code === undefined ? {} : { code }),
      ...(password === undefined ? {} : { password }),
    },
  });
  return wanted;
};

/** What was typed, to be shown. */
export const shownIn = async (call: Call, { io }: Pick<Runtime, "io">): Promise<Shown> => ({
  account: text(call, "account"),
  code: text(call, "code"),
  password: await passwordIn(call, io),
});

/** Another folder, whose keys cannot be read, has nobody who could be asked: a copy takes its place because it is damaged. */
const anyAccounts = async (data: string, runtime: Runtime): Promise<boolean> => {
  try {
    return await runtime.accounts(data);
  } catch (error) {
    if (!(error instanceof Error) || error.name !== "KeysFault") throw error;
    runtime.io.err(`daybook: its own accounts cannot be asked: ${safe(error.message)}\n`);
    return false;
  }
};
