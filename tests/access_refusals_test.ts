/** What was turned away is counted and told, and nothing else comes of it. */
import assert from "node:assert/strict";
import { Refusals } from "../adapters/program/access/refusals.ts";
import { systemClock } from "../adapters/system/world.ts";
import { ACCESS_LIMITS } from "../events/access.ts";
import { inFolder } from "./folder_given.ts";
import { withHouse } from "./identity_given.ts";
import { until } from "./until.ts";

interface Data {
  readonly refusals: readonly { action: string; because: string; principal?: string; count: number }[];
  readonly others: number;
}

Deno.test("requests that are turned away are on record: which action, why, whose, how often, and once a minute at most", () =>
  inFolder(async (data) => {
    const token = await (async () => {
      let id = "";
      await withHouse(async (house) => {
        const reader = house.tokenOf(["read"]);
        id = `t_${reader.split("_")[1]}`;
        for (let i = 0; i < 3; i++) await house.send("/accounts", { as: reader, body: { name: "x" } });
        await house.send("/events", { as: "dbk_wrong" });
        await house.send("/auth/sign-in", { body: "{", headers: { "content-type": "application/json" } });
        // Whoever polls for what may come yet.
        for (const path of ["/events/999", "/views/services.board/none", `/blobs/${"0".repeat(64)}`]) {
          const { body } = await until(
            `${path}, once views have come so far`,
            () => house.send(path, { as: reader }),
            ({ status }) => status !== 503,
          );
          assert.match(body.type, /:no_(event|row|blob)$/, path);
        }
        for (const path of ["/etc/passwd", "/..%2f..%2fetc%2fshadow", "/accounts/u_nobody-of-this-name/lock"]) {
          assert.equal((await house.send(path)).status, 404, path);
        }
        assert.equal((await house.send("/livez", { method: "DELETE" })).status, 405);
        await house.send("/views/of.nobody", { as: reader });
        await house.send("/account", { headers: { accept: "text/html" } });
        await house.send("/nowhere", { headers: { origin: "https://evil.example" } });
        assert.equal(house.told("access.requests.refused").length, 0, "no event for each of them");
      }, { data });
      return id;
    })();
    await withHouse((house) => {
      const [told] = house.told("access.requests.refused");
      const { refusals, others } = told!.data as Data;
      assert.equal(others, 0);
      const of = (because: string) => refusals.filter((one) => one.because === because);
      assert.deepEqual(of("forbidden"), [{
        action: "accounts.create",
        because: "forbidden",
        principal: token,
        count: 3,
      }]);
      assert.deepEqual(of("unauthenticated"), [{ action: "events.read", because: "unauthenticated", count: 1 }]);
      assert.deepEqual(of("malformed_json"), [{ action: "signin.use", because: "malformed_json", count: 1 }]);
      assert.deepEqual(of("not_found"), [{ action: "", because: "not_found", count: 3 }]);
      assert.deepEqual(of("method_not_allowed"), [{ action: "", because: "method_not_allowed", count: 1 }]);
      assert.deepEqual(refusals.filter(({ because }) => because.startsWith("no_")), []);
      assert.deepEqual(of("unknown_view"), [{
        action: "views.read",
        because: "unknown_view",
        principal: token,
        count: 1,
      }]);
      assert.ok(!/passwd|shadow|nobody/.test(JSON.stringify(told)), "nothing of what was asked for");
      return Promise.resolve();
    }, { data });
  }));

Deno.test("so many kinds are told apart; what could not be recorded is told with what comes after", async () => {
  const asked: Data[] = [];
  let is = "unavailable";
  const entities = { ask: ({ data }: { data: unknown }) => (asked.push(data as Data), Promise.resolve({ is })) };
  const refusals = new Refusals(entities as never, systemClock);
  await refusals.flush();
  assert.equal(asked.length, 0, "nothing came, nothing is told");
  for (let i = 0; i < ACCESS_LIMITS.refusals_max + 7; i++) {
    refusals.count({ action: "events.read", because: "forbidden", principal: `t_${i}` });
  }
  // More than could be counted one by one.
  refusals.count({ action: "events.read", because: "forbidden", principal: "t_0" }, Number.MAX_SAFE_INTEGER - 2);
  await refusals.flush();
  await refusals.flush();
  refusals.count({ action: "events.read", because: "forbidden", principal: "t_0" });
  is = "accepted";
  await refusals.flush();
  await refusals.flush();
  assert.deepEqual(asked.map(({ refusals, others }) => [refusals.length, others]), [[100, 7], [100, 7], [100, 7]]);
  assert.equal(asked.at(-1)!.refusals[0]!.count, Number.MAX_SAFE_INTEGER);
});
