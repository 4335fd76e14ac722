/** `/accounts/…`: what an administrator does about accounts. Nobody is told a password here, and nobody chooses one for another. */
import { z } from "zod";
import { HOUSE } from "../../../events/tenants.ts";
import { forbidden } from "../access.ts";
import type { Action } from "../actions.ts";
import { tenantOf } from "../authority.ts";
import { answers, content, object, problems, text } from "../openapi_parts.ts";
import { Problem } from "../problem.ts";
import { ofOwnTenant } from "../resources.ts";
import { type Exchange, json, type Route } from "../route.ts";
import { anAccount, body, takes } from "./bodies.ts";
import type { AccountChange, Identity } from "./port.ts";
import { accountOf, bodyOf, done, knownAccountOf } from "./requests.ts";

const reason = z.string().min(1).max(280).optional();

const newAccountBody = z.strictObject({
  name: z.string().min(1).max(255),
  tenant: z.string().max(64).regex(/^[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?$/).default("default"),
  email: z.email().max(254).optional(),
  kind: z.enum(["person", "service"]).default("person"),
  bcrypt: z.string().max(100).optional(),
});
const nothingBody = z.strictObject({});
const reasonBody = z.strictObject({ reason });
const offboardBody = z.strictObject({ left: z.iso.datetime({ offset: true }).optional(), reason });
const inviteBody = z.strictObject({ purpose: z.enum(["activation", "reset"]).default("reset") });

export const accountRoutes = (identity: Identity, roles: readonly string[]): readonly Route[] => {
  /** What is not there is the installation's, so that who may not look there is told the same of both. */
  const ofAccount: Route["resource"] = ({ path }) => {
    const account = accountOf({ path });
    return { type: "Account", id: account, tenant: identity.tenantOf(account) ?? HOUSE };
  };
  const roleBody = z.strictObject({
    role: z.enum(roles),
    approvedby: z.string().min(1).max(100).optional().meta({
      description: "Opaque id of who agreed; not of who asks.",
    }),
  });
  /** A route that asks one thing of one account. */
  const change = <S extends z.ZodType>(
    verb: string,
    action: Action,
    says: string,
    schema: S,
    of: (given: z.output<S>) => AccountChange,
  ): Route => ({
    method: "POST",
    path: `/accounts/:account/${verb}`,
    action,
    resource: ofAccount,
    fresh: true,
    about: says,
    openapi: () => ({
      parameters: [anAccount],
      requestBody: takes(schema, false),
      responses: {
        "200": answers("What was recorded; nothing, if it was so already", content("application/json", recorded)),
        ...problems("admin", "factor_wanted", "no_account", "rejected", ...body, "unwritable"),
      },
    }),
    async handle(exchange) {
      const account = accountOf(exchange);
      const given = await bodyOf(exchange, schema);
      const outcome = done(await identity.change(account, of(given), exchange.grant!.principal));
      return json(exchange, 200, { account, facts: outcome.facts.map(({ type, position }) => ({ type, position })) });
    },
  });
  return [
    {
      method: "POST",
      path: "/accounts",
      action: "accounts.create",
      resource: ofOwnTenant,
      fresh: true,
      about:
        "Makes an account. A person chooses a password with the code in the answer, or brings a bcrypt hash along.",
      openapi: () => ({
        requestBody: takes(newAccountBody),
        responses: {
          "201": answers(
            "Its id, and a code that is not shown again",
            content("application/json", object({ account: text, code: text }, ["account"])),
          ),
          ...problems("admin", "factor_wanted", "rejected", ...body, "unwritable"),
        },
      }),
      handle: (exchange) => create(exchange, identity),
    },
    change(
      "disable",
      "accounts.disable",
      "Nobody gets in through it any more; its sessions end.",
      reasonBody,
      (given) => ({ is: "disable", ...given }),
    ),
    change("enable", "accounts.enable", "It can be used again.", reasonBody, (given) => ({ is: "enable", ...given })),
    change(
      "offboard",
      "accounts.offboard",
      "Its holder leaves: at once, or at a time.",
      offboardBody,
      (given) => ({ is: "offboard", ...given }),
    ),
    change("unlock", "accounts.unlock", "It takes passwords again.", nothingBody, () => ({ is: "unlock" })),
    change("sign-out", "accounts.sign_out", "Its sessions end.", nothingBody, () => ({ is: "sign_out" })),
    change(
      "grant",
      "roles.grant",
      `Gives it a role: ${roles.join(", ")}. Its sessions end.`,
      roleBody,
      (given) => ({ is: "grant", ...given }),
    ),
    change(
      "revoke",
      "roles.revoke",
      "Takes a role from it. Its sessions end.",
      roleBody,
      (given) => ({ is: "revoke", ...given }),
    ),
    {
      method: "POST",
      path: "/accounts/:account/invite",
      action: "accounts.invite",
      resource: ofAccount,
      fresh: true,
      about: "A code to set a password with, once; one that was handed out before counts no more.",
      openapi: () => ({
        parameters: [anAccount],
        requestBody: takes(inviteBody, false),
        responses: {
          "200": answers(
            "The code, which is not shown again",
            content("application/json", object({ account: text, code: text })),
          ),
          ...problems("admin", "factor_wanted", "no_account", "rejected", ...body, "unwritable"),
        },
      }),
      async handle(exchange) {
        const account = accountOf(exchange);
        const { purpose } = await bodyOf(exchange, inviteBody);
        const invited = await identity.invite(account, purpose, exchange.grant!.principal);
        if (invited.is !== "issued") throw done(invited);
        return json(exchange, 200, { account, code: invited.code });
      },
    },
    {
      method: "POST",
      path: "/accounts/:account/reset-factors",
      action: "accounts.reset_factors",
      resource: ofAccount,
      fresh: true,
      about: "Takes its second factors away, for who has lost theirs. Its sessions end.",
      openapi: () => ({
        parameters: [anAccount],
        responses: {
          "200": answers("What was recorded", content("application/json", recorded)),
          ...problems("admin", "factor_wanted", "no_account", "rejected", "unwritable"),
        },
      }),
      async handle(exchange) {
        const account = knownAccountOf(identity, exchange);
        const { facts } = done(await identity.resetFactors(account, exchange.grant!.principal));
        return json(exchange, 200, { account, facts: facts.map(({ type, position }) => ({ type, position })) });
      },
    },
    {
      method: "POST",
      path: "/signing-keys/rotate",
      action: "signing_keys.rotate",
      fresh: true,
      about: "A new key signs access tokens; what the old one signed counts for a while.",
      openapi: () => ({
        requestBody: takes(nothingBody),
        responses: {
          "200": answers("The key that signs now", content("application/json", object({ key: text }))),
          ...problems("admin", "factor_wanted", "rejected", ...body, "unwritable"),
        },
      }),
      async handle(exchange) {
        // What is asked for is said, so that nothing that comes by accident does it.
        await bodyOf(exchange, nothingBody, { required: true });
        const { facts } = done(await identity.rotateKey(exchange.grant!.principal));
        const issued = facts.find(({ type }) => type === "identity.key.issued");
        return json(exchange, 200, { key: (issued!.data as { readonly key: string }).key });
      },
    },
  ];
};

const recorded = object({
  account: text,
  facts: { type: "array", items: object({ type: text, position: { type: "integer" } }) },
});

const create = async (exchange: Exchange, identity: Identity): Promise<Response> => {
  const asked = await bodyOf(exchange, newAccountBody);
  if (!exchange.may("accounts.create", tenantOf(asked.tenant))) throw forbidden("admin", "accounts.create");
  const made = await identity.create(asked, exchange.grant!.principal);
  switch (made.is) {
    case "created": {
      const { account, code } = made;
      return json(exchange, 201, { account, ...(code === undefined ? {} : { code }) });
    }
    case "invalid":
      throw new Problem("invalid_data", "The body does not fit what this route takes.", {
        errors: [{ path: made.path, message: made.message }],
      });
    case "not_done":
      throw done(made.outcome);
  }
};
