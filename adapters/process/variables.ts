/** Variables of the environment that a process was given. */

/** A variable whose bytes are no text; the platform would tell them, and they may be a secret. */
export class NoText extends Error {
  override readonly name = "NoText";
}

/** What is not granted looks unset. The answer throws `NoText`, which has the name and not the value. */
export const variablesOf = (env: Pick<Deno.Env, "get">) => (name: string): string | undefined => {
  try {
    return env.get(name);
  } catch (error) {
    if (!(error instanceof Deno.errors.InvalidData)) throw error;
    throw new NoText(`the variable ${name} is not UTF-8`);
  }
};
