/** Every route of a running server, asked for by everybody there can be: who gets past the policies is who always did. */
import assert from "node:assert/strict";
import { Secret, TOTP } from "otpauth";
import type { Needs, Scope } from "../adapters/http/access.ts";
import { SCOPES } from "../adapters/http/access.ts";
import { type Action, ACTIONS } from "../adapters/http/actions.ts";
import { type House, PASSWORD, withHouse } from "./identity_given.ts";

const ROLES: Readonly<Record<string, readonly Scope[]>> = {
  viewer: ["read"],
  operator: ["read", "command", "ingest"],
  auditor: ["read", "personal"],
  administrator: ["read", "command", "ingest", "personal", "admin"],
};
const PRIVILEGED = ["auditor", "administrator"];

/** Who asks: a bearer, made anew where asking ends its session; and what they are given. */
interface Caller {
  readonly name: string;
  as(): Promise<string | undefined>;
  readonly given: readonly Scope[] | "nobody" | "refused";
}

interface Place {
  readonly method: string;
  readonly path: string;
  readonly action: Action;
}

/** The route table as the server tells it, paths with something in their places. */
const placesOf = async (house: House): Promise<readonly Place[]> => {
  const { body } = await house.send("/openapi.json", { as: house.token });
  const paths = body.paths as Record<string, Record<string, { "x-action": Action }>>;
  return Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, operation]) => ({
      method: method.toUpperCase(),
      path: path.replaceAll("{account}", "u_nobodyatall000000").replaceAll(/\{\w+\}/g, "0"),
      action: operation["x-action"],
    }))
  );
};

/** Signed in with a backup code as second factor, as often as is asked. */
const withFactor = async (house: House, name: string) => {
  const { body: { access_token: as } } = await house.signIn(name);
  const { body: { factor, secret } } = await house.send("/auth/factors/totp", { as, body: { password: PASSWORD } });
  const code = new TOTP({ secret: Secret.fromBase32(secret) }).generate();
  const { body: { codes } } = await house.send("/auth/factors/confirm", { as, body: { factor, code } });
  return async () => {
    const { body: { ticket } } = await house.signIn(name);
    return (await house.send("/auth/second", { body: { ticket, code: codes.pop() } })).body.access_token as string;
  };
};

const callersOf = async (house: House): Promise<readonly Caller[]> => {
  const callers: Caller[] = [
    { name: "nobody", as: () => Promise.resolve(undefined), given: "nobody" },
    { name: "a wrong token", as: () => Promise.resolve("dbk_x"), given: "refused" },
  ];
  for (const tenant of ["default", "acme"]) {
    // What is asked here is the installation's, but for what is one's own.
    const here = (given: readonly Scope[]) => tenant === "default" ? given : [];
    for (const role of ["none", ...Object.keys(ROLES)]) {
      const name = `${role}.${tenant}`;
      const account = await house.person(name, PASSWORD, tenant);
      if (role !== "none") await house.send(`/accounts/${account}/grant`, { as: house.token, body: { role } });
      const alone = PRIVILEGED.includes(role) || role === "none" ? [] : ROLES[role]!;
      const bearer = async () => (await house.signIn(name)).body.access_token as string;
      callers.push({ name: `${role} of ${tenant}`, as: bearer, given: here(alone) });
      if (!PRIVILEGED.includes(role)) continue;
      const proven = await house.person(`${name}.2`, PASSWORD, tenant);
      await house.send(`/accounts/${proven}/grant`, { as: house.token, body: { role } });
      const as = await withFactor(house, `${name}.2`);
      callers.push({ name: `${role} of ${tenant}, second factor`, as, given: here(ROLES[role]!) });
    }
    for (const scope of SCOPES) {
      const token = house.tokenOf([scope], tenant);
      const given: readonly Scope[] = scope === "admin" ? ["admin", "read", "command", "ingest"] : [scope];
      callers.push({ name: `token ${scope} of ${tenant}`, as: () => Promise.resolve(token), given: here(given) });
    }
  }
  return callers;
};

/** What is asked of one's own tenant, whichever it is: who may there gets past the door, and is told no behind it or has nothing done. */
const OF_OWN_TENANT: readonly Action[] = ["events.ingest", "blobs.store", "accounts.create"];

Deno.test("a matrix of every route and everybody who may ask", () =>
  withHouse(async (house) => {
    const [places, callers] = [await placesOf(house), await callersOf(house)];
    assert.ok(places.length > 80, String(places.length));
    assert.deepEqual([...new Set(places.map(({ action }) => action))].filter((action) => !(action in ACTIONS)), []);
    let cells = 0;
    for (const { name, as, given } of callers) {
      let bearer = await as();
      for (const { method, path, action } of places) {
        if (given !== "nobody" && action.startsWith("tree.read_open")) continue;
        const response = await fetch(`${house.url}${path}`, {
          method,
          redirect: "manual",
          headers: {
            ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }),
            ...(method === "POST" ? { "content-type": "application/json" } : {}),
          },
          ...(method === "POST" ? { body: "{" } : {}),
        });
        const problem = response.headers.get("content-type") === "application/problem+json"
          ? await response.json()
          : await response.body?.cancel();
        const byPolicy = response.status === 403 && problem?.type === "urn:daybook:problem:forbidden" &&
          problem.action !== undefined;
        const told = `${name}: ${method} ${path} (${action}) answered ${response.status} ${problem?.type ?? ""}`;
        cells++;
        const needs: Needs = ACTIONS[action];
        if (needs === "nothing") assert.ok(!byPolicy, told);
        else if (typeof given === "string") assert.equal(response.status, 401, told);
        else {
          assert.notEqual(response.status, 401, told);
          if (needs === "any" || given.includes(needs)) assert.ok(!byPolicy, told);
          else if (!(OF_OWN_TENANT.includes(action) && name.includes("acme"))) assert.ok(byPolicy, told);
        }
        assert.ok(response.status < 500, told);
        // Signing out is one's own, too.
        if (/sign-out|revoke|logout/.test(path) && typeof given !== "string") bearer = await as();
      }
    }
    console.log(`${places.length} routes × ${callers.length} callers = ${cells} answers`);
  }, { said: { SERVER__RATE__DENIED_MAX: "100000" } }));
