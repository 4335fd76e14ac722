/** Controls beside a log: what is put on record of them, and what they decline. */
import assert from "node:assert/strict";
import { Declined } from "../actors/kernel/gate.ts";
import type { Incoming, Principal } from "../actors/kernel/daybook.ts";
import { ControlGate } from "../adapters/program/controls/gate.ts";
import { adopt, watchControls } from "../adapters/program/controls/watch.ts";
import { checkAction, recordVerification } from "../adapters/program/controls/operations.ts";
import { operate } from "../adapters/program/operations.ts";
import { openSystem } from "../adapters/program/daybook.ts";
import type { Opened } from "../adapters/program/opened.ts";
import { SimulatedClock } from "../adapters/simulation/clock.ts";
import { seededRandom } from "../adapters/simulation/random.ts";
import { systemClock } from "../adapters/system/world.ts";
import { parseControls, problemText, type Stated } from "../config/controls.ts";
import type { Event } from "../events/event.ts";
import { writeArchive } from "../adapters/program/archive_folder.ts";
import { append as appendEvents, begin, end, opened as withArchivable, reading } from "./archive_given.ts";
import { inFolder } from "./folder_given.ts";
import { type EventLog, LogFault } from "../events/log.ts";
import { until as seen } from "./until.ts";

const CI: Principal = { authtype: "api_key", authid: "t_ci" };
const SHA = "a".repeat(40);

const GATES = `
  - id: gates
    title: Only what passed is deployed
    frameworks: { soc2: [CC8.1] }
    freshness: 90d
    mode: enforce
    guards: [releases.deployment.started]
    query:
      every: { type: releases.deployment.started }
      preceded_by: { type: releases.gate.passed, same: [data.commit], unless_since: { type: releases.gate.failed } }`;
const INTACT = `
  - id: intact
    title: The log holds
    frameworks: { soc2: [CC7.2] }
    freshness: 90d
    mode: enforce
    guards: [token.create, commits.branch.move]
    query: { every: { type: kernel.log.verified }, satisfies: { data.ok: true } }`;

const catalogue = (...controls: readonly string[]): readonly Stated[] => {
  const text = controls.length === 0 ? "controls: []" : `controls:${controls.join("")}`;
  const parsed = parseControls([{ file: "controls.yaml", text }]);
  assert.ok(parsed.ok, parsed.ok ? "" : parsed.problems.map(problemText).join("\n"));
  return parsed.controls;
};

const withSystem = async (test: (opened: Opened) => Promise<void>): Promise<void> => {
  const opened = await openSystem({ data: ":memory:" });
  try {
    await test(opened);
  } finally {
    await opened.daybook.close();
  }
};

const adopted = (opened: Opened, controls: readonly Stated[]): Promise<void> =>
  adopt(controls, {
    log: opened.daybook.log,
    recorder: opened.supervision.world.recorder,
    gate: opened.gate,
  });

const recorded = async ({ daybook, supervision }: Opened, ...types: readonly string[]): Promise<readonly Event[]> => {
  await supervision.world.recorder.flush();
  return [...daybook.log.read({ types })].flat();
};

const started = (id: string, commit = SHA): Incoming => ({
  id,
  source: "urn:ci",
  type: "releases.deployment.started",
  data: { deployment: id, commit, environment: "production" },
});
const verdict = (id: string, verb: "passed" | "failed", commit = SHA): Incoming => ({
  id,
  source: "urn:ci",
  type: verb === "passed" ? "releases.gate.passed" : "releases.gate.failed",
  data: { commit, gate: "tests" },
});

const deployments = async (opened: Opened): Promise<number> =>
  (await recorded(opened, "releases.deployment.started", "releases.gate.passed")).length;

const declines = async (opened: Opened, event: Incoming, control: string): Promise<string> => {
  const before = await deployments(opened);
  let why = "";
  await assert.rejects(opened.daybook.ingest([event], CI), (error) => {
    assert.ok(error instanceof Declined);
    assert.deepEqual([error.control, error.action, error.code], [control, event.type, "control_failed"]);
    why = error.because;
    return true;
  });
  assert.equal(await deployments(opened), before, "nothing of it is recorded");
  return why;
};

Deno.test("what an enforced control guards is declined when it would break the rule, and taken when it would not", () =>
  withSystem(async (opened) => {
    const { daybook } = opened;
    // Before it is on record it declines nothing.
    assert.ok((await daybook.ingest([started("d0")], CI)).ok);
    await adopted(opened, catalogue(GATES));
    // What was recorded before is a violation that counts: it is red for everybody.
    assert.match(await declines(opened, started("d1"), "gates"), /^Event \d+ not preceded by releases.gate.passed/);
    const excepted = await daybook.ask({
      type: "controls.exception.grant",
      id: "gates",
      data: { until: new Date(Date.now() + 3_600_000).toISOString(), why: "It was there before" },
      by: CI,
    });
    assert.equal(excepted.is, "accepted");
    assert.ok((await daybook.ingest([started("d1")], CI)).ok, "an exception lets it pass");
  }));

Deno.test("nothing slips through while what is enforced goes on record", () =>
  withSystem(async (opened) => {
    const { daybook: { log }, gate, supervision: { world: { recorder } } } = opened;
    const written = Promise.withResolvers<void>();
    const adopting = adopt(catalogue(GATES), { log, gate, recorder: { record() {}, flush: () => written.promise } });
    await declines(opened, started("d1"), "gates");
    written.resolve();
    await adopting;
    // It never came to be on record, so nothing holds to it.
    assert.ok((await opened.daybook.ingest([started("d1")], CI)).ok);
    await recorder.flush();
  }));

Deno.test("a green control declines what would make it red, each time, and records that it did", () =>
  withSystem(async (opened) => {
    const { daybook } = opened;
    await adopted(opened, catalogue(GATES));
    assert.equal(
      await declines(opened, started("d1"), "gates"),
      "Recorded now, it would break the rule: not preceded by releases.gate.passed",
    );
    assert.ok((await daybook.ingest([verdict("g1", "passed")], CI)).ok);
    const first = await daybook.ingest([started("d1")], CI);
    assert.ok(first.ok && first.accepted === 1);
    assert.ok((await daybook.ingest([verdict("g2", "failed")], CI)).ok);
    await declines(opened, started("d2"), "gates");
    // What is recorded already is told again, whatever became of the gate since.
    const again = await daybook.ingest([started("d1")], CI);
    assert.ok(again.ok && again.duplicates === 1);
    // A batch is taken as a whole or not at all, and judged by what is on record.
    const before = await deployments(opened);
    await assert.rejects(
      daybook.ingest([verdict("g3", "passed", "b".repeat(40)), started("d3", "b".repeat(40))], CI),
      Declined,
    );
    assert.equal(await deployments(opened), before);
    const told = await recorded(opened, "kernel.action.declined");
    assert.equal(told.length, 3);
    assert.deepEqual(told[0]!.data, {
      control: "gates",
      action: "releases.deployment.started",
      target: "releases/urn:ci",
      because: "Recorded now, it would break the rule: not preceded by releases.gate.passed",
    });
  }));

Deno.test("commands and operations are declined while a control that guards them is red", () =>
  withSystem(async (opened) => {
    const { daybook } = opened;
    await adopted(opened, catalogue(INTACT));
    const move = (command?: string) =>
      daybook.ask({ type: "commits.branch.move", id: "x", data: { branch: "main", to: SHA }, by: CI, command });
    assert.equal((await move("first")).is, "accepted");
    const asked = { progress: () => {}, signal: new AbortController().signal };
    const check = () => checkAction.run(opened, { ...asked, input: { action: "token.create" } });
    await check();
    const { root } = (await daybook.checkpoint(daybook.log.size))!;
    const { size } = (await daybook.checkpoint())!;
    const verified = (more: object) =>
      recordVerification.run(opened, { ...asked, input: { size, root, ok: true, failures: 0, anchored: 0, ...more } });
    await verified({});
    await check();
    await assert.rejects(verified({ root: `${"A".repeat(43)}=` }), /not the log that is served/);
    await assert.rejects(verified({ size: 10_000 }), /not the log that is served/);
    await verified({ ok: false, failures: 3 });
    await assert.rejects(check, Declined);
    await assert.rejects(move("second"), Declined);
    // Who asks from inside stands before it as well; what was accepted before is told again.
    await assert.rejects(
      opened.entities.ask({ type: "commits.branch.move", id: "x", data: { branch: "a", to: SHA }, by: CI }),
      Declined,
    );
    const again = await move("first");
    assert.ok(again.is === "accepted" && again.duplicate);
    assert.deepEqual((await recorded(opened, "kernel.log.verified")).map(({ data }) => (data as { ok: boolean }).ok), [
      true,
      false,
    ]);
  }));

Deno.test("an erasure is declined before anything is destroyed", () =>
  withSystem(async (opened) => {
    const { recorder } = opened.supervision.world;
    await adopted(opened, catalogue(INTACT.replace("token.create", "privacy.subject.erase")));
    const input = { subject: "s_0123456789abcdef" };
    const erase = () =>
      operate(opened, "erase-subject", { input, progress: () => {}, signal: new AbortController().signal });
    const data = {
      size: 1,
      root: `${"A".repeat(43)}=`,
      ok: false,
      failures: 1,
      anchored: 0,
      because: "asked",
    } as const;
    recorder.record({ type: "kernel.log.verified", data }, { child: "log", essential: true });
    await recorder.flush();
    await assert.rejects(erase, Declined);
    assert.equal((await recorded(opened, "privacy.subject.erasure_requested")).length, 0);
  }));

const KEPT = `
  - id: kept
    title: What is archived was in the log for a year
    frameworks: { soc2: [CC7.2] }
    freshness: 90d
    mode: enforce
    guards: [kernel.log.archive]
    query: { of: { type: kernel.log.archived }, kept_at_least: 365d }`;

Deno.test("what would leave the log too early is declined before anything is archived, and before anything is let go of", () =>
  inFolder(async (dir) => {
    const data = `${dir}/data`;
    const to = `${dir}/archive`;
    await withArchivable(data, async (system) => {
      await appendEvents(system, 0, 300);
      const begun = await begin(system, 256);
      await reading(data, (log) => writeArchive(log, to, begun, () => {}));
      await adopted(system, catalogue(KEPT));
      const declined = {
        control: "kept",
        action: "kernel.log.archive",
        because: /took away what was .* old, less than/,
      };
      await assert.rejects(begin(system, 256), declined);
      await assert.rejects(end(system, begun), declined);
      assert.deepEqual([...system.daybook.log.read({ from: 0, limit: 1 })].flat()[0]!.position, 0);
      assert.equal((await recorded(system, "kernel.log.archived")).length, 0);
      assert.equal((await recorded(system, "kernel.action.declined")).length, 2);
      // Watched again it goes.
      await adopted(system, catalogue(KEPT.replace("enforce", "watch")));
      assert.equal((await end(system, begun)).until, 256);
    });
  }));

Deno.test("only what changes is put on record: a control that is enforced, said otherwise, watched again, or gone", () =>
  withSystem(async (opened) => {
    const types = ["kernel.control.enforced", "kernel.control.relaxed"];
    const verbs = async () =>
      (await recorded(opened, ...types)).map(({ type, data }) =>
        `${type.split(".")[2]} ${(data as { control: string }).control}`
      );
    await adopted(opened, catalogue(GATES, INTACT));
    await adopted(opened, catalogue(GATES, INTACT));
    assert.deepEqual(await verbs(), ["enforced gates", "enforced intact"]);
    await adopted(opened, catalogue(GATES.replace("90d", "80d"), INTACT.replace("mode: enforce", "mode: watch")));
    assert.deepEqual((await verbs()).slice(2), ["enforced gates", "relaxed intact"]);
    assert.ok(opened.gate.guards("releases.deployment.started") && !opened.gate.guards("token.create"));
    await adopted(opened, catalogue());
    assert.deepEqual((await verbs()).slice(4), ["relaxed gates"]);
    assert.ok((await opened.daybook.ingest([started("d1")], CI)).ok);
  }));

Deno.test("a control on record that this version cannot read declines all that it guards", () =>
  withSystem(async (opened) => {
    const { recorder } = opened.supervision.world;
    const data = { control: "later", guards: ["releases.deployment.started"], stated: { id: "later", rhymes: true } };
    recorder.record({ type: "kernel.control.enforced", data }, { child: "controls", essential: true });
    await recorder.flush();
    opened.gate.renew();
    assert.match(await declines(opened, started("d1"), "later"), /cannot read/);
  }));

Deno.test("what lies in an archive that is not attached is not asked for, and what is enforced is told anew before it goes there", () =>
  withSystem(async (opened) => {
    const { daybook, gate, supervision: { world: { recorder } } } = opened;
    await adopted(opened, catalogue(GATES));
    const until = daybook.log.size;
    await gate.retell(until);
    const told = await recorded(opened, "kernel.control.enforced");
    assert.equal(told.length, 2);
    assert.deepEqual(told[1]!.data, told[0]!.data);
    await gate.retell(until);
    assert.equal((await recorded(opened, "kernel.control.enforced")).length, 2);
    const data = { until, kept: until, link: `${"A".repeat(43)}=`, root: `${"A".repeat(43)}=` };
    await daybook.log.append({
      events: [{
        type: "kernel.log.archived",
        stream: "kernel/log",
        source: "kernel",
        id: "archived",
        time: new Date().toISOString(),
        version: 1,
        authtype: "system",
        authid: "kernel",
        data,
      }],
    });
    // A log as it is without its archive.
    const log: Pick<EventLog, "read" | "size"> = {
      get size() {
        return daybook.log.size;
      },
      read(range) {
        const gone = (range.from ?? 0) < until && !(range.backward && range.limit === 1);
        if (gone) throw new LogFault("archived", "it is not attached");
        return daybook.log.read(range);
      },
    };
    const shorter = new ControlGate({ log, clock: systemClock, recorder });
    assert.ok(shorter.guards("releases.deployment.started"));
    const { data: event } = started("d9");
    const asked = {
      type: "releases.deployment.started",
      event: { ...told[0]!, type: "releases.deployment.started", data: event },
    };
    await assert.rejects(shorter.check(asked), Declined);
  }));

const COMPLETE = `
  - id: complete
    title: Nothing is missing
    frameworks: { soc2: [PI1.2] }
    freshness: 90d
    query: { complete: { late: 1d, silent: 1h } }`;

Deno.test("a gap and a silence are put on record with their window when they are found, and again when they end", () =>
  withSystem(async (opened) => {
    const { daybook, gate, supervision: { world: { recorder } } } = opened;
    const clock = new SimulatedClock(seededRandom(1), Date.now());
    const watching = () => {
      const stop = new AbortController();
      const controls = () => Promise.resolve(catalogue(COMPLETE));
      const child = watchControls({
        log: daybook.log,
        clock,
        recorder,
        gate,
        catalogue: controls,
        everyMs: 1_000,
        report: () => {},
      });
      const ended = child.run(stop.signal, { ready: () => {} } as never);
      return () => (stop.abort(), ended);
    };
    const send = (number: number, type = "meter.reading.taken", data: unknown = {}) =>
      daybook.ingest([{
        id: `m${number}`,
        source: "urn:meter",
        type,
        data,
        extensions: { sequence: String(number), sequencetype: "Integer" },
      }], CI);
    const told = async () =>
      (await recorded(
        opened,
        "kernel.gap.opened",
        "kernel.gap.closed",
        "kernel.silence.opened",
        "kernel.silence.closed",
      ))
        .map(({ type, data }) => {
          const { first, last, since } = data as { first?: number; last?: number; since?: string };
          return `${type.slice("kernel.".length)} ${since === undefined ? `${first}-${last}` : "since"}`;
        });
    let stop = watching();
    await send(1, "sources.source.declared", { first: 1, heartbeat_s: 600 });
    await send(2);
    await send(5);
    await send(4);
    await clock.advance(30_000);
    assert.deepEqual(await told(), [], "what comes a moment later was only on its way");
    await clock.advance(60_000);
    assert.deepEqual(await told(), ["gap.opened 3-3"]);
    const [{ data } = { data: undefined }] = await recorded(opened, "kernel.gap.opened");
    const { after, before, missing, source } = data as {
      after: { position: number };
      before: { position: number };
      missing: number;
      source: string;
    };
    assert.deepEqual([source, missing, before.position > after.position], ["urn:meter", 1, true]);
    await clock.advance(600_000);
    assert.deepEqual((await told()).slice(1), ["silence.opened since"]);
    // The next run knows what stands.
    await stop();
    stop = watching();
    await clock.advance(60_000);
    assert.equal((await told()).length, 2);
    // The log goes by the machine's clock.
    clock.jump(Date.now() - clock.now());
    await send(3);
    await clock.advance(5_000);
    assert.deepEqual((await told()).slice(2).toSorted(), ["gap.closed 3-3", "silence.closed since"]);
    await stop();
  }));

Deno.test("a watch records how each control stands, and afterwards what turns; a catalogue that cannot be read leaves it down", () =>
  withSystem(async (opened) => {
    const { daybook, gate, supervision: { world: { recorder } } } = opened;
    const clock = new SimulatedClock(seededRandom(1), Date.now());
    const watching = (
      controls: () => Promise<readonly Stated[]>,
      told: string[] = [],
      log: Pick<EventLog, "read" | "size"> = daybook.log,
    ) => {
      const stop = new AbortController();
      const child = watchControls({
        log,
        clock,
        recorder,
        gate,
        catalogue: controls,
        everyMs: 1_000,
        report: (line) => told.push(line),
      });
      const ended = child.run(stop.signal, { ready: () => {} } as never);
      return { ended, stop: () => (stop.abort(), ended) };
    };
    const turns = async () =>
      (await recorded(opened, "kernel.control.turned")).flatMap(({ data }) =>
        (data as { changes: { control: string; from?: string; status: string }[] }).changes.map((
          { control, from, status },
        ) => `${control} ${from ?? "-"} ${status}`)
      );
    const watch = watching(() => Promise.resolve(catalogue(GATES)));
    const later = async () => (await clock.advance(1_000), await turns());
    const until = (count: number) => seen("so many turns", later, (found) => found.length >= count, { every_ms: 0 });
    assert.deepEqual(await until(1), ["gates - no_evidence"]);
    assert.ok((await daybook.ingest([verdict("g1", "passed")], CI)).ok);
    assert.ok((await daybook.ingest([started("d1")], CI)).ok);
    assert.deepEqual((await until(2))[1], "gates no_evidence pass");
    // What is counted further is told within the hour, not each time.
    for (const id of ["d2", "d3"]) assert.ok((await daybook.ingest([started(id)], CI)).ok);
    await clock.advance(60_000);
    assert.equal((await turns()).length, 2);
    await clock.advance(3_600_000);
    assert.deepEqual((await turns()).slice(2), ["gates pass pass"]);
    const [row] = (await daybook.view("controls.status", { wait: daybook.log.size - 1 })).rows;
    const { considered, since } = row!.row as { considered: number; since: string };
    const [, first, last] = await recorded(opened, "kernel.control.turned");
    assert.deepEqual([considered, since], [3, (first!.data as { at: string }).at]);
    assert.notEqual(since, (last!.data as { at: string }).at);
    // Nothing comes for months: only that is told, once.
    clock.jump(91 * 86_400_000);
    assert.deepEqual((await until(4))[3], "gates pass stale");
    await watch.stop();
    // The next run knows what this one has told.
    const next = watching(() => Promise.resolve(catalogue(GATES, INTACT)));
    assert.deepEqual((await until(5)).slice(4), ["intact - no_evidence"]);
    await next.stop();
    // A log that cannot be read for a while is read again.
    const troubles: string[] = [];
    const disk = { away: false };
    const log: Pick<EventLog, "read" | "size"> = {
      get size() {
        return daybook.log.size;
      },
      read(range) {
        if (disk.away) throw new LogFault("io", "the disk is away");
        return daybook.log.read(range);
      },
    };
    const patient = watching(
      () => Promise.resolve(catalogue(GATES, INTACT, INTACT.replace("intact", "third"))),
      troubles,
      log,
    );
    await until(6);
    disk.away = true;
    assert.ok((await daybook.ingest([verdict("g5", "passed")], CI)).ok);
    await clock.advance(3_000);
    assert.deepEqual(troubles, ["controls cannot be evaluated now: the disk is away"]);
    disk.away = false;
    await clock.advance(1_000);
    const data = { until: new Date(Date.now() + 200 * 86_400_000).toISOString(), why: "It is known" };
    assert.equal((await daybook.ask({ type: "controls.exception.grant", id: "gates", data, by: CI })).is, "accepted");
    assert.deepEqual((await until(7)).slice(6), ["gates stale excepted"]);
    await patient.stop();
    const told: string[] = [];
    const down = watching(() => Promise.reject(new Error("controls.yaml:1:1: no")), told);
    const failed = assert.rejects(down.ended, /controls.yaml/);
    await clock.advance(1_000);
    await failed;
    assert.deepEqual(told, ["controls are not evaluated: controls.yaml:1:1: no"]);
  }));
