/** `factors list`, `factors add` and `factors confirm`: second factors of the account that this terminal is signed in to. */
import { renderUnicodeCompact } from "uqr";
import type { Call, Run } from "../call.ts";
import { text, Usage } from "../call.ts";
import { readLogin } from "../login_file.ts";
import { passwordIn } from "../password.ts";
import { safe } from "../print.ts";
import { Refused, type Runtime } from "../runtime.ts";
import type { Io } from "../io.ts";
import { operateOn } from "../writer.ts";

interface Shown {
  readonly factors: readonly { readonly factor: string; readonly kind: string; readonly left?: number }[];
}
interface Begun {
  readonly factor: string;
  readonly secret: string;
  readonly uri: string;
}

export const list: Run = async (call, runtime) => {
  const { factors } = await asked<Shown>(call, runtime, "list-factors");
  if (call.json) runtime.io.out(`${JSON.stringify({ factors })}\n`);
  else if (factors.length === 0) runtime.io.out("no second factors\n");
  for (const { factor, kind, left } of call.json ? [] : factors) {
    runtime.io.out(`${factor}  ${kind}${left === undefined ? "" : `, ${left} left`}\n`);
  }
  return 0;
};

/** It counts once a code of it was shown to `factors confirm`. */
export const add: Run = async (call, runtime) => {
  const { io } = runtime;
  const password = await passwordOf(call, io);
  const { factor, secret, uri } = await asked<Begun>(call, runtime, "begin-factor", { password, ...codeOf(call) });
  if (call.json) io.out(`${JSON.stringify({ factor, secret, uri })}\n`);
  else {
    io.out(`${coloured(io, renderUnicodeCompact(uri, { border: QUIET_ZONE }))}\n`);
    io.out(`or type  ${secret.match(/.{1,4}/g)!.join(" ")}\n`);
    io.err(`then show the first code: deno task daybook factors confirm ${factor} CODE\n`);
  }
  return 0;
};

export const confirm: Run = async (call, runtime) => {
  const [factor, code] = call.args as readonly [string, string];
  const { codes } = await asked<{ readonly codes: readonly string[] }>(call, runtime, "confirm-factor", {
    factor,
    code,
  });
  const { io } = runtime;
  if (call.json) io.out(`${JSON.stringify({ factor, codes })}\n`);
  else {
    io.out(`${codes.map(safe).join("\n")}\n`);
    io.err("each of these lets you in once where you have no authenticator; they are not shown again\n");
  }
  return 0;
};

/** ISO/IEC 18004 section 6.3.8: four modules on each side. */
const QUIET_ZONE = 4;

/** White on black, whatever the terminal's own colours are; the lines themselves are light where the code is. */
const coloured = (io: Io, code: string): string =>
  io.terminal.out && !io.env("NO_COLOR")
    ? code.split("\n").map((line) => `\u001b[97;40m${line}\u001b[0m`).join("\n")
    : code;

const asked = async <T>(call: Call, runtime: Runtime, operation: string, input: object = {}): Promise<T> => {
  const login = await readLogin(runtime, call.data);
  if (!login) throw new Refused("login_wanted", "Sign in first: deno task daybook login");
  return await operateOn<T>(call, runtime, { operation, input: { refresh_token: login.refresh_token, ...input } });
};

const codeOf = (call: Call): { readonly code?: string } => {
  const code = text(call, "code");
  return code === undefined ? {} : { code };
};

const passwordOf = async (call: Call, io: Io): Promise<string> => {
  const password = await passwordIn(call, io);
  if (password !== undefined) return password;
  throw new Usage("it wants your password again: --password-file FILE, or - for standard input");
};
