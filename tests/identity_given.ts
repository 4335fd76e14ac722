/** A served Daybook in memory with accounts, hashing as little as is allowed, so that tests are quick. */
import assert from "node:assert/strict";
import { openSystem } from "../adapters/program/daybook.ts";
import { serve } from "../adapters/program/serve.ts";
import type { Keys } from "../adapters/keys/keys.ts";
import type { Scope } from "../events/scopes.ts";
import type { Serve } from "../adapters/cli/runtime.ts";
import type { Io } from "../adapters/cli/io.ts";
import { parseConfig } from "../config/config.ts";
import type { EventLog } from "../events/log.ts";
import type { Event } from "../events/event.ts";
import { untoldBy } from "./openapi_given.ts";
import { checkTooMany } from "./too_many_given.ts";

/** As variables would say it, without the prefix: `IDENTITY__RATE__NAME_MAX`. */
export type Said = Readonly<Record<string, string>>;

const QUICK: Said = {
  SERVER__PORT: "0",
  IDENTITY__PASSWORDS__MEMORY_KIB: "7168",
  IDENTITY__PASSWORDS__PASSES: "1",
  IDENTITY__RATE__NAME_MAX: "1000000",
  IDENTITY__RATE__ADDRESS_MAX: "1000000",
  IDENTITY__RATE__CREDENTIAL_MAX: "1000000",
  SERVER__RATE__USER__REQUESTS_MAX: "1000000",
};

export const PASSWORD = "tall trees in rain";

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** Parsed where it is JSON, else the text. */
  // deno-lint-ignore no-explicit-any -- answers of many routes, looked at by tests that say what they expect
  readonly body: any;
}

/** Of the problem that was answered. */
export const code = ({ body }: Answer): string | undefined => body.type?.replace("urn:daybook:problem:", "");

/** As a browser sends what was filled in. */
export const FORM = { "content-type": "application/x-www-form-urlencoded" };
export const form = (fields: Readonly<Record<string, string>>): string => String(new URLSearchParams(fields));

export interface Send {
  readonly method?: string;
  /** Sent as JSON, unless it is a text. */
  readonly body?: unknown;
  /** A bearer token; default none. */
  readonly as?: string;
  readonly headers?: Record<string, string>;
  /** Default: by its address. */
  readonly by?: "name";
}

export interface House {
  readonly url: string;
  /** With every scope. */
  readonly token: string;
  send(path: string, send?: Send): Promise<Answer>;
  /** Of these scopes, by default of the installation. */
  tokenOf(scopes: readonly Scope[], tenant?: string): string;
  /** A person with a password, by default `PASSWORD`. */
  person(name: string, password?: string, tenant?: string): Promise<string>;
  signIn(name: string, password?: string): Promise<Answer>;
  /** Events of these types, or all; oldest first, personal texts restored. */
  // deno-lint-ignore no-explicit-any -- facts of many types
  told(...types: readonly string[]): readonly Event<any>[];
  readonly log: EventLog;
  readonly keys: Keys;
  /** Lines that an operator was told. */
  readonly lines: readonly string[];
}

export interface HouseOptions {
  readonly said?: Said;
  /** Default: in memory. */
  readonly data?: string;
  /** Variables that secrets are read from. */
  readonly secrets?: Readonly<Record<string, string>>;
  /** Whether answers are held against the OpenAPI document; not where their times are measured. Default: true. */
  readonly documented?: boolean;
}

export const withHouse = async (test: (house: House) => Promise<void>, options: HouseOptions = {}): Promise<void> => {
  const { said = {}, data = ":memory:", secrets = {}, documented = true } = options;
  const lines: string[] = [];
  const io = {
    out() {},
    err: (text: string) => void lines.push(text),
    env: (name: string) => secrets[name],
  } as unknown as Io;
  const env = Object.fromEntries(
    Object.entries({ ...QUICK, ...said }).map(([name, text]) => [`DAYBOOK__${name}`, text]),
  );
  const parsed = parseConfig("", "none", env);
  assert.ok(parsed.ok, JSON.stringify(parsed));
  const { config } = parsed;
  const opened = await openSystem({ data, config, report: (line) => void lines.push(line) });
  try {
    let told: string | undefined;
    const tell: Serve["tell"] = ({ token }) => Promise.resolve(void (told = token));
    const serving = await serve(opened, { data, settings: { file: "none", config } as never, tell }, io);
    const token = told ??
      opened.keys.tokens.create("again", ["read", "command", "ingest", "personal", "admin"]).token;
    try {
      await test(houseOf({ url: serving.url, token, keys: opened.keys }, opened.daybook, { lines, said, documented }));
    } finally {
      await serving.stop();
    }
  } finally {
    await opened.daybook.close();
  }
};

/** The same server by a name, which passkeys want. */
export const namedUrl = (url: string): string => url.replace("127.0.0.1", "localhost");

type Told = Pick<Awaited<ReturnType<typeof openSystem>>["daybook"], "log" | "unseal">;

/** Whose answers are held against the OpenAPI document, in every test that asks for them. */
const DOCUMENTED = /^\/(auth|account|accounts|device|sign-in|signing-keys|welcome)\b/;

/** By what is configured, for there are more routes with some of it. */
const documents = new Map<string, Promise<ReturnType<typeof untoldBy>>>();

const documentOf = async (url: string, token: string): Promise<ReturnType<typeof untoldBy>> => {
  const response = await fetch(`${url}/openapi.json`, { headers: { authorization: `Bearer ${token}` } });
  const document = await response.json();
  // A server that lets nobody in tells nobody what it answers.
  if (response.status === 403) return () => undefined;
  assert.equal(response.status, 200);
  return untoldBy(document);
};

const houseOf = (
  { url, token, keys }: { readonly url: string; readonly token: string; readonly keys: Keys },
  daybook: Told,
  { lines, said, documented }: {
    readonly lines: readonly string[];
    readonly said: Said;
    readonly documented: boolean;
  },
): House => {
  const document = () => {
    const key = JSON.stringify(said);
    const known = documents.get(key) ?? documentOf(url, token);
    documents.set(key, known);
    return known;
  };
  const send: House["send"] = async (path, { method, body, as, headers = {}, by } = {}) => {
    const response = await fetch(`${by === "name" ? namedUrl(url) : url}${path}`, {
      method: method ?? (body === undefined ? "GET" : "POST"),
      redirect: "manual",
      headers: {
        ...(body !== undefined && typeof body !== "string" ? { "content-type": "application/json" } : {}),
        ...(as === undefined ? {} : { authorization: `Bearer ${as}` }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    if (response.status === 429) checkTooMany(response);
    const text = await response.text();
    const type = response.headers.get("content-type");
    const json = /(?<!nd)json(?:;|$)/.test(type ?? "");
    const told = { status: response.status, body: json ? JSON.parse(text) : text };
    if (documented && DOCUMENTED.test(path)) {
      const asked = { method: method ?? (body === undefined ? "GET" : "POST"), path: path.split("?", 1)[0]! };
      assert.equal((await document())({ ...asked, ...told, type }), undefined, "as the OpenAPI document says");
    }
    return { ...told, headers: response.headers };
  };
  return {
    url,
    token,
    send,
    log: daybook.log,
    keys,
    lines,
    tokenOf: (scopes, tenant) =>
      keys.tokens.create("test", scopes, undefined, tenant === undefined ? {} : { tenant }).token,
    async person(name, password = PASSWORD, tenant = "default") {
      const made = await send("/accounts", { as: token, body: { name, tenant } });
      assert.equal(made.status, 201, JSON.stringify(made.body));
      const { account, code } = made.body as { readonly account: string; readonly code: string };
      const set = await send("/auth/invitation", { body: { code, password } });
      assert.equal(set.status, 204, JSON.stringify(set.body));
      return account;
    },
    signIn: (name, password = PASSWORD) => send("/auth/sign-in", { body: { name, password } }),
    told: (...types) => daybook.unseal([...daybook.log.read(types.length === 0 ? {} : { types })].flat()),
  };
};
