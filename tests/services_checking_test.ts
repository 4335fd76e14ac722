/** When instances are looked at: before a start, soon after it, and then again and again, under virtual time. */
import assert from "node:assert/strict";
import type { Answer, Asks, Inspected } from "../adapters/process/agent/protocol.ts";
import type { Checked } from "../adapters/program/stack/checked.ts";
import { CHECKING, Checking, type CheckingOptions } from "../adapters/program/stack/checking.ts";
import { certifyServices } from "../adapters/program/stack/certificates.ts";
import type { Prepared } from "../adapters/program/stack/prepared.ts";
import type { KeptCertificates } from "../adapters/program/certificates/kept.ts";
import { SimulatedClock } from "../adapters/simulation/clock.ts";
import { parseStack } from "../config/stack.ts";
import type { Finding } from "../events/services.ts";
import { services } from "../actors/services/stack.ts";
import { Usage } from "../adapters/cli/call.ts";
import { Refused } from "../adapters/cli/runtime.ts";
import { givenAuthority } from "./certificates_given.ts";
import { spec } from "./services_given.ts";

const EVERY_MS = 60_000;
const of = { service: "a", replica: 0 };
const process = { nonce: "n", pid: 1, boot: "b", ticks: 1 };

const prepared = (policies: Partial<Checked["policies"]> = {}): Prepared => {
  const all = {
    secret_readable: "warn",
    secret_missing: "refuse",
    url_plain: "warn",
    runs_as_root: "warn",
    certificate_expired: "warn",
    certificate_expiring: "warn",
    certificate_unfit: "warn",
    listens_everywhere: "refuse",
    limit_not_held: "warn",
    ...policies,
  } as const;
  return {
    instances: [{
      launch: { command: "x", arguments: [], folder: "/", environment: {}, inherit: [] },
      hooks: {},
      leftovers: [],
      probes: {},
    }],
    needs: { memory_bytes: 0, cpus: 0, disk_bytes: 0 },
    when_short: "wait",
    limits: {},
    log: { bytes_max: 1, keep: 0 },
    checks: { policies: all, requires: ["A"], expiring_ms: 0, every_ms: EVERY_MS, instances: [{ files: {} }] },
  };
};

class Given {
  readonly clock = new SimulatedClock({ next: () => 0 });
  inspected: Inspected = { root: false, missing: [], readable: [], plain: [] };
  sockets: Answer<"listening">["sockets"] = [];
  readonly asked: string[] = [];
  readonly told: (readonly Finding[])[] = [];
  readonly ended: string[] = [];
  readonly options: CheckingOptions = {
    agent: {
      ask: <A extends Asks>(ask: A) => {
        this.asked.push(ask);
        return Promise.resolve((ask === "inspect" ? this.inspected : { sockets: this.sockets }) as Answer<A>);
      },
    },
    reports: {
      found: (_, __, findings) => Promise.resolve(void this.told.push(findings)),
      probed: (_, __, { because }) => Promise.resolve(void this.ended.push(because)),
    },
    clock: this.clock,
    known: () => this.told.at(-1) ?? [],
    authority: () => undefined,
  };
  readonly checking = new Checking(this.options);

  get looks(): number {
    return this.asked.filter((ask) => ask === "listening").length;
  }
}

Deno.test("an agent that is gone while it looks is told of once, to who starts", async () => {
  const given = new Given();
  const gone = new Error("the agent has ended");
  const checking = new Checking({ ...given.options, agent: { ask: () => Promise.reject(gone) } });
  await assert.rejects(checking.before(of, prepared()), gone);
  // Nobody else waits for what was looked at: a rejection that nobody takes would end the program.
  await new Promise((resolve) => setTimeout(resolve));
});

Deno.test("a start is refused for what refuses, told of what warns, and nothing is told where there is nothing", async () => {
  const given = new Given();
  const before = async (what: Prepared) => {
    const { refused, tell } = await given.checking.before(of, what);
    if (refused === undefined) await tell();
    return refused;
  };
  assert.equal(await before(prepared()), undefined);
  assert.equal(given.told.length, 0);
  given.inspected = { ...given.inspected, missing: ["A"], readable: ["/s"] };
  assert.equal(await before(prepared()), "secret_missing: A is required and not set");
  assert.deepEqual(given.told.at(-1)!.map(({ check }) => check), ["secret_missing", "secret_readable"]);
  assert.equal(await before(prepared({ secret_missing: "warn" })), undefined);
  given.inspected = { ...given.inspected, missing: [], readable: [], unheld: "no control group" };
  assert.equal(await before(prepared()), undefined);
  assert.deepEqual(given.told.at(-1)!.map(({ check, because }) => [check, because]), [
    ["limit_not_held", "it is not held to what is stated of cpus or resident_bytes: no control group"],
  ]);
  given.inspected = { ...given.inspected, unheld: undefined };
  assert.equal(await before(prepared()), undefined);
  assert.deepEqual(given.told.at(-1), [], "what is put right is told");
  const { checks: _, ...older } = prepared();
  assert.equal(await before(older), undefined);
});

Deno.test("a start waits for the look at it only where that may refuse it; what is found is told all the same", async () => {
  const given = new Given();
  const looked = Promise.withResolvers<void>();
  const told: string[] = [];
  const checking = new Checking({
    agent: {
      ask: async <A extends Asks>(ask: A) => {
        told.push(ask);
        await looked.promise;
        return { root: true, missing: ["A"], readable: [], plain: [] } as unknown as Answer<A>;
      },
    },
    reports: {
      found: (_, __, findings) => Promise.resolve(void given.told.push(findings)),
      probed: () => Promise.resolve(),
    },
    clock: given.clock,
    known: () => [],
    authority: () => undefined,
  });
  const refusing = checking.before(of, prepared());
  assert.deepEqual(await Promise.race([refusing, Promise.resolve("it is waited for")]), "it is waited for");
  const { refused, tell } = await checking.before(of, prepared({ secret_missing: "warn" }));
  assert.deepEqual([refused, told], [undefined, ["inspect", "inspect"]], "it was asked before anything else can be");
  looked.resolve();
  await tell();
  assert.deepEqual(given.told.at(-1)!.map(({ check }) => check), ["secret_missing", "runs_as_root"]);
  assert.equal((await refusing).refused, "secret_missing: A is required and not set");
});

Deno.test("what runs is looked at ever later until it listens, then each time it is due, and ended for what refuses", async () => {
  const given = new Given();
  const stop = new AbortController();
  const { signal } = stop;
  const running = given.checking.running(of, { process, prepared: prepared(), started: given.clock.now(), signal });
  await given.clock.advance(CHECKING.early_ms - 1);
  assert.equal(given.looks, 0);
  await given.clock.advance(1);
  assert.equal(given.looks, 1);
  await given.clock.advance(2 * CHECKING.early_ms);
  assert.equal(given.looks, 2);
  given.sockets = [{ address: "127.0.0.1", port: 80 }];
  await given.clock.advance(4 * CHECKING.early_ms);
  assert.equal(given.looks, 3);
  // Well once: later only told.
  given.sockets = [{ address: "0.0.0.0", port: 80 }];
  await given.clock.advance(EVERY_MS);
  assert.equal(given.looks, 4);
  assert.deepEqual(given.told.at(-1)!.map(({ check, policy }) => [check, policy]), [["listens_everywhere", "refuse"]]);
  assert.deepEqual(given.ended, []);
  stop.abort();
  await running;
});

Deno.test("one that listens everywhere at the first look is ended; one that is found again is not", async () => {
  const given = new Given();
  const { signal } = new AbortController();
  given.sockets = [{ address: "::", port: 443 }];
  const fresh = given.checking.running(of, { process, prepared: prepared(), started: given.clock.now(), signal });
  await given.clock.advance(CHECKING.early_ms);
  await fresh;
  assert.deepEqual(given.ended, ["listens_everywhere: it listens on [::]:443"]);
  const stop = new AbortController();
  const started = given.clock.now() - EVERY_MS;
  const again = given.checking.running(of, { process, prepared: prepared(), started, signal: stop.signal });
  await given.clock.advance(3 * EVERY_MS);
  assert.equal(given.ended.length, 1);
  stop.abort();
  await again;
});

const stackOf = (renewed: string) => {
  const parsed = parseStack(
    `services:\n  a: { command: x, replicas: 2, tls: { issued: [localhost], renewed: ${renewed} } }\n  b: { command: x }\n`,
    "s.yaml",
  );
  assert.ok(parsed.ok);
  return { settings: parsed.stack, problemAt: parsed.problemAt };
};

Deno.test("of a renewed certificate those are told that were started before it was there, by what they asked for", async () => {
  const { cert: certificate } = await (await givenAuthority()).issue("a", ["server"]);
  const now = Date.now();
  const life = (at: number) => ({ is: "healthy", process, digest: "d", attempt: 0, at, line: false }) as const;
  const present = {
    ...services.initial,
    services: {
      a: { spec: spec("a"), wanted: true, lives: [life(now - 1), life(now), { is: "pending" }] },
    },
  } as const;
  let follows: ((pair: { readonly certificate: string }) => unknown) | undefined;
  const left: string[] = [];
  const keeper = {
    keep: () => Promise.resolve({ certificate }),
    writtenAt: () => Promise.resolve(now),
    follow: (_: string, __: unknown, taken: typeof follows) => void (follows = taken),
    leave: (name: string) => void left.push(name),
  } as unknown as KeptCertificates;
  const done: string[] = [];
  let may = true;
  const served = {
    present: () => present,
    signal: (_: unknown, signal: string) => Promise.resolve(void done.push(signal)),
    restart: (service: string, replica: number) => {
      if (may) done.push(`${service}/${replica}`);
      return Promise.resolve(may);
    },
  };
  await certifyServices(stackOf("SIGHUP"), { keeper, served });
  assert.deepEqual(left, ["main.b"]);
  await follows!({ certificate });
  await certifyServices(stackOf("restart"), { keeper, served });
  await follows!({ certificate });
  await certifyServices(stackOf("nothing"), { keeper, served });
  await follows!({ certificate });
  assert.deepEqual(done, ["SIGHUP", "a/0"]);
  may = false;
  await certifyServices(stackOf("restart"), { keeper, served });
  await assert.rejects(async () => await follows!({ certificate }), /when the others are well/);
});

Deno.test("a certificate that may not be issued is wrong usage, with its place in the file", async () => {
  const keeper = {
    keep: () => Promise.reject(new Refused("not_permitted", "it lies outside")),
    leave: () => {},
  } as unknown as KeptCertificates;
  const served = {
    present: () => services.initial,
    signal: () => Promise.resolve(),
    restart: () => Promise.resolve(true),
  };
  await assert.rejects(
    certifyServices(stackOf("restart"), { keeper, served }),
    (error) =>
      error instanceof Usage && /^s\.yaml:2:\d+ services\.a\.tls\.issued: .*it lies outside/.test(error.message),
  );
});
