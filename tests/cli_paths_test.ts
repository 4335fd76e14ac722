/** Paths on the command line that are none. */
import assert from "node:assert/strict";
import { Usage } from "../adapters/cli/call.ts";
import { parse } from "../adapters/cli/parse.ts";

const place = { cwd: "/here", data: "/here/.daybook", version: "1.2.3", env: () => undefined };

Deno.test("a path is not empty, as where a variable is not set, and an argument is no standard stream where none is read", () => {
  for (
    const [typed, said] of [
      [["import", "git", ""], "import git: <path> takes a path, and is empty"],
      [["import", "bench", "a.json", ""], "import bench: <file...> takes a path, and is empty"],
      [["backup", ""], "backup: <folder> takes a path, and is empty"],
      [["demo", ""], "demo: [repository] takes a path, and is empty"],
      [["archive", "--before", "9", "--to", ""], "archive: --to takes a path, and is empty"],
      [["export", "--out="], "export: --out takes a path, and is empty"],
      [["secret", "set", "a", "--file", ""], "secret set: --file takes a path, and is empty"],
      [["import", "sshd", "-"], "import sshd: <file...> takes a path, not a standard stream"],
      [["config", "check", "-"], "config check: <file> takes a path, not a standard stream"],
    ] as const
  ) assert.throws(() => parse(typed, place), new Usage(said), typed.join(" "));
  for (const typed of [["import", "bench", "-"], ["import", "sshd", "./-"], ["secret", "set", "a", "--file", "-"]]) {
    assert.equal(parse(typed, place).is, "call", typed.join(" "));
  }
});
