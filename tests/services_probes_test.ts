/** Probes and their thresholds, under virtual time. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { httpProbe, type Probe, probing, tcpProbe } from "../adapters/process/probes.ts";
import { judge, UNJUDGED } from "../adapters/process/thresholds.ts";
import { SimulatedClock } from "../adapters/simulation/clock.ts";
import { until } from "./until.ts";

const times = { interval_ms: 1_000, timeout_ms: 500, initial_delay_ms: 0, failures: 3, successes: 1 };
type Answer = (at: number, signal: AbortSignal) => boolean | Promise<boolean>;

/** What was told until then, each with its time. */
const toldUntil = async (
  until: number,
  probes: readonly (Partial<Probe> & Pick<Probe, "name"> & { readonly answer: Answer })[],
): Promise<readonly string[]> => {
  const clock = new SimulatedClock({ next: () => 0 });
  const [stop, told] = [new AbortController(), [] as string[]];
  const over = probing(
    probes.map(({ answer, ...probe }): Probe => ({
      ...times,
      ...probe,
      look: async (signal) => ({ ok: await answer(clock.monotonic(), signal), because: "said" }),
    })),
    {
      clock,
      signal: stop.signal,
      tell: (name, { ok, because }) => {
        told.push(`${clock.monotonic()} ${name} ${ok ? "well" : because}`);
        return Promise.resolve();
      },
    },
  );
  clock.schedule(until, () => stop.abort());
  await Promise.all([over, clock.advance(until + 1_000)]);
  return told;
};

Deno.test("it is looked soon and often until the first good news; failures count only at the stated times", async () => {
  assert.deepEqual(await toldUntil(5_000, [{ name: "readiness", answer: (at) => at >= 60 }]), ["70 readiness well"]);
  const [told] = await toldUntil(5_000, [{ name: "readiness", answer: () => false }]);
  const at = Number(told!.split(" ")[0]);
  assert.ok(at >= 2_000, `three failures are two seconds apart, not ${at} ms`);
});

Deno.test("successes in a row are as far apart as was stated, however often it is looked", async () => {
  const [told] = await toldUntil(9_000, [{ name: "readiness", successes: 3, answer: () => true }]);
  const at = Number(told!.split(" ")[0]);
  assert.ok(at >= 2_000 && at < 5_000, `it was taken for well after ${at} ms`);
});

Deno.test("only so many in a row change anything, as with Kubernetes", async () => {
  const flapping: Answer = (at) => at < 3_000 || Math.floor(at / 1_000) % 3 !== 0;
  assert.deepEqual(await toldUntil(30_000, [{ name: "readiness", answer: flapping }]), ["0 readiness well"]);
  const gone: Answer = (at) => at < 3_000 || at >= 10_000;
  assert.deepEqual(await toldUntil(30_000, [{ name: "readiness", answer: gone }]), [
    "0 readiness well",
    "5000 readiness said",
    "10000 readiness well",
  ]);
});

Deno.test("startup holds the others back; liveness that fails is told once, and looks no more", async () => {
  const told = await toldUntil(30_000, [
    { name: "liveness", answer: (at) => at < 5_000 },
    { name: "startup", answer: (at) => at >= 2_000 },
    { name: "readiness", answer: () => true },
  ]);
  const order = told.map((each) => each.split(" ").slice(1).join(" "));
  assert.deepEqual(order.toSorted(), ["liveness said", "liveness well", "readiness well", "startup well"]);
  assert.equal(order[0], "startup well");
  assert.deepEqual(
    (await toldUntil(30_000, [
      { name: "startup", answer: () => false },
      { name: "readiness", answer: () => true },
    ])).map((each) => each.split(" ").slice(1).join(" ")),
    ["startup said"],
    "one that never comes up is not asked for anything else",
  );
});

Deno.test("one that does not answer, or throws, has failed; it is told to stop looking", async () => {
  let stopped = 0;
  const silent: Answer = (_, signal) => {
    signal.addEventListener("abort", () => stopped++);
    return new Promise(() => {});
  };
  const [told] = await toldUntil(30_000, [{ name: "readiness", answer: silent }]);
  assert.match(told!, /no answer within 500 ms/);
  assert.ok(stopped >= 3);
  const [thrown] = await toldUntil(30_000, [{ name: "liveness", answer: () => Promise.reject(new Error("no\nmore")) }]);
  assert.match(thrown!, /liveness no$/);
});

Deno.test("a look that has ended is let go of: the end of the probing reaches one that goes on, and none before it", async () => {
  const signals: AbortSignal[] = [];
  const answer: Answer = (at, signal) => {
    signals.push(signal);
    return at < 20_000 || new Promise(() => {});
  };
  await toldUntil(20_400, [{ name: "readiness", answer }]);
  assert.ok(signals.length >= 20);
  assert.deepEqual(signals.map(({ aborted }) => aborted), [...signals.slice(1).map(() => false), true]);
});

Deno.test("a connection that is refused is told as that, without the URL", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  for (const look of [httpProbe(`http://127.0.0.1:${port}/?of=nobody`), tcpProbe("127.0.0.1", port)]) {
    const told = Promise.withResolvers<string>();
    const stop = new AbortController();
    const probe = { ...times, name: "readiness" as const, failures: 1, timeout_ms: 60_000, look };
    const clock = new SimulatedClock({ next: () => 0 });
    const over = probing([probe], {
      clock,
      signal: stop.signal,
      tell: (_, { because }) => Promise.resolve(told.resolve(because)),
    });
    await clock.advance(0);
    const because = await told.promise;
    stop.abort();
    await over;
    assert.match(because, /connection refused/i);
    assert.doesNotMatch(because, /nobody/);
  }
});

Deno.test("a look that is given up in the moment in which somebody accepts leaves no connection open", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  const taken = new Set<number>(), left = new Set<number>();
  const held = async (connection: Deno.TcpConn) => {
    const { port: from } = connection.remoteAddr;
    taken.add(from);
    left.add(from);
    const read = () => connection.read(new Uint8Array(1_024)).catch(() => null);
    while (await read() !== null);
    connection.close();
    left.delete(from);
  };
  const holding: Promise<void>[] = [];
  const accepting = (async () => {
    for await (const connection of listener) holding.push(held(connection));
  })();
  for (const look of [httpProbe(`http://127.0.0.1:${port}/`), tcpProbe("127.0.0.1", port)]) {
    for (let round = 0; round < 3; round++) {
      const late = new AbortController();
      setTimeout(() => late.abort(), 1);
      const looks = Array.from({ length: 20 }, () => look(late.signal).catch(() => {}));
      // As on a busy machine: both have come when it goes on.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
      await Promise.all(looks);
    }
  }
  const last = await Deno.connect({ hostname: "127.0.0.1", port });
  await until("all were taken", () => taken.has(last.localAddr.port));
  last.close();
  await until("none is left", () => left, ({ size }) => size === 0);
  listener.close();
  await Promise.all([accepting, ...holding]);
});

/**
 * The oracle: a kubelet holds a probe to be what the newest run of equal answers says that is as long as that answer's threshold, and
 * before there is one to what it began as (`pkg/kubelet/prober/worker.go`; "Configure Liveness, Readiness and Startup Probes").
 */
const asKubernetes = <T>(
  answers: readonly boolean[],
  { failures, successes }: { readonly failures: number; readonly successes: number },
  began: T,
): boolean | T => {
  for (let end = answers.length; end > 0;) {
    const kind = answers[end - 1]!;
    let start = end;
    while (start > 0 && answers[start - 1] === kind) start--;
    if (end - start >= (kind ? successes : failures)) return kind;
    end = start;
  }
  return began;
};

const thresholds = fc.record({ failures: fc.integer({ min: 1, max: 5 }), successes: fc.integer({ min: 1, max: 5 }) });

Deno.test("however answers flap, a probe is held to be what a kubelet holds it to be, after each of them", () => {
  fc.assert(
    fc.property(thresholds, fc.array(fc.boolean(), { maxLength: 60 }), (limits, answers) => {
      let judgement = UNJUDGED;
      for (const [i, ok] of answers.entries()) {
        judgement = judge(judgement, ok, limits);
        assert.equal(judgement.well, asKubernetes(answers.slice(0, i + 1), limits, undefined));
      }
    }),
    { numRuns: 500 },
  );
});

Deno.test("nobody accepts where a look meets itself, as it may where nobody listens on a port that connections come from", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  listener.close();
  // Linux has connections come from ports next to those that it gives to listeners, and tries all before one comes again.
  const look = tcpProbe("127.0.0.1", listener.addr.port + 1);
  const never = new AbortController().signal;
  for (let looks = 0, met = false; !met && looks < 30_000; looks++) {
    const { ok } = await look(never).catch(() => ({ ok: undefined }));
    met = ok !== undefined;
    assert.notEqual(ok, true, `after ${looks} looks`);
  }
});

Deno.test("from the first verdict on, what is told of a service that flaps is told when a kubelet's verdict changes, and nothing else", async () => {
  await fc.assert(
    fc.asyncProperty(thresholds, fc.array(fc.boolean(), { minLength: 30, maxLength: 30 }), async (limits, flaps) => {
      const looks: { readonly at: number; readonly ok: boolean }[] = [];
      const told = await toldUntil(29_000, [{
        name: "readiness",
        ...limits,
        answer: (at) => {
          const ok = flaps[Math.floor(at / 1_000)] ?? false;
          looks.push({ at, ok });
          return ok;
        },
      }]);
      const verdicts = told.map((line) => ({ at: Number(line.split(" ")[0]), ok: line.endsWith("well") }));
      const [first] = verdicts;
      if (!first) return;
      const since = looks.filter(({ at }) => at > first.at);
      let verdict = first.ok;
      const expected = since.flatMap(({ at }, i) => {
        const now = asKubernetes(since.slice(0, i + 1).map(({ ok }) => ok), limits, first.ok);
        if (now === verdict) return [];
        verdict = now;
        return [{ at, ok: now }];
      });
      assert.deepEqual(verdicts.slice(1), expected);
    }),
    { numRuns: 60 },
  );
});
