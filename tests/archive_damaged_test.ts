/** An archive that is not what was archived: nothing of it is taken for what the log had. */
import assert from "node:assert/strict";
import type { LogFault } from "../events/log.ts";
import { append, archived, opened, reading } from "./archive_given.ts";
import { inFolder } from "./folder_given.ts";

const TEXT = new TextEncoder().encode("tests.thing");

/** Changes a byte of the first event of a bundle. */
const changed = (bundle: Uint8Array, to: number): Uint8Array => {
  const at = bundle.findIndex((_, i) => TEXT.every((byte, j) => bundle[i + j] === byte));
  return bundle.with(at, to);
};

Deno.test("what an archive holds in the place of what was archived is read by nobody", () =>
  inFolder(async (dir) => {
    const [data, archive] = [`${dir}/data`, `${dir}/archive`];
    await opened(data, async (system) => {
      await append(system, 0, 700);
      await archived(system, data, archive, 512);
    });
    const whole = (from: number) =>
      reading(data, (log) => [...log.read({ from })].flat().map(({ position }) => position), archive);
    const size = (await whole(0)).length;
    const [first, second] = [`${archive}/tile/entries/000`, `${archive}/tile/entries/001`];
    const [was, other] = [await Deno.readFile(first), await Deno.readFile(second)];
    const cases: Readonly<Record<string, Uint8Array>> = {
      "another letter": changed(was, 0x75),
      "no JSON": changed(was, 0x22),
      "no UTF-8": changed(was, 0xff),
      "another bundle": other,
    };
    for (const [name, bundle] of Object.entries(cases)) {
      await Deno.writeFile(first, bundle);
      await assert.rejects(
        whole(0),
        ({ kind, message, cause }: LogFault) =>
          kind === "archived" && (cause as LogFault).kind === "truncated" &&
          /^the archive is damaged: what it holds from position \d+ to \d+ is not what was archived$/.test(message),
        name,
      );
      assert.equal((await whole(400)).length, size - 400, "what lies in other bundles is read");
    }
    await Deno.writeFile(first, was);
    assert.equal((await whole(0)).length, size);
  }));
