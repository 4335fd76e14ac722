import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { fileURLToPath } from "node:url";
import { commit, Place } from "./git_given.ts";
import { events, filledIn, script, snippet, started } from "./recipes/recipe.ts";

/** Whether these words stand in a file of the folder, as they are. */
const holds = async (folder: string, words: readonly string[]): Promise<readonly string[]> => {
  const found: string[] = [];
  for await (const { name, isFile } of Deno.readDir(folder)) {
    if (!isFile) continue;
    const text = Buffer.from(await Deno.readFile(`${folder}/${name}`)).toString("latin1");
    for (const word of words) if (text.includes(word)) found.push(`${name}: ${word}`);
  }
  return found;
};

const root = fileURLToPath(new URL("../", import.meta.url)).replace(/\/$/, "");

Deno.test("the recipe's hook records a push as it happens, and what is gone with it", async () => {
  await using place = await Place.make();
  await place.repository(
    "mine",
    commit({ mark: 1, message: "one", files: { a: "1\n" } }) + "reset refs/heads/side\nfrom :1\n\n",
  );
  await place.git("", ["init", "-q", "--bare", "-b", "main", "server.git"]);
  const hook = filledIn(snippet("git-hook", "sh"), {
    "deno task": `${Deno.execPath()} task`,
    "/opt/daybook": `'${root}'`,
    "/var/lib/daybook": `'${place.folder}/data'`,
  });
  await Deno.writeTextFile(`${place.folder}/server.git/hooks/post-receive`, hook, { mode: 0o755 });
  const server = await started(`${place.folder}/data`);
  try {
    const push = (...args: readonly string[]) =>
      place.git("mine", ["push", "-q", "../server.git", ...args], "", {
        DENO_DIR: Deno.env.get("DENO_DIR") ?? `${Deno.env.get("HOME")}/.cache/deno`,
      });
    await push("main", "side");
    const [recorded] = await events(server, "commits.commit.recorded", 1);
    assert.equal(recorded!.stream, "commits/server");
    assert.equal((await events(server, "commits.branch.moved", 2)).length, 2);
    await push(":side");
    assert.deepEqual(
      (await events(server, "commits.branch.deleted", 1)).map(({ data }) => (data as { branch: string }).branch),
      ["side"],
    );
  } finally {
    assert.equal(await server.stop(), 0);
  }
  assert.deepEqual(await holds(`${place.folder}/data`, ["Ada Byron", "ada@example.com"]), []);
});

Deno.test("the recipe's request is a push that the server takes once", async () => {
  await using place = await Place.make();
  const secret = "0123456789abcdef";
  await Deno.writeTextFile(`${place.folder}/github-secret`, secret);
  const server = await started(`${place.folder}/data`, {
    env: { DAYBOOK__GITHUB__WEBHOOK_SECRET: "{ env: DAYBOOK_GITHUB_SECRET }", DAYBOOK_GITHUB_SECRET: secret },
  });
  try {
    const text = filledIn(snippet("github-webhook", "sh"), { "http://127.0.0.1:7373": server.url });
    const send = async () => {
      const { code, said } = await script(["sh", "-e", "-c"], `cd '${place.folder}'\n${text}`, {});
      assert.equal(code, 0, said);
      return JSON.parse(said);
    };
    assert.deepEqual(await send(), { commits: 1, known: 0, moves: 1 });
    assert.deepEqual(await send(), { commits: 0, known: 1, moves: 0 });
    const [recorded] = await events(server, "commits.commit.recorded", 1);
    assert.equal(recorded!.stream, "commits/github.com:octocat:hello-world");
  } finally {
    assert.equal(await server.stop(), 0);
  }
  assert.deepEqual(await holds(`${place.folder}/data`, ["Mona Example", "mona@example.com"]), []);
  assert.notDeepEqual(await holds(`${place.folder}/data`, ["Say hello"]), []);
});
