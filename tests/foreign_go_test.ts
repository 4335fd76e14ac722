/**
 * Other people's code reads what we write: golang.org/x/mod/sumdb (note and tlog), which Go trusts its module checksums to, accepts a
 * tlog-tiles folder and an audit's log, and refuses them after one changed byte. Where Go and the package are there, as Debian has
 * them: golang-go and golang-golang-x-mod-dev.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { tlogFiles, writeTlog } from "../adapters/tlog/writer.ts";
import { inFolder } from "./folder_given.ts";
import { installed, missing } from "./installed_given.ts";
import { withSignedLog } from "./tlog_given.ts";
import { signer, stranger } from "./verify_given.ts";

const PACKAGES = "/usr/share/gocode";

const run = async (program: string, args: readonly string[], env: Record<string, string> = {}) => {
  const { code, stdout, stderr } = await new Deno.Command(program, { args: [...args], env }).output();
  const text = new TextDecoder();
  return { code, said: text.decode(stdout) + text.decode(stderr) };
};

const UNTESTED = "no folder is shown to sumdb";
const sumdb = await Deno.stat(`${PACKAGES}/src/golang.org/x/mod/sumdb/tlog`)
  .catch(() => missing("golang.org/x/mod", UNTESTED));
const go = installed("go", UNTESTED);

Deno.test({
  name: "Go's sumdb accepts a tlog-tiles folder, and nothing that was changed",
  ignore: !go || !sumdb,
  fn: () =>
    withSignedLog([300, 700], (log, [older, newer]) =>
      inFolder(async (scratch) => {
        const program = join(scratch, "fsck");
        const source = fileURLToPath(new URL("go/main.go", import.meta.url));
        const env = { GO111MODULE: "off", GOPATH: PACKAGES, GOCACHE: join(scratch, "cache"), GOFLAGS: "" };
        const built = await run("go", ["build", "-o", program, source], env);
        assert.equal(built.code, 0, built.said);
        const folder = join(scratch, "log");
        await writeTlog(folder, tlogFiles(log, newer!));
        await Deno.writeTextFile(join(scratch, "older"), older!.note);
        const asked = (key = signer.vkey) => run(program, [folder, key, join(scratch, "older")]);
        const accepted = await asked();
        assert.deepEqual(accepted, { code: 0, said: `accepted: 700 ${newer!.root}\n` });
        assert.equal((await asked(stranger.vkey)).code, 1);
        for (
          const name of ["checkpoint", "tile/entries/001", "tile/entries/002.p/188", "tile/0/001", "tile/1/000.p/2"]
        ) {
          const path = join(folder, name);
          const bytes = await Deno.readFile(path);
          await Deno.writeFile(path, bytes.map((byte, i) => i === 40 ? byte ^ 1 : byte));
          const { code, said } = await asked();
          assert.ok(code === 1 && said.startsWith("rejected: "), `${name}: ${said}`);
          await Deno.writeFile(path, bytes);
        }
        assert.equal((await asked()).code, 0);
      })),
});
