/** `retention apply`: what is past its time cannot be read any more. */
import type { Run } from "../call.ts";
import { counted, palette, safe } from "../print.ts";
import { operateOn } from "../writer.ts";

interface Period {
  readonly type: string;
  readonly period: string;
}

export const apply: Run = async (call, runtime) => {
  const { io } = runtime;
  const { destroyed, held } = await operateOn<{
    readonly destroyed: readonly Period[];
    readonly held: readonly (Period & { readonly because: string })[];
  }>(call, runtime, { operation: "apply-retention", input: {} });
  const ok = held.length === 0;
  if (call.json) io.out(`${JSON.stringify({ ok, destroyed, held })}\n`);
  else {
    const c = palette(io);
    for (const { type, period } of destroyed) io.out(`${c.green("destroyed")} ${safe(type)} of ${told(period)}\n`);
    for (const { type, period, because } of held) {
      io.err(`daybook: ${safe(type)} of ${told(period)} was kept: ${safe(because)}\n`);
    }
    if (destroyed.length + held.length === 0) io.out("nothing is past its time\n");
    else io.out(`${counted(destroyed.length, "month")} destroyed; what was sealed in them reads [erased]\n`);
  }
  return ok ? 0 : 1;
};

const told = (period: string): string => `${period.slice(0, 4)}-${period.slice(4)}`;
