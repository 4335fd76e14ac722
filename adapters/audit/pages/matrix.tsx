/** Controls by framework: what became of each, why, and the events that show it. */
import type { ControlResult, ControlStatus } from "../../../projections/controls/mod.ts";
import { isCalled } from "../assessment.ts";
import { count, EventLink, Time } from "./layout.tsx";

/** Said in words and with a sign, so that nobody needs to tell colours apart. */
export const WORDS: Readonly<Record<ControlStatus, { readonly label: string; readonly means: string }>> = {
  pass: { label: "✓ pass", means: "Seen, lately enough, and as it must be" },
  fail: { label: "✗ fail", means: "Seen, and not as it must be" },
  stale: { label: "◷ stale", means: "Nothing was seen for too long: silence is no pass" },
  no_evidence: { label: "○ no evidence", means: "Nothing was ever seen: silence is no pass" },
  excepted: { label: "△ excepted", means: "Not as it must be, and somebody has excepted it until a date" },
  not_applicable: { label: "– not applicable", means: "There is nothing here that it speaks of" },
};

/** Links of one control; all are in its result. */
const LINKS_MAX = 8;

const Evidence = ({ evidence }: Pick<ControlResult, "evidence">) => (
  <ul class="evidence">
    {evidence.slice(-LINKS_MAX).map(({ position }) => (
      <li>
        <EventLink position={position} />
      </li>
    ))}
    {evidence.length > LINKS_MAX && <li class="faint">{`and ${evidence.length - LINKS_MAX} before`}</li>}
  </ul>
);

const Row = ({ result, refs }: { readonly result: ControlResult; readonly refs: string }) => (
  <tr>
    <td class="mono">{refs}</td>
    <th scope="row">
      {result.title}
      <div class="faint mono">{result.id}</div>
    </th>
    <td class={`status ${result.status}`}>{WORDS[result.status].label}</td>
    <td>
      {result.because}
      {result.until !== undefined && (
        <div>
          {"Excepted until "}
          <Time at={result.until} />
          {` by ${result.by}`}
        </div>
      )}
      {result.mode === "enforce" && <div class="faint">enforced: while it fails, what it guards is declined</div>}
    </td>
    <td class="number">{count(result.considered)}</td>
    <td class="number">{count(result.violations)}</td>
    <td>
      <Evidence evidence={result.evidence} />
    </td>
  </tr>
);

const Framework = ({ name, results }: { readonly name: string; readonly results: readonly ControlResult[] }) => (
  <>
    <h3>{name}</h3>
    <div class="wide">
      <table>
        <caption>
          {`${count(results.length)} controls, ${count(results.filter(({ status }) => status === "pass").length)} held`}
        </caption>
        <thead>
          <tr>
            <th scope="col">Reference</th>
            <th scope="col">Control</th>
            <th scope="col">Status</th>
            <th scope="col">Because</th>
            <th scope="col" class="number">Considered</th>
            <th scope="col" class="number">Against</th>
            <th scope="col">Events</th>
          </tr>
        </thead>
        <tbody>
          {results.map((result) => (
            <Row
              result={result}
              refs={result.frameworks.filter((one) => one.name === name).map(({ ref }) => ref).join(", ")}
            />
          ))}
        </tbody>
      </table>
    </div>
  </>
);

/** `framework`: the only one to show. */
export const Matrix = ({ results, framework }: {
  readonly results: readonly ControlResult[];
  readonly framework: string | undefined;
}) => {
  const names = [...new Set(results.flatMap(({ frameworks }) => frameworks.map(({ name }) => name)))]
    .filter((name) => framework === undefined || isCalled(name, framework));
  const without = results.filter(({ frameworks }) => frameworks.length === 0);
  return (
    <section id="controls">
      <h2>Controls</h2>
      {results.length === 0 && <p class="faint">No control was asked for.</p>}
      {names.map((name) => (
        <Framework
          name={name}
          results={results.filter(({ frameworks }) => frameworks.some((one) => one.name === name))}
        />
      ))}
      {without.length > 0 && <Framework name="Of no framework" results={without} />}
    </section>
  );
};
