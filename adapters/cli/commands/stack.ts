/** `stack plan`, `stack graph`, `stack critical-path` and `stack import`: services looked at before they are started. */
import { readableFrom } from "../../../actors/kernel/kept.ts";
import type { Event } from "../../../events/event.ts";
import type { Call, Run } from "../call.ts";
import { pathOf, text, Usage } from "../call.ts";
import { table } from "../columns.ts";
import { writeOutput } from "../draft.ts";
import { counted, duration, palette, safe } from "../print.ts";
import type { Runtime } from "../runtime.ts";
import type { Settings } from "../settings.ts";

type Stack = NonNullable<Settings["stack"]>["settings"];

const stackOf = ({ settings }: Call): Stack => {
  const stack = settings?.stack?.settings;
  if (!stack || stack.services.length === 0) {
    throw new Usage("the configuration has no services that are enabled: give --stack FILE");
  }
  return stack;
};

export const plan: Run = async (call, runtime) => {
  const { io } = runtime;
  const stack = stackOf(call);
  const { planOf, pictureOf } = await runtime.stacks();
  if (await drawn(call, runtime, () => pictureOf(stack))) return 0;
  const plan = planOf(stack);
  if (call.json) {
    io.out(`${JSON.stringify(plan)}\n`);
    return 0;
  }
  const c = palette(io);
  const rows = plan.batches.flatMap((names, depth) =>
    names.map((name) => {
      const { command, replicas, needs, probes } = plan.services.find(({ service }) => service === name)!;
      return [
        String(depth),
        safe(name),
        String(replicas),
        safe(command),
        needs.map((need) => `${need.service} ${need.condition}${need.required ? "" : " (if it can)"}`).join(", "),
        probes.join(", ") || "none",
      ];
    })
  );
  const titles = ["depth", "service", "replicas", "command", "starts when", "probes"];
  io.out(table(titles.map((title) => ({ title })), rows, c));
  io.out(`\n${ORDERS[plan.order]}\n`);
  return 0;
};

const ORDERS = {
  ready: "Each starts the moment what it needs is so.",
  batches: "Each waits for all of the depths before.",
  sequential: "One after another, in this order.",
} as const;

export const graph: Run = async (call, runtime) => {
  const stack = stackOf(call);
  const { planOf, pictureOf } = await runtime.stacks();
  if (await drawn(call, runtime, () => pictureOf(stack))) return 0;
  const { io } = runtime;
  const { batches, services } = planOf(stack);
  if (call.json) {
    io.out(
      `${JSON.stringify({ name: stack.name, nodes: services.map(({ service, needs }) => ({ service, needs })) })}\n`,
    );
    return 0;
  }
  for (const name of batches.flat()) {
    const { needs } = services.find(({ service }) => service === name)!;
    const arrows = needs.map((need) => `${need.service} (${need.condition}${need.required ? "" : ", if it can"})`);
    io.out(`${safe(name)}${arrows.length > 0 ? ` → ${arrows.join(", ")}` : ""}\n`);
  }
  return 0;
};

export const criticalPath: Run = async (call, runtime) => {
  const stack = stackOf(call);
  const { chainOf, pictureOf } = await runtime.stacks();
  const took = await durations(call, runtime, stack);
  const known = stack.services.filter(({ name }) => took.has(name)).length;
  // Where nobody knows, each link counts alike.
  const { path, length } = chainOf(stack, (service) => known > 0 ? took.get(service) ?? 0 : 1);
  if (await drawn(call, runtime, () => pictureOf(stack, path))) return 0;
  const { io } = runtime;
  if (call.json) {
    io.out(`${JSON.stringify({ name: stack.name, path, ...(known > 0 ? { ms: length } : {}), measured: known })}\n`);
    return 0;
  }
  const links = path.map((name) => took.has(name) ? `${safe(name)} ${duration(took.get(name)!)}` : safe(name));
  io.out(`${links.join(" → ")}\n`);
  io.out(
    known > 0
      ? `${
        duration(length)
      } at best, by the median of earlier starts of ${known} of ${stack.services.length} services\n`
      : `${length} steps; nothing of it was ever started from this folder, so nobody knows how long each takes\n`,
  );
  return 0;
};

/** `stack import`: the file of another program, as services of ours; what has no place here is said. */
export const importFile: Run = async (call, runtime) => {
  const { io } = runtime;
  const [given] = call.args as [string];
  const out = text(call, "out");
  const content = given === "-" ? await io.readInput() : await io.readText(pathOf(call, given));
  const { importOf } = await runtime.stacks();
  const { kind, yaml, services, unmapped } = importOf(content, given, out ?? "services.yaml");
  if (out !== undefined) await writeOutput(io, pathOf(call, out), yaml);
  if (call.json) {
    io.out(`${JSON.stringify({ ok: true, kind, services, unmapped, ...(out ? {} : { yaml }) })}\n`);
    return 0;
  }
  if (out === undefined) io.out(yaml);
  const c = palette(io, "err");
  io.err(`${counted(services, "service")} of ${kind}${out ? ` in ${safe(out)}` : ""}\n`);
  for (const { line, path, because } of unmapped) {
    io.err(`${c.yellow("not mapped")}  ${safe(given)}:${line} ${safe(path)}: ${safe(because)}\n`);
  }
  return 0;
};

const drawn = async (call: Call, { io }: Runtime, picture: () => string): Promise<boolean> => {
  const path = text(call, "svg");
  if (path === undefined) return false;
  if (path === "-") {
    io.out(picture());
    return true;
  }
  await writeOutput(io, pathOf(call, path), picture());
  return true;
};

/** Medians of how long services took from their announcement until they were well or, where others wait for that, had done their work; ms. */
const durations = async (
  call: Call,
  runtime: Runtime,
  { name: stack, services }: Stack,
): Promise<ReadonlyMap<string, number>> => {
  if (await runtime.io.isEmpty(call.data)) return new Map();
  const works = new Set(
    services.flatMap(({ needs }) => needs)
      .filter(({ condition }) => condition === "completed" || condition === "completed_successfully")
      .map(({ service }) => service),
  );
  const reader = await runtime.reader(call.data);
  const begun = new Map<string, number>();
  const took = new Map<string, number[]>();
  const take = ({ type, data, recordedat }: Event): void => {
    const { service, replica } = data as { readonly service: string; readonly replica: number };
    const instance = `${service}/${replica}`;
    if (type === "services.instance.announced") begun.set(instance, Date.parse(recordedat));
    if (type === (works.has(service) ? "services.instance.completed" : "services.health.confirmed")) {
      const from = begun.get(instance);
      if (from !== undefined) took.set(service, [...took.get(service) ?? [], Date.parse(recordedat) - from]);
      begun.delete(instance);
    }
    if (type === "services.instance.exited" && !works.has(service)) begun.delete(instance);
  };
  try {
    // Starts in an archive that is elsewhere are older ones: the medians are those of the others.
    for (const page of reader.read({ stream: `services/${stack}`, from: readableFrom(reader) })) page.forEach(take);
  } finally {
    await reader.close();
  }
  return new Map([...took].map(([service, all]) => [service, median(all)]));
};

/** Of an even number the mean of the two in the middle. */
const median = (all: readonly number[]): number => {
  const sorted = all.toSorted((a, b) => a - b);
  return Math.round((sorted[(all.length - 1) >> 1]! + sorted[all.length >> 1]!) / 2);
};
