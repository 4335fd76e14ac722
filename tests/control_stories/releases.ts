/** Lives of the controls over releases, and the ways in which they are broken. */
import { DAY, ENDS, HOUR, type Sowing, type Story } from "../controls_given.ts";
import { address, lately, MS } from "./told.ts";

const SHA = (story: Story): string => story.name("").padStart(40, "a").replaceAll("0", "c");
const gate = (story: Story, at: number, commit: string, { passed = true, gate = "tests" } = {}) =>
  story.say(at, passed ? "releases.gate.passed" : "releases.gate.failed", { commit, gate });

/** With all that every rule of releases wants, unless something else is said. */
const deployed = (
  story: Story,
  at: number,
  { commit, finished = at + HOUR, published = true, ...more }: {
    readonly commit?: string;
    readonly finished?: number;
    readonly published?: boolean;
    readonly [name: string]: unknown;
  } = {},
) => {
  const sha = commit ?? SHA(story);
  const deployment = story.name("d");
  const version = story.name("v");
  const { sowing } = story;
  story.sowing = false;
  if (commit === undefined) gate(story, at - HOUR, sha);
  if (published) story.say(at - HOUR, "releases.release.published", { version, commit: sha });
  story.sowing = sowing;
  story.say(at, "releases.deployment.started", {
    deployment,
    commit: sha,
    environment: "production",
    version,
    by_pseudonym: address(story),
    approvedby_pseudonym: address(story),
    ...more,
  });
  story.sowing = false;
  if (finished !== Infinity) {
    story.say(finished, "releases.deployment.finished", { deployment, outcome: "succeeded" });
  }
  story.sowing = sowing;
};

export const RELEASES: Readonly<Record<string, Sowing>> = {
  "deployment-after-gates": {
    clean(story) {
      const [sha, at] = [SHA(story), lately(story, 5)];
      gate(story, at - 3 * HOUR, sha, { passed: false });
      gate(story, at - 2 * HOUR, sha);
      gate(story, at - 2 * HOUR, sha, { passed: false, gate: "lint" });
      deployed(story, at, { commit: sha });
      deployed(story, at + HOUR, { commit: SHA(story), environment: "staging" });
      const old = SHA(story);
      gate(story, at - 90 * DAY, old);
      deployed(story, at, { commit: old });
    },
    broken: [
      (story) => deployed(story, lately(story), { commit: SHA(story) }),
      (story) => {
        const [sha, at] = [SHA(story), lately(story)];
        story.sowing = false;
        gate(story, at - HOUR, sha);
        gate(story, at - MS, sha, { passed: false });
        story.sowing = true;
        deployed(story, at, { commit: sha });
      },
      (story) => {
        const [sha, at] = [SHA(story), lately(story)];
        story.sowing = false;
        gate(story, at - HOUR, sha, { gate: "lint" });
        gate(story, at - 90 * DAY - MS, sha);
        story.sowing = true;
        deployed(story, at, { commit: sha });
      },
      (story) => {
        const [sha, at] = [SHA(story), lately(story)];
        deployed(story, at, { commit: sha });
        story.sowing = false;
        gate(story, at + MS, sha);
      },
    ],
  },
  "deployment-approved": {
    clean(story) {
      deployed(story, lately(story));
      deployed(story, lately(story), { environment: "staging", approvedby_pseudonym: undefined });
    },
    broken: [
      (story) => deployed(story, lately(story), { approvedby_pseudonym: undefined }),
      (story) => {
        const who = address(story);
        deployed(story, lately(story), { by_pseudonym: who, approvedby_pseudonym: who });
      },
    ],
  },
  "deployments-finish": {
    clean(story) {
      const at = lately(story);
      deployed(story, at, { finished: at + 4 * HOUR });
      deployed(story, ENDS - 3 * HOUR, { finished: Infinity });
    },
    broken: [
      (story) => deployed(story, lately(story), { finished: Infinity }),
      (story) => {
        const at = lately(story);
        deployed(story, at, { finished: at + 4 * HOUR + MS });
      },
    ],
  },
  "deployed-versions-published": {
    clean: (story) => deployed(story, lately(story), { published: false, version: undefined }),
    broken: [
      (story) => deployed(story, lately(story), { published: false }),
      (story) => {
        // The version is there, and is another commit's.
        const [at, version] = [lately(story), story.name("v")];
        story.sowing = false;
        story.say(at - HOUR, "releases.release.published", { version, commit: SHA(story) });
        story.sowing = true;
        deployed(story, at, { published: false, version });
      },
    ],
  },
};
