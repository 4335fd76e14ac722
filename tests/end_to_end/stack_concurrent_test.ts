/** Many who change one stack at once, each to another: what is there in the end is what one of them said, whole. */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import { connect } from "../../adapters/cli/remote.ts";
import { until } from "../until.ts";
import { running, Stand, startsIn, tracing } from "./stack_given.ts";

const MANY = 20;

const stack = (traces: string, n: number) => `
services:
${
  ["a", "b", `only-${n}`].map((name) => `
  ${name}:
    ${tracing(traces, `${name}.${n}`, "exec sleep 600")}
    ports: { main: random }
    stop: { signal: SIGKILL }
    update: { healthy_ms: 0 }`).join("\n")
}
`;

Deno.test("of twenty files that are applied at once one is what runs in the end, and nothing is left of the others", () =>
  Stand.with((traces) => stack(traces, 0), async (stand) => {
    await stand.start();
    const { data, traces, file } = stand;
    const remote = (await connect(data))!;
    assert.ok(remote);
    try {
      const apply = (n: number) =>
        remote.operate("update-stack", { text: stack(traces, n), file, plan: false, again: false }, () => {});
      const outcomes = await Promise.allSettled(Array.from({ length: MANY }, (_, n) => apply(n + 1)));
      assert.deepEqual(outcomes.filter(({ status }) => status === "rejected"), []);
      const names = async () => {
        const nonces = new Set((await startsIn(traces)).map(({ nonce }) => nonce));
        const alive = new Set((await running(nonces)).map(({ nonce }) => nonce));
        return (await startsIn(traces)).filter(({ nonce }) => alive.has(nonce)).map(({ name }) => name).toSorted();
      };
      const seen = await until(
        "three services of one file run, and no others",
        names,
        (seen) => seen.length === 3 && new Set(seen.map((name) => name.split(".")[1])).size === 1,
      );
      const winner = Number(seen[0]!.split(".")[1]);
      assert.ok(winner > 0);
      assert.deepEqual(seen, [`a.${winner}`, `b.${winner}`, `only-${winner}.${winner}`]);
      await stand.until((rows) => {
        const wanted = rows.filter(({ state }) => state !== "stopped").map(({ service, state }) =>
          `${service} ${state}`
        );
        return String(wanted.toSorted()) === `a healthy,b healthy,only-${winner} healthy`;
      });
      await apply(winner);
      assert.deepEqual((await names()).toSorted(), seen, "it is the same");
      const folder = `${dirname(file)}/data/services`;
      const ports = Object.keys(JSON.parse(await Deno.readTextFile(`${folder}/main.ports.json`)));
      assert.deepEqual(ports, ["a", "b", `only-${winner}`].map((name) => `${name}/0/main`));
      assert.equal([...Deno.readDirSync(`${folder}/main/prepared`)].length, 3);
    } finally {
      remote.close();
    }
    await stand.down();
  }));
