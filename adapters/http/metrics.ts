/**
 * `GET /metrics`: Prometheus text. Labels are routes, methods, states and names from the catalogue: never an id, a stream
 * or anything a sender chose, so the number of series is bounded by the program, not by its users.
 */
import type { Metric, Registry } from "prom-client";
import type { Daybook, HealthNode } from "../../actors/kernel/daybook.ts";

const BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** Counts by bucket; observing costs an array index, which a labelled histogram's hashing does not. Seconds. */
export class Tally {
  private readonly counts = new Float64Array(BUCKETS.length + 1);
  private sum = 0;

  observe(seconds: number): void {
    let i = 0;
    while (i < BUCKETS.length && seconds > BUCKETS[i]!) i++;
    this.counts[i]!++;
    this.sum += seconds;
  }

  values(name: string, labels: Readonly<Record<string, string>>): Sample[] {
    let total = 0;
    const samples = BUCKETS.map((le, i): Sample => ({
      metricName: `${name}_bucket`,
      labels: { ...labels, le: String(le) },
      value: total += this.counts[i]!,
    }));
    total += this.counts[BUCKETS.length]!;
    samples.push({ metricName: `${name}_bucket`, labels: { ...labels, le: "+Inf" }, value: total });
    samples.push({ metricName: `${name}_sum`, labels, value: this.sum }, {
      metricName: `${name}_count`,
      labels,
      value: total,
    });
    return samples;
  }
}

export interface Sample {
  readonly metricName?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A number from elsewhere in the process, such as group sizes or mailbox depths; read when it is asked for. */
export interface Measure {
  /** `daybook_…`, with its unit last, as Prometheus has it. */
  readonly name: string;
  readonly help: string;
  readonly kind: "gauge" | "counter";
  readonly samples: () => readonly Sample[];
}

export class Metrics {
  readonly append = new Tally();
  private readonly requests = new Map<string, Tally>();
  private accepted = 0;
  private duplicates = 0;
  private handshakes = 0;
  private readonly measures: readonly Measure[];
  private registry: Promise<Registry> | undefined;

  constructor(daybook: Daybook, measures: readonly Measure[], streams: () => number) {
    this.measures = [...this.own(streams), ...standing(daybook), ...measures];
  }

  ingested(accepted: number, duplicates: number): void {
    this.accepted += accepted;
    this.duplicates += duplicates;
  }

  refusedHandshake(): void {
    this.handshakes++;
  }

  /** The tally of one route and status; asked for once per status and kept by the caller. */
  request(method: string, route: string, status: number): Tally {
    const key = `${method} ${route} ${status}`;
    let tally = this.requests.get(key);
    if (!tally) this.requests.set(key, tally = new Tally());
    return tally;
  }

  async text(): Promise<string> {
    this.registry ??= this.compose();
    return await (await this.registry).metrics();
  }

  /** The registry is large and loaded when somebody asks for it; what it will tell of is counted without. */
  private async compose(): Promise<Registry> {
    const { Registry } = await import("prom-client");
    const registry = new Registry();
    for (const measure of this.measures) register(registry, measure);
    registerHistogram(
      registry,
      "daybook_http_request_duration_seconds",
      "Time from a request's header to its answer's header.",
      () =>
        [...this.requests].flatMap(([key, tally]) => {
          const [method = "", route = "", status = ""] = key.split(" ");
          return tally.values("daybook_http_request_duration_seconds", { method, route, status });
        }),
    );
    registerHistogram(
      registry,
      "daybook_append_duration_seconds",
      "Time until what came over HTTP was durable.",
      () => this.append.values("daybook_append_duration_seconds", {}),
    );
    return registry;
  }

  private own(streams: () => number): Measure[] {
    return [
      counter("daybook_events_accepted_total", "Events that came over HTTP and were new.", () => this.accepted),
      counter("daybook_events_duplicate_total", "Events that came over HTTP again.", () => this.duplicates),
      counter(
        "daybook_tls_refused_total",
        "Handshakes that were refused: an older version, or no certificate that counts.",
        () => this.handshakes,
      ),
      gauge("daybook_http_streams", "Streams open now, followers among them.", streams),
    ];
  }
}

const register = (registry: Registry, { name, help, kind, samples }: Measure): void =>
  registry.registerMetric(
    asMetric({
      name,
      help,
      type: kind,
      get: () => Promise.resolve({ name, help, type: kind, values: samples(), aggregator: "sum" }),
    }),
  );

const registerHistogram = (registry: Registry, name: string, help: string, samples: () => readonly Sample[]): void =>
  registry.registerMetric(
    asMetric({
      name,
      help,
      type: "histogram",
      get: () => Promise.resolve({ name, help, type: "histogram", values: samples(), aggregator: "sum" }),
    }),
  );

/** A registry asks its metrics for their values and formats them; any object that answers `get` will do. */
const asMetric = (
  metric: { readonly name: string; readonly help: string; readonly type: string; readonly get: () => Promise<unknown> },
): Metric => metric as unknown as Metric;

const gauge = (name: string, help: string, value: () => number): Measure => ({
  name,
  help,
  kind: "gauge",
  samples: () => [{ labels: {}, value: value() }],
});
const counter = (name: string, help: string, value: () => number): Measure => ({
  name,
  help,
  kind: "counter",
  samples: () => [{ labels: {}, value: value() }],
});

/** What every Daybook can say of itself. */
const standing = (daybook: Daybook): Measure[] => [
  gauge("daybook_log_events", "Events in the log.", () => daybook.log.size),
  gauge("daybook_log_indexed_events", "Events that the index covers.", () => daybook.status().indexed),
  gauge(
    "daybook_checkpoint_events",
    "Events that the newest signed checkpoint covers.",
    () => daybook.status().checkpoint?.size ?? 0,
  ),
  gauge("daybook_ready", "1 when the log takes appends.", () => daybook.status().state === "ready" ? 1 : 0),
  gauge(
    "daybook_dead_letters",
    "Messages that could not be delivered and wait to be redriven.",
    () => daybook.status().deadLetters,
  ),
  gauge(
    "daybook_dead_letters_evicted",
    "Further ones that gave way to those, and are in the log alone.",
    () => daybook.status().deadLettersEvicted,
  ),
  {
    name: "daybook_disk_bytes",
    help: "Bytes on disk, by database.",
    kind: "gauge",
    samples: () => Object.entries(daybook.status().bytes).map(([database, value]) => ({ labels: { database }, value })),
  },
  {
    name: "daybook_projection_lag_events",
    help: "Events that the log has and the view has not.",
    kind: "gauge",
    samples: () => daybook.status().projections.map(({ name, lag }) => ({ labels: { projection: name }, value: lag })),
  },
  {
    name: "daybook_projection_stopped",
    help: "1 for a projection that stands still: at an event it cannot take, or because its views cannot be used.",
    kind: "gauge",
    samples: () =>
      daybook.status().projections.map(({ name, state }) => ({
        labels: { projection: name },
        value: state === "stopped" ? 1 : 0,
      })),
  },
  {
    name: "daybook_children",
    help: "Supervised children now, by state.",
    kind: "gauge",
    samples: () => {
      const states = new Map<string, number>();
      for (const node of nodes(daybook.status().health)) states.set(node.state, (states.get(node.state) ?? 0) + 1);
      return [...states].map(([state, value]) => ({ labels: { state }, value }));
    },
  },
  counter("daybook_restarts_total", "Restarts of supervised children since the start.", () => {
    let restarts = 0;
    for (const node of nodes(daybook.status().health)) restarts += node.restarts;
    return restarts;
  }),
];

function* nodes(node: HealthNode): Generator<HealthNode> {
  yield node;
  for (const child of node.children ?? []) yield* nodes(child);
}
