/** Accounts whose first facts were moved to an archive. */
import assert from "node:assert/strict";
import { Secret, TOTP } from "otpauth";
import { inFolder } from "./folder_given.ts";
import { type House, PASSWORD, withHouse } from "./identity_given.ts";

/** What is before a position is let go of, as after it was copied to an archive. */
const letGo = async (house: House, position: number): Promise<void> => {
  const ran = async (name: string, body: unknown) => {
    const { status, body: lines } = await house.send(`/operations/${name}`, { as: house.token, body });
    assert.equal(status, 200, JSON.stringify(lines));
    return (JSON.parse(String(lines).trim().split("\n").at(-1)!) as { result: Record<string, unknown> }).result;
  };
  const { until, root } = await ran("begin-archive", { before: { position } });
  assert.equal(until, position);
  await ran("end-archive", { until, root });
  assert.equal((await house.send("/events/0", { as: house.token })).status, 410);
};

Deno.test("whose account was made long ago, in what was archived since, changes password and factors and is helped as before", () =>
  inFolder((data) =>
    withHouse(async (house) => {
      const account = await house.person("ada");
      const events = Array.from(
        { length: 600 },
        (_, i) => ({ specversion: "1.0", id: `${i}`, source: "urn:test", type: "meter.reading.taken", data: i }),
      );
      const sent = await house.send("/events", {
        as: house.token,
        body: events,
        headers: { "content-type": "application/cloudevents-batch+json", prefer: "checkpoint" },
      });
      assert.equal(sent.status, 201, JSON.stringify(sent.body));
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
