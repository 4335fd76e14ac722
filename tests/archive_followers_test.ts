/** Who follows the log when its beginning goes to an archive: nothing goes that one of them has not seen to, and all find their way later. */
import assert from "node:assert/strict";
import type { Self } from "../actors/kernel/child.ts";
import type { ProcessManager } from "../actors/types.ts";
import type { Daybook } from "../actors/kernel/daybook.ts";
import type { ViewRule } from "../projections/alerts/mod.ts";
import { rowCases } from "../adapters/program/alerts/rows.ts";
import { CaughtUp } from "../adapters/program/controls/caught_up.ts";
import { openSystem } from "../adapters/program/daybook.ts";
import { operate } from "../adapters/program/operations.ts";
import { systemClock } from "../adapters/system/world.ts";
import { parseConfig } from "../config/config.ts";
import { append, archived, begin, end, opened, reading, type System } from "./archive_given.ts";
import { inFolder } from "./folder_given.ts";
import { writeArchive } from "../adapters/program/archive_folder.ts";

const CURSOR = "timers/cursor";

/** As `begin`, for somebody who does not wait. */
const beginAtOnce = (system: System, position: number) =>
  operate(system, "begin-archive", {
    input: { before: { position } },
    progress: () => {},
    signal: AbortSignal.abort(),
  });

Deno.test("what a follower has not seen to is not archived, and it is said who that is", () =>
  inFolder((dir) =>
    opened(`${dir}/data`, async (system) => {
      await append(system, 0, 600);
      let size = 100;
      let noted = -1;
      const place = {
        get size() {
          return size;
        },
        note: () => void (noted = size),
      };
      system.outbound.places.enter("sink siem", place);
      await assert.rejects(beginAtOnce(system, 512), {
        name: "Refused",
        code: "follower_behind",
        message:
          "The sink siem has come to position 100 and needs what lies before 512: archive when it has come so far",
      });
      // One that comes there meanwhile is waited for.
      setTimeout(() => size = 600, 100);
      const { until } = await archived(system, `${dir}/data`, `${dir}/archive`, 512);
      assert.deepEqual([until, noted], [512, 600]);
    })
  ));

Deno.test("a sink of the configuration that does not run now is asked by what it has noted", () =>
  inFolder(async (dir) => {
    const yaml = `sinks: [{ kind: file, name: copy, path: ${dir}/copy, from: beginning }]`;
    const parsed = parseConfig(yaml, "c.yaml", {});
    assert.ok(parsed.ok);
    const system = await openSystem({ data: `${dir}/data`, config: parsed.config });
    try {
      await append(system, 0, 600);
      await assert.rejects(begin(system, 512), {
        code: "follower_behind",
        message: /^The sink copy has come to position 0 /,
      });
      system.outbound.views.setNote("sink/copy/cursor", { size: 512 });
      assert.equal((await archived(system, `${dir}/data`, `${dir}/archive`, 512)).until, 512);
    } finally {
      await system.daybook.close();
    }
  }));

Deno.test("a sink that is in no configuration here is not waited for, and it is said where it is", () =>
  inFolder((dir) =>
    opened(`${dir}/data`, async (system) => {
      await append(system, 0, 600);
      system.outbound.views.setNote("sink/siem/cursor", { size: 100 });
      system.outbound.views.setNote("sink/copy/cursor", { size: 600 });
      const done = await archived(system, `${dir}/data`, `${dir}/archive`, 512);
      assert.deepEqual((done as { behind?: unknown }).behind, [{ who: "sink siem", size: 100 }]);
    })
  ));

Deno.test("followers note how far they are before anything is let go of", () =>
  inFolder(async (dir) => {
    const data = `${dir}/data`;
    await opened(data, async (system) => {
      await append(system, 0, 600);
      const { kept } = await archived(system, data, `${dir}/archive`, 512);
      const { size } = system.outbound.views.note(CURSOR) as { readonly size: number };
      assert.ok(size >= kept, `${size} of ${kept}`);
    });
  }));

Deno.test("where what entities are cannot be noted, their facts stay", () =>
  inFolder(async (dir) => {
    const data = `${dir}/data`;
    await opened(data, async (system) => {
      const { daybook, outbound: { views }, lies } = system;
      const by = { authtype: "system", authid: "tests" } as const;
      const move = {
        type: "commits.branch.move" as const,
        id: "one",
        data: { branch: "main", to: "1".repeat(40) },
        by,
      };
      assert.equal((await daybook.ask(move)).is, "accepted");
      await append(system, 0, 600);
      const begun = await begin(system, 512);
      await reading(data, (log) => writeArchive(log, `${dir}/archive`, begun, () => {}));
      const notes = views as unknown as { setNotes: (entries: unknown) => void };
      const before = notes.setNotes.bind(notes);
      notes.setNotes = () => {
        throw new Error("the disk is full");
      };
      await assert.rejects(end(system, begun), /the disk is full/);
      notes.setNotes = before;
      assert.equal(lies.get(["archived"]), undefined);
      assert.equal((await end(system, begun)).until, 512);
    });
  }));

Deno.test("a fold that had not come so far goes on behind what was archived", () =>
  inFolder((dir) =>
    opened(`${dir}/data`, async (system) => {
      const seen: number[] = [];
      const fold = {
        types: "*" as const,
        begin() {},
        apply: ({ position }: { readonly position: number }) => void seen.push(position),
      };
      await append(system, 0, 40, 10);
      const { log } = system.daybook;
      const caught = new CaughtUp(fold, { log, clock: systemClock });
      await caught.catchUp();
      const before = seen.length;
      await append(system, 40, 600);
      await archived(system, `${dir}/data`, `${dir}/archive`, 512);
      await caught.catchUp();
      assert.deepEqual([seen[before], caught.size, seen.at(-1)], [512, log.size, log.size - 1]);
    })
  ));

Deno.test("a row that became so in what was archived is so since what is behind it began, at least", () =>
  inFolder((dir) =>
    opened(`${dir}/data`, async (system) => {
      await append(system, 0, 600);
      await archived(system, `${dir}/data`, `${dir}/archive`, 512);
      const { log } = system.daybook;
      const rule = {
        is: "view",
        name: "down",
        title: "Down",
        view: "health.children",
        where: {},
        show: [],
      } as unknown as ViewRule;
      const rows = [3, 100, 520].map((position) => ({ key: `row ${position}`, position, row: {} }));
      const view = () => Promise.resolve({ rows, size: log.size }) as unknown as ReturnType<Daybook["view"]>;
      const { found, troubles } = await rowCases([rule], { daybook: { log, view }, digest: (text) => text });
      const at = (position: number) => [...log.read({ from: position, limit: 1 })].flat()[0]!.recordedat;
      assert.deepEqual(troubles, []);
      assert.deepEqual(found[0]!.cases.map(({ since }) => since), [at(512), at(512), at(520)]);
    })
  ));

Deno.test("a process manager that is new folds what is kept where that is enough for it, and else waits for the archive", () =>
  inFolder((dir) =>
    opened(`${dir}/data`, async (system) => {
      await append(system, 0, 600);
      await archived(system, `${dir}/data`, `${dir}/archive`, 512);
      const run = async (name: string, keptIsEnough?: boolean) => {
        const manager: ProcessManager = {
          name,
          version: 1,
          hears: ["tests.thing.happened"],
          initial: { seen: 0 },
          key: () => "all",
          react: (state) => ({ state: { seen: (state as { readonly seen: number }).seen + 1 }, effects: [] }),
        };
        const stop = new AbortController();
        const child = system.managed({ manager, from: "end", ...(keptIsEnough ? { keptIsEnough } : {}) });
        await child.run(stop.signal, { ready: () => stop.abort() } as Self);
        return system.outbound.views.note(`manager/${name}/state/all`);
      };
      await assert.rejects(run("strict"), { kind: "archived" });
      const kept = [...system.daybook.log.read({ from: 512 })].flat().filter(({ type }) =>
        type === "tests.thing.happened"
      );
      assert.deepEqual(await run("lenient", true), { seen: kept.length });
    })
  ));
