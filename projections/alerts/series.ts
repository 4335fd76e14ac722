/** Cases of a rule over metrics: each series of which the value is not as it may be. */
import type { Case, Digest, MetricRule, Series } from "./rule.ts";
import { becauseOf, labelsOf } from "./told.ts";

/** `now`: when it was looked; nothing says since when it is so. */
export const casesAmong = (
  { name, metric, service, labels, above, below }: MetricRule,
  series: readonly Series[],
  { digest, now }: { readonly digest: Digest; readonly now: string },
): readonly Case[] => {
  const wanted = Object.entries(labels);
  const group = digest(`${name}\n[]`);
  return series.filter((one) =>
    one.name === metric && (service === undefined || one.service === service) &&
    wanted.every(([label, value]) => Object.hasOwn(one.labels, label) && one.labels[label] === value) &&
    // NaN is neither.
    ((above !== undefined && one.value > above) || (below !== undefined && one.value < below))
  ).map((one) => {
    const told = Object.entries(one.labels).sort(([a], [b]) => (a < b ? -1 : 1));
    const bound = above !== undefined && one.value > above ? `above ${above}` : `below ${below}`;
    return {
      alert: digest(`${name}\n${JSON.stringify([one.service, one.replica, told])}`),
      group,
      labels: labelsOf(
        ["service", "replica", ...told.map(([label]) => label)],
        [one.service, one.replica, ...told.map(([, value]) => value)],
      ),
      because: becauseOf(`${metric} is ${one.value}, ${bound}`, ""),
      since: now,
    };
  });
};
