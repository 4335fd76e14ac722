/** Somebody who collects telemetry (OTLP over HTTP, in JSON), and the program as its shipped task starts it. */
import { fileURLToPath } from "node:url";
import { V8_FLAGS } from "../../adapters/process/reexec.ts";
import { heard, signal, stopped } from "../until.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** How long a busy machine may take to export. */
const RECEIVE_MS_MAX = 120_000;

interface Attribute {
  readonly key: string;
  readonly value: Readonly<Record<string, unknown>>;
}

/** Of what is sent, what is looked at. */
interface Body {
  readonly resourceSpans?: readonly {
    readonly scopeSpans: readonly {
      readonly scope: { readonly name: string };
      readonly spans: readonly {
        readonly name: string;
        readonly traceId: string;
        readonly spanId: string;
        readonly parentSpanId?: string;
        readonly kind: number;
        readonly attributes: readonly Attribute[];
        readonly status?: { readonly code?: number };
      }[];
    }[];
  }[];
  readonly resourceMetrics?: readonly {
    readonly scopeMetrics: readonly {
      readonly metrics: readonly {
        readonly name: string;
        readonly unit: string;
        readonly histogram?: Points;
        readonly gauge?: Points;
        readonly sum?: Points;
      }[];
    }[];
  }[];
}
interface Points {
  readonly dataPoints: ReceivedMetric["points"];
}

export interface ReceivedSpan {
  readonly scope: string;
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly kind: number;
  /** By name; what was told more than once is there in all its values, joined by a space. */
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly failed: boolean;
}

export interface ReceivedMetric {
  readonly name: string;
  readonly unit: string;
  /** Kind and data points as they came, newest. */
  readonly points: readonly Readonly<Record<string, unknown>>[];
}

/** https://opentelemetry.io/docs/specs/otlp/#otlphttp: POST to /v1/traces, /v1/metrics and /v1/logs. */
export class Collector {
  readonly spans: ReceivedSpan[] = [];
  readonly metrics = new Map<string, ReceivedMetric>();
  /** All bodies, as they came. */
  text = "";
  private readonly server: Deno.HttpServer<Deno.NetAddr>;
  private readonly looking = new Set<() => void>();

  constructor() {
    this.server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
      const body = await request.text();
      this.text += body;
      this.take(JSON.parse(body));
      for (const look of [...this.looking]) look();
      return Response.json({});
    });
  }

  get environment(): Readonly<Record<string, string>> {
    return {
      OTEL_DENO: "true",
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${this.server.addr.port}`,
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      OTEL_METRIC_EXPORT_INTERVAL: "100",
      OTEL_BSP_SCHEDULE_DELAY: "100",
      OTEL_SERVICE_NAME: "daybook",
    };
  }

  /** Until what was received holds; throws when it never comes. */
  until(holds: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`received in vain: ${this.names()}`)), RECEIVE_MS_MAX);
      const look = () => {
        if (!holds()) return;
        clearTimeout(late);
        this.looking.delete(look);
        resolve();
      };
      this.looking.add(look);
      look();
    });
  }

  /** Until these spans have come, of one trace. */
  has(traceId: string, ...names: readonly string[]): Promise<void> {
    return this.until(() =>
      names.every((name) => this.spans.some((span) => span.name === name && span.traceId === traceId))
    );
  }

  one(name: string, traceId: string): ReceivedSpan {
    const found = this.spans.filter((span) => span.name === name && span.traceId === traceId);
    if (found.length !== 1) throw new Error(`${found.length} spans "${name}" in ${traceId}: ${this.names(traceId)}`);
    return found[0]!;
  }

  names(traceId?: string): string {
    return this.spans.filter((span) => traceId === undefined || span.traceId === traceId).map(({ name }) => name).sort()
      .join(", ");
  }

  close(): Promise<void> {
    return this.server.shutdown();
  }

  private take({ resourceSpans = [], resourceMetrics = [] }: Body): void {
    for (const { scopeSpans } of resourceSpans) {
      for (const { scope, spans } of scopeSpans) {
        for (const { name, traceId, spanId, parentSpanId, kind, attributes, status } of spans) {
          const told: Record<string, unknown> = {};
          for (const { key, value: of } of attributes) {
            const [value] = Object.values(of);
            told[key] = key in told ? `${told[key]} ${value}` : value;
          }
          const failed = status?.code === 2;
          this.spans.push({
            scope: scope.name,
            name,
            traceId,
            spanId,
            parentSpanId: parentSpanId ?? "",
            kind,
            attributes: told,
            failed,
          });
        }
      }
    }
    for (const { scopeMetrics } of resourceMetrics) {
      for (const { metrics } of scopeMetrics) {
        for (const { name, unit, histogram, gauge, sum } of metrics) {
          this.metrics.set(name, { name, unit, points: (histogram ?? gauge ?? sum)?.dataPoints ?? [] });
        }
      }
    }
  }
}

/** `start` with the permissions of the shipped task, and of what it re-executes itself with for this folder and port. */
export class Served {
  private constructor(
    private readonly child: Deno.ChildProcess,
    private readonly said: Promise<readonly [string, void]>,
    readonly url: string,
    readonly token: string,
  ) {}

  static async start(data: string, env: Readonly<Record<string, string>>): Promise<Served> {
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-q",
        V8_FLAGS,
        "-P=writer",
        "--no-prompt",
        `--allow-run=${Deno.execPath()}`,
        "main.ts",
        ..."start --port 0 --data".split(" "),
        data,
      ],
      cwd: ROOT,
      env: { NO_COLOR: "1", ...env },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const err = new Response(child.stderr).text();
    const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    const LISTENING = /listening on (\S+)\n/;
    const out = await heard("the program listens", lines, (text) => LISTENING.test(text)).catch(async (error) => {
      signal(child, "SIGKILL");
      throw new Error(`${error.message}${await err}`);
    });
    const rest = (async () => {
      while (!(await lines.read()).done);
    })();
    const token = (await Deno.readTextFile(`${data}/first-token`)).trim();
    return new Served(child, Promise.all([err, rest]), LISTENING.exec(out)![1]!, token);
  }

  /** Ends it as an operator would; the answer is its exit code and what it said. */
  async end(): Promise<{ readonly code: number; readonly err: string }> {
    const { code } = await stopped(this.child);
    return { code, err: (await this.said)[0] };
  }
}
