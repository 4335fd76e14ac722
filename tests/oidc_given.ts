/** A real provider of OpenID Connect on a free port of this machine. */
import { Buffer } from "node:buffer";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from "jose";
import Provider, { type Configuration } from "oidc-provider";

export const CLIENT = { id: "daybook", secret: "s3cret-of-the-client-s3cret-of-the-client" } as const;

/** What an ID token says instead of the truth; signed by the provider's own key unless the signature itself is the lie. */
export interface Lie {
  readonly claims?: (claims: JWTPayload) => JWTPayload;
  readonly signed?: "by_another" | "not_at_all";
}

export interface Somebody {
  readonly name: string;
  readonly groups?: readonly string[];
}

export interface Given {
  readonly issuer: string;
  /** Where answers may go; to be set before the first request. */
  redirects: readonly string[];
  lie: Lie | undefined;
  /** By what they type as their login, which is the subject. */
  readonly people: Map<string, Somebody>;
}

// Koa and its kin have no types of their own here.
// deno-lint-ignore no-explicit-any
type Context = any;

export const withProvider = async (use: (given: Given) => Promise<void>): Promise<void> => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const [{ privateKey }, another] = await Promise.all([
    generateKeyPair("RS256", { extractable: true }),
    generateKeyPair("RS256", { extractable: true }),
  ]);
  const jwk = { ...await exportJWK(privateKey), kid: "one", alg: "RS256", use: "sig" };
  const given: Given = { issuer, redirects: [], lie: undefined, people: new Map() };
  const configuration = (): Configuration => ({
    clients: [{
      client_id: CLIENT.id,
      client_secret: CLIENT.secret,
      redirect_uris: [...given.redirects],
      response_types: ["code"],
      grant_types: ["authorization_code"],
    }],
    jwks: { keys: [jwk] as never },
    pkce: { required: () => true },
    claims: { openid: ["sub"], profile: ["preferred_username", "groups"], email: ["email", "email_verified"] },
    cookies: { keys: ["a key for cookies of a test"] },
    features: { devInteractions: { enabled: true } },
    findAccount: (_: unknown, id: string) => ({
      accountId: id,
      claims: () => ({
        sub: id,
        preferred_username: given.people.get(id)?.name ?? id,
        groups: given.people.get(id)?.groups ?? [],
      }),
    }),
  });
  const lying = async (context: Context, next: () => Promise<void>) => {
    await next();
    if (context.path !== "/token" || !given.lie || !context.body?.id_token) return;
    const { claims = (held) => held, signed } = given.lie;
    const payload = claims(JSON.parse(Buffer.from(context.body.id_token.split(".")[1], "base64url").toString()));
    const key = signed === "by_another" ? another.privateKey : privateKey;
    const token = await new SignJWT(payload).setProtectedHeader({ alg: "RS256", kid: "one" }).sign(key);
    const none = [JSON.stringify({ alg: "none" }), JSON.stringify(payload)]
      .map((part) => Buffer.from(part).toString("base64url"));
    context.body = { ...context.body, id_token: signed === "not_at_all" ? `${none.join(".")}.` : token };
  };
  let callback: ReturnType<Provider["callback"]> | undefined;
  server.on("request", (request: IncomingMessage, response: ServerResponse) => {
    if (!callback) {
      const provider = new Provider(issuer, configuration());
      provider.use(lying);
      callback = provider.callback();
    }
    return callback(request, response);
  });
  try {
    await use(given);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
};
