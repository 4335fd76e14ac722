/**
 * Results as NIST OSCAL has them: an assessment-results document (https://pages.nist.gov/OSCAL/, version 1.2.1). Names are made of what they
 * name (RFC 9562 UUID version 5), so that the same results make the same document.
 */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import type { ControlResult, ControlStatus } from "../../projections/controls/mod.ts";
import type { Assessment } from "./assessment.ts";
import { PATHS, type Scope } from "./manifest.ts";

const OSCAL_VERSION = "1.2.1";
/** Of properties that are ours. */
const NAMESPACE = "urn:daybook:oscal";
/** RFC 9562 section 6.6: the name space of URLs. */
const URLS = Buffer.from("6ba7b8119dad11d180b400c04fd430c8", "hex");

/** RFC 9562 section 5.5. */
const uuidOf = (name: string): string => {
  const hash = createHash("sha1").update(URLS).update(name).digest().subarray(0, 16);
  hash[6] = hash[6]! & 0x0f | 0x50;
  hash[8] = hash[8]! & 0x3f | 0x80;
  const hex = hash.toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
};

const property = (name: string, value: string) => ({ name, ns: NAMESPACE, value });

/** OSCAL knows satisfied and not; why is said beside it. What does not apply here is no finding. */
const STATES: Readonly<
  Record<Exclude<ControlStatus, "not_applicable">, { readonly state: string; readonly reason: string }>
> = {
  pass: { state: "satisfied", reason: "pass" },
  fail: { state: "not-satisfied", reason: "fail" },
  no_evidence: { state: "not-satisfied", reason: "other" },
  stale: { state: "not-satisfied", reason: "other" },
  excepted: { state: "not-satisfied", reason: "other" },
};

export const assessmentResults = (scope: Scope, { at, first, results }: Assessment): unknown => {
  const base = `urn:daybook:audit:${scope.root}:${scope.size}:${at}:${scope.from ?? ""}:${scope.to ?? ""}:${
    scope.framework ?? ""
  }`;
  const named = (what: string) => uuidOf(`${base}#${what}`);
  const [catalogue, entries] = [named("controls"), named("log")];
  const findings = results.flatMap((result) => findingOf(result, named));
  return {
    "assessment-results": {
      uuid: named("document"),
      metadata: {
        title: `Controls over the log ${scope.origin}`,
        "last-modified": at,
        version: String(scope.size),
        "oscal-version": OSCAL_VERSION,
        props: [
          property("origin", scope.origin),
          property("size", String(scope.size)),
          property("root", scope.root),
          property("program", `${scope.program.name} ${scope.program.version}`),
        ],
      },
      "import-ap": { href: `#${catalogue}`, remarks: "The controls that were evaluated, as data." },
      results: [{
        uuid: named("result"),
        title: "Controls decided from the log",
        description: `Every control evaluated over the first ${scope.size} events of the log, as of ${at}.`,
        start: scope.from ?? first ?? at,
        end: scope.to ?? at,
        "reviewed-controls": { "control-selections": [selection(results)] },
        ...(results.length > 0 ? { observations: results.map((result) => observationOf(result, at, named)) } : {}),
        ...(findings.length > 0 ? { findings } : {}),
      }],
      "back-matter": {
        resources: [
          resource(catalogue, "The controls", `../${PATHS.controls}`),
          resource(entries, "The log's entries and tiles (C2SP tlog-tiles)", `../${PATHS.log}/`),
        ],
      },
    },
  };
};

const resource = (uuid: string, title: string, href: string) => ({ uuid, title, rlinks: [{ href }] });

const selection = (results: readonly ControlResult[]) =>
  results.length === 0
    ? { "include-all": {} }
    : { "include-controls": results.map(({ id }) => ({ "control-id": tokenOf(id) })) };

/** A token of OSCAL begins with a letter or an underscore. */
const tokenOf = (id: string): string => /^[\p{L}_]/u.test(id) ? id : `_${id}`;

const observationOf = (result: ControlResult, at: string, named: (what: string) => string) => ({
  uuid: named(`observation ${result.id}`),
  title: result.title,
  description: `${result.because}.`,
  props: [
    property("status", result.status),
    property("mode", result.mode),
    property("considered", String(result.considered)),
    property("violations", String(result.violations)),
    ...result.frameworks.map(({ name, ref }) => ({ ...property("reference", `${name} ${ref}`), class: "framework" })),
  ],
  methods: ["TEST"],
  collected: at,
  ...(result.evidence.length === 0 ? {} : {
    "relevant-evidence": result.evidence.map(({ position, note }) => ({
      href: `../${PATHS.evidence}#p${position}`,
      description: `Event ${position}: ${note}`,
    })),
  }),
});

const findingOf = (result: ControlResult, named: (what: string) => string): readonly unknown[] => {
  const { id, title, status, because, until, by } = result;
  if (status === "not_applicable") return [];
  const state = STATES[status];
  const excepted = until === undefined ? "" : ` Excepted until ${until} by ${by}.`;
  return [{
    uuid: named(`finding ${id}`),
    title,
    description: `${because}.${excepted}`,
    target: {
      type: "objective-id",
      "target-id": tokenOf(id),
      status: { ...state, ...(state.reason === "other" ? { remarks: status } : {}) },
    },
    "related-observations": [{ "observation-uuid": named(`observation ${id}`) }],
  }];
};
