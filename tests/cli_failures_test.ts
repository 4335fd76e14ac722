/** What an error means to the person who typed a command. */
import assert from "node:assert/strict";
import { failureOf } from "../adapters/cli/run.ts";
import { fileText } from "../adapters/cli/terminal.ts";
import { inFolder } from "./folder_given.ts";

Deno.test("a disk that is full under a file is told as that, whatever wrote", () => {
  const error = Object.assign(new Error("No space left on device (os error 28)"), { code: "ENOSPC" }); // as Deno throws it
  const message = "Cannot write: No space left on device (os error 28)";
  assert.deepEqual(failureOf(error), { exit: 3, code: "full", message });
});

Deno.test("what the system says of a file is told as that", () => {
  const error = Object.assign(new Error("Input/output error (os error 5)"), { code: "EIO" }); // as Deno throws it
  assert.deepEqual(failureOf(error), { exit: 3, code: "io", message: "Input/output error (os error 5)" });
  const bug = Object.assign(new Error("no such column: x"), { code: "ERR_SQLITE_ERROR" });
  assert.equal(failureOf(bug).code, "unexpected");
});

Deno.test("of a file that opens and cannot be read it is said which, such as a folder in the place of a secret", () =>
  inFolder((folder) =>
    assert.rejects(fileText(folder), (error) => {
      const { exit, code, message } = failureOf(error);
      assert.deepEqual([exit, code, message], [2, "no_file", `${folder}: Is a directory (os error 21)`]);
      return true;
    })
  ));
