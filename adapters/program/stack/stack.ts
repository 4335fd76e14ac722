/** Runs the services of a configuration, as children of the tree: the agent, and who tells it what to do. */
import { join, resolve } from "node:path";
import type { Daybook } from "../../../actors/kernel/daybook.ts";
import { Supervisor } from "../../../actors/kernel/supervisor.ts";
import { digestsOf, isAlive, isLive, type Stack } from "../../../actors/services/state.ts";
import { LogFault } from "../../../events/log.ts";
import { Usage } from "../../cli/call.ts";
import type { Io } from "../../cli/io.ts";
import { problemsText } from "../../../config/stack.ts";
import type { StatedStack } from "../../cli/settings.ts";
import type { Measure } from "../../http/metrics.ts";
import { systemClock } from "../../system/world.ts";
import { crashInAgent } from "../crash_points.ts";
import type { Opened } from "../opened.ts";
import { OPERATOR } from "../operator.ts";
import type { KeptCertificates } from "../certificates/kept.ts";
import { applyOf, type Change, changesOf } from "./apply.ts";
import { knownAuthority } from "../certificates/issuer.ts";
import { certificatesIn, certifyServices, type Served } from "./certificates.ts";
import { InTurn } from "../in_turn.ts";
import type { Placed } from "./launch.ts";
import { Orchestrator } from "./orchestrator.ts";
import { unwatchedIn, unwatchedText } from "./others.ts";
import { keepPorts, portsOf } from "./ports.ts";
import { PreparedServices } from "./prepared.ts";
import { absentPrograms } from "./programs.ts";
import type { Scraped } from "./scrapes.ts";
import type { Taken } from "./usage.ts";

/** Below the data folder: what services write, and what is left of their starts. */
const FOLDER = "services";

/** A start that waits for memory keeps nobody else waiting. */
const BEGUN_MS = 1_000;

export interface RunningStack {
  readonly name: string;
  /** What saying so would change. Throws `Usage` where a program is not there. */
  changes(stack: StatedStack): Promise<readonly Change[]>;
  /**
   * Says anew what the stack is, and answers what that changes; in turn (`InTurn`). `again`: changes that were undone are tried once
   * more. Throws `Usage` when it is refused.
   */
  apply(stack: StatedStack, again: boolean): Promise<readonly Change[]>;
  /** Services of this profile are to run, and no others. */
  choose(profile: string): Promise<void>;
  readonly orchestrator: Pick<Orchestrator, "present" | "prepared" | "scrapes" | "usage">;
  /** Resolves when all has been started that was to be at first, or after a second: what has time may begin then. */
  readonly begun: Promise<void>;
  /** Before the tree is stopped: services are left running, or stopped first, as the configuration says. */
  stop(): Promise<void>;
}

/** Throws `Usage` when the stack is refused. */
export const runStack = async (
  { daybook, entities, tree, supervision, crash }: Pick<
    Opened,
    "daybook" | "entities" | "tree" | "supervision" | "crash"
  >,
  { data, stack: first, profile, keeper }: {
    readonly data: string;
    readonly stack: StatedStack;
    readonly profile: string;
    /** Asked for when a service wants a certificate. */
    readonly keeper: () => Promise<KeptCertificates>;
  },
  io: Pick<Io, "err">,
): Promise<RunningStack> => {
  const { settings } = first;
  const [other] = unwatchedIn({ log: daybook.log, entities }, settings.name);
  if (other) {
    const hint = `start that stack again under its name, or stop it there with "down"`;
    throw new Usage(`${first.file}: the stack is called "${settings.name}", but ${unwatchedText(other)}: ${hint}`);
  }
  const folder = resolve(data, FOLDER);
  const report = (line: string) => io.err(`daybook: ${line}\n`);
  const prepared = new PreparedServices(join(folder, settings.name, "prepared"));
  const orchestrator = new Orchestrator({
    daybook,
    entities,
    clock: systemClock,
    name: settings.name,
    prepared,
    folder,
    report,
    authority: () => knownAuthority({ entities })?.certificate,
  });
  if (crash) crashInAgent(orchestrator.agent, crash);
  await tree.add(
    new Supervisor(
      { id: "services", strategy: "one_for_one", ...supervision.bounds, children: [orchestrator.agent, orchestrator] },
      supervision.world,
    ),
  );
  const placed = async (stack: StatedStack): Promise<Placed> => ({
    stack: stack.settings,
    file: stack.file,
    ports: await portsOf(stack.settings, folder, { keep: false }),
    certificates: certificatesIn(resolve(data)),
  });
  const served: Served = {
    present: () => orchestrator.present,
    async signal(process, signal) {
      await orchestrator.agent.ask("tell", { process, signal });
    },
    async restart(service, replica) {
      const restart = { type: "services.service.restart", data: { service, replica } } as const;
      return (await orchestrator.apply(restart)).is === "accepted";
    },
  };
  let certified = false;
  const certify = async (stack: StatedStack) => {
    certified ||= stack.settings.services.some(({ tls }) => tls?.issued);
    if (certified) await certifyServices(stack, { keeper: await keeper(), served });
  };
  const checked = async (stack: StatedStack, of: Placed): Promise<readonly Change[]> => {
    const changes = changesOf(of, orchestrator.present);
    const absent = await absentPrograms(of, { agent: orchestrator.agent, changes });
    if (absent.length > 0) throw new Usage(problemsText(absent.map((fault) => stack.problemAt(fault))));
    return changes;
  };
  let before: readonly string[] = [];
  let present = { stack: first, profile };
  const apply = async (stack: StatedStack, profile: string, again: boolean): Promise<readonly Change[]> => {
    const of = await placed(stack);
    // While the agent comes up there is time to write down what it will be asked for.
    const [command, changes] = await Promise.all([applyOf(of, { profile, again, kept: prepared }), checked(stack, of)]);
    await keepPorts(stack.settings, folder, of.ports);
    await certify(stack);
    const outcome = await orchestrator.apply(command);
    if (outcome.is === "rejected") throw new Usage(`${stack.file}: ${outcome.because}`);
    if (outcome.is === "unavailable" && outcome.reason === "archived") {
      throw new LogFault("archived", "how the services stand was archived; `start` with log.archive reads it there");
    }
    if (outcome.is !== "accepted") throw new Error(`the services could not be applied: ${outcome.is}`);
    // Whoever changes it next goes by what it is then.
    const last = outcome.facts.at(-1);
    if (last) await orchestrator.read(last.position);
    const stated = command.data.services.map(({ digest }) => digest);
    await prepared.only(new Set([...before, ...stated, ...digestsOf(orchestrator.present)]));
    before = stated;
    present = { stack, profile };
    return changes;
  };
  const turns = new InTurn();
  await apply(first, profile, false);
  const begun = Promise.withResolvers<void>();
  const late = systemClock.schedule(BEGUN_MS, begun.resolve);
  void orchestrator.until((stack) => !isStarting(stack)).then(begun.resolve).finally(late);
  const running: RunningStack = {
    name: settings.name,
    orchestrator,
    begun: begun.promise,
    changes: async (stack) => checked(stack, await placed(stack)),
    apply: (stack, again) => turns.run(() => apply(stack, present.profile, again)),
    choose: (profile) => turns.run(async () => void await apply(present.stack, profile, false)),
    async stop() {
      if (settings.on_exit === "leave") return;
      const { name } = settings;
      const down = await daybook.ask({
        type: "services.stack.down",
        id: name,
        data: { because: "shutdown" },
        by: OPERATOR.principal,
      });
      if (down.is !== "accepted") return report(`the services could not be told to stop: ${down.is}`);
      await orchestrator.until(({ services }) => Object.values(services).every(({ lives }) => !lives.some(isLive)));
    },
  };
  stacks.set(daybook, running);
  return running;
};

const isStarting = ({ services }: Stack): boolean =>
  Object.values(services).some(({ lives }) => lives.some(({ is }) => is === "starting"));

/** By the daybook that runs them. */
const stacks = new WeakMap<Daybook, RunningStack>();

export const runningStack = (daybook: Daybook): RunningStack | undefined => stacks.get(daybook);

/** Of `/metrics`; nothing until services are run. */
export const stackMeasures = (daybook: Daybook): readonly Measure[] => {
  const running = () => stacks.get(daybook)?.orchestrator;
  const instances = () =>
    Object.entries(running()?.present.services ?? {}).flatMap(([service, { lives }]) =>
      lives.map((life, replica) => ({ labels: { service, replica: String(replica) }, life }))
    );
  const taken = (value: (taken: Taken) => number) => () =>
    instances().flatMap(({ labels, life }) => {
      const found = isAlive(life) ? running()?.usage.of(life.process.nonce) : undefined;
      return found ? [{ labels, value: value(found) }] : [];
    });
  return [
    {
      name: "daybook_service_healthy",
      help: "Whether an instance of a service is healthy.",
      kind: "gauge",
      samples: () => instances().map(({ labels, life }) => ({ labels, value: life.is === "healthy" ? 1 : 0 })),
    },
    {
      name: "daybook_service_memory_bytes",
      help: "Resident memory of an instance and all its processes.",
      kind: "gauge",
      samples: taken(({ rss_bytes }) => rss_bytes),
    },
    {
      name: "daybook_service_cpu_seconds_total",
      help: "CPU time of an instance and all its processes.",
      kind: "counter",
      samples: taken(({ cpu_ms }) => cpu_ms / 1_000),
    },
    {
      name: "daybook_service_processes",
      help: "Processes of an instance.",
      kind: "gauge",
      samples: taken(({ processes }) => processes),
    },
    ...scrapedMeasures(() => running()?.scrapes.all ?? []),
  ];
};

/** About the looking alone: what services tell is named by them, and stays out of here. */
const scrapedMeasures = (all: () => readonly Scraped[]): readonly Measure[] => {
  const of = (name: string, help: string, value: (scraped: Scraped) => number): Measure => ({
    name: `daybook_service_metrics_${name}`,
    help,
    kind: "gauge",
    samples: () =>
      all().map((one) => ({ labels: { service: one.service, replica: String(one.replica) }, value: value(one) })),
  });
  return [
    of("up", "Whether the metrics of an instance could be read.", ({ up }) => up ? 1 : 0),
    of("series", "Series that an instance tells.", ({ samples }) => samples.length),
    of("read_seconds", "How long reading them took.", ({ ms }) => ms / 1_000),
  ];
};
