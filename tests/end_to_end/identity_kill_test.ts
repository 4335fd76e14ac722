/**
 * The program is killed (SIGKILL) wherever the key database and the log could come to disagree about an account. Whatever the instant:
 * nobody is locked out, and nobody is let in who would not be if it had not died.
 */
import assert from "node:assert/strict";
import { bcrypt } from "hash-wasm";
import { CRASH_VARIABLE, type CrashPoint } from "../../adapters/process/crash.ts";
import { Browser } from "../provider_browser.ts";
import { ENTRY, ISSUER, newSigner, respond, wishIn } from "../saml_given.ts";
import { Program } from "./program.ts";

const QUICK = { DAYBOOK__IDENTITY__PASSWORDS__MEMORY_KIB: "7168", DAYBOOK__IDENTITY__PASSWORDS__PASSES: "1" };
const [OLD, NEXT] = ["tall trees in rain", "small boats at dawn"];

interface Answer {
  readonly status: number;
  // deno-lint-ignore no-explicit-any -- answers of many routes
  readonly body: any;
}

const send = async ({ url }: Program, path: string, body: unknown, as?: string): Promise<Answer> => {
  const response = await fetch(`${url}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", ...(as === undefined ? {} : { authorization: `Bearer ${as}` }) },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, body: text === "" ? undefined : JSON.parse(text) };
};
const signIn = (program: Program, password: string, name = "alice") =>
  send(program, "/auth/sign-in", { name, password });

const living = async (data: string, use: (program: Program) => Promise<void>, env: Record<string, string> = {}) => {
  const program = await Program.start(data, { ...QUICK, ...env });
  try {
    await use(program);
  } finally {
    assert.equal((await program.end("SIGTERM")).code, 0);
  }
};

/** Lives until it dies of the last thing that is asked of it. `point` as the variable has it: after a colon, how often it is passed. */
const dying = async (
  data: string,
  point: CrashPoint | `${CrashPoint}:2`,
  use: (program: Program) => Promise<unknown>,
  env: Record<string, string> = {},
) => {
  const program = await Program.start(data, { ...QUICK, ...env, [CRASH_VARIABLE]: point });
  await assert.rejects(use(program), TypeError, `it dies at ${point} before it answers`);
  assert.equal((await program.died).signal, "SIGKILL", point);
  await program.end("SIGKILL");
};

const withFolder = async (test: (data: string) => Promise<void>) => {
  const data = await Deno.makeTempDir({ prefix: "daybook-identity-" });
  try {
    await test(data);
  } finally {
    await Deno.remove(data, { recursive: true });
  }
};

const signInIs = async (program: Program, expected: Readonly<Record<string, number>>, name = "alice") => {
  for (const [password, status] of Object.entries(expected)) {
    assert.deepEqual([password, (await signIn(program, password, name)).status], [password, status]);
  }
};

Deno.test("killed while a name was kept, a first password set, a password changed: one password counts, never two, never none", () =>
  withFolder(async (data) => {
    let code = "";
    const create = (program: Program) => send(program, "/accounts", { name: "alice" }, program.token);
    const choose = (program: Program, password: string) => send(program, "/auth/invitation", { code, password });
    const change = async (program: Program) => {
      const { body } = await signIn(program, NEXT);
      return await send(program, "/auth/password", { current: NEXT, next: OLD }, body.access_token);
    };
    await dying(data, "account.reserved", create);
    await dying(data, "password.kept", async (program) => {
      await signInIs(program, { [OLD]: 401 });
      const made = await create(program);
      assert.equal(made.status, 201, "the name leads to nobody yet");
      code = made.body.code;
      await choose(program, OLD);
    });
    await dying(data, "password.settled", async (program) => {
      await signInIs(program, { [OLD]: 401 });
      await choose(program, NEXT);
    });
    await dying(data, "password.kept", async (program) => {
      assert.equal((await choose(program, OLD)).status, 401, "the code has counted");
      await signInIs(program, { [OLD]: 401, [NEXT]: 200 });
      await change(program);
    });
    await dying(data, "password.settled", async (program) => {
      await signInIs(program, { [OLD]: 401, [NEXT]: 200 });
      await change(program);
    });
    await living(data, (program) => signInIs(program, { [NEXT]: 401, [OLD]: 200 }));
  }));

Deno.test("killed while an imported hash became ours, and the first signing key was made: the password goes on letting in", () =>
  withFolder(async (data) => {
    const hash = await bcrypt({ password: OLD, salt: new Uint8Array(16), costFactor: 4, outputType: "encoded" });
    const bring = (program: Program) => send(program, "/accounts", { name: "bob", bcrypt: hash }, program.token);
    await dying(data, "password.kept", bring);
    await dying(data, "password.kept:2", async (program) => {
      await signInIs(program, { [OLD]: 401 }, "bob");
      assert.equal((await bring(program)).status, 201, "what was half done can be finished");
      await signIn(program, OLD, "bob");
    });
    await dying(data, "password.settled", async (program) => {
      await signInIs(program, { [NEXT]: 401 }, "bob");
      await signIn(program, OLD, "bob");
    });
    await dying(data, "signing_key.kept", (program) => signIn(program, OLD, "bob"));
    await living(data, async (program) => {
      const { status, body } = await signIn(program, OLD, "bob");
      assert.equal(status, 200);
      const headers = { authorization: `Bearer ${body.access_token}` };
      assert.equal((await (await fetch(`${program.url}/auth/sessions`, { headers })).json()).account, body.account);
      const { keys } = await (await fetch(`${program.url}/.well-known/jwks.json`)).json();
      assert.equal(keys.length, 1, "a key that no fact names does not count");
    });
  }));

Deno.test("killed while somebody whom a provider vouches for got an account, or it was linked: one account, and it is theirs", () =>
  withFolder(async (data) => {
    const signer = await newSigner();
    const certificate = `${data}.pem`;
    await Deno.writeTextFile(certificate, signer.certificate);
    const works = {
      name: "works",
      kind: "saml",
      entry_point: ENTRY,
      issuer: ISSUER,
      certificate: { file: certificate },
    };
    const env = { DAYBOOK__IDENTITY__PROVIDERS: JSON.stringify([{ ...works, create: true }]) };
    const come = async ({ url }: Program): Promise<number> => {
      const browser = new Browser();
      const left = await browser.go(`${url}/sign-in/saml/works`);
      await left.body?.cancel();
      const wish = wishIn(left.headers.get("location")!);
      const xml = await respond(wish, { subject: "ada", signer });
      const came = await browser.go(`${url}/sign-in/saml/works/finish`, {
        method: "POST",
        headers: { "content-type": "application/x-www-form-urlencoded" },
        body: new URLSearchParams({ SAMLResponse: btoa(xml), RelayState: wish.state }).toString(),
      });
      await came.body?.cancel();
      return came.status;
    };
    try {
      // When the name was kept, and when who they are there was kept, which no fact names yet.
      await dying(data, "account.reserved", come, env);
      await dying(data, "password.kept", come, env);
      await living(data, async (program) => {
        assert.deepEqual([await come(program), await come(program)], [200, 200]);
        const headers = { authorization: `Bearer ${program.token}` };
        const get = async (path: string) => await (await fetch(`${program.url}${path}`, { headers })).json();
        const { events, size } = await get("/events?stream=identity/nobody");
        assert.deepEqual(events, [], "nobody was refused");
        const { rows } = await get(`/views/identity.accounts?wait=${size - 1}`);
        const links = rows.map(({ row }: { row: { links: readonly object[] } }) => row.links.length);
        assert.deepEqual(links, [1]);
      }, env);
    } finally {
      await Deno.remove(certificate);
    }
  }));
