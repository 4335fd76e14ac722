/** What the recipes' tests share: the snippets as they stand in the documents, and a real server to run them against. */
import assert from "node:assert/strict";
import { ended, heard, signal, stopped, until } from "../until.ts";

const root = new URL("../../", import.meta.url);

/** The blocks of code in a recipe, in order. */
export const snippets = (recipe: string): readonly { readonly language: string; readonly text: string }[] => {
  const page = Deno.readTextFileSync(new URL(`docs/recipes/${recipe}.md`, root));
  return [...page.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].map(([, language, text]) => ({
    language: language!,
    text: text!,
  }));
};

/** The only block in this language. */
export const snippet = (recipe: string, language: string): string => {
  const found = snippets(recipe).filter((block) => block.language === language);
  assert.equal(found.length, 1, `${recipe}.md has one block of ${language}`);
  return found[0]!.text;
};

/** Replaces what a reader of the recipe would put in; a text that is not there is a mistake of the recipe or the test. */
export const filledIn = (text: string, values: Readonly<Record<string, string>>): string =>
  Object.entries(values).reduce((filled, [from, to]) => {
    assert.ok(filled.includes(from), `the snippet says ${from}`);
    return filled.replaceAll(from, to);
  }, text);

export interface Server {
  readonly url: string;
  readonly data: string;
  /** A token with every scope. */
  readonly token: string;
  get(path: string): Promise<Response>;
  /** SIGTERM, and the exit code. */
  stop(): Promise<number>;
}

/** `deno task start` on a free port. `command` stands in for it when a recipe says another; `env` is added to the environment. */
export const started = async (
  data: string,
  { command = ["task", "start", "--data", data, "--port", "0"], env = {} }: {
    readonly command?: readonly string[];
    readonly env?: Readonly<Record<string, string>>;
  } = {},
): Promise<Server> => {
  const child = new Deno.Command(Deno.execPath(), {
    args: [...command],
    cwd: root,
    env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1", ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const errors = new Response(child.stderr).text();
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const LISTENING = /listening on (http:\/\/\S+)/;
  const printed = await heard("the server listens", lines, (text) => LISTENING.test(text)).catch(async (error) => {
    signal(child, "SIGKILL");
    throw new Error(`${error.message}\n${await errors}`);
  });
  const url = LISTENING.exec(printed)![1]!;
  const drained = (async () => {
    while (!(await lines.read()).done);
  })();
  const token = (await Deno.readTextFile(`${data}/first-token`)).trim();
  return {
    url: url.replace(/\/$/, ""),
    data,
    token,
    get: (path) => fetch(url + path, { headers: { authorization: `Bearer ${token}` } }),
    async stop() {
      const { code } = await stopped(child);
      await Promise.all([drained, errors]);
      return code;
    },
  };
};

/** Asks until the server has `count` events of the type, oldest first. */
export const events = (server: Server, type: string, count: number): Promise<readonly Record<string, unknown>[]> =>
  until(`${count} events of ${type}`, async () => {
    const answer = await server.get(`/events?type=${type}&limit=1000`);
    assert.equal(answer.status, 200, await answer.clone().text());
    return (await answer.json() as { events: Record<string, unknown>[] }).events;
  }, (found) => found.length >= count);

/** Where modules are kept, if not where they are by default: what a script starts finds them there, too. */
const cache = (): Readonly<Record<string, string>> => {
  const kept = Deno.env.get("DENO_DIR");
  return kept === undefined ? {} : { DENO_DIR: kept };
};

/** Runs a script as CI would and answers with what it said. */
export const script = async (
  shell: readonly string[],
  text: string,
  env: Readonly<Record<string, string>>,
): Promise<{ readonly code: number; readonly said: string }> => {
  const child = new Deno.Command(shell[0]!, {
    args: [...shell.slice(1), text],
    clearEnv: true,
    env: { PATH: Deno.env.get("PATH") ?? "", ...cache(), ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const { code, out, err } = await ended(shell[0]!, child);
  return { code, said: out + err };
};
