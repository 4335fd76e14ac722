/** Everything in an audit folder that follows from its log: made when it is written, and again when it is checked. */
import { type Assessment, citedBy } from "./assessment.ts";
import { documentOf, PATHS, type Scope } from "./manifest.ts";
import { assessmentResults } from "./oscal.ts";
import { type CitedLog, evidencePage } from "./pages/evidence.tsx";
import { indexPage } from "./pages/index.tsx";

/** A file: its path in the folder, and what is in it. */
export interface Document {
  readonly path: string;
  readonly pieces: Iterable<Uint8Array>;
}

/** In the order in which they are best compared: what a page is made of before the page. */
export function* documentsOf(
  log: CitedLog,
  { scope, assessment, stated }: {
    readonly scope: Scope;
    readonly assessment: Assessment;
    /** What their files say of the controls, so that they can be read again. */
    readonly stated: readonly unknown[];
  },
): Generator<Document> {
  const { at, results, attestations } = assessment;
  yield { path: PATHS.controls, pieces: [documentOf(stated)] };
  yield { path: PATHS.results, pieces: [documentOf({ at, size: scope.size, results })] };
  yield { path: PATHS.attestations, pieces: [documentOf(attestations)] };
  yield { path: PATHS.oscal, pieces: [documentOf(assessmentResults(scope, assessment))] };
  yield { path: PATHS.index, pieces: [page(indexPage(scope, assessment))] };
  yield { path: PATHS.evidence, pieces: pages(evidencePage(log, scope, citedBy(assessment))) };
}

const utf8 = new TextEncoder();
const page = (html: string): Uint8Array => utf8.encode(html);
function* pages(parts: Iterable<string>): Generator<Uint8Array> {
  for (const part of parts) yield utf8.encode(part);
}
