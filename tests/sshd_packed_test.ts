/** Logs of OpenSSH's server that are packed: they come out a piece at a time, and a stop is no flaw of theirs. */
import assert from "node:assert/strict";
import { unpackedOf } from "../actors/kernel/intake.ts";
import { checkLogs, importLogs } from "../adapters/sshd/import.ts";
import { gunzip } from "../adapters/sshd/lines.ts";
import { systemClock } from "../adapters/system/world.ts";
import { openDaybook } from "../main.ts";
import { gzip } from "./cloudtrail_given.ts";
import { inFolder } from "./folder_given.ts";

const MIB = 1_024 * 1_024;

Deno.test("what a little gzip becomes is handed on in pieces, as they are asked for", async () => {
  const packed = await gzip("\n".repeat(32 * MIB));
  assert.ok(packed.length < MIB / 16, `${packed.length}`);
  let [bytes, longest] = [0, 0];
  for await (const { length } of unpackedOf(new Blob([packed]).stream(), gunzip)) {
    bytes += length;
    longest = Math.max(longest, length);
  }
  assert.deepEqual([bytes, longest <= MIB / 16], [32 * MIB, true], `${longest}`);
});

Deno.test("a packed log at which an import is stopped is not said to be damaged", () =>
  inFolder(async (folder) => {
    const lines = Array.from({ length: 30_000 }, (_, i) => {
      const address = `192.0.2.${i % 250} port ${crypto.getRandomValues(new Uint16Array(1))[0]}`;
      return `Nov 20 18:22:17 vm sshd[${i}]: Invalid user a${i} from ${address}\n`;
    });
    const path = `${folder}/auth.log.2.gz`;
    await Deno.writeFile(path, await gzip(lines.join("")));
    await using daybook = await openDaybook({ data: ":memory:" }).then((daybook) =>
      Object.assign(daybook, { [Symbol.asyncDispose]: () => daybook.close() })
    );
    const found = await checkLogs([path], { zone: "UTC", told: () => {} });
    const stop = new AbortController();
    const { events, problems, stopped } = await importLogs(daybook, found, {
      by: { authtype: "user", authid: "operator" },
      clock: systemClock,
      told: ({ done }) => done > found.bytes + found.bytes / 2 && stop.abort(),
      signal: stop.signal,
    });
    assert.deepEqual([events < lines.length, stopped, problems], [true, true, []]);
  }));
