/**
 * A program that embeds Daybook with a process manager of its own: `manager_program.ts DATA EFFECTS RUN BUILDS`. It records builds
 * and then waits; the branch `released` follows what passed, and each note that is sent is a line `RUN POSITION` of EFFECTS.
 */
import { openDaybook, type ProcessManager } from "../../main.ts";

/** What passed is released; every other build fails. */
export const release: ProcessManager<{ readonly passed: number }> = {
  name: "ci.release",
  version: 1,
  hears: ["ci.build.passed"],
  initial: { passed: 0 },
  key: ({ subject = "" }) => subject,
  react({ passed }, { subject, data }) {
    const { sha } = data as { readonly sha: string };
    return {
      state: { passed: passed + 1 },
      effects: [
        {
          type: "command",
          stream: `commits/${subject}`,
          command: { type: "commits.branch.move", data: { branch: "released", to: sha } },
        },
        { type: "ci.note.sent", data: { passed: passed + 1, sha } },
      ],
    };
  },
};

export const buildAt = (n: number) => ({
  id: `build-${n}`,
  source: "/ci",
  type: n % 2 === 0 ? "ci.build.passed" : "ci.build.failed",
  subject: `shop-${n % 3}`,
  data: { sha: (n + 1).toString(16).padStart(40, "0") },
});

if (import.meta.main) {
  const [data, effects, run, builds] = Deno.args as [string, string, string, string];
  const out = await Deno.open(effects, { append: true, create: true });
  const daybook = await openDaybook({
    data,
    managers: [{
      manager: release,
      perform(_effect, { position }) {
        out.writeSync(new TextEncoder().encode(`${run} ${position}\n`));
        return Promise.resolve();
      },
    }],
  });
  for (let n = 0; n < Number(builds); n++) {
    const recorded = await daybook.ingest([buildAt(n)], { authtype: "system", authid: "ci" });
    if (!recorded.ok) throw new Error(JSON.stringify(recorded));
  }
}
