/** Who could do something, asked of the past: by the roles, tokens, keys and policies of then. */
import assert from "node:assert/strict";
import { POLICY_DEPTH_MAX } from "../adapters/cedar/policies.ts";
import type { WhoCould } from "../adapters/cli/access.ts";
import { type Asking, whoCould } from "../adapters/program/access/who_could.ts";
import { MemoryLog } from "../adapters/memory/log.ts";
import { whoCouldView } from "../adapters/program/access/who_could_view.ts";
import { shippedModel } from "../adapters/program/access/model.ts";
import { systemClock } from "../adapters/system/world.ts";
import type { Append } from "../events/log.ts";
import type { CouldRow } from "../projections/access.ts";
import { inFolder } from "./folder_given.ts";
import { type House, withHouse } from "./identity_given.ts";

interface Row {
  readonly key: string;
  readonly position: number;
  readonly row: CouldRow;
}

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
      await asView(house, { alice, granted, revoked, answer: body });
      // Since when: without a break, whatever else changed.
      const since = async () => (await ask({})).principals.find(({ id }) => id === alice)?.since?.position;
      assert.equal(await since(), undefined);
      const again = await change(alice, "grant", "operator");
      await change(alice, "grant", "viewer");
      await change(bob, "grant", "operator");
      assert.equal(await since(), again);
      assert.equal((await ask({})).principals.find(({ id }) => id === "operator")!.since, undefined, "always");
      for (
        const query of [
          "action=commands.sned&resource=log",
          "action=commands.send&resource=what",
          "action=commands.send",
          "action=commands.send&resource=log&at=999999",
          `action=commands.send&resource=log&at=${house.log.size}`,
          "action=commands.send&resource=log&at=yesterday",
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

/** The same as rows of a view. */
const asView = async (
  house: House,
  { alice, granted, revoked, answer }: {
    readonly alice: string;
    readonly granted: number;
    readonly revoked: number;
    readonly answer: WhoCould;
  },
) => {
  const name = "/views/access.who_could";
  const asked = `${name}?action=commands.send&resource=commits/acme-shop`;
  const get = async (path: string, as = house.token) => await house.send(path, { as });
  const then = (await get(`${asked}&at=${granted}`)).body;
  assert.deepEqual(
    then.rows.map(({ row: { principal, policies } }: Row) => [principal, policies]).sort(),
    answer.principals.map(({ id, policies }) => [id, policies]).sort(),
    "the view says what the command does",
  );
  assert.equal(then.size, granted + 1);
  const of = (rows: readonly Row[]) => rows.find(({ row }) => row.principal === alice);
  const { key, position, row } = of(then.rows)!;
  assert.deepEqual([position, row.type, row.roles, row.action], [granted, "User", ["operator"], "commands.send"]);
  assert.equal(row.since, [...house.log.read({ from: granted, limit: 1 })].flat()[0]!.recordedat);
  assert.deepEqual((await get(`${name}/${encodeURIComponent(key)}?at=${granted}`)).body.row, row);
  assert.equal((await get(`${name}/${encodeURIComponent(key)}?at=${revoked}`)).body.type, "urn:daybook:problem:no_row");
  const time = new Date().toISOString();
  assert.equal(of((await get(`${asked}&at=${time}`)).body.rows), undefined, "it was revoked");
  const one = (await get(`${asked}&at=${granted}&principal=${alice}`)).body.rows;
  assert.deepEqual(one, [{ key, row, position }]);
  const page = (await get(`${asked}&at=${granted}&limit=1`)).body;
  const rest = (await get(`${asked}&at=${granted}&after=${page.next}`)).body;
  assert.deepEqual([...page.rows, ...rest.rows], then.rows, "pages");
  for (
    const query of ["", "?action=commands.send", "?action=what&resource=log", "?action=commands.send&resource=what"]
  ) {
    const { status, body } = await get(`${name}${query}`);
    assert.equal(status, 400, query);
    assert.match(body.detail, /action=… and resource=…|there is no action|a resource is/, query);
  }
  for (
    const [query, path] of [
      ["action=commands.send", "?resource"],
      ["action=commands.send&resource=what", "?resource"],
      ["action=what&resource=log", "?action"],
    ]
  ) {
    assert.equal((await get(`${name}?${query}`)).body.errors[0].path, path, query);
  }
  // Of a time before the log began as the command says it: who stands at the machine.
  const early = `at=${encodeURIComponent("2020-01-01T00:00:00Z")}`;
  const before = (await get(`${asked}&${early}`)).body;
  assert.deepEqual([before.size, before.rows.map(({ row }: Row) => row.principal)], [0, ["operator"]]);
  const { principals } = (await get(`/access/who-could?action=commands.send&resource=commits/acme-shop&${early}`)).body;
  assert.deepEqual(principals.map(({ id }: { id: string }) => id), ["operator"]);
  const alone = await get(`${name}/${encodeURIComponent(before.rows[0].key)}?${early}`);
  assert.deepEqual([alone.status, alone.body.row], [200, before.rows[0].row]);
  assert.equal((await get(`${name}?action=what&resource=log&${early}`)).status, 400);
  const { size } = house.log;
  const late = (await get(`${asked}&at=${size}`)).body;
  assert.equal(late.detail, `The log has ${size} events; position ${size} is not among them yet.`);
  assert.equal((await get(`${name}/nothing`)).status, 404);
  assert.equal((await get(asked, house.tokenOf(["read"]))).status, 403, "it is for who may ask who could");
  const listed = (await get("/views", house.tokenOf(["read"]))).body.views.find((one: { name: string }) =>
    one.name === "access.who_could"
  );
  assert.deepEqual(listed.asks, ["action", "resource"]);
  const shut = (await get("/openapi.json")).body.paths[name].get.parameters.filter((one: { required: boolean }) =>
    one.required
  );
  assert.deepEqual(shut.map((one: { name: string }) => one.name), ["action", "resource"]);
};

Deno.test("of a log in which no policies are on record the program's own are asked, and only who stands at the machine could", async () => {
  const answer = await whoCould(new MemoryLog(systemClock), {
    action: "operations.run",
    resource: "operation:erase-subject",
  });
  assert.equal(answer.policies, null);
  assert.deepEqual(named(answer), [["operator", "token-admin"]]);
});

/** A log that things are recorded in, policies among them. */
const recorded = () => {
  const log = new MemoryLog(systemClock);
  const record = async (type: string, data: object) => {
    const event = {
      id: `${log.size}`,
      source: "test",
      stream: "access/all",
      version: 1,
      authtype: "system",
      authid: "test",
    };
    await log.append({ events: [{ ...event, type, time: new Date().toISOString(), data }] } as unknown as Append);
  };
  const model = shippedModel();
  const activated = (policies: string) =>
    record("access.policies.activated", { ...model, policies, digest: "0".repeat(64) });
  return { log, record, activated, model };
};

Deno.test("earlier policies that cannot be read any more are not asked: since when is told from behind them, and those of now must be readable", async () => {
  const { log, record, activated, model } = recorded();
  await record("access.token.issued", { token: "t_aaaaaaaaaaaaaaaa", tenant: "default", scopes: ["command"] });
  await activated(model.policies);
  await activated('@id("old")\npermit to everybody;\n');
  await activated(model.policies);
  const ask = (size: number) => whoCould(log, { action: "commands.send", resource: "commits/x", size });
  const since = async (size: number) => (await ask(size)).principals.map(({ id, since }) => [id, since?.position]);
  assert.deepEqual(await since(2), [["operator", undefined], ["t_aaaaaaaaaaaaaaaa", 0]]);
  await assert.rejects(ask(3));
  assert.deepEqual(await since(4), [["operator", 3], ["t_aaaaaaaaaaaaaaaa", 3]]);
});

Deno.test("policies on record that go deeper than those of today may are asked about the time in which they counted", async () => {
  const { log, record, activated, model } = recorded();
  const others = Array.from({ length: POLICY_DEPTH_MAX + 50 }, (_, i) => `principal == Token::"t_${i}"`);
  await record("access.token.issued", { token: "t_aaaaaaaaaaaaaaaa", tenant: "default", scopes: ["command"] });
  await activated(`${model.policies}
@id("deep") forbid (principal, action == Action::"commands.send", resource) when { ${others.join(" || ")} };`);
  await activated(model.policies);
  const ask = (size: number) => whoCould(log, { action: "commands.send", resource: "commits/x", size });
  const since = async (size: number) => (await ask(size)).principals.map(({ id, since }) => [id, since?.position]);
  assert.deepEqual(await since(2), [["operator", undefined], ["t_aaaaaaaaaaaaaaaa", 0]]);
  assert.deepEqual(await since(3), [["operator", undefined], ["t_aaaaaaaaaaaaaaaa", 0]]);
});

Deno.test("while many are asked about, whoever else wants something of the program has their turns", async () => {
  const issued = (i: number) => ({
    id: `${i}`,
    source: "test",
    stream: `access/${i}`,
    version: 1,
    authtype: "system",
    authid: "test",
    type: "access.token.issued",
    time: new Date().toISOString(),
    data: { token: `t_${String(i).padStart(16, "a")}`, tenant: `tenant-${i}`, scopes: ["command"] },
  });
  const log = new MemoryLog(systemClock);
  await log.append({ events: Array.from({ length: 700 }, (_, i) => issued(i)) } as unknown as Append);
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  const asked = { action: "commands.send", resource: "tenant:tenant-7" } as const;
  try {
    const { principals } = await whoCould(log, asked);
    assert.deepEqual(principals.map(({ id }) => id), ["operator", `t_${"7".padStart(16, "a")}`]);
    const seen = turns;
    assert.ok(seen > 10, `${seen} turns`);
    const { rows } = await whoCouldView(log, systemClock).list({ where: asked });
    assert.equal(rows.length, 2);
  } finally {
    clearInterval(timer);
  }
});
