/** `token create`, `token list` and `token revoke`. */
import { SCOPES } from "../../../events/scopes.ts";
import type { Call, Run } from "../call.ts";
import { spanOf, text, timeFrom, Usage } from "../call.ts";
import { table } from "../columns.ts";
import { palette, safe } from "../print.ts";
import type { Runtime, Token, Tokens } from "../runtime.ts";
import { operateOn } from "../writer.ts";

const NAME_MAX = 100;

export const create: Run = async (call, runtime) => {
  const name = call.args[0]!.trim();
  if (name === "" || name.length > NAME_MAX) throw new Usage(`a token's name has 1 to ${NAME_MAX} characters`);
  const scopes = scopesOf(text(call, "scopes") ?? "read");
  const expires = expiry(text(call, "expires"), runtime);
  const tenant = tenantOf(text(call, "tenant"));
  await mayCreate(call, runtime);
  const { token, record } = await withTokens(
    call,
    runtime,
    (tokens) => tokens.create({ name, scopes, expires, tenant }),
  );
  const { io } = runtime;
  try {
    io.out(call.json ? `${JSON.stringify({ token, ...record })}\n` : `${token}\n`);
  } catch (error) {
    // Nobody has seen it, and nobody will.
    await withTokens(call, runtime, (tokens) => tokens.revoke(record.id));
    throw error;
  }
  if (!call.json) {
    io.err(
      `token ${safe(record.name)} (${record.id}), scopes ${scopes.join(", ")}, ${
        record.expires ? `until ${record.expires}` : "without end"
      }; it is not shown again\n`,
    );
  }
  return 0;
};

export const listAll: Run = async (call, runtime) => {
  const { io } = runtime;
  const all = await runtime.tokenList(call.data);
  if (call.json) io.out(`${JSON.stringify({ tokens: all })}\n`);
  else if (all.length === 0) io.out("no tokens\n");
  else {
    const c = palette(io);
    const columns = ["id", "name", "tenant", "scopes", "created", "expires", "used", "state"].map((title) => ({
      title,
    }));
    const now = runtime.clock.now();
    io.out(
      table(
        columns,
        all.map((
          t,
        ) => [
          safe(t.id),
          safe(t.name),
          t.tenant,
          t.scopes.join(","),
          t.created,
          t.expires ?? "never",
          t.used ?? "",
          stateOf(t, now),
        ]),
        c,
      ),
    );
  }
  return 0;
};

export const revoke: Run = async (call, runtime) => {
  const wanted = call.args[0]!;
  const id = await withTokens(call, runtime, async (tokens) => {
    const all = await tokens.list();
    const found = all.filter((t) => t.id === wanted);
    const named = found.length > 0 ? found : all.filter((t) => t.name === wanted && t.revoked === undefined);
    if (named.length === 0) {
      throw new Usage(`there is no token ${JSON.stringify(wanted)}; token list tells which there are`);
    }
    if (named.length > 1) {
      throw new Usage(
        `${named.length} tokens are called ${JSON.stringify(wanted)}; give the id of one: ${
          named.map((t) => t.id).join(", ")
        }`,
      );
    }
    await tokens.revoke(named[0]!.id);
    return named[0]!.id;
  });
  runtime.io.out(call.json ? `${JSON.stringify({ ok: true, revoked: id })}\n` : `revoked ${safe(id)}\n`);
  return 0;
};

/** A control may guard it. Whoever writes the log is asked, for one that declines is recorded; most logs enforce none that does. */
const mayCreate = async (call: Call, runtime: Runtime): Promise<void> => {
  if (!await runtime.guarded(call.data, "token.create")) return;
  await operateOn(call, runtime, { operation: "check-action", input: { action: "token.create" } });
};

const withTokens = async <T>(call: Call, runtime: Runtime, work: (tokens: Tokens) => Promise<T>): Promise<T> => {
  const tokens = await runtime.tokens(call.data);
  try {
    return await work(tokens);
  } finally {
    await tokens.close();
    await record(call, runtime);
  }
};

/** A server that runs puts it on record at once; where none runs the token opens nothing before the next one does. */
const record = async (call: Call, runtime: Runtime): Promise<void> => {
  const remote = await runtime.remote(call.data);
  try {
    await remote?.operate("record-tokens", {}, () => {});
  } finally {
    remote?.close();
  }
};

const scopesOf = (given: string): readonly string[] => {
  const scopes = [...new Set(given.split(",").map((scope) => scope.trim()).filter((scope) => scope !== ""))];
  const wrong = scopes.find((scope) => !(SCOPES as readonly string[]).includes(scope));
  if (scopes.length === 0 || wrong !== undefined) {
    throw new Usage(
      `--scopes takes a comma-separated list of ${SCOPES.join(", ")}, not ${JSON.stringify(wrong ?? given)}`,
    );
  }
  return scopes;
};

const tenantOf = (given: string | undefined): string | undefined => {
  if (given === undefined || /^[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?$/.test(given)) return given;
  throw new Usage(`--tenant takes small letters, digits, - and _ within, not ${JSON.stringify(given)}`);
};

const expiry = (given: string | undefined, { clock }: Runtime): string | undefined => {
  if (given === undefined) return undefined;
  const span = spanOf(given);
  const at = span === undefined ? timeFrom(given) : clock.now() + span;
  if (at === undefined) {
    throw new Usage(`--expires takes 45m, 12h, 30d or an RFC 3339 time, not ${JSON.stringify(given)}`);
  }
  if (at <= clock.now()) throw new Usage(`--expires ${given} is in the past`);
  return new Date(at).toISOString();
};

const stateOf = (token: Token, now: number): string =>
  token.revoked !== undefined
    ? `revoked ${token.revoked}`
    : token.expires !== undefined && Date.parse(token.expires) <= now
    ? "expired"
    : "valid";
