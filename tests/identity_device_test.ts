import assert from "node:assert/strict";
import { Secret, TOTP } from "otpauth";
import { KeysFault } from "../adapters/keys/fault.ts";
import { DEVICES } from "../adapters/program/identity/devices.ts";
import { inFolder } from "./folder_given.ts";
import { code, FORM, form, type House, PASSWORD, withHouse } from "./identity_given.ts";

const begin = async (house: House) => (await house.send("/auth/device", { body: {} })).body as Record<string, string>;
const poll = (house: House, device_code?: string) => house.send("/auth/device/token", { body: { device_code } });
const answer = (house: House, as: string, user_code?: string, allow = true) =>
  house.send("/auth/device/answer", { as, body: { user_code, allow } });
const signedIn = async (house: House, name: string): Promise<string> => {
  await house.person(name);
  return (await house.signIn(name)).body.access_token;
};

Deno.test("a terminal is signed in once somebody allows the code that it shows, and gets its tokens once", () =>
  withHouse(async (house) => {
    const as = await signedIn(house, "alice");
    const asked = await begin(house);
    assert.match(asked.user_code!, /^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$/);
    assert.deepEqual([asked.verification_uri, asked.expires_in, asked.interval], [`${house.url}/device`, 600, 5]);
    const pending = await poll(house, asked.device_code);
    assert.deepEqual([pending.status, code(pending)], [403, "device_pending"]);
    const again = await poll(house, asked.device_code);
    assert.deepEqual(
      [again.status, again.headers.has("retry-after")],
      [429, true],
      "no more often than every five seconds",
    );
    assert.equal((await answer(house, as, asked.user_code!.toLowerCase().replace("-", " "))).status, 204);
    const done = await poll(house, asked.device_code);
    assert.equal(done.status, 200);
    const sessions = await house.send("/auth/sessions", { as: done.body.access_token });
    assert.deepEqual(sessions.body.sessions.map(({ kind }: { kind: string }) => kind), ["program", "terminal"]);
    assert.equal((await house.send("/auth/refresh", { body: { refresh_token: done.body.refresh_token } })).status, 200);
    assert.equal(code(await poll(house, asked.device_code)), "device_refused");
    assert.equal((await answer(house, as, asked.user_code)).status, 404);
    assert.deepEqual(house.told("identity.signin.succeeded").map(({ data }) => data.methods), [["password"], [
      "device",
    ]]);
  }));

Deno.test("a terminal that is refused gets nothing, nor does one whose code nobody has, nor one that is made up", () =>
  withHouse(async (house) => {
    const as = await signedIn(house, "alice");
    const asked = await begin(house);
    assert.equal((await answer(house, as, asked.user_code, false)).status, 204);
    assert.deepEqual(code(await poll(house, asked.device_code)), "device_refused");
    const other = await begin(house);
    for (
      const made of [
        other.device_code!.slice(0, -2) + "AA",
        "dbd_x",
        other.user_code!,
        other.device_code!.replace("dbd_", "dbr_"),
      ]
    ) {
      assert.deepEqual([made, code(await poll(house, made))], [made, "device_refused"]);
    }
    assert.equal((await answer(house, as, "BBBB-BBBB")).status, 404);
    assert.equal(
      (await house.send("/auth/device/answer", { body: { user_code: other.user_code, allow: true } })).status,
      401,
    );
    assert.equal((await answer(house, house.token, other.user_code)).status, 403, "a token of a program is nobody");
    assert.equal(house.told("identity.session.started").length, 1);
  }));

Deno.test("one code is one session, however often it is allowed at once, and whoever was first", () =>
  withHouse(async (house) => {
    const [alice, bob] = [await signedIn(house, "alice"), await signedIn(house, "bob")];
    const { user_code, device_code } = await begin(house);
    const answers = await Promise.all([alice, bob, alice, bob].map((as) => answer(house, as, user_code)));
    assert.deepEqual(answers.map(({ status }) => status).sort(), [204, 404, 404, 404]);
    assert.equal((await poll(house, device_code)).status, 200);
    assert.equal(house.told("identity.session.started").length, 3);
  }));

Deno.test("a terminal that asks while it is being allowed is told to ask again, and gets its tokens then", () =>
  inFolder((data) =>
    withHouse(async (house) => {
      const as = await signedIn(house, "alice");
      for (let round = 0; round < 10; round++) {
        const { user_code, device_code } = await begin(house);
        const [allowed, ...polls] = await Promise.all([
          answer(house, as, user_code),
          ...Array.from({ length: 8 }, () => poll(house, device_code)),
        ]);
        assert.equal(allowed.status, 204);
        let [done] = polls.filter(({ status }) => status === 200);
        if (!done) {
          assert.deepEqual(polls.filter((each) => code(each) === "device_refused"), []);
          done = await poll(house, device_code);
        }
        assert.equal(done.status, 200, JSON.stringify(done.body));
        assert.equal((await house.send("/auth/sessions", { as: done.body.access_token })).status, 200);
      }
    }, { data })
  ));

Deno.test("what cannot be recorded now is no answer to a terminal: the same may allow it again", () =>
  withHouse(async (house) => {
    const as = await signedIn(house, "alice");
    const { user_code, device_code } = await begin(house);
    const { seal } = house.keys.sealer;
    house.keys.sealer.seal = () => {
      throw new KeysFault("full", "no room on the disk");
    };
    assert.equal((await answer(house, as, user_code)).status, 503);
    assert.equal(code(await poll(house, device_code)), "device_pending");
    house.keys.sealer.seal = seal;
    assert.equal((await answer(house, as, user_code)).status, 204);
    assert.equal((await poll(house, device_code)).status, 200);
    assert.equal(house.told("identity.session.started").length, 2);
  }));

Deno.test("where there is a second factor it is shown before a terminal is allowed, and what it opened counts there", () =>
  withHouse(async (house) => {
    const as = await signedIn(house, "alice");
    const { body: { factor, secret } } = await house.send("/auth/factors/totp", { as, body: { password: PASSWORD } });
    const totp = new TOTP({ secret: Secret.fromBase32(secret) });
    const at = Date.now();
    const { body: { codes } } = await house.send("/auth/factors/confirm", {
      as,
      body: { factor, code: totp.generate({ timestamp: at }) },
    });
    const { user_code } = await begin(house);
    assert.equal(code(await answer(house, as, user_code)), "factor_wanted");
    assert.equal((await house.send("/auth/factors/verify", { as, body: { code: codes[0] } })).status, 204);
    assert.equal((await answer(house, as, user_code)).status, 204);
    assert.deepEqual(house.told("identity.session.started").at(-1)!.data.factors, ["password"]);
  }));

Deno.test("so many terminals may wait and no more", () =>
  withHouse(async (house) => {
    for (let i = 0; i < DEVICES.waiting_max; i++) {
      assert.equal((await house.send("/auth/device", { body: {} })).status, 200);
    }
    const over = await house.send("/auth/device", { body: {} });
    assert.deepEqual([over.status, code(over), over.headers.has("retry-after")], [503, "overloaded", true]);
  }));

Deno.test("guessing codes is bounded like guessing passwords", () =>
  withHouse(async (house) => {
    const as = await signedIn(house, "alice");
    const statuses = [];
    for (let i = 0; i < 6; i++) statuses.push((await answer(house, as, "BBBB-BBBB")).status);
    assert.deepEqual(statuses, [404, 404, 404, 429, 429, 429], "choosing the password was a try, too");
  }, { said: { IDENTITY__RATE__NAME_MAX: "4" } }));

Deno.test("with the pages a person sees which terminal it is, and allows it", () =>
  withHouse(async (house) => {
    await house.person("alice");
    const entered = await house.send("/sign-in", { body: form({ name: "alice", password: PASSWORD }), headers: FORM });
    const cookie = entered.headers.get("set-cookie")!.split(";", 1)[0]!;
    const asked = await house.send("/auth/device", { body: {}, headers: { "user-agent": "<b>day\xadbook</b>" } });
    const page = await house.send(`/device?code=${asked.body.user_code}`, { headers: { cookie, accept: "text/html" } });
    const csrf = /name="csrf" value="([^"]+)"/.exec(page.body)![1]!;
    const post = (path: string, fields: Record<string, string>) =>
      house.send(path, { body: form({ csrf, ...fields }), headers: { ...FORM, cookie } });
    const question = await post("/device", { code: asked.body.user_code });
    assert.match(question.body, /127\.0\.0\.1/);
    assert.match(question.body, /&lt;b&gt;day\\u00adbook/);
    const linked = await post("/device", { code: ` ${asked.body.user_code.toLowerCase()}. 2020: \u202eпроверено` });
    assert.equal(linked.status, 200);
    assert.match(linked.body, new RegExp(`shows <code>${asked.body.user_code}</code>\\. Allow it only`));
    assert.doesNotMatch(linked.body, /проверено|2020/);
    assert.equal((await post("/device", { code: "BBBB-BBBB" })).status, 404);
    assert.equal((await post("/device/answer", { csrf: "x", code: asked.body.user_code, allow: "yes" })).status, 403);
    assert.equal(code(await poll(house, asked.body.device_code)), "device_pending");
    assert.equal((await post("/device/answer", { code: asked.body.user_code, allow: "yes" })).status, 200);
    assert.equal((await poll(house, asked.body.device_code)).status, 200);
  }));
