/** `login` and `logout`: a terminal is signed in to an account by somebody who is signed in elsewhere (RFC 8628). */
import type { Run } from "../call.ts";
import { keepLogin, type Login, readLogin } from "../login_file.ts";
import { safe } from "../print.ts";
import { Refused, type Remote, type Runtime } from "../runtime.ts";
import { operateOn } from "../writer.ts";

interface Begun {
  readonly device_code: string;
  readonly user_code: string;
  readonly verification_uri: string;
  /** Seconds. */
  readonly expires_in: number;
  readonly interval: number;
}

export const login: Run = async (call, runtime) => {
  const remote = await runtime.remote(call.data);
  if (!remote) throw new Refused("no_server", "Nobody can sign a terminal in where no server runs; start one first");
  try {
    const begun = await remote.operate("begin-login", {}, () => {}) as Begun;
    const { verification_uri, user_code } = begun;
    runtime.io.err(`open ${safe(`${verification_uri}?code=${user_code}`)}\nand allow ${safe(user_code)}\n`);
    const kept = await allowed(remote, begun, runtime);
    await keepLogin(runtime, call.data, kept);
    const { account, session } = kept;
    runtime.io.out(call.json ? `${JSON.stringify({ account, session })}\n` : `signed in to ${safe(account)}\n`);
    return 0;
  } finally {
    await remote.close();
  }
};

/** Asks every few seconds, until somebody has answered or it is too late. */
const allowed = async (remote: Remote, { device_code, interval }: Begun, { clock }: Runtime): Promise<Login> => {
  for (;;) {
    await new Promise<void>((resolve) => clock.schedule(interval * 1_000, resolve));
    const polled = await remote.operate("poll-login", { device_code }, () => {}) as Login & { readonly is: string };
    if (polled.is === "pending") continue;
    const { account, session, refresh_token } = polled;
    return { account, session, refresh_token };
  }
};

export const logout: Run = async (call, runtime) => {
  const kept = await readLogin(runtime, call.data);
  if (kept) {
    await operateOn(call, runtime, { operation: "end-login", input: { refresh_token: kept.refresh_token } });
    await keepLogin(runtime, call.data, null);
  }
  const { io } = runtime;
  if (call.json) io.out(`${JSON.stringify({ ok: true, ended: kept?.session ?? null })}\n`);
  else io.out(kept ? `signed out of ${safe(kept.account)}\n` : "nobody was signed in\n");
  return 0;
};
