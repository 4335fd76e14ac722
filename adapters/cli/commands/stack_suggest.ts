/** `stack suggest`: what services took at most, over all that is on record here, and what they might state. */
import { readableFrom } from "../../../actors/kernel/kept.ts";
import type { Run } from "../call.ts";
import { table } from "../columns.ts";
import { bytes, count, palette, safe } from "../print.ts";
import type { Reader } from "../reader.ts";
import type { Io } from "../io.ts";
import { archivedText } from "./services_why.ts";

const MIB = 1_048_576;

export const suggest: Run = async (call, runtime) => {
  const { io } = runtime;
  const reader = await runtime.reader(call.data);
  let from: number;
  let peaks: ReadonlyMap<string, Peak>;
  try {
    from = readableFrom(reader);
    peaks = peaksIn(reader, from);
  } finally {
    await reader.close();
  }
  const suggestions = [...peaks].map(suggestionOf);
  if (call.json) io.out(`${JSON.stringify({ suggestions, from })}\n`);
  else if (suggestions.length > 0) tell(io, suggestions, from);
  else if (from > 0) io.out(`nothing is on record since ${archivedText(from)}\n`);
  else io.out("nothing is on record yet: what services take is, every hour and when they end\n");
  return 0;
};

interface Measured {
  readonly service: string;
  readonly replica: number;
  readonly nonce: string;
  readonly samples: number;
  readonly rss_peak_bytes: number;
  readonly space_peak_bytes?: number;
  readonly cpus_peak_milli: number;
}

interface Peak {
  readonly samples: number;
  readonly rss_bytes: number;
  readonly space_bytes: number;
  readonly cpus: number;
}

/** By service. */
const peaksIn = (reader: Reader, from: number): ReadonlyMap<string, Peak> => {
  const peaks = new Map<string, Peak>();
  const looks = new Map<string, { readonly nonce: string; readonly samples: number }>();
  const take = (measured: Measured): void => {
    const { service, replica, nonce, samples, rss_peak_bytes, space_peak_bytes = 0, cpus_peak_milli } = measured;
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
  };
  for (const page of reader.read({ types: ["services.usage.measured"], from })) {
    for (const { data } of page) take(data as Measured);
  }
  return peaks;
};

const suggestionOf = ([service, { samples, rss_bytes, space_bytes, cpus }]: readonly [string, Peak]) => ({
  service,
  samples,
  rss_peak_bytes: rss_bytes,
  cpus_peak: cpus,
  resources: {
    needs: { memory_bytes: upTo(rss_bytes * 1.2, MIB), cpus: upTo(cpus, 0.25) },
    // The limit is one of address space, of which many programs have far more than they use.
    limits: space_bytes > 0 ? { memory_bytes: upTo(space_bytes * 1.5, MIB) } : {},
  },
});

const upTo = (value: number, step: number): number => Math.ceil(value / step) * step;

const tell = (io: Io, suggestions: readonly ReturnType<typeof suggestionOf>[], from: number): void => {
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
};
