/** What an operator asks for that needs the log to be written, while it cannot be: it is said, and nobody waits until there is room. */
import assert from "node:assert/strict";
import { recordVerification } from "../adapters/program/controls/operations.ts";
import { type Opened, openSystem } from "../adapters/program/daybook.ts";
import { beginArchive } from "../adapters/program/archive_log.ts";
import { LogFault } from "../events/log.ts";
import { within } from "./until.ts";

const asked = { progress: () => {}, signal: new AbortController().signal };
const never = new Promise<never>(() => {});

/** As it is while the log refuses: what follows the commits waits, and so do facts of the kernel. */
const refusing = (opened: Opened, kind: "full" | "fenced"): Opened => {
  const { log, supervision } = opened;
  const unwritable = new LogFault(kind, "no room on the disk");
  // Of a log that is written no more the recorder has taken leave.
  const flush = () => kind === "fenced" ? Promise.resolve() : never;
  return {
    ...opened,
    log: Object.create(log, { unwritable: { value: unwritable }, checkpoint: { value: () => never } }),
    supervision: { ...supervision, world: { ...supervision.world, recorder: { record() {}, flush } } },
  };
};

const withSystem = async (test: (opened: Opened) => Promise<void>): Promise<void> => {
  const opened = await openSystem({ data: ":memory:" });
  try {
    const event = { id: "1", source: "urn:tests", type: "tests.thing.happened", data: {} };
    await opened.daybook.ingest([event], { authtype: "system", authid: "tests" });
    await test(opened);
  } finally {
    await opened.daybook.close();
  }
};

Deno.test("that the log was verified is not waited for where it cannot be recorded", () =>
  withSystem(async (opened) => {
    const { size, root } = (await opened.daybook.checkpoint(opened.daybook.log.size))!;
    const input = { size, root, ok: true, failures: 0, anchored: 0 };
    for (const kind of ["full", "fenced"] as const) {
      const recorded = recordVerification.run(refusing(opened, kind), { ...asked, input });
      await assert.rejects(within(`the word that it is ${kind}`, recorded, { seconds: 20 }), {
        name: "LogFault",
        kind,
      });
    }
  }));

Deno.test("an archive is not waited for where the log cannot be signed, and says why", () =>
  withSystem(async (opened) => {
    const begun = beginArchive.run(refusing(opened, "full"), { ...asked, input: { before: { position: 1 } } });
    await assert.rejects(within("the word that it is full", begun, { seconds: 20 }), {
      name: "LogFault",
      kind: "full",
    });
  }));
