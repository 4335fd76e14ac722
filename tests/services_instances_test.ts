/** What is done about single instances, with an agent that is only pretended. */
import assert from "node:assert/strict";
import type { Outcome } from "../actors/kernel/daybook.ts";
import { NOTHING, type Stack } from "../actors/services/state.ts";
import { services } from "../actors/services/stack.ts";
import type { ServiceFact } from "../events/services.ts";
import { AgentLine } from "../adapters/process/agent/line.ts";
import type { Prepared, PreparedServices } from "../adapters/program/stack/prepared.ts";
import { Instances } from "../adapters/program/stack/instances.ts";
import { Reports } from "../adapters/program/stack/reports.ts";
import { Scrapes } from "../adapters/program/stack/scrapes.ts";
import { Usage } from "../adapters/program/stack/usage.ts";
import { SimulatedClock } from "../adapters/simulation/clock.ts";
import { digestOf, spec } from "./services_given.ts";

const launch = { command: "p", arguments: [], folder: "/f", environment: {}, inherit: [] };
const preparedWith = (
  needs: Partial<Prepared["needs"]>,
  hooks: Prepared["instances"][number]["hooks"] = {},
): Prepared => ({
  instances: [{ launch, hooks, leftovers: [], probes: {} }],
  needs: { memory_bytes: 0, cpus: 0, disk_bytes: 0, ...needs },
  when_short: "wait",
  limits: {},
  log: { bytes_max: 4_096, keep: 1 },
});

const of = { replica: 0, digest: digestOf(1) };
const announced = (service: string): ServiceFact[] => [
  { type: "services.service.defined", data: spec(service) },
  { type: "services.instance.announced", data: { ...of, service, nonce: `n.${service}`, attempt: 0 } },
];

const stackWith = (names: readonly string[]): Stack => {
  const facts = names.flatMap(announced);
  const applied: ServiceFact = {
    type: "services.stack.applied",
    data: { services: [...names], profile: null, order: "ready" },
  };
  return [...facts, applied].reduce(services.evolve, NOTHING);
};

const process = (nonce: string) => ({ nonce, pid: 7, boot: "b", ticks: 1 });

class Stand {
  readonly asked: { readonly ask: string; readonly nonce?: string }[] = [];
  readonly told: { readonly type: string; readonly nonce: string }[] = [];
  readonly answers = new Map<string, (about: never) => unknown>([
    ["find", () => ({})],
    ["start", ({ nonce }: { nonce: string }) => ({ process: process(nonce), adopted: false })],
    ["free", () => ({ memory_bytes: 100, cpus: 8, disk_bytes: 100 })],
    ["usage", () => ({ usage: [] })],
  ]);
  readonly instances: Instances;
  readonly reports: Reports;
  readonly stop = new AbortController();
  readonly clock = new SimulatedClock({ next: () => 0 });
  outcome: Outcome = { is: "accepted", stream: "services/s", revision: 1, position: 1, facts: [], duplicate: false };

  constructor(public stack: Stack, prepared: Prepared) {
    const { clock } = this;
    this.reports = new Reports({
      daybook: {
        ask: ({ type, data }) => {
          this.told.push({ type, nonce: (data as { readonly nonce: string }).nonce });
          return Promise.resolve(this.outcome);
        },
      },
      clock,
      name: "s",
      report: () => {},
    });
    this.reports.signal = this.stop.signal;
    this.instances = new Instances({
      scrapes: new Scrapes(clock),
      agent: {
        ask: (ask: string, about: { readonly nonce?: string }) => {
          this.asked.push({ ask, ...(about.nonce === undefined ? {} : { nonce: about.nonce }) });
          return Promise.resolve(this.answers.get(ask)?.(about as never) ?? {}) as never;
        },
      },
      reports: this.reports,
      usage: new Usage(),
      clock,
      prepared: { of: () => Promise.resolve(prepared) } as Partial<PreparedServices> as PreparedServices,
      folder: "/d",
      report: () => {},
      stack: () => this.stack,
      authority: () => undefined,
    });
    this.instances.begin(this.stop.signal);
  }

  start(service: string): Promise<void> {
    return this.instances.fulfil({ wish: "start", service, replica: 0, nonce: `n.${service}`, digest: of.digest });
  }

  asks(kind: string): readonly string[] {
    return this.asked.filter(({ ask }) => ask === kind).map(({ nonce = "" }) => nonce);
  }
}

Deno.test("told to stop while its hook runs, it is not started afterwards, for it was looked for and said not to be there", async () => {
  const hook = { ...launch, timeout_ms: 1_000 };
  const stand = new Stand(stackWith(["db"]), preparedWith({}, { before_start: hook }));
  const ran = Promise.withResolvers<unknown>();
  stand.answers.set("run", () => ran.promise);
  const starting = stand.start("db");
  const data = { service: "db", replica: 0, nonce: "n.db", because: "asked" as const, until_ms: 9 };
  stand.stack = services.evolve(stand.stack, { type: "services.instance.stop_requested", data });
  await stand.instances.fulfil({ wish: "find", service: "db", replica: 0, nonce: "n.db" });
  assert.deepEqual(stand.told, [{ type: "services.process.record_refusal", nonce: "n.db" }]);
  ran.resolve({ code: 0, timed_out: false, because: "code 0" });
  await starting;
  assert.deepEqual(stand.asks("start"), []);
});

Deno.test("two that need more than there is together are not started both", async () => {
  const stand = new Stand(stackWith(["a", "b"]), preparedWith({ memory_bytes: 60 }));
  const [a, b] = [stand.start("a"), stand.start("b")];
  await a;
  assert.deepEqual(stand.asks("start"), ["n.a"]);
  stand.stop.abort();
  await b;
  assert.deepEqual(stand.asks("start"), ["n.a"]);
  assert.deepEqual(stand.told.map(({ type, nonce }) => `${type} ${nonce}`), [
    "services.process.record_start n.a",
    "services.process.record_shortage n.b",
  ]);
});

Deno.test("a start that would be longer than a line to the agent is refused, and the agent is not asked", async () => {
  const stand = new Stand(stackWith(["db"]), preparedWith({}));
  const line = new AgentLine(stand.clock, { exited: () => {}, line: () => {}, lost: () => {} }, () => {});
  const quotes = Object.fromEntries(Array.from({ length: 150 }, (_, n) => [`V${n}`, '"'.repeat(4_000)]));
  const environment = (of: object) => ({ ...of, environment: quotes }) as never;
  const because = "what it is started with has more than 1048576 characters";
  for (const kind of ["start", "look", "inspect"] as const) {
    assert.deepEqual(await line.ask(kind, environment({})), { refused: because }, kind);
  }
  assert.deepEqual(await line.ask("run", environment({ traces: "t" })), { code: null, timed_out: false, because });
  await assert.rejects(line.ask("ping", {}), { name: "AgentGone" });
  stand.answers.set("start", (about: object) => line.ask("start", environment(about)));
  await stand.start("db");
  assert.deepEqual(stand.told, [{ type: "services.process.record_refusal", nonce: "n.db" }]);
});

Deno.test("an end that could not be recorded before we stopped keeps its trace for the next run", async () => {
  for (const unavailable of [true, false]) {
    const stand = new Stand(stackWith(["db"]), preparedWith({}));
    if (unavailable) {
      stand.outcome = { is: "unavailable" } as Outcome;
      stand.stop.abort();
    }
    await stand.instances.exited({ service: "db", replica: 0 }, "n.db", { code: 3, signal: null, known: true });
    assert.equal(stand.asked.filter(({ ask }) => ask === "forget").length, unavailable ? 0 : 1);
  }
});

Deno.test("a line that is on record is not looked for any more", async () => {
  const stand = new Stand(stackWith(["db"]), { ...preparedWith({}), ready_line: "^ready$" });
  const lines: unknown[] = [];
  stand.answers.set("watch", ({ line }: { line?: string }) => (lines.push(line), {}));
  const watch = {
    wish: "watch",
    service: "db",
    replica: 0,
    nonce: "n",
    process: process("n"),
    digest: of.digest,
  } as const;
  await stand.instances.fulfil({ ...watch, lined: false });
  await stand.instances.fulfil({ ...watch, lined: true });
  assert.deepEqual(lines, ["^ready$", undefined]);
});

Deno.test("the signal goes when it is due, after what gets the service ready for it; kill goes at once", async () => {
  const hook = { ...launch, timeout_ms: 1_000 };
  const stand = new Stand(stackWith(["db"]), preparedWith({}, { before_stop: hook }));
  stand.answers.set("run", () => ({ code: 0, timed_out: false, because: "code 0" }));
  const end = { wish: "end", service: "db", replica: 0, nonce: "n", process: process("n"), digest: of.digest } as const;
  const ending = stand.instances.fulfil({ ...end, signal: "SIGTERM", due: stand.clock.now() + 500 });
  await stand.clock.advance(499);
  assert.deepEqual(stand.asked.map(({ ask }) => ask), ["run"]);
  await stand.clock.advance(1);
  await ending;
  assert.deepEqual(stand.asked.map(({ ask }) => ask), ["run", "end"]);
  await stand.instances.fulfil({ ...end, signal: "SIGKILL", due: stand.clock.now() + 500 });
  assert.deepEqual(stand.asked.map(({ ask }) => ask), ["run", "end", "end"]);
});
