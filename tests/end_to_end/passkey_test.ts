/** The program with no more permissions than it is shipped with takes a passkey. */
import assert from "node:assert/strict";
import { namedUrl } from "../identity_given.ts";
import { Authenticator } from "../passkey_given.ts";
import { command, document, start, withPlace } from "./cli_given.ts";
import { heard, within } from "../until.ts";

Deno.test("the program as it is started sets up a passkey and lets in with it, and again after a restart", () =>
  withPlace(async ({ data }) => {
    const password = "tall trees in rain";
    const post = async (url: string, path: string, body: unknown, as = "") => {
      const headers = { "content-type": "application/json", ...(as && { authorization: `Bearer ${as}` }) };
      const answer = await fetch(`${namedUrl(url)}${path}`, { method: "POST", headers, body: JSON.stringify(body) });
      const text = await answer.text();
      assert.equal(answer.status < 300, true, `${path}: ${text}`);
      return text === "" ? {} : JSON.parse(text);
    };
    const enter = async (url: string, authenticator: Authenticator) => {
      const { ticket, options } = await post(url, "/auth/passkeys/options", {});
      // A port that is free differs from time to time; the name stays.
      const response = authenticator.show(options, { origin: namedUrl(url) });
      return await post(url, "/auth/passkeys/sign-in", { ticket, response });
    };
    const first = await start(data);
    const authenticator = new Authenticator(namedUrl(first.url));
    try {
      const { code } = await post(first.url, "/accounts", { name: "ada" }, first.token);
      await post(first.url, "/auth/invitation", { code, password });
      const { access_token } = await post(first.url, "/auth/sign-in", { name: "ada", password });
      const { ticket, options } = await post(first.url, "/auth/factors/passkeys/options", {}, access_token);
      const made = { ticket, response: authenticator.make(options), password };
      assert.equal((await post(first.url, "/auth/factors/passkeys", made, access_token)).codes.length, 10);
      assert.match((await enter(first.url, authenticator)).account, /^u_/);
    } finally {
      await first.stop();
    }
    const second = await start(data);
    try {
      assert.match((await enter(second.url, authenticator)).account, /^u_/);
    } finally {
      await second.stop();
    }
  }));

/** Types `login`, and tells the code that it shows; `ended` once somebody has answered. */
const login = async (data: string) => {
  const child = command(["login", "--data", data, "--json"], {}).spawn();
  const errors = child.stderr.pipeThrough(new TextDecoderStream()).getReader();
  const CODE = /and allow (\S+)\n/;
  const said = await heard("login shows a code", errors, (text) => CODE.test(text));
  const user_code = CODE.exec(said)![1]!;
  const ended = async () => {
    await errors.cancel();
    await child.stdout.cancel();
    return (await within("the end of login", child.status)).code;
  };
  return { user_code, ended };
};

Deno.test("who has passkeys alone shows one where the terminal is allowed, and for a while that counts there", () =>
  withPlace(async ({ data }) => {
    const password = "tall trees in rain";
    const server = await start(data);
    try {
      const url = namedUrl(server.url);
      const post = async (path: string, body: unknown, as = "") => {
        const headers = { "content-type": "application/json", ...(as && { authorization: `Bearer ${as}` }) };
        const answer = await fetch(`${url}${path}`, { method: "POST", headers, body: JSON.stringify(body) });
        const text = await answer.text();
        assert.ok(answer.status < 300, `${path}: ${text}`);
        return text === "" ? {} : JSON.parse(text);
      };
      const authenticator = new Authenticator(url);
      const { account, code } = await post("/accounts", { name: "ada" }, server.token);
      await post("/auth/invitation", { code, password });
      const { access_token } = await post("/auth/sign-in", { name: "ada", password });
      const asked = await post("/auth/factors/passkeys/options", {}, access_token);
      const made = { ticket: asked.ticket, response: authenticator.make(asked.options), password };
      await post("/auth/factors/passkeys", made, access_token);
      await post(`/accounts/${account}/grant`, { role: "administrator" }, server.token);
      const entering = await post("/auth/passkeys/options", {});
      const shown = { ticket: entering.ticket, response: authenticator.show(entering.options) };
      const { access_token: as } = await post("/auth/passkeys/sign-in", shown);
      const proof = await post("/auth/passkeys/verify/options", {}, as);
      await post("/auth/passkeys/verify", { ticket: proof.ticket, response: authenticator.show(proof.options) }, as);
      const create = () =>
        document<{ token?: string; error?: { code: string } }>(["token", "create", "ci", "--data", data]);
      assert.equal((await create()).error?.code, "login_wanted");
      const { user_code, ended } = await login(data);
      await post("/auth/device/answer", { user_code, allow: true }, as);
      assert.equal(await ended(), 0);
      assert.equal(typeof (await create()).token, "string");
    } finally {
      await server.stop();
    }
  }));
