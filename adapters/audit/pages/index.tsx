/** `index.html` of an audit folder: what was asked, what is proven and up to where, which controls held, on which evidence. */
import type { ControlResult, ControlStatus } from "../../../projections/controls/mod.ts";
import type { Assessment } from "../assessment.ts";
import { PATHS, type Scope } from "../manifest.ts";
import { Charts } from "./charts.tsx";
import { count, EventLink, rendered, Time } from "./layout.tsx";
import { Matrix, WORDS } from "./matrix.tsx";
import { Files, Sources } from "./sections.tsx";

const ORDER: readonly ControlStatus[] = ["fail", "stale", "no_evidence", "excepted", "pass", "not_applicable"];

type Props = { readonly scope: Scope; readonly assessment: Assessment };

const Figures = ({ scope, assessment: { results, attestations } }: Props) => {
  const held = results.filter(({ status }) => status === "pass").length;
  const failed = results.filter(({ status }) => status === "fail").length;
  return (
    <dl class="figures">
      <div>
        <dt>Events</dt>
        <dd>
          {count(scope.size)}
          <small>each of them in this folder</small>
        </dd>
      </div>
      <div>
        <dt>Cosigned up to</dt>
        <dd>
          {scope.cosigned === 0 ? "–" : count(scope.cosigned)}
          <small>
            {scope.cosigned === 0 ? "by no witness" : `${count(scope.size - scope.cosigned)} events are newer`}
          </small>
        </dd>
      </div>
      <div>
        <dt>Attested</dt>
        <dd>
          {count(attestations.length)}
          <small>
            {attestations.length === 0
              ? "states of projections"
              : `the last about ${count(attestations.at(-1)!.size)} events`}
          </small>
        </dd>
      </div>
      <div>
        <dt>Controls that held</dt>
        <dd>
          {`${count(held)} of ${count(results.length)}`}
          <small>{`${count(failed)} failed`}</small>
        </dd>
      </div>
    </dl>
  );
};

const Proven = ({ scope, assessment: { attestations } }: Props) => {
  const last = attestations.at(-1);
  return (
    <section id="proven">
      <h2>What is proven, and up to where</h2>
      <dl class="facts">
        <dt>Log</dt>
        <dd class="mono">{scope.origin}</dd>
        <dt>Root hash</dt>
        <dd class="mono">{`${scope.root} over ${count(scope.size)} entries`}</dd>
        <dt>Checkpoint</dt>
        <dd>
          <a href={`${PATHS.log}/checkpoint`}>{`${PATHS.log}/checkpoint`}</a>
          {`, signed by the key in `}
          <a href={PATHS.key}>{PATHS.key}</a>
          . That key came with this folder: compare it with one from somewhere you trust.
        </dd>
        <dt>Witnesses</dt>
        <dd>
          {scope.cosigned === 0
            ? "None has cosigned, so the log is unanchored: that it was not replaced as a whole, or cut at its end, is not proven."
            : `Cosigned up to ${count(scope.cosigned)} entries by ${
              scope.witnesses.map((vkey) => vkey.split("+")[0]).join(", ")
            }, by public keys that came with this folder as well; what is newer is unanchored.`}
        </dd>
        <dt>State</dt>
        <dd>
          {last
            ? (
              <>
                {`The log says what ${last.projection} (version ${last.version}) held after ${
                  count(last.size)
                } events, in event `}
                <EventLink position={last.position} />
                {`. All ${count(attestations.length)} such statements are in `}
                <a href={PATHS.attestations}>{PATHS.attestations}</a>.
              </>
            )
            : "The log attests no state of a projection."}
        </dd>
        <dt>Check it</dt>
        <dd>
          On a machine of your own, without the server that the log comes from:
          <pre>daybook audit --check . --key &lt;public key of the log&gt; --witness &lt;public key of a witness&gt;</pre>
          It computes the tree from the entries, checks signatures and every file here against them, evaluates the
          controls again and runs the projections again.
        </dd>
      </dl>
    </section>
  );
};

const Summary = ({ results }: { readonly results: readonly ControlResult[] }) => {
  const rows = ORDER.map((status) => [status, results.filter((result) => result.status === status).length] as const)
    .filter(([, number]) => number > 0);
  if (rows.length === 0) return <p class="faint">No control was asked for.</p>;
  return (
    <table>
      <thead>
        <tr>
          <th scope="col">Status</th>
          <th scope="col" class="number">Controls</th>
          <th scope="col">Means</th>
        </tr>
      </thead>
      <tbody>
        {rows.map(([status, number]) => (
          <tr>
            <td class={`status ${status}`}>{WORDS[status].label}</td>
            <td class="number">{count(number)}</td>
            <td>{WORDS[status].means}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
};

const asked = ({ from, to, framework }: Scope) =>
  [
    framework === undefined ? "All controls" : `Controls of ${framework}`,
    from === undefined && to === undefined ? "over the whole log" : undefined,
    from === undefined ? undefined : `from ${from}`,
    to === undefined ? undefined : `to ${to}`,
  ].filter((part) => part !== undefined).join(" ");

/** The whole page. */
export const indexPage = (scope: Scope, assessment: Assessment): string =>
  rendered(
    `Audit of ${scope.origin}`,
    <>
      <header>
        <h1>{`Audit of ${scope.origin}`}</h1>
        <p>
          {`${asked(scope)}, as of `}
          <Time at={assessment.at} />
          {` · ${scope.program.name} ${scope.program.version}`}
        </p>
        <nav aria-label="Parts of this page">
          <ul>
            <li>
              <a href="#proven">Proofs</a>
            </li>
            <li>
              <a href="#summary">Summary</a>
            </li>
            <li>
              <a href="#period">Period</a>
            </li>
            <li>
              <a href="#controls">Controls</a>
            </li>
            <li>
              <a href="#sources">Sources</a>
            </li>
            <li>
              <a href="#files">Files</a>
            </li>
          </ul>
        </nav>
      </header>
      <main id="content">
        <Figures scope={scope} assessment={assessment} />
        <Proven scope={scope} assessment={assessment} />
        <section id="summary">
          <h2>Summary</h2>
          <Summary results={assessment.results} />
        </section>
        <section id="period">
          <h2>The period</h2>
          {assessment.first !== undefined && (
            <p class="faint">
              {"Recorded from "}
              <Time at={assessment.first} />
              {" to "}
              <Time at={assessment.last!} />
            </p>
          )}
          <Charts bins={assessment.bins} />
        </section>
        <Matrix results={assessment.results} framework={scope.framework} />
        <Sources sources={assessment.sources} more_sources={assessment.more_sources} />
        <Files />
      </main>
    </>,
  );
