/**
 * Results as OSCAL has them: the parts of the assessment-results model that we write, strictly, by its reference
 * (https://pages.nist.gov/OSCAL/resources/concepts/layer/assessment/assessment-results/). NIST's own schema is held against it where it is at hand:
 * `DAYBOOK_OSCAL_SCHEMA` is the path of oscal_assessment-results_schema.json, version 1.2.1.
 */
import assert from "node:assert/strict";
import { Ajv } from "ajv";
import { z } from "zod";
import { assessmentResults } from "../adapters/audit/oscal.ts";
import type { Assessment } from "../adapters/audit/assessment.ts";
import type { Scope } from "../adapters/audit/manifest.ts";
import type { ControlResult, ControlStatus } from "../projections/controls/mod.ts";

const uuid = z.string().regex(/^[0-9a-f]{8}-[0-9a-f]{4}-[45][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
/** No whitespace at either end, and not empty. */
const text = z.string().regex(/^\S(.*\S)?$/s);
const token = z.string().regex(/^(\p{L}|_)(\p{L}|\p{N}|[.\-_])*$/u);
const time = z.iso.datetime({ offset: true });
const property = z.strictObject({ name: token, ns: z.url(), value: text, class: token.optional() });

const schema = z.strictObject({
  "assessment-results": z.strictObject({
    uuid,
    metadata: z.strictObject({
      title: text,
      "last-modified": time,
      version: text,
      "oscal-version": z.literal("1.2.1"),
      props: z.array(property).min(1),
    }),
    "import-ap": z.strictObject({ href: z.string().regex(/^#/), remarks: text }),
    results: z.array(z.strictObject({
      uuid,
      title: text,
      description: text,
      start: time,
      end: time,
      "reviewed-controls": z.strictObject({
        "control-selections": z.array(z.union([
          z.strictObject({ "include-all": z.strictObject({}) }),
          z.strictObject({ "include-controls": z.array(z.strictObject({ "control-id": token })).min(1) }),
        ])).min(1),
      }),
      observations: z.array(z.strictObject({
        uuid,
        title: text,
        description: text,
        props: z.array(property).min(1),
        methods: z.array(z.enum(["EXAMINE", "INTERVIEW", "TEST", "UNKNOWN"])).min(1),
        collected: time,
        "relevant-evidence": z.array(z.strictObject({ href: text, description: text })).min(1).optional(),
      })).min(1).optional(),
      findings: z.array(z.strictObject({
        uuid,
        title: text,
        description: text,
        target: z.strictObject({
          type: z.enum(["statement-id", "objective-id"]),
          "target-id": token,
          status: z.strictObject({
            state: z.enum(["satisfied", "not-satisfied"]),
            reason: z.enum(["pass", "fail", "other"]),
            remarks: text.optional(),
          }),
        }),
        "related-observations": z.array(z.strictObject({ "observation-uuid": uuid })).min(1),
      })).min(1).optional(),
    })).min(1),
    "back-matter": z.strictObject({
      resources: z.array(z.strictObject({ uuid, title: text, rlinks: z.array(z.strictObject({ href: text })).min(1) }))
        .min(1),
    }),
  }),
});

const scope: Scope = {
  format: 1,
  program: { name: "daybook", version: "1.2.3" },
  origin: "audited",
  size: 700,
  root: "A".repeat(43) + "=",
  at: "2026-11-20T09:00:00.000Z",
  witnesses: [],
  cosigned: 0,
};

const resultOf = (status: ControlStatus, more: Partial<ControlResult> = {}): ControlResult => ({
  id: `24-hours-${status.replaceAll("_", "-")}`,
  title: "Something holds",
  frameworks: [{ name: "NIST 800-53", ref: "AC-2(3)" }, { name: "GDPR", ref: "Art. 17" }],
  mode: "watch",
  status,
  because: "It was seen",
  considered: 3,
  violations: 1,
  evidence: [{ position: 12, note: "as it must be" }],
  newest: 12,
  ...more,
});

const STATUSES: readonly ControlStatus[] = ["pass", "fail", "not_applicable", "no_evidence", "stale", "excepted"];

const assessment = (results: readonly ControlResult[]): Assessment => ({
  at: scope.at,
  results,
  sources: [],
  more_sources: 0,
  attestations: [],
  bins: [],
});

const all = assessment(STATUSES.map((status) =>
  resultOf(status, {
    ...(status === "excepted" ? { until: "2026-12-01T00:00:00Z", by: "u_operator" } : {}),
    ...(status === "no_evidence" ? { evidence: [] } : {}),
  })
));

const documents: Readonly<Record<string, unknown>> = {
  "every status": assessmentResults(scope, all),
  "a period": assessmentResults({ ...scope, from: "2026-01-01T00:00:00Z", to: "2026-02-01T00:00:00Z" }, all),
  "no control": assessmentResults(scope, assessment([])),
  "nothing that applies": assessmentResults(scope, assessment([resultOf("not_applicable")])),
};

Deno.test("a document of OSCAL has the parts and the forms that the model has", () => {
  for (const [name, document] of Object.entries(documents)) {
    const read = schema.safeParse(document);
    assert.ok(read.success, `${name}: ${read.error}`);
  }
});

Deno.test("a control that holds is satisfied, silence is not, and what does not apply is no finding", () => {
  const { "assessment-results": { results: [result] } } = schema.parse(documents["every status"]);
  const states = result!.findings!.map((
    { target },
  ) => [target["target-id"], target.status.state, target.status.reason]);
  assert.deepEqual(states, [
    ["_24-hours-pass", "satisfied", "pass"],
    ["_24-hours-fail", "not-satisfied", "fail"],
    ["_24-hours-no-evidence", "not-satisfied", "other"],
    ["_24-hours-stale", "not-satisfied", "other"],
    ["_24-hours-excepted", "not-satisfied", "other"],
  ]);
  assert.equal(result!.observations!.length, STATUSES.length);
  const observed = new Set(result!.observations!.map(({ uuid }) => uuid));
  assert.equal(observed.size, STATUSES.length, "each has a name of its own");
  for (const finding of result!.findings!) {
    for (const { "observation-uuid": uuid } of finding["related-observations"]) assert.ok(observed.has(uuid));
  }
});

Deno.test("the same results have the same names, others others", () => {
  const of = (document: unknown) => schema.parse(document)["assessment-results"].uuid;
  assert.equal(of(assessmentResults(scope, all)), of(documents["every status"]));
  assert.notEqual(of(assessmentResults({ ...scope, size: 701 }, all)), of(documents["every status"]));
});

const path = Deno.env.get("DAYBOOK_OSCAL_SCHEMA");

Deno.test({
  name: `NIST's schema accepts every document${path ? "" : " (skipped: DAYBOOK_OSCAL_SCHEMA is not set)"}`,
  ignore: path === undefined,
  fn() {
    const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false });
    const validate = ajv.compile(JSON.parse(Deno.readTextFileSync(path!)));
    for (const [name, document] of Object.entries(documents)) {
      assert.ok(validate(document), `${name}: ${JSON.stringify(validate.errors)}`);
    }
    const wrong = structuredClone(documents["every status"]) as { "assessment-results": { uuid: string } };
    wrong["assessment-results"].uuid = "none";
    assert.ok(!validate(wrong));
  },
});
