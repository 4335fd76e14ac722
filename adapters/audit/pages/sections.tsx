/** The end of the page: what each source can be vouched for, and which files there are. */
import type { Assessment } from "../assessment.ts";
import { PATHS } from "../manifest.ts";
import { visible } from "../../../events/visible.ts";
import { count, EventLink } from "./layout.tsx";

export const Sources = ({ sources, more_sources }: Pick<Assessment, "sources" | "more_sources">) => (
  <section id="sources">
    <h2>What each source can be vouched for</h2>
    {sources.length === 0 ? <p class="faint">No source told anything.</p> : (
      <div class="wide">
        <table>
          <thead>
            <tr>
              <th scope="col">Source</th>
              <th scope="col">What is there, and what is missing</th>
            </tr>
          </thead>
          <tbody>
            {sources.map(({ source, vouched }) => (
              <tr>
                <th scope="row" class="mono">{visible(source)}</th>
                <td>
                  {vouched.map(({ is, text, position }) => (
                    <div class={is === "gap" || is === "silent" ? "fail" : is === "nothing" ? "faint" : ""}>
                      {visible(text)}
                      {position !== undefined && (
                        <>
                          {" ("}
                          <EventLink position={position} label={`event ${count(position)}`} />)
                        </>
                      )}
                    </div>
                  ))}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    )}
    {more_sources > 0 && <p class="faint">{`and ${count(more_sources)} more`}</p>}
  </section>
);

export const Files = () => (
  <section id="files">
    <h2>Files</h2>
    <dl class="facts">
      <dt>
        <a href={PATHS.results}>{PATHS.results}</a>
      </dt>
      <dd>what became of each control, as data</dd>
      <dt>
        <a href={PATHS.oscal}>{PATHS.oscal}</a>
      </dt>
      <dd>the same as NIST OSCAL has it</dd>
      <dt>
        <a href={PATHS.controls}>{PATHS.controls}</a>
      </dt>
      <dd>the controls as they were evaluated</dd>
      <dt>
        <a href={PATHS.attestations}>{PATHS.attestations}</a>
      </dt>
      <dd>what the log says of the state of projections</dd>
      <dt>
        <a href={PATHS.evidence}>{PATHS.evidence}</a>
      </dt>
      <dd>every event that this page speaks of</dd>
      <dt class="mono">{`${PATHS.log}/`}</dt>
      <dd>all entries and the hashes over them (C2SP tlog-tiles), for this program and others</dd>
      <dt class="mono">{`${PATHS.checkpoints}/, ${PATHS.cosigned}/`}</dt>
      <dd>older checkpoints, and those that witnesses have cosigned</dd>
      <dt>
        <a href={PATHS.manifest}>{PATHS.manifest}</a>
      </dt>
      <dd>the SHA-256 of each of them</dd>
    </dl>
    <p class="faint">
      Personal values are sealed in every file: whoever may read them does so where the keys are. Nothing here is secret
      by itself.
    </p>
  </section>
);
