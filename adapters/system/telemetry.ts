/**
 * Spans and metrics through OpenTelemetry's interface, which the platform's own exporter serves when it is asked to
 * (`OTEL_DENO=true`; where to is `OTEL_EXPORTER_OTLP_ENDPOINT`). That exporter needs no permission, and nothing here opens a
 * connection.
 *
 * What OpenTelemetry has a name for is named as its semantic conventions of `SEMANTIC_CONVENTIONS` have it
 * (https://opentelemetry.io/docs/specs/semconv/); everything else begins with `daybook.`.
 */
import {
  type Meter,
  metrics,
  type ObservableResult,
  ProxyTracerProvider,
  ROOT_CONTEXT,
  type Span as OpenSpan,
  SpanKind,
  SpanStatusCode,
  trace,
  type Tracer,
} from "@opentelemetry/api";
import { type Attributes, parseTraceparent, type Span, type Telemetry } from "../../actors/kernel/telemetry.ts";

/** Version of the semantic conventions whose names are used. */
export const SEMANTIC_CONVENTIONS = "1.40.0";
const schemaUrl = `https://opentelemetry.io/schemas/${SEMANTIC_CONVENTIONS}`;
const SCOPE = "daybook";

/** Names out of the conventions. */
export const CONVENTIONAL = {
  error_type: "error.type",
  http_method: "http.request.method",
  http_route: "http.route",
  url_full: "url.full",
  url_path: "url.path",
  url_query: "url.query",
} as const;

/** Seconds; the conventions' own for durations of requests. */
const SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];
const EVENTS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 2_048];

/** What a number from elsewhere in the process is called, and how it is read. */
export interface Observed {
  readonly name: string;
  readonly unit: string;
  readonly description: string;
  readonly kind: "gauge" | "counter";
  readonly read: () => readonly { readonly attributes: Attributes; readonly value: number }[];
}

export interface PlatformTelemetry extends Telemetry {
  /** Numbers to be read whenever the exporter asks, until the answer is called. */
  observe(all: readonly Observed[]): () => void;
}

/** The platform's telemetry, or nothing where it is off: asked once, when a thread starts. */
export const platformTelemetry = (version: string): PlatformTelemetry | undefined => {
  const provider = trace.getTracerProvider();
  const on = !(provider instanceof ProxyTracerProvider) || provider.getDelegateTracer(SCOPE) !== undefined;
  if (!on) return undefined;
  return new OpenTelemetry(
    provider.getTracer(SCOPE, version, { schemaUrl }),
    metrics.getMeter(SCOPE, version, { schemaUrl }),
  );
};

class OpenTelemetry implements PlatformTelemetry {
  private readonly append;
  private readonly commit;
  private readonly group;

  constructor(private readonly tracer: Tracer, private readonly meter: Meter) {
    this.append = meter.createHistogram("daybook.append.duration", {
      unit: "s",
      description: "Time until an append was durable, waiting for its commit included.",
      advice: { explicitBucketBoundaries: SECONDS },
    });
    this.commit = meter.createHistogram("daybook.commit.duration", {
      unit: "s",
      description: "Time of one commit of the log.",
      advice: { explicitBucketBoundaries: SECONDS },
    });
    this.group = meter.createHistogram("daybook.commit.size", {
      unit: "{event}",
      description: "Events that shared one commit.",
      advice: { explicitBucketBoundaries: EVENTS },
    });
  }

  span(name: string, traceparent?: string, attributes: Attributes = {}): Span {
    const parent = traceparent === undefined ? undefined : parseTraceparent(traceparent);
    const context = parent
      ? trace.setSpanContext(ROOT_CONTEXT, {
        traceId: parent.trace,
        spanId: parent.span,
        traceFlags: parseInt(parent.flags, 16),
        isRemote: true,
      })
      : ROOT_CONTEXT;
    const span = this.tracer.startSpan(name, { kind: SpanKind.INTERNAL, attributes }, context);
    return {
      traceparent: traceparentOf(span),
      end(more, error) {
        if (more) span.setAttributes(more);
        if (error !== undefined) {
          span.setAttribute(CONVENTIONAL.error_type, error);
          span.setStatus({ code: SpanStatusCode.ERROR });
        }
        span.end();
      },
    };
  }

  appended(ms: number): void {
    this.append.record(ms / 1_000);
  }

  committed(events: number, ms: number): void {
    this.group.record(events);
    this.commit.record(ms / 1_000);
  }

  request(method: string, route?: string): string | undefined {
    const span = trace.getActiveSpan();
    if (span === undefined) return undefined;
    if (route !== undefined) span.setAttribute(CONVENTIONAL.http_route, route);
    span.updateName(`${METHODS.has(method) ? method : "HTTP"}${route === undefined ? "" : ` ${route}`}`);
    return traceparentOf(span);
  }

  observe(all: readonly Observed[]): () => void {
    const forget: (() => void)[] = [];
    for (const { name, unit, description, kind, read } of all) {
      const told = { unit, description };
      const instrument = kind === "gauge"
        ? this.meter.createObservableGauge(name, told)
        : this.meter.createObservableCounter(name, told);
      const tell = (result: ObservableResult) => {
        for (const { attributes, value } of read()) result.observe(value, attributes);
      };
      instrument.addCallback(tell);
      forget.push(() => instrument.removeCallback(tell));
    }
    return () => forget.forEach((one) => one());
  }
}

/** RFC 9110 section 9 and RFC 5789; everything else is the sender's choice of words. */
const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"]);

/** What the conventions put where a value must not be seen, and for a method that they do not know. */
const REDACTED = "REDACTED";
const OTHER = "_OTHER";

/**
 * Keeps paths and queries out of all spans of this process: the platform tells them of every request that is answered or sent
 * here, and a name or an address in one belongs into the log alone. A span cannot be told to forget (the exporter sends the
 * first value beside the later one), so what it is told passes here first. For the program; it changes the platform's spans for
 * everybody in the thread.
 */
export const withholdUrls = (): void => {
  // One that never ends is never exported.
  const spans: Pick<OpenSpan, "setAttribute"> = Object.getPrototypeOf(trace.getTracer(SCOPE).startSpan("unsent"));
  const { setAttribute } = spans;
  spans.setAttribute = function (this: OpenSpan, name, value) {
    const told = WITHHELD.has(name)
      ? REDACTED
      : name === CONVENTIONAL.http_method && !METHODS.has(String(value))
      ? OTHER
      : value;
    return setAttribute.call(this, name, told);
  };
};

const WITHHELD: ReadonlySet<string> = new Set([
  CONVENTIONAL.url_full,
  CONVENTIONAL.url_path,
  CONVENTIONAL.url_query,
]);

const traceparentOf = (span: OpenSpan): string => {
  const { traceId, spanId, traceFlags } = span.spanContext();
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, "0")}`;
};
