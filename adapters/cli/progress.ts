/** The bar that tells how far long work has come, how fast it goes and how long it will take. */
import type { Clock } from "../../actors/kernel/world.ts";
import { bar, count, duration, palette } from "./print.ts";
import type { Io, OnProgress, Progress } from "./io.ts";

const REDRAW_MS = 100;
const BAR_COLUMNS = 24;
// Piped, one line now and then is enough to see that it lives.
const PLAIN_MS = 10_000;

export interface Bar {
  readonly on: OnProgress;
  /** Takes the bar away. */
  end(): void;
}

/**
 * A bar on standard error: redrawn in place on a terminal, else a plain line every ten seconds. `quiet` draws nothing.
 */
export const progressBar = (
  label: string,
  { io, clock, quiet = false }: { io: Io; clock: Clock; quiet?: boolean },
): Bar => {
  let began = clock.monotonic();
  let unit: string | undefined;
  const every = io.terminal.err ? REDRAW_MS : PLAIN_MS;
  let drawn = began;
  let shown = false;
  return {
    on(progress) {
      const now = clock.monotonic();
      // How fast the work before it went says nothing of this.
      if (unit !== undefined && unit !== progress.unit) began = now;
      unit = progress.unit;
      if (quiet || now - drawn < every) return;
      drawn = now;
      const line = describe(label, progress, now - began);
      if (!io.terminal.err) return io.err(`${line}\n`);
      shown = true;
      const colours = palette(io, "err");
      const share = progress.total
        ? `${colours.cyan(bar(progress.done / progress.total, BAR_COLUMNS).padEnd(BAR_COLUMNS))} `
        : "";
      io.err(`\r\u001b[2K${share}${line.slice(0, Math.max(20, io.columns - BAR_COLUMNS - 2))}`);
    },
    end() {
      if (shown) io.err("\r\u001b[2K");
    },
  };
};

/** `importing 1,200 of 5,000 commits · 3,400/s · 2 s left`. */
export const describe = (label: string, { done, total, unit }: Progress, elapsed: number): string => {
  const rate = elapsed > 0 ? done / elapsed * 1_000 : 0;
  const parts = [`${label} ${count(done)}${total === undefined ? "" : ` of ${count(total)}`} ${unit}`];
  if (rate > 0) parts.push(`${count(Math.round(rate))}/s`);
  if (rate > 0 && total !== undefined && total > done) parts.push(`${duration((total - done) / rate * 1_000)} left`);
  return parts.join(" · ");
};
