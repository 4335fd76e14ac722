/** Commits: decides where branches stand. Stream: `commits/{repository}`; what was committed is observed, not decided. */
import { z } from "zod";
import { branchName, type CommitFact, sha } from "../events/commits.ts";
import { time } from "./time.ts";
import { accept, type Actor, type Commands, type CommandSchemas, type Decision, reject } from "./types.ts";

/** Branches one repository may have at a time: the state of this actor. */
export const BRANCHES_MAX = 10_000;

const at = time.optional();
const from = sha.nullable().optional();

export const commitCommands = {
  "commits.branch.move": z.strictObject({
    branch: branchName,
    to: sha,
    /** What was on the branch is not behind `to`. Default false. */
    forced: z.boolean().optional(),
    /** Only if the branch is there now; `null`: only if it is not known yet. Absent: wherever it is. */
    from,
    /** When it moved. A move older than the last one known is late news, and refused. */
    at,
  }),
  "commits.branch.delete": z.strictObject({ branch: branchName, from, at }),
} satisfies CommandSchemas;

export type CommitCommand = Commands<typeof commitCommands>;
export type BranchFact = Extract<CommitFact, { type: "commits.branch.moved" | "commits.branch.deleted" }>;

interface Head {
  readonly branch: string;
  readonly to: string;
  readonly at?: string;
}

/** Branch heads alone, in buckets by name, so that one move copies one bucket and not all of them. */
export interface Branches {
  readonly count: number;
  readonly buckets: readonly (readonly Head[])[];
}

const BUCKETS = 64;

const bucketOf = (branch: string): number => {
  let hash = 0;
  for (let i = 0; i < branch.length; i++) hash = (hash * 31 + branch.charCodeAt(i)) >>> 0;
  return hash % BUCKETS;
};

/** Where a branch stands, if it is known. */
export const headOf = (state: Branches, branch: string): Head | undefined =>
  state.buckets[bucketOf(branch)]!.find((head) => head.branch === branch);

const withBucket = (state: Branches, branch: string, head: Head | undefined): Branches => {
  const place = bucketOf(branch);
  const before = state.buckets[place]!;
  const others = before.filter((other) => other.branch !== branch);
  const after = head ? [...others, head] : others;
  return { count: state.count + after.length - before.length, buckets: state.buckets.with(place, after) };
};

const refusal = (head: Head | undefined, { from, at }: CommitCommand["data"]): Decision<never> | undefined => {
  if (head?.at !== undefined && at !== undefined && Date.parse(at) < Date.parse(head.at)) {
    return reject("branch_moved_since", `The branch moved again at ${head.at}, after this`);
  }
  if (from !== undefined && from !== (head?.to ?? null)) {
    return reject("branch_elsewhere", head ? `The branch is at ${head.to}` : "No such branch is known here");
  }
  return undefined;
};

export const commits: Actor<Branches, CommitCommand, BranchFact> = {
  domain: "commits",
  version: 1,
  commands: commitCommands,
  facts: ["commits.branch.moved", "commits.branch.deleted"],
  initial: { count: 0, buckets: Array.from({ length: BUCKETS }, () => []) },

  decide(state, { type, data }): Decision<BranchFact> {
    const head = headOf(state, data.branch);
    switch (type) {
      case "commits.branch.move": {
        const { branch, to, forced = false, at } = data;
        if (head?.to === to) return accept(); // already true: nothing is recorded
        const no = refusal(head, data);
        if (no) return no;
        if (head && head.to.length !== to.length) {
          return reject(
            "object_format_differs",
            `The branch is at ${head.to}: object names of another format than ${to}`,
          );
        }
        if (!head && state.count >= BRANCHES_MAX) {
          return reject("too_many_branches", `The repository has ${BRANCHES_MAX} branches already`);
        }
        const fact = {
          branch,
          from: head?.to ?? null,
          to,
          forced: forced && head !== undefined,
          ...(at === undefined ? {} : { at }),
        };
        return accept({ type: "commits.branch.moved", data: fact });
      }
      case "commits.branch.delete": {
        if (!head) return accept();
        const fact = { branch: data.branch, from: head.to, ...(data.at === undefined ? {} : { at: data.at }) };
        return refusal(head, data) ?? accept({ type: "commits.branch.deleted", data: fact });
      }
    }
  },

  evolve(state, fact): Branches {
    const { branch } = fact.data;
    switch (fact.type) {
      case "commits.branch.moved": {
        const at = fact.data.at ?? headOf(state, branch)?.at;
        return withBucket(state, branch, { branch, to: fact.data.to, ...(at === undefined ? {} : { at }) });
      }
      case "commits.branch.deleted":
        return withBucket(state, branch, undefined);
    }
  },
};
