/** Process managers of an embedding program: in the tree, resumed after a restart and after kill -9, their dead letters redriven. */
import { CedarAuthority } from "../../adapters/program/access/authority.ts";
import { shippedModel } from "../../adapters/program/access/model.ts";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { openSystem } from "../../adapters/program/daybook.ts";
import { operatorRoutes } from "../../adapters/program/operator_routes.ts";
import { createServer } from "../../adapters/http/server.ts";
import { systemClock, systemRandom } from "../../adapters/system/world.ts";
import { type Managed, openDaybook, Undeliverable } from "../../main.ts";
import { buildAt, release } from "./manager_program.ts";
import { inFolder } from "../folder_given.ts";
import { until } from "../until.ts";
import { nobodyIn } from "../http_given.ts";

const by = { authtype: "system", authid: "ci" } as const;

Deno.test("a manager is a child of the tree, and goes on after a restart where it was", () =>
  inFolder(async (data) => {
    const notes: string[] = [];
    const managers: readonly Managed[] = [{
      manager: release,
      perform: ({ data }, { position }) => Promise.resolve(void notes.push(`${position} ${JSON.stringify(data)}`)),
    }];
    const first = await openDaybook({ data, managers });
    await first.ingest([buildAt(0), buildAt(1), buildAt(2), buildAt(6)], by);
    await until("three notes", () => notes.length === 3);
    const { children } = first.status().health;
    const ids = children!.map(({ id }) => id);
    assert.deepEqual(ids, ["log", "entities", "timers", "managers", "projections", "attester"]);
    const [child] = children![3]!.children!;
    assert.deepEqual([child!.id, child!.state], ["ci.release", "running"]);
    await first.close();

    const second = await openDaybook({ data, managers });
    await second.ingest([buildAt(12)], by);
    await until("the next note", () => notes.length > 3);
    assert.match(notes[3]!, new RegExp(`"passed":3,"sha":"${"d".padStart(40, "0")}"`));
    const moved = [...second.log.read({ stream: "commits/shop-0" })].flat();
    assert.deepEqual(moved.map((event) => (event.data as { to: string }).to.replace(/^0+/, "")), ["1", "7", "d"]);
    assert.equal(moved[0]!.authid, "manager.ci.release");
    assert.equal(moved[0]!.causationid, "build-0");
    await second.close();
    assert.equal(notes.length, 4);
  }));

Deno.test("a manager's dead letters are listed and delivered again, over HTTP and by the program, also after a restart", () =>
  inFolder(async (data) => {
    let [reachable, sent] = [false, 0];
    const managers: readonly Managed[] = [{
      manager: release,
      perform() {
        if (!reachable) throw new Undeliverable("the post office is closed");
        sent++;
        return Promise.resolve();
      },
    }];
    const first = await openDaybook({ data, managers });
    await first.ingest([buildAt(0), buildAt(2)], by);
    await until("two letters", () => first.deadLetters().length === 2);
    await first.close();

    const { daybook } = await openSystem({ data, managers });
    const server = createServer({
      authority: new CedarAuthority(shippedModel()),
      daybook,
      access: nobodyIn,
      clock: systemClock,
      random: systemRandom,
      routes: operatorRoutes({ daybook }),
    });
    const operator = {
      id: "o",
      scopes: ["admin"],
      tenant: "default",
      principal: { authtype: "user", authid: "o" },
    } as const;
    const ask = async (method: string, path: string) => {
      const response = await server.fetch(new Request(`http://localhost${path}`, { method }), undefined, operator);
      return await response.json();
    };
    try {
      await until(
        "the manager",
        () => daybook.status().health.children!.find(({ id }) => id === "managers")?.children?.[0]?.state === "running",
      );
      const { deadLetters: [one, two] } = await ask("GET", "/dead-letters");
      assert.equal(one.target, "manager:ci.release");
      assert.equal(one.cause, "Undeliverable: the post office is closed");
      assert.equal((await ask("POST", `/dead-letters/${one.id}/redrive`)).is, "failed");
      reachable = true;
      assert.deepEqual(await ask("POST", `/dead-letters/${one.id}/redrive`), { is: "delivered" });
      assert.deepEqual(await daybook.redrive(two.id), { is: "delivered" });
      assert.deepEqual([sent, daybook.deadLetters()], [2, []]);
    } finally {
      await server.stop();
      await daybook.close();
    }
  }));

Deno.test("two managers of one name are refused, and the folder is free again", () =>
  inFolder(async (data) => {
    await assert.rejects(openDaybook({ data, managers: [{ manager: release }, { manager: release }] }), TypeError);
    await (await openDaybook({ data })).close();
  }));

const BUILDS = 400;
const KILLS = 4;

Deno.test("killed while effects are under way, a manager resumes: every effect performed, every command counted once", () =>
  inFolder(async (folder) => {
    const [data, effects] = [`${folder}/data`, `${folder}/effects`];
    // Each run has more to do than the one before, or one that is killed late would leave nothing to those behind it.
    const builds = (run: number) => BUILDS / (KILLS + 1) * (run + 1);
    const start = (run: number) =>
      new Deno.Command(Deno.execPath(), {
        args: [
          ...["run", "-q", "-A", "--config", fileURLToPath(new URL("../../deno.json", import.meta.url))],
          ...[
            fileURLToPath(new URL("./manager_program.ts", import.meta.url)),
            data,
            effects,
            `${run}`,
            `${builds(run)}`,
          ],
        ],
        stdin: "null",
      }).spawn();
    const performed = async () => {
      const text = await Deno.readTextFile(effects).catch(() => "");
      return text.split("\n").slice(0, -1).map((line) => line.split(" ").map(Number) as [number, number]);
    };
    const distinct = async () => new Set((await performed()).map(([, position]) => position)).size;
    for (let run = 0; run < KILLS; run++) {
      const child = start(run);
      const before = await distinct();
      await until(`effects of run ${run}`, async () => await distinct() > before + 10);
      child.kill("SIGKILL");
      await child.status;
    }
    const last = start(KILLS);
    await until("the last effect", async () => await distinct() === BUILDS / 2);
    last.kill("SIGKILL");
    await last.status;

    const daybook = await openDaybook({ data });
    const passed = [...daybook.log.read({ types: ["ci.build.passed"] })].flat();
    const done = await performed();
    assert.deepEqual(
      [...new Set(done.map(([, position]) => position))].sort((a, b) => a - b),
      passed.map(({ position }) => position),
    );
    // Each run went on where the one before was, not at the beginning.
    const begins = Array.from({ length: KILLS + 1 }, (_, run) => done.find(([of]) => of === run)![1]);
    for (let run = 1; run <= KILLS; run++) assert.ok(begins[run]! > begins[run - 1]!, begins.join());
    const moves = [...daybook.log.read({ types: ["commits.branch.moved"] })].flat();
    assert.equal(new Set(moves.map(({ causationid }) => causationid)).size, moves.length);
    assert.equal(moves.length, passed.length);
    await daybook.close();
  }));
