/** What a restart and a crash leave of limits: nobody gets a new budget, and nobody pays for others. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { RateLimiter } from "../adapters/http/rate.ts";
import { AHEAD, AheadFiles } from "../adapters/program/limits/ahead.ts";
import { readSnapshot } from "../adapters/program/limits/snapshot.ts";
import { Program } from "./end_to_end/program.ts";
import { inFolder } from "./folder_given.ts";
import { givenLimits, takes, USER } from "./limits_given.ts";

Deno.test("after an orderly stop a caller has what was left; the file tells of nobody", async () => {
  await inFolder(async (folder) => {
    const file = `${folder}/limits.json`;
    const before = givenLimits(USER, file);
    for (let i = 0; i < 7; i++) before.limits.user.take("u_ada", before.now.monotonic);
    before.limits.signin.name.take("ada", before.now.monotonic);
    await before.stop();
    const text = await Deno.readTextFile(file);
    assert.ok(!text.includes("ada"));
    assert.equal(readSnapshot(text)?.clean, true);
    // Another process: its monotonic clock begins elsewhere.
    const after = givenLimits(USER, file, before.now.wall + 20_000);
    after.now.monotonic = 17;
    await after.limits.resume();
    assert.equal(takes(after.limits, "u_ada", after.now.monotonic), 3);
    assert.equal(takes(after.limits, "u_bob", after.now.monotonic), 10);
    after.pass(42_000);
    assert.equal(after.limits.user.left("u_ada", after.now.monotonic).left, 7);
  });
});

Deno.test("after a crash a caller has what it had left but for a step, who did not come has all, and who nothing is known of has nothing", async () => {
  await inFolder(async (folder) => {
    const file = `${folder}/limits.json`;
    const said = { ...USER, SERVER__RATE__USER__REQUESTS_MAX: "100" };
    const before = givenLimits(said, file);
    const { user, signin } = before.limits;
    await before.limits.resume();
    for (let i = 0; i < 50; i++) user.take("u_ada", before.now.monotonic);
    await before.limits.keep(false);
    // Between two snapshots.
    for (let i = 0; i < 3; i++) user.take("u_ada", before.now.monotonic);
    for (const caller of ["one", "two", "two", "two"]) signin.credential.take(caller, before.now.monotonic);
    const told = [0, 1].map((turn) => Deno.readTextFileSync(`${file}.ahead${turn}`)).join("");
    assert.ok(!/ada|one|two/.test(told));
    const after = givenLimits(said, file, before.now.wall + 5_000);
    await after.limits.resume();
    // A hundredth is told in pairs.
    assert.equal(takes(after.limits, "u_ada", after.now.monotonic), 46);
    assert.equal(takes(after.limits, "u_bob", after.now.monotonic), 100);
    assert.equal(
      after.limits.signin.credential.left("any", after.now.monotonic).left,
      17,
      "as the one that was used most",
    );
    after.pass(60_000);
    assert.equal(takes(after.limits, "u_ada", after.now.monotonic), 100);
    await Deno.writeTextFile(file, "{");
    const damaged = givenLimits(said, file);
    await damaged.limits.resume();
    assert.equal(takes(damaged.limits, "u_ada", damaged.now.monotonic), 0);
    damaged.pass(60_000);
    assert.equal(takes(damaged.limits, "u_ada", damaged.now.monotonic), 100);
  });
});

Deno.test("of what was told ahead a line that was cut off takes none of the others with it", async () => {
  await inFolder((folder) => {
    const told = new AheadFiles(`${folder}/limits.json`);
    told.tell("user", "ada", 3);
    Deno.writeTextFileSync(`${folder}/limits.json.ahead0`, '\n[0,"user","bo', { append: true });
    told.tell("user", "eve", 2);
    told.tell("user", "ada", 5);
    const found = new AheadFiles(`${folder}/limits.json`).read(assert.fail);
    assert.deepEqual(
      found,
      [["ada", 5], ["eve", 2]].map(([caller, used]) => ({ turn: 0, limit: "user", caller, used })),
    );
    return Promise.resolve();
  });
});

Deno.test("what is told ahead while no snapshot can be written ends at its bound, is not taken for all that was used, and begins anew", async () => {
  await inFolder(async (folder) => {
    const file = `${folder}/limits.json`;
    const sizes = () => [0, 1].map((turn) => sizeOf(`${file}.ahead${turn}`));
    // Left by a crash, with room for some lines.
    Deno.writeFileSync(`${file}.ahead1`, new Uint8Array(AHEAD.bytes_max - 200).fill(120));
    Deno.mkdirSync(`${file}.new`);
    const stage = givenLimits(USER, file);
    await stage.limits.resume();
    for (let i = 0; i < 20; i++) assert.equal(stage.limits.user.take(`u_${i}`, stage.now.monotonic), 0);
    assert.deepEqual(sizes(), [0, AHEAD.bytes_max]);
    const restarted = givenLimits(USER, file);
    await restarted.limits.resume();
    assert.match(restarted.lines[0]!, /^what limits were used is not known, so everybody waits: .*ahead1 is full$/);
    assert.equal(takes(restarted.limits, "u_19", restarted.now.monotonic), 0);
    Deno.removeSync(`${file}.new`);
    await stage.limits.keep(false);
    stage.limits.user.take("u_20", stage.now.monotonic);
    assert.deepEqual(stage.lines.map((line) => line.split(":", 1)[0]), ["limits are not kept for a restart"]);
    await stage.limits.keep(false);
    stage.limits.user.take("u_21", stage.now.monotonic);
    assert.ok(sizes()[0]! > 0, "the other file");
    await stage.limits.keep(false);
    stage.limits.user.take("u_22", stage.now.monotonic);
    assert.ok(sizes()[1]! < 200, "anew");
    assert.equal(stage.lines.length, 1);
  });
});

Deno.test("as many lines as files of what was told ahead have room for are read at a start", async () => {
  await inFolder(async (folder) => {
    const file = `${folder}/limits.json`;
    for (const turn of [0, 1]) {
      const lines = Array.from(
        { length: AHEAD.bytes_max / 32 - 1 },
        (_, i) => `\n[${turn},"user","${i}",1]`.padEnd(32),
      );
      Deno.writeTextFileSync(`${file}.ahead${turn}`, lines.join(""));
    }
    const { limits, lines, now } = givenLimits(USER, file);
    await limits.resume();
    assert.deepEqual([lines, takes(limits, "u_ada", now.monotonic)], [[], 10]);
  });
});

Deno.test("who uses all of window after window is told ahead no more than once of all, until a snapshot is written", async () => {
  await inFolder(async (folder) => {
    const file = `${folder}/limits.json`;
    const { limits, now, pass } = givenLimits(USER, file);
    await limits.resume();
    for (let window = 0; window < 50; window++) {
      assert.equal(takes(limits, "u_ada", now.monotonic), 10);
      pass(60_000);
    }
    const told = Deno.readTextFileSync(`${file}.ahead1`).trim().split("\n");
    assert.equal(told.length, 10);
    const after = givenLimits(USER, file, now.wall);
    await after.limits.resume();
    assert.equal(takes(after.limits, "u_ada", after.now.monotonic), 0);
    assert.equal(takes(after.limits, "u_bob", after.now.monotonic), 10);
  });
});

Deno.test("after an orderly stop what was told by who could write no snapshot since counts after a crash", async () => {
  await inFolder(async (folder) => {
    const file = `${folder}/limits.json`;
    const first = givenLimits(USER, file);
    await first.limits.resume();
    first.limits.user.take("u_ada", first.now.monotonic);
    await first.stop();
    Deno.mkdirSync(`${file}.new`);
    const second = givenLimits(USER, file);
    await second.limits.resume();
    assert.equal(takes(second.limits, "u_ada", second.now.monotonic), 9);
    const third = givenLimits(USER, file);
    await third.limits.resume();
    assert.equal(takes(third.limits, "u_ada", third.now.monotonic), 0);
  });
});

for (const name of ["limits.json", "limits.json.ahead0", "limits.json.ahead1"]) {
  Deno.test(`a folder in the place of ${name} is told once and ends nothing: everybody waits a window, and then has all`, async () => {
    await inFolder(async (folder) => {
      const file = `${folder}/limits.json`;
      Deno.mkdirSync(`${folder}/${name}`);
      const { limits, lines, now, pass } = givenLimits(USER, file);
      await limits.resume();
      assert.match(lines[0]!, /^what limits were used is not known, so everybody waits: .*directory/);
      assert.equal(takes(limits, "u_ada", now.monotonic), 0);
      pass(60_000);
      assert.equal(takes(limits, "u_ada", now.monotonic), 10);
      assert.equal(lines.filter((line) => line.startsWith("what limits")).length, 1);
    });
  });
}

Deno.test("a caller is hashed once, however often it comes and is written", () => {
  const hashed: string[] = [];
  const ahead: [string, number][] = [];
  const limiter = new RateLimiter({ max: 100, window_ms: 60_000 }, {
    kept: (caller) => `#${hashed.push(caller)}`,
    ahead: (...told) => void ahead.push(told),
  });
  limiter.resume(0, () => []);
  for (let at = 0; at < 6; at++) {
    limiter.take("ada", at);
    assert.deepEqual([...limiter.state(at)].map(([kept]) => kept), ["#1"]);
  }
  assert.deepEqual([hashed, ahead], [["ada"], [["#1", 2], ["#1", 4], ["#1", 6]]]);
});

const sizeOf = (path: string): number => {
  try {
    return Deno.statSync(path).size;
  } catch {
    return 0;
  }
};

Deno.test("however often it is killed or stopped, and wherever between snapshots, no window has more than is allowed, and nobody pays for others", async () => {
  const WINDOW = 60_000;
  const step = fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({ is: fc.constant("come"), who: fc.nat(2), times: fc.integer({ min: 1, max: 8 }) }),
    },
    { weight: 4, arbitrary: fc.record({ is: fc.constant("pass"), ms: fc.nat(30_000) }) },
    { weight: 4, arbitrary: fc.record({ is: fc.constantFrom("keep", "fail", "kill", "kill while writing", "stop") }) },
  ) as fc.Arbitrary<{ is: string; who?: number; times?: number; ms?: number }>;
  await inFolder(async (folder) => {
    let run = 0;
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 120 }), fc.array(step, { maxLength: 40 }), async (max, steps) => {
        const file = `${folder}/${++run}.json`;
        const said = {
          SERVER__RATE__USER__REQUESTS_MAX: `${max}`,
          SERVER__RATE__USER__WINDOW_MS: `${WINDOW}`,
          IDENTITY__RATE__CREDENTIAL_MAX: `${max}`,
        };
        const begun = async (wall: number) => {
          const stage = givenLimits(said, file, wall);
          stage.now.monotonic = wall % 977 + 0.25;
          await stage.limits.resume();
          return stage;
        };
        let stage = await begun(1_800_000_000_000);
        const admitted = new Map<string, number[]>();
        for (const { is, who, times = 0, ms = 0 } of steps) {
          if (is === "pass") stage.pass(ms);
          for (let i = 0; i < times; i++) {
            for (
              const [name, limiter] of [["user", stage.limits.user], [
                "credential",
                stage.limits.signin.credential,
              ]] as const
            ) {
              const caller = `${name} ${who}`;
              const times = (admitted.get(caller) ?? []).filter((time) => time > stage.now.wall - WINDOW);
              admitted.set(caller, times);
              if (limiter.take(caller, stage.now.monotonic) > 0) continue;
              times.push(stage.now.wall);
              assert.ok(times.length <= max, `${caller} was let in ${times.length} times within ${max}`);
            }
          }
          if (is === "keep") await stage.limits.keep(false);
          if (is === "fail" || is === "kill while writing") {
            await Deno.mkdir(`${file}.new`);
            await stage.limits.keep(false).catch(() => {});
            await Deno.remove(`${file}.new`);
          }
          if (is === "stop") await stage.stop();
          if (is.startsWith("kill") || is === "stop") stage = await begun(stage.now.wall + 300);
        }
        assert.equal(stage.limits.user.left("user nobody", stage.now.monotonic).left, max);
      }),
      {
        numRuns: 150,
        examples: [[1, [{ is: "come", who: 0, times: 1 }, { is: "fail" }, { is: "fail" }, { is: "kill" }, {
          is: "come",
          who: 0,
          times: 1,
        }]]],
      },
    );
  });
});

Deno.test("a snapshot is written only when somebody came", async () => {
  await inFolder(async (folder) => {
    const file = `${folder}/limits.json`;
    const { limits, now } = givenLimits(USER, file);
    limits.user.take("u_ada", now.monotonic);
    await limits.keep(false);
    await Deno.remove(file);
    await limits.keep(false);
    await assert.rejects(Deno.stat(file), Deno.errors.NotFound);
    limits.user.take("u_ada", now.monotonic);
    await limits.keep(false);
    assert.equal(readSnapshot(await Deno.readTextFile(file))?.clean, false);
  });
});

Deno.test("kill -9 gives nobody a new budget", async () => {
  await inFolder(async (folder) => {
    const said = { DAYBOOK__IDENTITY__RATE__NAME_MAX: "5", DAYBOOK__IDENTITY__RATE__WINDOW_MS: "3600000" };
    const tries = async (url: string, times: number): Promise<readonly number[]> => {
      const statuses: number[] = [];
      for (let i = 0; i < times; i++) {
        const answer = await fetch(`${url}/auth/sign-in`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ name: "ada", password: `guess number ${i}` }),
        });
        await answer.body?.cancel();
        statuses.push(answer.status);
      }
      return statuses;
    };
    const first = await Program.start(folder, said);
    assert.deepEqual(await tries(first.url, 3), [401, 401, 401]);
    await first.end("SIGKILL");
    const second = await Program.start(folder, said);
    assert.deepEqual(await tries(second.url, 3), [401, 401, 429]);
    await second.end("SIGTERM");
  });
});
