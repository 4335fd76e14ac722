/** The session that a terminal was signed in to: one file in the data folder, its owner's alone, gone through by who signs out. */
import type { Runtime } from "./runtime.ts";

export interface Login {
  readonly account: string;
  readonly session: string;
  /** Names the session, and opens it. */
  readonly refresh_token: string;
}

const fileOf = (data: string): string => `${data}/login`;

/** `undefined` when nobody is signed in, or what lies there is none of ours. */
export const readLogin = async ({ io }: Pick<Runtime, "io">, data: string): Promise<Login | undefined> => {
  try {
    const kept = JSON.parse(await io.readText(fileOf(data))) as Partial<Login> | null;
    const { account, session, refresh_token } = kept ?? {};
    if (typeof account !== "string" || typeof session !== "string" || typeof refresh_token !== "string") {
      return undefined;
    }
    return { account, session, refresh_token };
  } catch {
    return undefined;
  }
};

export const keepLogin = (runtime: Pick<Runtime, "io">, data: string, login: Login | null): Promise<void> =>
  runtime.io.writePrivate({ [fileOf(data)]: `${JSON.stringify(login)}\n` });
