/** What an error means to the person who typed a command. */
import assert from "node:assert/strict";
import { faultOf, fillFolder } from "../adapters/backup/folder.ts";
import { OutputFault } from "../adapters/cli/draft.ts";
import { failureOf } from "../adapters/cli/run.ts";
import { fileText } from "../adapters/cli/terminal.ts";
import { inFolder } from "./folder_given.ts";
import { keysFault } from "../adapters/keys/fault.ts";
import { ViewsFault } from "../projections/views.ts";

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
      assert.deepEqual([exit, code, message], [2, "no_file", `Is a directory (os error 21): read '${folder}'`]);
      return true;
    })
  ));

Deno.test("a quota that is full is a full disk, though the platform gives no code of it", () => {
  const error = new Error("Disk quota exceeded (os error 122): open '/out'");
  assert.deepEqual(failureOf(error), { exit: 3, code: "full", message: `Cannot write: ${error.message}` });
  assert.equal(new OutputFault(error, "/out").kind, "full");
  assert.equal(faultOf("fill /out", error).kind, "full");
  assert.equal(keysFault("store a secret", error).kind, "full");
});

Deno.test("what the system says and the platform has no code for is told as what it is", () => {
  for (
    const said of [
      "Too many open files in system (os error 23): open '/data/log.db'",
      "Stale file handle (os error 116): open '/nfs/auth.log'",
      "UNKNOWN: unknown error, mkdir '/backups'", // of Node's functions
    ]
  ) assert.deepEqual(failureOf(new Error(said)), { exit: 3, code: "io", message: said });
});

Deno.test("a place that cannot be looked into is not said to be there", async () => {
  const filling = fillFolder(`/tmp/${"x".repeat(300)}`, () => Promise.resolve());
  await assert.rejects(filling, { kind: "io", message: /^Cannot look into .+ENAMETOOLONG/ });
});

Deno.test("a disk that fails under a view is nothing found wanting; a view that is damaged is", () => {
  const exit = (said: string) => failureOf(new ViewsFault("damaged", `notes.db: ${said}`)).exit;
  assert.deepEqual(["disk I/O error", "unable to open database file"].map(exit), [3, 3]);
  assert.equal(exit("database disk image is malformed"), 1);
});
