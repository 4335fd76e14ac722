/** Secrets that are stored: readable again by what uses them, and by nothing else. */
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { DatabaseSync } from "node:sqlite";
import { type KeysFault, openKeys } from "../adapters/keys/keys.ts";
import { STORED_BYTES_MAX, STORED_MAX } from "../adapters/keys/stored.ts";
import { inFolder } from "./folder_given.ts";
import { withHouse } from "./identity_given.ts";
import { onDisk } from "./keys_given.ts";

const VALUE = "whsec-very-secret-value-of-somebody-else";
const invalid = (fault: KeysFault) => fault.name === "KeysFault" && fault.kind === "invalid";
const damaged = (fault: KeysFault) => fault.name === "KeysFault" && fault.kind === "truncated";

Deno.test("a stored secret is read again by its name, also after a restart, and its bytes are nowhere in the file", () =>
  onDisk((options) => {
    const keys = openKeys(options);
    assert.equal(keys.stored.read("siem"), undefined);
    assert.equal(keys.stored.put("siem", VALUE, { replace: false }), 1);
    assert.throws(() => keys.stored.put("siem", "other", { replace: false }), invalid);
    assert.throws(() => keys.stored.put("none", "other", { replace: true }), invalid);
    assert.equal(keys.stored.put("siem", `${VALUE} é 2`, { replace: true }), 2);
    keys.close();
    const again = openKeys({ ...options, existing: true });
    assert.equal(again.stored.read("siem"), `${VALUE} é 2`);
    assert.deepEqual(again.stored.list().map(({ name, version }) => [name, version]), [["siem", 2]]);
    assert.ok(!JSON.stringify(again.stored.list()).includes("whsec"));
    for (const file of [options.path, `${options.path}-journal`]) {
      let bytes = new Uint8Array();
      try {
        bytes = Deno.readFileSync(file);
      } catch { /* no journal */ }
      assert.ok(!new TextDecoder("latin1").decode(bytes).includes("whsec-very"));
    }
    assert.equal(again.stored.delete("siem"), true);
    assert.equal(again.stored.delete("siem"), false);
    assert.equal(again.stored.read("siem"), undefined);
    assert.deepEqual(again.stored.list(), []);
    assert.equal(again.stored.put("siem", "next", { replace: false }), 3, "versions go on");
    again.close();
  }));

Deno.test("what was sealed for one name and version opens as no other, and a changed bit is told", () =>
  onDisk((options) => {
    const keys = openKeys(options);
    keys.stored.put("one", "first", { replace: false });
    keys.stored.put("two", "second", { replace: false });
    const db = new DatabaseSync(options.path);
    const sealed = (name: string) =>
      db.prepare("SELECT sealed FROM stored WHERE name = ?").get(name)!.sealed as Uint8Array;
    const put = (name: string, bytes: Uint8Array) =>
      db.prepare("UPDATE stored SET sealed = ? WHERE name = ?").run(bytes, name);
    const [one, two] = [sealed("one"), sealed("two")];
    put("one", two);
    assert.throws(() => keys.stored.read("one"), damaged);
    put("one", one);
    assert.equal(keys.stored.read("one"), "first");
    db.exec("UPDATE stored SET version = 9 WHERE name = 'one'");
    assert.throws(() => keys.stored.read("one"), damaged);
    put("two", two.map((byte, at) => at === two.length - 1 ? byte ^ 1 : byte));
    assert.throws(() => keys.stored.read("two"), damaged);
    db.close();
    keys.close();
  }));

Deno.test("names, sizes and numbers of secrets have bounds", () =>
  onDisk((options) => {
    const keys = openKeys(options);
    for (const name of ["", "A", "a b", "-a", "a".repeat(65), "../a", "a\0"]) {
      assert.throws(() => keys.stored.put(name, "x", { replace: false }), invalid, JSON.stringify(name));
    }
    for (const value of ["", "é".repeat(STORED_BYTES_MAX / 2) + "x"]) {
      assert.throws(() => keys.stored.put("a", value, { replace: false }), invalid);
    }
    keys.stored.put("a", "x".repeat(STORED_BYTES_MAX), { replace: false });
    keys.close();
    const db = new DatabaseSync(options.path);
    const row = db.prepare("INSERT INTO stored VALUES (?, 1, x'00', 0)");
    db.exec("BEGIN");
    for (let i = 1; i < STORED_MAX; i++) row.run(`n${i}`);
    db.exec("COMMIT");
    db.close();
    const full = openKeys(options);
    assert.throws(() => full.stored.put("one-more", "x", { replace: false }), /there are 1000 secrets already/);
    full.stored.put("a", "y", { replace: true });
    full.close();
  }));

const push = JSON.stringify({
  ref: "refs/heads/main",
  before: "0".repeat(40),
  after: "a".repeat(40),
  repository: { full_name: "acme/shop", html_url: "https://github.com/acme/shop" },
  commits: [],
});

Deno.test("a secret is used by its name alone: a webhook is checked with it, and no route, event or line tells it", () =>
  inFolder(async (data) => {
    await withHouse((house) => {
      const { keys } = house;
      keys.stored.put("github", VALUE, { replace: false });
      return Promise.resolve();
    }, { data });
    await withHouse(async (house) => {
      const sign = (secret: string) => `sha256=${createHmac("sha256", secret).update(push).digest("hex")}`;
      const send = (secret: string) =>
        house.send("/webhooks/github", {
          body: push,
          headers: {
            "content-type": "application/json",
            "x-github-event": "ping",
            "x-hub-signature-256": sign(secret),
          },
        });
      assert.equal((await send(VALUE)).status, 200);
      assert.equal((await send("another")).status, 401);
      for (const operation of ["store-secret", "delete-secret"]) {
        const body = { name: "github", value: "x", replace: true };
        const { status } = await house.send(`/operations/${operation}`, {
          as: house.token,
          body: operation === "store-secret" ? body : { name: "github" },
        });
        assert.equal(status, 403, "only on the machine itself");
      }
      const { body: { paths } } = await house.send("/openapi.json", { as: house.token });
      let read = 0;
      for (const [path, operations] of Object.entries<Record<string, unknown>>(paths)) {
        if (!("get" in operations) || /follow|live/.test(path)) continue;
        const { body } = await house.send(path.replaceAll(/\{\w+\}/g, "github"), { as: house.token });
        assert.ok(!JSON.stringify(body).includes("whsec-very"), path);
        read++;
      }
      assert.ok(read > 60, String(read));
      assert.ok(!JSON.stringify([house.told(), house.lines]).includes("whsec-very"));
    }, { data, said: { START__WEBHOOKS: "true", GITHUB__WEBHOOK_SECRET: "{stored: github}" } });
    await assert.rejects(
      withHouse(() => Promise.resolve(), {
        data,
        said: { START__WEBHOOKS: "true", GITHUB__WEBHOOK_SECRET: "{stored: gone}" },
      }),
      /a webhook secret that is not there/,
    );
  }));
