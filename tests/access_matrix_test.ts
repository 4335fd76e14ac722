/** Every route of a running server, asked for by everybody there can be: who gets past the policies is who always did. */
import assert from "node:assert/strict";
import { Secret, TOTP } from "otpauth";
import type { Needs } from "../adapters/http/access.ts";
import { type Scope, SCOPES } from "../events/scopes.ts";
import { type Action, ACTIONS } from "../adapters/http/actions.ts";
import { FORM, form, type House, PASSWORD, withHouse } from "./identity_given.ts";
import { sampling } from "./sampled.ts";

const ROLES: Readonly<Record<string, readonly Scope[]>> = {
  viewer: ["read"],
  operator: ["read", "command", "ingest"],
  auditor: ["read", "personal"],
  administrator: ["read", "command", "ingest", "personal", "admin"],
};
const PRIVILEGED = ["auditor", "administrator"];

type Headers = Readonly<Record<string, string>>;

/** Who asks: a bearer or a cookie, made anew where asking ends its session; and what they are given. */
interface Caller {
  readonly name: string;
  as(): Promise<Headers>;
  readonly given: readonly Scope[] | "nobody" | "refused";
  /** A cookie without the text that goes with it: it reads what it may, and changes nothing. */
  readonly forged?: true;
}

const bearer = (token: string): Headers => ({ authorization: `Bearer ${token}` });
const always = (token: string) => () => Promise.resolve(bearer(token));

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

/** Backup codes of somebody, who signs in with them. */
const codesOf = async (house: House, name: string): Promise<string[]> => {
  const { body: { access_token: as } } = await house.signIn(name);
  const { body: { factor, secret } } = await house.send("/auth/factors/totp", { as, body: { password: PASSWORD } });
  const code = new TOTP({ secret: Secret.fromBase32(secret) }).generate();
  return (await house.send("/auth/factors/confirm", { as, body: { factor, code } })).body.codes;
};

/** Signed in with a backup code as second factor, as often as is asked. */
const withFactor = async (house: House, name: string) => {
  const codes = await codesOf(house, name);
  return async () => {
    const { body: { ticket } } = await house.signIn(name);
    return bearer((await house.send("/auth/second", { body: { ticket, code: codes.pop() } })).body.access_token);
  };
};

/** Signed in on the pages; a privileged role with a code of `codes`. */
const inPages =
  (house: House, name: string, { codes, csrf }: { readonly codes: string[]; readonly csrf: boolean }) =>
  async (): Promise<Headers> => {
    let entered = await house.send("/sign-in", { body: form({ name, password: PASSWORD, next: "/" }), headers: FORM });
    if (entered.status === 200) {
      const ticket = /name="ticket" value="([^"]+)"/.exec(entered.body)![1]!;
      const fields = form({ ticket, code: codes.pop()!, next: "/" });
      entered = await house.send("/sign-in/second", { body: fields, headers: FORM });
    }
    assert.equal(entered.status, 303, `${name}: ${entered.body}`);
    const cookie = entered.headers.get("set-cookie")!.split(";", 1)[0]!;
    if (!csrf) return { cookie };
    return { cookie, "x-csrf-token": (await house.send("/auth/sessions", { headers: { cookie } })).body.csrf };
  };

const callersOf = async (house: House): Promise<readonly Caller[]> => {
  const callers: Caller[] = [
    { name: "nobody", as: () => Promise.resolve({}), given: "nobody" },
    { name: "a wrong token", as: always("dbk_x"), given: "refused" },
  ];
  for (const tenant of ["default", "acme"]) {
    // What is asked here is the installation's, but for what is one's own.
    const here = (given: readonly Scope[]) => tenant === "default" ? given : [];
    for (const role of ["none", ...Object.keys(ROLES)]) {
      const name = `${role}.${tenant}`;
      const account = await house.person(name, PASSWORD, tenant);
      if (role !== "none") await house.send(`/accounts/${account}/grant`, { as: house.token, body: { role } });
      const alone = PRIVILEGED.includes(role) || role === "none" ? [] : ROLES[role]!;
      const signedIn = async () => bearer((await house.signIn(name)).body.access_token);
      callers.push({ name: `${role} of ${tenant}`, as: signedIn, given: here(alone) });
      if (!PRIVILEGED.includes(role)) continue;
      const proven = await house.person(`${name}.2`, PASSWORD, tenant);
      await house.send(`/accounts/${proven}/grant`, { as: house.token, body: { role } });
      const as = await withFactor(house, `${name}.2`);
      callers.push({ name: `${role} of ${tenant}, second factor`, as, given: here(ROLES[role]!) });
    }
    for (const scope of SCOPES) {
      const token = house.tokenOf([scope], tenant);
      const given: readonly Scope[] = scope === "admin" ? ["admin", "read", "command", "ingest"] : [scope];
      callers.push({ name: `token ${scope} of ${tenant}`, as: always(token), given: here(given) });
    }
  }
  return [...callers, ...await keysOf(house), ...await cookiesOf(house)];
};

/** Keys of each role with each scope, and one with all of them in another tenant. */
const keysOf = async (house: House): Promise<readonly Caller[]> => {
  const keyOf = async (role: string, tenant: string, scopes: readonly Scope[]): Promise<Caller> => {
    const name = `key.${role}.${tenant}.${scopes.join("-")}`;
    const body = { name, kind: "service", tenant };
    const { body: { account } } = await house.send("/accounts", { as: house.token, body });
    if (role !== "none") await house.send(`/accounts/${account}/grant`, { as: house.token, body: { role } });
    const made = await house.send(`/accounts/${account}/keys`, { as: house.token, body: { name: "bot", scopes } });
    assert.equal(made.status, 201, JSON.stringify(made.body));
    const given = tenant === "default" ? (ROLES[role] ?? []).filter((scope) => scopes.includes(scope)) : [];
    return { name: `key ${scopes.join(", ")} of ${role} of ${tenant}`, as: always(made.body.token), given };
  };
  const callers: Caller[] = [await keyOf("administrator", "acme", SCOPES)];
  for (const role of ["none", ...Object.keys(ROLES)]) {
    for (const scope of SCOPES) callers.push(await keyOf(role, "default", [scope]));
  }
  return callers;
};

/** Pages of each role, with what goes with the cookie and without it. */
const cookiesOf = async (house: House): Promise<readonly Caller[]> => {
  const callers: Caller[] = [];
  for (const tenant of ["default", "acme"]) {
    for (const role of tenant === "acme" ? ["administrator"] : ["none", ...Object.keys(ROLES)]) {
      for (const csrf of [true, false]) {
        const name = `page.${role}.${tenant}.${csrf}`;
        const account = await house.person(name, PASSWORD, tenant);
        if (role !== "none") await house.send(`/accounts/${account}/grant`, { as: house.token, body: { role } });
        const codes = PRIVILEGED.includes(role) ? await codesOf(house, name) : [];
        callers.push({
          name: `cookie ${csrf ? "with" : "without"} its text of ${role} of ${tenant}`,
          as: inPages(house, name, { codes, csrf }),
          given: tenant === "default" ? ROLES[role] ?? [] : [],
          ...(csrf ? {} : { forged: true }),
        });
      }
    }
  }
  return callers;
};

/** A command or a view that has an action of its own is a command or a view all the same. */
const wanted = (path: string, needs: Scope): readonly Scope[] => {
  if (path.startsWith("/commands/")) return ["command", needs];
  return path.startsWith("/views/") ? ["read", needs] : [needs];
};

/** Whose handlers look for the text in a field of the form. */
const FORMS = /^\/(account|device)(\/|$)/;

/** What is asked of one's own tenant, whichever it is: who may there gets past the door, and is told no behind it or has nothing done. */
const OF_OWN_TENANT: readonly Action[] = ["events.ingest", "blobs.store", "accounts.create"];

Deno.test("a matrix of every route and everybody who may ask", () =>
  withHouse(async (house) => {
    const [places, callers] = [await placesOf(house), await callersOf(house)];
    assert.ok(places.length > 80, String(places.length));
    assert.deepEqual([...new Set(places.map(({ action }) => action))].filter((action) => !(action in ACTIONS)), []);
    let cells = 0;
    const some = sampling(3);
    for (const { name, as, given, forged } of callers) {
      let headers = await as();
      for (const { method, path, action } of some(places)) {
        if (given !== "nobody" && action.startsWith("tree.read_open")) continue;
        const response = await fetch(`${house.url}${path}`, {
          method,
          redirect: "manual",
          headers: {
            ...headers,
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
          if (forged && method !== "GET") {
            assert.ok(problem?.type === "urn:daybook:problem:csrf" || FORMS.test(path) && response.status >= 400, told);
          } else if (needs === "any" || wanted(path, needs).every((one) => given.includes(one))) {
            assert.ok(!byPolicy, told);
          } else if (!(OF_OWN_TENANT.includes(action) && name.includes("acme"))) assert.ok(byPolicy, told);
        }
        assert.ok(response.status < 500, told);
        // Signing out is one's own, too.
        if (!forged && /sign-out|revoke|logout/.test(path) && typeof given !== "string") headers = await as();
      }
    }
    console.log(`${places.length} routes × ${callers.length} callers = ${cells} answers`);
  }, { said: { SERVER__RATE__DENIED_MAX: "100000" } }));
