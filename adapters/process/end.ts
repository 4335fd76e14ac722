/** The end of the process. */

/** What is left of the work has so long to let go, then the process ends all the same. */
const GRACE_MS = 1_000;

/** Where OpenTelemetry's interface keeps who serves it; its major version is part of the name. */
const REGISTRY = Symbol.for("opentelemetry.js.api.1");

/** Whether the platform exports telemetry. */
export const exporting = (): boolean => {
  const registry = (globalThis as { [REGISTRY]?: { readonly trace?: unknown } })[REGISTRY];
  return registry?.trace !== undefined;
};

/**
 * Ends the process with this code.
 *
 * While the platform exports telemetry the process is left to end by itself: `Deno.exit` waits for the exporter, which may be
 * waiting for this very thread to read its gauges, and then neither ever moves (https://github.com/denoland/deno/issues/33157).
 */
export const end = (code: number): void => {
  if (!exporting()) Deno.exit(code);
  Deno.exitCode = code;
  Deno.unrefTimer(setTimeout(() => Deno.exit(code), GRACE_MS));
};
