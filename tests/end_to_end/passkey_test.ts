/** The program with no more permissions than it is shipped with takes a passkey. */
import assert from "node:assert/strict";
import { namedUrl } from "../identity_given.ts";
import { Authenticator } from "../passkey_given.ts";
import { start, withPlace } from "./cli_given.ts";

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
