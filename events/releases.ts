/**
 * Releases: which gates a commit passed, what was deployed where, what was published. All of it is observed: whoever builds and
 * deploys tells it. Stream: `releases/{project}`, by the event's `source`.
 *
 * A gate's newest word on a commit counts. Who asked for a deployment and who approved it are people: sealed, with pseudonyms that
 * show whether they are the same.
 */
import { z } from "zod";
import type { Domain } from "./catalogue.ts";
import { repositoryId, sha } from "./commits.ts";
import type { FactSchemas } from "./event.ts";
import { personal, pseudonym } from "./personal.ts";

export const RELEASE_LIMITS = { name_chars_max: 100, url_chars_max: 1_000 } as const;

const name = z.string().min(1).max(RELEASE_LIMITS.name_chars_max);
/** Where the run can be looked at. */
const url = z.url().max(RELEASE_LIMITS.url_chars_max).optional();
/** What a build makes, as `sha256:…`. */
const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/, "sha256: and 64 hexadecimal digits").optional();

const gate = z.strictObject({
  commit: sha,
  /** Such as `tests`, `scan`, `review`. */
  gate: name,
  url,
});

export const releaseFacts = {
  "releases.gate.passed": gate,
  "releases.gate.failed": gate,
  "releases.deployment.started": z.strictObject({
    /** The deployer's own id for it, unique in the project. */
    deployment: name,
    commit: sha,
    /** Such as `production`. */
    environment: name,
    version: name.optional(),
    digest,
    by: personal({ subject: "by" }).optional(),
    by_pseudonym: pseudonym({ of: "by" }),
    approvedby: personal({ subject: "approvedby" }).optional(),
    approvedby_pseudonym: pseudonym({ of: "approvedby" }),
    url,
  }),
  "releases.deployment.finished": z.strictObject({
    deployment: name,
    outcome: z.enum(["succeeded", "failed", "rolled_back"]),
    url,
  }),
  "releases.release.published": z.strictObject({ version: name, commit: sha, digest, url }),
} satisfies FactSchemas;

const about: Readonly<Record<keyof typeof releaseFacts, string>> = {
  "releases.gate.passed": "A commit passed a gate, such as its tests.",
  "releases.gate.failed": "A commit did not pass a gate.",
  "releases.deployment.started": "Somebody began to deploy a commit; who, and who approved.",
  "releases.deployment.finished": "A deployment came to its end.",
  "releases.release.published": "A version was published.",
};

export const releases: Domain = {
  name: "releases",
  facts: Object.fromEntries(
    (Object.keys(releaseFacts) as (keyof typeof releaseFacts)[]).map((type) => [type, {
      schema: releaseFacts[type],
      kind: "observed",
      stream: ({ source }) => `releases/${repositoryId(source)}`,
      about: about[type],
    }]),
  ),
};
