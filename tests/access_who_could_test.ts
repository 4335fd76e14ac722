/** Who could do something, asked of the past: by the roles, tokens, keys and policies of then. */
import assert from "node:assert/strict";
import type { WhoCould } from "../adapters/cli/access.ts";
import { type Asking, whoCould } from "../adapters/program/access/who_could.ts";
import { MemoryLog } from "../adapters/memory/log.ts";
import { systemClock } from "../adapters/system/world.ts";
import { inFolder } from "./folder_given.ts";
import { withHouse } from "./identity_given.ts";

const named = ({ principals }: WhoCould) => principals.map(({ id, policies }) => [id, policies.join("+")]);
const except = (answer: WhoCould, ...ids: readonly string[]) => named(answer).filter(([id]) => !ids.includes(id!));

Deno.test("who could is answered for any position, by what was so then", () =>
  inFolder(async (data) => {
    let first = 0, size = 0;
    let ids: readonly string[] = [];
    await withHouse(async (house) => {
      const ask = (asking: Omit<Asking, "action" | "resource">) =>
        whoCould(house.log, { action: "commands.send", resource: "commits/acme-shop", ...asking });
      const token = house.told("access.token.issued")[0]?.data.token ?? `t_${house.token.split("_")[1]}`;
      const [alice, bob] = [await house.person("alice"), await house.person("bob")];
      ids = [alice, bob, token];
      const change = async (account: string, verb: string, role: string) => {
        const { body } = await house.send(`/accounts/${account}/${verb}`, { as: house.token, body: { role } });
        return body.facts[0].position as number;
      };
      const granted = await change(alice, "grant", "operator");
      const second = await change(bob, "grant", "administrator");
      const revoked = await change(alice, "revoke", "operator");
      first = granted;
      assert.deepEqual(except(await ask({ size: granted }), token), [["operator", "token-command"]], "before");
      assert.deepEqual(except(await ask({ size: granted + 1 }), token), [["operator", "token-command"], [
        alice,
        "operator",
      ]]);
      assert.deepEqual(except(await ask({ size: second + 1 }), token).length, 2, "bob has no second factor yet");
      assert.deepEqual(except(await ask({ size: revoked + 1 }), token), [["operator", "token-command"]]);
      // The route says the same.
      const { body } = await house.send(
        `/access/who-could?action=commands.send&resource=commits/acme-shop&at=${granted}`,
        {
          as: house.token,
        },
      );
      assert.deepEqual(except(body, token), [["operator", "token-command"], [alice, "operator"]]);
      for (
        const query of [
          "action=commands.sned&resource=log",
          "action=commands.send&resource=what",
          "action=commands.send",
          "action=commands.send&resource=log&at=999999",
          "action=commands.send&resource=log&at=x",
          "action=commands.send&resource=log&when=x",
          "action=constructor&resource=log",
        ]
      ) assert.equal((await house.send(`/access/who-could?${query}`, { as: house.token })).status, 400, query);
      size = house.log.size;
    }, { data });
    // With a tenant of which the stream is, and later: what was then is answered as then.
    await withHouse(async (house) => {
      const token = house.tokenOf(["command"], "acme");
      await house.send("/operations/record-tokens", { as: house.token, body: {} });
      const id = `t_${token.split("_")[1]}`;
      const ask = (asking: Partial<Asking>) =>
        whoCould(house.log, { action: "commands.send", resource: "commits/acme-shop", ...asking });
      const now = await ask({});
      assert.equal(now.resource.tenant, "acme");
      assert.ok(named(now).some(([who]) => who === id));
      assert.ok(!named(await ask({ resource: "commits/shop" })).some(([who]) => who === id));
      const before = await ask({ size: first + 1 });
      assert.equal(before.resource.tenant, "default", "nobody had given it to a tenant");
      assert.ok(named(before).some(([who]) => who === ids[0]));
      assert.notEqual(before.policies, now.policies);
      assert.deepEqual(named(await ask({ size })), named(await ask({ size })), "the same question, the same answer");
      const admins = await ask({ action: "roles.grant", resource: ids[0]! });
      assert.ok(!named(admins).some(([who]) => who === ids[1]), "an administrator without a second factor");
    }, { data, said: { IDENTITY__TENANTS: "{acme: {streams: [commits/acme-]}}" } });
  }));

Deno.test("of a log in which no policies are on record the program's own are asked, and only who stands at the machine could", async () => {
  const answer = await whoCould(new MemoryLog(systemClock), {
    action: "operations.run",
    resource: "operation:erase-subject",
  });
  assert.equal(answer.policies, null);
  assert.deepEqual(named(answer), [["operator", "token-admin"]]);
});
