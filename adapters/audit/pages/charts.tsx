/** Charts of a period as bars, drawn here and read by anybody: each says in words what it shows, and its figures stand below as a table. */
import type { Bin } from "../tally.ts";
import { count } from "./layout.tsx";

const [WIDTH, HEIGHT] = [480, 150] as const;
const PLOT = { left: 44, top: 8, right: 472, bottom: 126 } as const;

type Series = Exclude<keyof Bin, "from">;

interface Chart {
  readonly id: string;
  readonly title: string;
  /** The second stands on the first. */
  readonly series: readonly (readonly [Series, string])[];
}

const CHARTS: readonly Chart[] = [
  { id: "events", title: "Events", series: [["events", "events"]] },
  { id: "signins", title: "Sign-ins", series: [["signins", "succeeded"], ["signins_failed", "failed"]] },
  { id: "deployments", title: "Deployments", series: [["deployments", "deployments"]] },
  { id: "findings", title: "Findings: events that failed controls cite", series: [["findings", "findings"]] },
];

/** The next number that reads well at the top of an axis. */
const ceiling = (value: number): number => {
  const unit = 10 ** Math.floor(Math.log10(Math.max(1, value)));
  return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].map((times) => Math.ceil(times * unit)).find((top) => top >= value)!;
};

/** With one decimal: so that the same figures draw the same lines. */
const at = (value: number): number => Math.round(value * 10) / 10;

const Bars = ({ bins, series }: { readonly bins: readonly Bin[]; readonly series: Chart["series"] }) => {
  const top = ceiling(Math.max(1, ...bins.map((bin) => series.reduce((sum, [name]) => sum + bin[name], 0))));
  const step = (PLOT.right - PLOT.left) / bins.length;
  const width = Math.max(1, Math.min(36, step * 0.8));
  const heightOf = (value: number) => value / top * (PLOT.bottom - PLOT.top);
  return (
    <>
      <line class="axis" x1={PLOT.left} x2={PLOT.right} y1={PLOT.bottom} y2={PLOT.bottom} />
      <line class="axis" x1={PLOT.left} x2={PLOT.right} y1={PLOT.top} y2={PLOT.top} />
      <text x={PLOT.left - 6} y={PLOT.top + 4} text-anchor="end">{count(top)}</text>
      <text x={PLOT.left - 6} y={PLOT.bottom + 4} text-anchor="end">0</text>
      {bins.flatMap((bin, i) => {
        let below = 0;
        return series.map(([name], which) => {
          const height = heightOf(bin[name]);
          below += height;
          return height === 0 ? null : (
            <rect
              class={which === 0 ? "one" : "two"}
              x={at(PLOT.left + i * step + (step - width) / 2)}
              y={at(PLOT.bottom - below)}
              width={at(width)}
              height={at(height)}
            />
          );
        });
      })}
      <text x={PLOT.left} y={PLOT.bottom + 17}>{bins[0]!.from}</text>
      {bins.length > 1 && <text x={PLOT.right} y={PLOT.bottom + 17} text-anchor="end">{bins.at(-1)!.from}</text>}
    </>
  );
};

const Figure = ({ bins, chart: { id, title, series } }: { readonly bins: readonly Bin[]; readonly chart: Chart }) => {
  const sums = series.map(([name, label]) => `${count(bins.reduce((sum, bin) => sum + bin[name], 0))} ${label}`);
  return (
    <figure>
      <figcaption>
        {title}
        {series.length > 1 && series.map(([, label], i) => (
          <span class="legend">
            <span class={`key ${i === 0 ? "one" : "two"}`} aria-hidden="true"></span>
            {label}
          </span>
        ))}
      </figcaption>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-labelledby={`${id}-said`}>
        <title id={`${id}-said`}>{`${title} from ${bins[0]!.from} on: ${sums.join(", ")}`}</title>
        <Bars bins={bins} series={series} />
      </svg>
    </figure>
  );
};

const COLUMNS: readonly (readonly [Series, string])[] = [
  ["events", "Events"],
  ["signins", "Sign-ins succeeded"],
  ["signins_failed", "Sign-ins failed"],
  ["deployments", "Deployments"],
  ["findings", "Findings"],
];

export const Charts = ({ bins }: { readonly bins: readonly Bin[] }) => {
  if (bins.length === 0) return <p class="faint">Nothing was recorded in the period.</p>;
  return (
    <>
      <div class="charts">{CHARTS.map((chart) => <Figure key={chart.id} bins={bins} chart={chart} />)}</div>
      <details>
        <summary>The figures</summary>
        <div class="wide">
          <table>
            <caption>By when it was recorded (UTC); each row from its day on.</caption>
            <thead>
              <tr>
                <th scope="col">From</th>
                {COLUMNS.map(([, label]) => <th key={label} scope="col" class="number">{label}</th>)}
              </tr>
            </thead>
            <tbody>
              {bins.map((bin) => (
                <tr>
                  <th scope="row">{bin.from}</th>
                  {COLUMNS.map(([name]) => <td key={name} class="number">{count(bin[name])}</td>)}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </details>
    </>
  );
};
