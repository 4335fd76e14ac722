/** Limits of a server without the server. */
import type { Clock } from "../actors/kernel/world.ts";
import { Limits } from "../adapters/program/limits/limits.ts";
import { systemClock, systemRandom } from "../adapters/system/world.ts";
import type { Config } from "../config/config.ts";
import { plainConfig } from "../config/plain.ts";
import type { Said } from "./identity_given.ts";

type Told = { readonly type: string; readonly data: Readonly<Record<string, unknown>> };

const allowing = (allow: readonly string[]) => (config: Config): Config => ({
  ...config,
  server: { ...config.server, allow: [...allow] },
});

/** Limits that stand still until the clock is turned; `wall` and `monotonic` go together but for a restart. */
export const givenLimits = (said: Said, file?: string, begins = 1_800_000_000_000, allow: readonly string[] = []) => {
  const now = { wall: begins, monotonic: 5_000.5 };
  const clock: Clock = { ...systemClock, now: () => now.wall, monotonic: () => now.monotonic };
  const told: Told[] = [];
  const lines: string[] = [];
  const plain = plainConfig(Object.fromEntries(Object.entries(said).map(([key, text]) => [`DAYBOOK__${key}`, text])))!;
  const config = allowing(allow)(plain);
  const limits = new Limits({
    config,
    append: ({ events }) => Promise.resolve(told.push(...events as unknown as readonly Told[])),
    clock,
    random: systemRandom,
    secret: () => new Uint8Array(32).fill(7),
    file,
    report: (line) => void lines.push(line),
  });
  return {
    limits,
    told,
    lines,
    now,
    pass(ms: number) {
      now.wall += ms;
      now.monotonic += ms;
    },
    /** One round of the child, and its end. */
    async stop() {
      const stopping = AbortSignal.abort();
      await limits.child.run(stopping, { path: "limits", ready() {} });
    },
  };
};

export const USER: Said = { SERVER__RATE__USER__REQUESTS_MAX: "10", SERVER__RATE__USER__WINDOW_MS: "60000" };
/** How often a caller is let in now. */
export const takes = (limits: Limits, caller: string, now: number): number => {
  let taken = 0;
  while (limits.user.take(caller, now) === 0) taken++;
  return taken;
};
