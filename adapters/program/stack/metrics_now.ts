/** What services tell of themselves, as it was read last. */
import { z } from "zod";
import type { Daybook } from "../../../actors/kernel/daybook.ts";
import { isAlive } from "../../../actors/services/state.ts";
import { operation } from "../operation.ts";
import { samplesOf, type ServiceSample } from "./scrapes.ts";
import { runningStack } from "./stack.ts";

/** `undefined` while an instance that runs was not looked at yet: then nobody knows what it tells. */
export const serviceSamples = async (daybook: Daybook): Promise<readonly ServiceSample[] | undefined> => {
  const running = runningStack(daybook)?.orchestrator;
  if (!running) return undefined;
  const { prepared, scrapes, present } = running;
  const samples: ServiceSample[] = [];
  for (const [service, { lives }] of Object.entries(present.services)) {
    for (const [replica, life] of lives.entries()) {
      if (!isAlive(life)) continue;
      const stated = (await prepared.of(service, life.digest))?.instances[replica]?.metrics;
      const found = scrapes.of(life.process.nonce);
      if (!found && stated) return undefined;
      if (found) samples.push(...samplesOf(found));
    }
  }
  return samples;
};

/** Series of one answer; further ones are counted. */
const SERIES_MAX = 5_000;

/** `stack-metrics`: nothing where no services are run. JSON has no NaN and no infinity: such values are texts. */
export const stackMetrics = operation({
  about: "What services tell of themselves, as it was read last; and of which it could not be read.",
  input: z.strictObject({
    service: z.string().max(63).optional(),
    /** What the metric's name begins with. */
    name: z.string().max(200).optional(),
  }),
  run({ daybook }, { input: { service, name = "" } }) {
    const all = (runningStack(daybook)?.orchestrator.scrapes.all ?? []).filter((each) =>
      service === undefined || each.service === service
    );
    const endpoints = all.map(({ service, replica, up, ms, samples, because }) => ({
      service,
      replica,
      up,
      ms: Math.round(ms),
      series: samples.length,
      ...(because === undefined ? {} : { because }),
    }));
    const samples = all.flatMap(samplesOf).filter((sample) => sample.name.startsWith(name));
    const shown = samples.slice(0, SERIES_MAX).map(({ value, ...sample }) => ({
      ...sample,
      value: Number.isFinite(value) ? value : String(value),
    }));
    return Promise.resolve({ endpoints, samples: shown, more: samples.length - shown.length });
  },
});
