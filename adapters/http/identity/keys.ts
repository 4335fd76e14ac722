/** `/auth/keys` and `/accounts/…/keys`: keys with which programs act for an account. A key is shown once, in the answer that makes it. */
import { z } from "zod";
import type { Outcome } from "../../../actors/kernel/daybook.ts";
import { HOUSE } from "../../../events/tenants.ts";
import { type Scope, SCOPES } from "../../../events/scopes.ts";
import type { Action } from "../actions.ts";
import { type Asker, type Authority, tenantOf } from "../authority.ts";
import { answers, content, inPath, object, problems, text } from "../openapi_parts.ts";
import { Problem } from "../problem.ts";
import { segment } from "../query.ts";
import { type Exchange, json, type Route } from "../route.ts";
import { anAccount, body, takes } from "./bodies.ts";
import type { Identity, KeyMade } from "./port.ts";
import { accountOf, bodyOf, done, knownAccountOf, ownOf } from "./requests.ts";

const DAY_MS = 86_400_000;

/** Names are for people: nothing that would not show. */
export const newKeyBody = z.strictObject({
  name: z.string().min(1).max(100).regex(/^[^\p{Cc}\p{Cf}\p{Cs}]+$/u, "a name that can be seen"),
  scopes: z.array(z.enum(SCOPES)).min(1).max(SCOPES.length),
  days: z.int().min(1).max(366).optional(),
});
const revokeBody = z.strictObject({ because: z.enum(["asked", "compromised"]).default("asked") });
const nothingBody = z.strictObject({});

const made = answers(
  "The key, which is not shown again",
  content("application/json", object({ key: text, token: text, until: text })),
);
const listed = answers(
  "Keys that count",
  content("application/json", object({ keys: { type: "array", items: { type: "object" } } })),
);
const aKey = inPath("key", "Id of the key, t_….");

/** Of whom, and whether what is asked may be done. */
interface Way {
  readonly at: string;
  readonly needs: "any" | "admin";
  readonly whose: (exchange: Exchange) => string;
  readonly resource?: Route["resource"];
  readonly actions: Readonly<Record<"read" | "issue" | "rotate" | "revoke", Action>>;
  readonly parameters: readonly unknown[];
  /** Throws where a key of these scopes is not to be had this way. */
  readonly check: (exchange: Exchange, scopes: readonly Scope[]) => void;
}

export const keyRoutes = (
  identity: Identity,
  authority: Pick<Authority, "decide">,
): readonly Route[] => [
  ...routesOf(identity, ownWay(authority)),
  ...routesOf(identity, othersWay(identity)),
];

/** Making and replacing one's own, for the routes and the page alike. Throws the problem where a scope is not to be had. */
export interface OwnKeys {
  issue(exchange: Exchange, asked: z.output<typeof newKeyBody>): Promise<KeyMade | Outcome>;
  rotate(exchange: Exchange, key: string): Promise<KeyMade | Outcome>;
}

export const ownKeys = (identity: Identity, authority: Pick<Authority, "decide">): OwnKeys =>
  keysBy(identity, ownWay(authority));

const keysBy = (identity: Identity, way: Way): OwnKeys => ({
  async issue(exchange, { name, scopes, days }) {
    way.check(exchange, scopes);
    const asked = { name, scopes: [...new Set(scopes)], ...(days === undefined ? {} : { valid_ms: days * DAY_MS }) };
    return await identity.issueKey(way.whose(exchange), asked, exchange.grant!.principal);
  },
  async rotate(exchange, key) {
    const account = way.whose(exchange);
    const old = identity.apiKeys(account).find((each) => each.key === key);
    way.check(exchange, (old?.scopes ?? []) as readonly Scope[]);
    return await identity.rotateKeyOf(account, old?.key ?? NO_KEY, exchange.grant!.principal);
  },
});

/** A key that is none is one that the account has not. */
const NO_KEY = "none_no_such_key";

/** One's own: a key has no scope that the session in which it is made has not. */
const ownWay = (authority: Pick<Authority, "decide">): Way => ({
  at: "/auth/keys",
  needs: "any",
  whose: (exchange) => ownOf(exchange).account,
  actions: { read: "account.use", issue: "account.use", rotate: "account.use", revoke: "account.use" },
  parameters: [],
  check({ grant }, scopes) {
    const beyond = scopes.filter((scope) => !mayAll(authority, grant!, scope));
    if (beyond.length === 0) return;
    throw new Problem("forbidden", `A key has no scope that you have not in this session: ${beyond.join(", ")}.`, {
      members: { scopes: beyond },
    });
  },
});

const mayAll = (authority: Pick<Authority, "decide">, asker: Asker, scope: Scope): boolean =>
  authority.decide(asker, ASKED_FOR[scope], tenantOf(asker.tenant)).allowed;
/** One action of each group stands for it. */
const ASKED_FOR: Readonly<Record<Scope, Action>> = {
  ingest: "events.ingest",
  command: "commands.send",
  read: "events.read",
  personal: "personal.read",
  admin: "accounts.create",
};

/** By an administrator, who can read and revoke everybody's; but who had a key of a person's would be that person. */
const othersWay = (identity: Identity): Way => ({
  at: "/accounts/:account/keys",
  needs: "admin",
  whose: (exchange) => knownAccountOf(identity, exchange),
  resource: ({ path }) => {
    const account = accountOf({ path });
    return { type: "Account", id: account, tenant: identity.tenantOf(account) ?? HOUSE };
  },
  actions: { read: "keys.read", issue: "keys.issue", rotate: "keys.rotate", revoke: "keys.revoke" },
  parameters: [anAccount],
  check(exchange) {
    if (identity.isService(knownAccountOf(identity, exchange))) return;
    throw new Problem("forbidden", "A person makes their own keys; others are made for services.");
  },
});

const routesOf = (identity: Identity, way: Way): readonly Route[] => {
  const { at, needs, actions, parameters, resource } = way;
  const own = keysBy(identity, way);
  const common = { ...(resource && { resource }) };
  const outcomes = needs === "any" ? (["csrf"] as const) : (["no_account"] as const);
  return [{
    ...common,
    method: "GET",
    path: at,
    action: actions.read,
    about: "Keys of the account that count: what they begin with, what they may, when they were last used.",
    openapi: () => ({ parameters, responses: { "200": listed, ...problems(needs, ...outcomes) } }),
    handle: (exchange) => json(exchange, 200, { keys: identity.apiKeys(way.whose(exchange)) }),
  }, {
    ...common,
    method: "POST",
    path: at,
    action: actions.issue,
    fresh: true,
    about: "Makes a key, which is shown in this answer alone.",
    openapi: () => ({
      parameters,
      requestBody: takes(newKeyBody),
      responses: { "201": made, ...problems(needs, "factor_wanted", "rejected", ...outcomes, ...body, "unwritable") },
    }),
    async handle(exchange) {
      const asked = await bodyOf(exchange, newKeyBody, { required: true });
      return shown(exchange, await own.issue(exchange, asked));
    },
  }, {
    ...common,
    method: "POST",
    path: `${at}/:key/rotate`,
    action: actions.rotate,
    fresh: true,
    about: "A new key takes the place of one, with its name and scopes; the old one counts for a while.",
    openapi: () => ({
      parameters: [...parameters, aKey],
      requestBody: takes(nothingBody, false),
      responses: { "201": made, ...problems(needs, "factor_wanted", "rejected", ...outcomes, ...body, "unwritable") },
    }),
    async handle(exchange) {
      await bodyOf(exchange, nothingBody);
      return shown(exchange, await own.rotate(exchange, keyOf(exchange, -2)));
    },
  }, {
    ...common,
    method: "POST",
    path: `${at}/:key/revoke`,
    action: actions.revoke,
    about: "It lets nobody in any more.",
    openapi: () => ({
      parameters: [...parameters, aKey],
      requestBody: takes(revokeBody, false),
      responses: {
        "200": answers(
          "What was recorded",
          content("application/json", object({ key: text, revoked: { type: "boolean" } })),
        ),
        ...problems(needs, "rejected", ...outcomes, ...body, "unwritable"),
      },
    }),
    async handle(exchange) {
      const { because } = await bodyOf(exchange, revokeBody);
      const account = way.whose(exchange);
      const { facts } = done(
        await identity.revokeKeyOf(account, keyOf(exchange, -2), because, exchange.grant!.principal),
      );
      return json(exchange, 200, { key: namedIn(exchange, -2), revoked: facts.length > 0 });
    },
  }];
};

const namedIn = ({ path }: Exchange, at: number): string => segment(path.split("/").at(at)!);

const keyOf = (exchange: Exchange, at: number): string => {
  const key = namedIn(exchange, at);
  return /^[\w-]{16,64}$/.test(key) ? key : NO_KEY;
};

const shown = (exchange: Exchange, outcome: KeyMade | Outcome): Response => {
  if (outcome.is !== "made") throw done(outcome);
  const { key, token, until } = outcome;
  return json(exchange, 201, { key, token, until });
};
