/** `stack plan`, `stack graph`, `stack critical-path` and `stack import`: services looked at before they are started. */
import { readableFrom } from "../../../actors/kernel/kept.ts";
import type { Event } from "../../../events/event.ts";
import type { Call, Run } from "../call.ts";
import { pathOf, text, Usage } from "../call.ts";
import { table } from "../columns.ts";
import { bytes, count, counted, duration, palette, safe } from "../print.ts";
import type { Runtime } from "../runtime.ts";
import type { Settings } from "../settings.ts";
import { archivedText } from "./services_why.ts";

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
  if (out !== undefined) {
    const file = await io.create(pathOf(call, out));
    file.write(yaml);
    file.close();
  }
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

/** What services took at most, over all that is on record here, and what they might state. */
export const suggest: Run = async (call, runtime) => {
  const { io } = runtime;
  const reader = await runtime.reader(call.data);
  const peaks = new Map<string, Peak>();
  const looks = new Map<string, { readonly nonce: string; readonly samples: number }>();
  let from = 0;
  try {
    from = readableFrom(reader);
    for (const page of reader.read({ types: ["services.usage.measured"], from })) {
      for (const { data } of page) {
        const { service, replica, nonce, samples, rss_peak_bytes, space_peak_bytes = 0, cpus_peak_milli } =
          data as Measured;
        // Each tells of all looks since the instance, or the server that looks at it, was started.
        const last = looks.get(`${service}/${replica}`);
        const told = last?.nonce === nonce && last.samples < samples ? last.samples : 0;
        looks.set(`${service}/${replica}`, { nonce, samples });
        const before = peaks.get(service) ?? { samples: 0, rss_bytes: 0, space_bytes: 0, cpus: 0 };
        peaks.set(service, {
          samples: before.samples + samples - told,
          rss_bytes: Math.max(before.rss_bytes, rss_peak_bytes),
          space_bytes: Math.max(before.space_bytes, space_peak_bytes),
          cpus: Math.max(before.cpus, cpus_peak_milli / 1_000),
        });
      }
    }
  } finally {
    await reader.close();
  }
  const suggestions = [...peaks].map(([service, { samples, rss_bytes, space_bytes, cpus }]) => ({
    service,
    samples,
    rss_peak_bytes: rss_bytes,
    cpus_peak: cpus,
    resources: {
      needs: { memory_bytes: upTo(rss_bytes * 1.2, MIB), cpus: upTo(cpus, 0.25) },
      // The limit is one of address space, of which many programs have far more than they use.
      limits: space_bytes > 0 ? { memory_bytes: upTo(space_bytes * 1.5, MIB) } : {},
    },
  }));
  if (call.json) io.out(`${JSON.stringify({ suggestions, from })}\n`);
  else if (suggestions.length === 0 && from > 0) io.out(`nothing is on record since ${archivedText(from)}\n`);
  else if (suggestions.length === 0) {
    io.out("nothing is on record yet: what services take is, every hour and when they end\n");
  } else {
    const rows = suggestions.map(({ service, samples, rss_peak_bytes, cpus_peak, resources: { needs, limits } }) => [
      safe(service),
      count(samples),
      bytes(rss_peak_bytes),
      cpus_peak.toFixed(2),
      String(needs.memory_bytes),
      String(needs.cpus),
      limits.memory_bytes === undefined ? "" : String(limits.memory_bytes),
    ]);
    const titles = [
      "service",
      "looks",
      "memory at most",
      "cores at most",
      "needs.memory_bytes",
      "needs.cpus",
      "limits.memory_bytes",
    ];
    io.out(table(titles.map((title, i) => ({ title, ...(i > 0 ? { right: true as const } : {}) })), rows, palette(io)));
    if (from > 0) io.out(`since ${archivedText(from)}\n`);
  }
  return 0;
};

interface Peak {
  readonly samples: number;
  readonly rss_bytes: number;
  readonly space_bytes: number;
  readonly cpus: number;
}
interface Measured {
  readonly service: string;
  readonly replica: number;
  readonly nonce: string;
  readonly samples: number;
  readonly rss_peak_bytes: number;
  readonly space_peak_bytes?: number;
  readonly cpus_peak_milli: number;
}

const MIB = 1_048_576;
const upTo = (value: number, step: number): number => Math.ceil(value / step) * step;

const drawn = async (call: Call, { io }: Runtime, picture: () => string): Promise<boolean> => {
  const path = text(call, "svg");
  if (path === undefined) return false;
  if (path === "-") {
    io.out(picture());
    return true;
  }
  const file = await io.create(pathOf(call, path));
  file.write(picture());
  file.close();
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
  const over = ({ data, recordedat }: Event, service: string): void => {
    const key = `${service}/${(data as { readonly replica: number }).replica}`;
    const from = begun.get(key);
    if (from === undefined) return;
    begun.delete(key);
    took.set(service, [...took.get(service) ?? [], Date.parse(recordedat) - from]);
  };
  try {
    // Starts in an archive that is elsewhere are older ones: the medians are those of the others.
    for (const page of reader.read({ stream: `services/${stack}`, from: readableFrom(reader) })) {
      for (const event of page) {
        const { service, replica } = event.data as { readonly service: string; readonly replica: number };
        if (event.type === "services.instance.announced") {
          begun.set(`${service}/${replica}`, Date.parse(event.recordedat));
        }
        if (works.has(service)) {
          if (event.type === "services.instance.completed") over(event, service);
          continue;
        }
        if (event.type === "services.health.confirmed") over(event, service);
        if (event.type === "services.instance.exited") begun.delete(`${service}/${replica}`);
      }
    }
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
