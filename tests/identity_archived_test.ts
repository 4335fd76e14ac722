/** Accounts whose first facts were moved to an archive. */
import assert from "node:assert/strict";
import { Secret, TOTP } from "otpauth";
import { fill, letGo } from "./archived_house_given.ts";
import { inFolder } from "./folder_given.ts";
import { PASSWORD, withHouse } from "./identity_given.ts";

Deno.test("whose account was made long ago, in what was archived since, changes password and factors and is helped as before", () =>
  inFolder((data) =>
    withHouse(async (house) => {
      const account = await house.person("ada");
      await fill(house);
      await letGo(house, 512);

      const { body: { access_token: as } } = await house.signIn("ada");
      const next = "quiet hills at noon";
      const changed = await house.send("/auth/password", { as, body: { current: PASSWORD, next } });
      assert.equal(changed.status, 204, JSON.stringify(changed.body));
      const begun = await house.send("/auth/factors/totp", { as, body: { password: next } });
      assert.equal(begun.status, 200, JSON.stringify(begun.body));
      const code = new TOTP({ secret: Secret.fromBase32(begun.body.secret) }).generate();
      const confirmed = await house.send("/auth/factors/confirm", { as, body: { factor: begun.body.factor, code } });
      assert.equal(confirmed.status, 200, JSON.stringify(confirmed.body));
      const invited = await house.send(`/accounts/${account}/invite`, { as: house.token, body: {} });
      const chosen = await house.send("/auth/invitation", {
        body: { code: invited.body.code, password: "green boats on sunday" },
      });
      assert.equal(chosen.status, 204, JSON.stringify(chosen.body));
    }, { data })
  ));
