/** Authorisation in a running server: what facts say of it, and the walls between tenants. */
import assert from "node:assert/strict";
import { createServer } from "../adapters/http/server.ts";
import { CedarAuthority } from "../adapters/program/access/authority.ts";
import { shippedModel } from "../adapters/program/access/model.ts";
import { systemClock, systemRandom } from "../adapters/system/world.ts";
import { ACCESS_LIMITS } from "../events/access.ts";
import { canonical } from "../events/canonical.ts";
import { inFolder } from "./folder_given.ts";
import { givenAccess, givenDaybook } from "./http_given.ts";
import { code, type House, PASSWORD, withHouse } from "./identity_given.ts";
import { until } from "./until.ts";

const event = (source: string, more: Record<string, unknown> = {}) => ({
  specversion: "1.0",
  id: crypto.randomUUID(),
  source,
  type: "doors.door.opened",
  data: {},
  ...more,
});
const CE = { "content-type": "application/cloudevents+json" };
const BATCH = { "content-type": "application/cloudevents-batch+json" };
const TO = { branch: "main", to: "a".repeat(40) };
const ACME = { IDENTITY__TENANTS: "{acme: {streams: [commits/acme-], sources: [/acme/]}, beta: {}}" };

Deno.test("a route without an action is not served", async () => {
  const { daybook } = givenDaybook();
  const route = { method: "GET", path: "/secret", about: "Nobody says who may.", handle: () => new Response("hi") };
  for (const action of [undefined, "secrets.tell", "constructor"]) {
    assert.throws(() =>
      createServer({
        daybook,
        access: givenAccess(),
        authority: new CedarAuthority(shippedModel()),
        clock: systemClock,
        random: systemRandom,
        routes: [{ ...route, action } as never],
      }), /GET \/secret has no action/);
  }
  await daybook.close();
});

Deno.test("facts of commands and of an administrator's work name the policies that let them be done, roles say before and after", () =>
  withHouse(async (house) => {
    const account = await house.person("alice");
    const change = (verb: string, role: string) =>
      house.send(`/accounts/${account}/${verb}`, { as: house.token, body: { role } });
    for (const role of ["operator", "viewer"]) assert.equal((await change("grant", role)).status, 200);
    assert.equal((await change("revoke", "viewer")).status, 200);
    const roles = house.told("identity.role.granted", "identity.role.revoked");
    assert.deepEqual(
      roles.map(({ type, data, ...header }) => [type, data.before, data.after, (header as never)["authpolicies"]]),
      [
        ["identity.role.granted", [], ["operator"], "token-admin"],
        ["identity.role.granted", ["operator"], ["operator", "viewer"], "token-admin"],
        ["identity.role.revoked", ["operator", "viewer"], ["operator"], "token-admin"],
      ],
    );
    const { body: { access_token: as } } = await house.signIn("alice");
    assert.equal((await house.send("/commands/commits.branch.move/shop", { as, body: TO })).status, 200);
    const [moved] = house.told("commits.branch.moved");
    assert.deepEqual([moved!.authid, (moved as never)["authpolicies"]], [account, "operator"]);
    // The same wish is the same, whichever policy lets it be asked again.
    const headers = { "idempotency-key": "once" };
    const body = { ...TO, to: "b".repeat(40) };
    const token = house.tokenOf(["admin"]);
    assert.equal((await house.send("/commands/commits.branch.move/shop", { as: token, body, headers })).status, 200);
    assert.equal((await house.send("/commands/commits.branch.move/shop", { as: token, body, headers })).status, 200);
    assert.equal(house.told("commits.branch.moved").length, 2);
    const forged = await house.send("/events", {
      as: house.token,
      body: JSON.stringify(event("/x", { authpolicies: "administrator" })),
      headers: CE,
    });
    assert.deepEqual([forged.status, code(forged)], [400, "server_attribute"]);
  }));

const size = (house: House) => house.told().length;

Deno.test("what a tenant has is sent, read and asked by its own people and by the installation, and by nobody else", () =>
  withHouse(async (house) => {
    const [acme, beta] = ["acme", "beta"].map((tenant) => house.tokenOf(["ingest", "command", "read"], tenant));
    const send = (as: string, body: unknown, headers: Record<string, string> = CE) =>
      house.send("/events", { as, body: JSON.stringify(body), headers });
    const sent = await send(acme!, event("/acme/door"));
    assert.equal(sent.status, 201, JSON.stringify(sent.body));
    const { position } = sent.body.receipts[0];
    assert.equal((await send(house.token, event("/acme/door"))).status, 201, "the installation is above");
    const before = size(house);
    const wrong = await send(acme!, [event("/acme/door"), event("/doors")], BATCH);
    assert.deepEqual([wrong.status, code(wrong), wrong.body.index, wrong.body.errors[0].path], [
      403,
      "forbidden",
      1,
      "/1/source",
    ]);
    for (
      const [as, source] of [[acme, "/acm"], [acme, "/beta/door"], [beta, "/acme/door"], [beta, "/doors"]] as const
    ) {
      assert.equal((await send(as!, event(source))).status, 403, source);
    }
    // From a source of its own, but to a stream that is not.
    const finished = event("/acme/ci", {
      type: "releases.deployment.finished",
      data: { deployment: "1", outcome: "failed" },
    });
    const refused = await send(acme!, finished);
    assert.equal(refused.status, 403);
    assert.match(refused.body.errors[0].message, /^\/acme\/ci to releases\/\S+ is not permitted$/);
    assert.equal(size(house), before, "nothing of what was refused is in the log");

    const other = (await send(house.token, event("/doors"))).body.receipts[0].position;
    const read = async (as: string, path: string) => (await house.send(path, { as })).status;
    const stream = encodeURIComponent("inbox//acme/door");
    for (
      const [as, path, status] of [
        [acme, `/events?stream=${stream}`, 200],
        [beta, `/events?stream=${stream}`, 403],
        [house.token, `/events?stream=${stream}`, 200],
        [acme, "/events", 403],
        [acme, "/events?stream=inbox//doors", 403],
        [acme, `/events/${position}`, 200],
        [beta, `/events/${position}`, 403],
        [acme, `/events/${other}`, 403],
        [acme, "/events/999999", 403],
        [house.token, "/events/999999", 404],
        [acme, "/events/x", 403],
        [acme, "/views", 403],
        [acme, "/views/identity.accounts", 403],
        [acme, "/tile/entries/000", 403],
        [acme, `/follow?stream=inbox//doors`, 403],
        [acme, `/follow?stream=`, 403],
        [acme, `/events?stream=${stream}&stream=inbox//doors`, 400],
      ] as const
    ) assert.equal(await read(as!, path), status, path);
    const entry = await house.send(`/events/${position}`, {
      as: acme!,
      headers: { accept: "application/octet-stream" },
    });
    assert.equal(entry.status, 200);

    const move = (as: string, id: string) => house.send(`/commands/commits.branch.move/${id}`, { as, body: TO });
    assert.equal((await move(acme!, "acme-shop")).status, 200);
    for (const id of ["shop", "acm", "%61cme", "x%2F..%2Facme-shop"]) {
      assert.equal((await move(acme!, id)).status, 403, id);
    }
    assert.equal((await move(beta!, "acme-shop")).status, 403);
    assert.equal((await move(acme!, "%61cme-shop")).status, 200, "the same name, written otherwise");
  }, { said: ACME }));

Deno.test("a tenant that has nothing sends nothing, also where no tenant has anything", () =>
  withHouse(async (house) => {
    const token = house.tokenOf(["ingest", "read", "command", "admin"], "acme");
    const account = await house.person("ada", PASSWORD, "acme");
    await house.send(`/accounts/${account}/grant`, { as: house.token, body: { role: "operator" } });
    const { body: { access_token } } = await house.signIn("ada");
    const size = house.told("doors.door.opened").length;
    for (const as of [token, access_token]) {
      for (const source of ["/elsewhere", "urn:test"]) {
        const sent = await house.send("/events", { as, body: event(source), headers: CE });
        assert.deepEqual([sent.status, code(sent)], [403, "forbidden"], source);
      }
      assert.equal((await house.send("/commands/commits.branch.move/shop", { as, body: TO })).status, 403);
      assert.equal((await house.send("/events", { as })).status, 403);
    }
    assert.equal(house.told("doors.door.opened").length, size);
  }));

Deno.test("an administrator of a tenant makes and changes accounts of that tenant, and learns of no other", () =>
  withHouse(async (house) => {
    const admin = house.tokenOf(["admin"], "acme");
    const make = (tenant: string | undefined) =>
      house.send("/accounts", { as: admin, body: { name: `x.${tenant}`, ...(tenant && { tenant }) } });
    const own = await make("acme");
    assert.equal(own.status, 201);
    for (const tenant of ["beta", "default", undefined]) assert.equal((await make(tenant)).status, 403, tenant);
    const stranger = await house.person("bob", PASSWORD, "beta");
    const before = size(house);
    const grant = (account: string) =>
      house.send(`/accounts/${account}/grant`, { as: admin, body: { role: "administrator" } });
    const [theirs, none] = [await grant(stranger), await grant("u_nobodyatall000000")];
    assert.deepEqual([theirs.status, none.status], [403, 403]);
    assert.equal(theirs.body.detail, none.body.detail, "whether there is one is not told");
    for (const path of ["/signing-keys/rotate", "/operations/place-hold"]) {
      assert.equal((await house.send(path, { as: admin, body: {} })).status, 403, path);
    }
    assert.equal((await house.send("/dead-letters", { as: admin })).status, 403);
    assert.equal(size(house), before);
    assert.equal((await grant(own.body.account)).status, 200);
    // Whose administrator that account is now follows from its tenant.
    const set = await house.send("/auth/invitation", { body: { code: own.body.code, password: PASSWORD } });
    assert.equal(set.status, 204);
    const { body: { access_token: as } } = await house.signIn("x.acme");
    assert.equal((await house.send(`/accounts/${stranger}/disable`, { as, body: {} })).status, 403);
  }, { said: ACME }));

Deno.test("policies, roles and tenants are on record from the first start on, and again when they are others", () =>
  inFolder(async (data) => {
    const told = async (said = {}) => {
      let found: readonly { data: { digest: string; replaced?: string; policies: string; tenants: unknown } }[] = [];
      await withHouse(async (house) => {
        // The recording of tokens goes on behind the start.
        await until("the first token's record", () => house.told("access.token.issued").length > 0);
        found = house.told("access.policies.activated");
      }, { said, data });
      return found.map(({ data }) => data);
    };
    const [first] = await told();
    assert.equal(first!.policies, shippedModel().policies);
    assert.equal((await told()).length, 1);
    const [, second] = await told(ACME);
    assert.equal(second!.replaced, first!.digest);
    assert.deepEqual(second!.tenants, {
      acme: { streams: ["commits/acme-"], sources: ["/acme/"] },
      beta: { streams: [], sources: [] },
    });
  }));

Deno.test("policies that tell streams from the whole log by their kind alone count as who-could says", () =>
  inFolder(async (folder) => {
    const { policies, roles } = shippedModel();
    Deno.writeTextFileSync(`${folder}/roles.json`, JSON.stringify(roles));
    const mayRead = async (policy: string) => {
      Deno.writeTextFileSync(`${folder}/a.cedar`, `${policies}\n@id("mine")\n${policy}`);
      const found: (readonly [what: string, answered: boolean, said: boolean])[] = [];
      await withHouse(async (house) => {
        const account = await house.person("vera");
        await house.send(`/accounts/${account}/grant`, { as: house.token, body: { role: "operator" } });
        const { body: { access_token: as } } = await house.signIn("vera");
        const sent = await house.send("/events", { as, body: event("/doors", { subject: "x" }), headers: CE });
        const ask = async (action: string, resource: string) => {
          const query = new URLSearchParams({ action, resource });
          const { body } = await house.send(`/access/who-could?${query}`, { as: house.token });
          return body.principals.some(({ id }: { readonly id: string }) => id === account);
        };
        const stream = sent.body.receipts?.[0].stream ?? "inbox/_";
        const streamed = await ask("events.read", `identity/${account}`);
        for (
          const [path, said] of [
            ["/events", await ask("events.read", "log")],
            [`/events?stream=identity/${account}`, streamed],
            ["/events/0", streamed],
          ] as const
        ) found.push([path, (await house.send(path, { as })).status === 200, said]);
        found.push(["sent", sent.status === 201, await ask("events.ingest", stream)]);
      }, { said: { ACCESS__FOLDER: folder } });
      for (const [what, answered, said] of found) assert.equal(answered, said, `${policy}: ${what}`);
      return found.map(([, answered]) => answered);
    };
    const of = (rule: string) => `forbid (principal is User, action in [Action::"read", Action::"ingest"], ${rule};`;
    assert.deepEqual(await mayRead(of("resource is Stream)")), [true, false, false, false]);
    assert.deepEqual(await mayRead(of("resource) when { resource is Log }")), [false, true, true, true]);
    assert.deepEqual(await mayRead(of('resource == Log::"log")')), [false, true, true, true]);
  }));

Deno.test("policies of as many bytes as there may be are on record, also in place of others", () =>
  inFolder(async (data) => {
    const folder = `${data}/access`;
    const { policies, roles, tenants } = shippedModel();
    const room = ACCESS_LIMITS.bytes_max - new TextEncoder().encode(canonical({ policies, roles, tenants })).length -
      10;
    Deno.mkdirSync(folder);
    Deno.writeTextFileSync(`${folder}/roles.json`, JSON.stringify(roles));
    for (const [i, each] of ["政", "策"].entries()) {
      Deno.writeTextFileSync(`${folder}/a.cedar`, `${policies}\n//${each.repeat(Math.floor(room / 3))}`);
      await withHouse(
        (house) => Promise.resolve(assert.equal(house.told("access.policies.activated").length, i + 1)),
        { data: `${data}/daybook`, said: { ACCESS__FOLDER: folder } },
      );
    }
  }));
