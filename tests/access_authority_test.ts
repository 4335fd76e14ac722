/** Policies at work: shipped ones give what roles and scopes always gave, others are held against the schema, and decisions are kept. */
import assert from "node:assert/strict";
import type { Needs } from "../adapters/http/access.ts";
import { SCOPES } from "../events/scopes.ts";
import { type Action, ACTIONS, groupOf } from "../adapters/http/actions.ts";
import { type Asker, LOG, type Resource } from "../adapters/http/authority.ts";
import { CedarAuthority, DECISIONS_HELD_MAX } from "../adapters/program/access/authority.ts";
import { digestOf, modelIn, shippedModel } from "../adapters/program/access/model.ts";
import { ACCESS_LIMITS } from "../events/access.ts";
import { POLICIES_MAX, POLICY_DEPTH_MAX } from "../adapters/cedar/policies.ts";
import { parseRoles } from "../config/access.ts";
import { inFolder } from "./folder_given.ts";

const TENANTS = {
  acme: { streams: ["commits/acme-"], sources: ["/acme/"] },
  beta: { streams: ["commits/beta-"], sources: [] },
};

/** What roles gave when they were a table in the program. */
const GAVE: Readonly<Record<string, readonly string[]>> = {
  viewer: ["read"],
  operator: ["read", "command", "ingest"],
  auditor: ["read", "personal"],
  administrator: ["read", "command", "ingest", "personal", "admin"],
};

const user = (tenant: string, ...roles: readonly string[]): Asker => ({
  id: "u_aaaaaaaaaaaaaaaa",
  scopes: [],
  roles,
  tenant,
  own: { account: "u_aaaaaaaaaaaaaaaa", session: "s" },
  principal: { authtype: "user", authid: "u_aaaaaaaaaaaaaaaa" },
});
const token = (tenant: string, ...scopes: readonly string[]): Asker => ({
  id: "t_aaaaaaaaaaaaaaaa",
  scopes,
  tenant,
  principal: { authtype: "api_key", authid: "t_aaaaaaaaaaaaaaaa" },
});
const key = (tenant: string, roles: readonly string[], scopes: readonly string[]): Asker => ({
  ...token(tenant, ...scopes),
  roles,
  account: "u_aaaaaaaaaaaaaaaa",
});
const stream = (id: string, tenant: string): Resource => ({ type: "Stream", id, tenant });
const ready = async (...given: ConstructorParameters<typeof CedarAuthority>): Promise<CedarAuthority> => {
  const authority = new CedarAuthority(...given);
  await authority.ready();
  return authority;
};

Deno.test("the shipped policies give roles and scopes what they always gave, for every action and tenant", async () => {
  const authority = await ready(shippedModel(TENANTS), "config/access/policies.cedar");
  const resources: readonly Resource[] = [
    LOG,
    { type: "View", id: "identity.accounts", tenant: "default" },
    { type: "Operation", id: "erase-subject", tenant: "default" },
    ...["acme", "beta"].flatMap((tenant): Resource[] => [
      { type: "Tenant", id: tenant, tenant },
      { type: "Account", id: "u_b", tenant },
      stream(`commits/${tenant}-x`, tenant),
    ]),
  ];
  const may = (given: readonly string[], needs: Needs, of: string, { tenant }: Resource): boolean =>
    needs === "any" || needs === "nothing" || (given.includes(needs) && (of === "default" || of === tenant));
  let asked = 0;
  const check = (asker: Asker | undefined, action: Action, resource: Resource, expected: boolean) => {
    const { allowed, policies } = authority.decide(asker, action, resource);
    const told = JSON.stringify([asker?.roles, asker?.scopes, asker?.tenant, action, resource]);
    assert.equal(allowed, expected, told);
    if (allowed) assert.ok(policies.length > 0, told);
    asked++;
  };
  const ofOneTenant = (tenant: string, action: Action, resource: Resource, all: boolean) => {
    const needs = ACTIONS[action];
    for (const roles of [[], ["unheard_of"], ["viewer", "auditor"], ...Object.keys(GAVE).map((role) => [role])]) {
      const given = roles.flatMap((role) => GAVE[role] ?? []);
      check(user(tenant, ...roles), action, resource, may(given, needs, tenant, resource));
      for (const scopes of all ? [[], ["read"], [...SCOPES]] : []) {
        const both = given.filter((one) => (scopes as string[]).includes(one));
        check(key(tenant, roles, scopes), action, resource, may(both, needs, tenant, resource));
      }
    }
    for (const scopes of [[], [...SCOPES], ...SCOPES.map((scope) => [scope])]) {
      const given = scopes.includes("admin") ? [...scopes, "ingest", "command", "read"] : scopes;
      check(token(tenant, ...scopes), action, resource, may(given, needs, tenant, resource));
    }
  };
  const groups = new Set<Needs>();
  for (const action of Object.keys(ACTIONS) as Action[]) {
    // The first of each group is asked about everything, the others about the log: policies know groups alone.
    const all = !groups.has(ACTIONS[action]);
    groups.add(ACTIONS[action]);
    for (const resource of all ? resources : [LOG]) {
      check(undefined, action, resource, ACTIONS[action] === "nothing");
      for (const tenant of ["default", "acme"]) ofOneTenant(tenant, action, resource, all);
    }
  }
  console.log(`${asked} questions to the shipped policies`);
  assert.deepEqual(authority.scopesOf(user("acme", "operator")), ["ingest", "command", "read"]);
  assert.deepEqual(authority.scopesOf(user("acme")), []);
});

Deno.test("a decision names the policies that made it, whether it permits or forbids", async () => {
  const { policies, ...rest } = shippedModel(TENANTS);
  const more = `@id("no-writing-on-main")
forbid (principal, action == Action::"commands.send", resource == Stream::"commits/main") unless { principal in Role::"administrator" };
@id("bob")
permit (principal == User::"u_bbbbbbbbbbbbbbbb", action == Action::"views.read", resource == View::"identity.keys");
@id("releases")
permit (principal in Role::"releaser", action == Action::"commands.send", resource is Stream) when { resource.domain == "releases" };`;
  const roles = { ...rest.roles, releaser: { includes: [], privileged: false } };
  const authority = await ready({ ...rest, roles, policies: `${policies}\n${more}` }, "more.cedar");
  const decide = (asker: Asker | undefined, action: Action, resource: Resource) => {
    const { allowed, policies } = authority.decide(asker, action, resource);
    return [allowed, ...policies];
  };
  const main = stream("commits/main", "default");
  assert.deepEqual(decide(user("default", "operator"), "commands.send", main), [false, "no-writing-on-main"]);
  assert.deepEqual(decide(user("default", "operator"), "commands.send", stream("commits/x", "default")), [
    true,
    "operator",
  ]);
  assert.deepEqual(decide(user("default", "administrator"), "commands.send", main), [true, "operator"]);
  assert.deepEqual(decide(user("default"), "views.read", LOG), [false]);
  const keys: Resource = { type: "View", id: "identity.keys", tenant: "default" };
  assert.deepEqual(decide({ ...user("acme"), id: "u_bbbbbbbbbbbbbbbb" }, "views.read", keys), [true, "bob"]);
  assert.deepEqual(decide(user("acme"), "views.read", keys), [false]);
  assert.deepEqual(
    decide({ ...user("acme"), id: "u_bbbbbbbbbbbbbbbb" }, "views.read", { ...keys, id: "audit.trail" }),
    [false],
  );
  assert.deepEqual(decide(user("acme", "releaser"), "commands.send", stream("releases/1", "default")), [
    true,
    "releases",
  ]);
  assert.deepEqual(decide(user("acme", "releaser"), "commands.send", stream("commits/1", "default")), [false]);
  assert.ok(authority.byStream);
});

Deno.test("what was decided is kept for all of whom no policy tells apart, up to a bound", async () => {
  const authority = await ready(shippedModel(TENANTS));
  for (let i = 0; i < 100; i++) {
    authority.decide(
      { ...token("default", "ingest"), id: `t_${i}` },
      "events.ingest",
      stream(`commits/${i}`, "default"),
    );
  }
  assert.equal(authority.held, 1);
  for (let i = 0; i < DECISIONS_HELD_MAX + 5; i++) authority.decide(user("default", `r${i}`), "events.read", LOG);
  assert.equal(authority.held, DECISIONS_HELD_MAX);
});

Deno.test("policies and roles that do not hold are refused with file, line and column", () =>
  inFolder(async (folder) => {
    const write = (policies: string, roles = '{"viewer":{}}') => {
      Deno.writeTextFileSync(`${folder}/a.cedar`, policies);
      Deno.writeTextFileSync(`${folder}/roles.json`, roles);
    };
    const wrong: readonly (readonly [string, RegExp])[] = [
      ['@id("a")\npermit (principal, action, resource', /:2:\d+: failed to parse/],
      [
        '// é\n@id("a")\npermit (principal, action == Action::"events.raed", resource);',
        /:3:\d+: .*unrecognized action/,
      ],
      ['@id("a")\npermit (principal, action, resource) when { principal.salary > 3 };', /:2:\d+: .*salary/],
      ['@id("a")\npermit (principal == Person::"x", action, resource);', /:2:\d+: .*Person/],
      // It would forbid all, for nobody can have it.
      [
        '// é\n@id("a")\nforbid (principal, action, resource)\nunless { principal in [Role::"viewer", Role::"editor"] };',
        /:4:40: there is no role "editor" in roles\.json/,
      ],
      [
        '@id("a") // by Role::"editor"\nforbid (principal in Role::"editor", action, resource);',
        /:2:22: there is no role "editor" in roles\.json/,
      ],
      ["\npermit (principal, action, resource);", /:2:1: a policy has a name here/],
      ['@id("a b")\npermit (principal, action, resource);', /:1:1: a policy's name/],
      [
        '@id("a") permit (principal, action, resource);\n@id("a") forbid (principal, action, resource);',
        /there is a policy "a" already/,
      ],
      ['// é\n@id("a")\npermit (principal == ?principal, action, resource);', /:3:22: .*template/],
      [
        Array.from({ length: POLICIES_MAX + 1 }, (_, i) => `@id("a${i}")permit(principal,action,resource);`).join(""),
        /at most 500 policies/,
      ],
    ];
    for (const [policies, told] of wrong) {
      write(policies);
      await assert.rejects(async () => await ready(await modelIn(folder, {}), "a.cedar"), told, policies.slice(0, 80));
    }
    // Of several files the one is told in which it stands.
    write('// one line\n@id("a")\npermit (principal, action, resource);');
    Deno.writeTextFileSync(`${folder}/b.cedar`, '@id("b")\npermit (principal, action == Action::"no", resource);');
    await assert.rejects(async () => await ready(await modelIn(folder, {}), folder), (error: Error) => {
      assert.ok(error.message.startsWith(`${folder}/b.cedar:2:`), error.message);
      return true;
    });
    Deno.removeSync(`${folder}/b.cedar`);
    for (
      const [roles, told] of [
        ["{", /roles\.json: not JSON/],
        ["[]", /roles\.json: /],
        ['{"A":{}}', /roles\.json: \/A/],
        ['{"a":{"includes":["b"]}}', /\/a\/includes: there is no role b/],
        ['{"a":{"includes":["b"]},"b":{"includes":["a"]}}', /\/a\/includes: it includes itself/],
        ['{"a":{"includes":["b"]},"b":{"privileged":true}}', /\/a: it includes b, which is privileged/],
        ['{"a":{"power":1}}', /power/],
        [JSON.stringify(Object.fromEntries(Array.from({ length: 51 }, (_, i) => [`r${i}`, {}]))), /at most 50 roles/],
      ] as const
    ) {
      write('@id("a") permit (principal, action, resource);', roles);
      await assert.rejects(modelIn(folder, {}), told, roles);
    }
    Deno.removeSync(`${folder}/roles.json`);
    await assert.rejects(modelIn(folder, {}), /there is no roles\.json/);
    Deno.removeSync(`${folder}/a.cedar`);
    await assert.rejects(modelIn(folder, {}), /has no \.cedar file/);
    await assert.rejects(modelIn(`${folder}/none`, {}), /is not there/);
  }));

Deno.test("a model has one digest, and at most what one event has room for", () => {
  const model = shippedModel(TENANTS);
  assert.equal(digestOf(model), digestOf({ ...model, tenants: Object.fromEntries(Object.entries(TENANTS).reverse()) }));
  assert.notEqual(digestOf(model), digestOf(shippedModel()));
  assert.throws(
    () => digestOf({ ...model, policies: "x".repeat(ACCESS_LIMITS.policies_chars_max + 1) }),
    /at most 32000/,
  );
  // Fewer characters, of three bytes each.
  assert.throws(() => digestOf({ ...model, policies: "政".repeat(20_000) }), /at most 59000 bytes/);
  const streams = Array.from({ length: 100 }, (_, i) => `commits/${"x".repeat(150)}${i}`);
  assert.throws(() => digestOf({ ...model, tenants: { acme: { streams, sources: [] } } }), /at most 12000/);
});

Deno.test("the shipped roles are those of the file, and what a role includes follows", () => {
  const { roles } = shippedModel();
  assert.deepEqual(Object.keys(roles), Object.keys(GAVE));
  assert.deepEqual(Object.entries(roles).filter(([, { privileged }]) => privileged).map(([role]) => role), [
    "auditor",
    "administrator",
  ]);
  assert.ok(parseRoles("f", '{"a":{"includes":["b"]},"b":{}}').ok);
});

Deno.test("docs/access.md lists every action in its group", async () => {
  const page = await Deno.readTextFile(new URL("../docs/access.md", import.meta.url));
  const groups = new Map<string, string[]>();
  for (const [action, needs] of Object.entries(ACTIONS)) {
    groups.set(groupOf(needs), [...groups.get(groupOf(needs)) ?? [], `\`${action}\``]);
  }
  for (const [group, actions] of groups) assert.ok(page.includes(`| \`${group}\` | ${actions.join(" ")} |`), group);
});

Deno.test("of a key policies may ask in which tenant its account is, and which roles it has", async () => {
  const { policies, ...rest } = shippedModel(TENANTS);
  const more = `@id("of-the-house")
forbid (principal is Key, action in Action::"command", resource) when { principal.account.tenant != Tenant::"default" };
@id("no-keys-of-auditors")
forbid (principal is Key, action in Action::"read", resource) when { principal.account in Role::"auditor" };`;
  const authority = await ready({ ...rest, policies: `${policies}\n${more}` }, "more.cedar");
  const decide = (tenant: string, role: string, action: Action) => {
    const { allowed, policies } = authority.decide(key(tenant, [role], SCOPES), action, stream("commits/x", tenant));
    return [allowed, ...policies];
  };
  assert.deepEqual(decide("default", "operator", "commands.send"), [true, "operator"]);
  assert.deepEqual(decide("acme", "operator", "commands.send"), [false, "of-the-house"]);
  assert.deepEqual(decide("default", "viewer", "events.read"), [true, "viewer"]);
  // Roles that include it count as it does.
  assert.deepEqual(decide("default", "administrator", "events.read"), [false, "no-keys-of-auditors"]);
});

Deno.test("policies that go deeper than the engine can decide are told with their place, and those at the bound are decided", async () => {
  const { policies, ...rest } = shippedModel();
  const given = (terms: readonly string[], between: string) =>
    ready({
      ...rest,
      policies: `${policies}\n@id("deep")\nforbid (principal is User, action, resource) when { ${
        terms.join(between)
      } };`,
    }, "deep.cedar");
  const many = (count: number) => Array.from({ length: count }, (_, i) => `User::"u_${i}"`);
  const others = (count: number) => many(count).map((one) => `principal == ${one}`);
  const too = (error: Error) => /^deep\.cedar:\d+:1: .*at most 250 deep/.test(error.message);
  for (const between of [" || ", " && ", " } when { "]) {
    const authority = await given(others(POLICY_DEPTH_MAX - 5), between);
    assert.equal(authority.decide(user("default", "viewer"), "events.read", LOG).allowed, true, between);
    await assert.rejects(given(others(POLICY_DEPTH_MAX + 100), between), too, between);
  }
  // Names in one list are beside each other.
  const listed = await given([`principal in [${many(3_000).join(", ")}]`], "");
  assert.equal(listed.decide(user("default", "viewer"), "events.read", LOG).allowed, true);
});

Deno.test("a policy that a link leads to counts as one that lies there", () =>
  inFolder(async (folder) => {
    const { policies, roles } = shippedModel();
    const access = `${folder}/access`;
    for (const name of [access, `${access}/a.cedar.d`, `${folder}/shared`]) Deno.mkdirSync(name);
    Deno.writeTextFileSync(`${access}/roles.json`, JSON.stringify(roles));
    Deno.writeTextFileSync(`${access}/a.cedar`, policies);
    const closed = '@id("closed")\nforbid (principal is User, action in Action::"read", resource);';
    Deno.writeTextFileSync(`${folder}/shared/closed.cedar`, closed);
    Deno.symlinkSync("../shared/closed.cedar", `${access}/closed.cedar`);
    const authority = await ready(await modelIn(access, {}), access);
    assert.deepEqual(authority.decide(user("default", "viewer"), "events.read", LOG), {
      allowed: false,
      policies: ["closed"],
    });
    // One that leads nowhere may have said something: it is not passed over.
    Deno.removeSync(`${folder}/shared/closed.cedar`);
    await assert.rejects(modelIn(access, {}), /closed\.cedar/);
  }));
