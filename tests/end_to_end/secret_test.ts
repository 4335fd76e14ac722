/** Secrets are stored by commands, beside a running server and without one; their values are read from input and never printed. */
import assert from "node:assert/strict";
import { document, run, start, withPlace } from "./cli_given.ts";

const VALUE = "very-secret-value";

Deno.test("secret set, rotate, list and delete tell names and versions, and are on record", () =>
  withPlace(async ({ dir, data }) => {
    const told: string[] = [];
    const secret = async (words: readonly string[], stdin?: string) => {
      const ran = await run(["secret", ...words, "--data", data, "--json"], stdin === undefined ? {} : { stdin });
      told.push(ran.out, ran.err);
      return { code: ran.code, ...(ran.out === "" ? {} : JSON.parse(ran.out)) };
    };
    const server = await start(data);
    try {
      assert.deepEqual(await secret(["set", "siem"], `${VALUE}\n`), { code: 0, name: "siem", version: 1 });
      const twice = await secret(["set", "siem"], VALUE);
      assert.deepEqual([twice.code, twice.error.code], [1, "not_stored"]);
    } finally {
      await server.stop();
    }
    await Deno.writeTextFile(`${dir}/value`, `${VALUE} 2\n`);
    assert.deepEqual(await secret(["rotate", "siem", "--file", `${dir}/value`]), { code: 0, name: "siem", version: 2 });
    assert.equal((await secret(["rotate", "other"], "x")).code, 1);
    assert.equal((await secret(["set", "other"], "\n")).code, 2, "nothing to keep");
    assert.equal((await secret(["set", "Not A Name"], "x")).code, 1);
    const { secrets } = await secret(["list"]);
    assert.deepEqual(secrets.map((one: { name: string; version: number }) => [one.name, one.version]), [["siem", 2]]);
    assert.deepEqual(await secret(["delete", "siem"]), { code: 0, ok: true, deleted: "siem" });
    assert.equal((await secret(["delete", "siem"])).code, 1);
    const { rows } = await document<{ rows: { key: string; row: { state: string; version: number } }[] }>([
      "view",
      "access.secrets",
      "--data",
      data,
    ]);
    assert.deepEqual(rows.map(({ key, row }) => [key, row.state, row.version]), [["siem", "deleted", 2]]);
    const { out } = await run(["events", "--type", "access.secret.stored", "--data", data, "--json"]);
    assert.ok(out.includes("access.secret.stored"));
    assert.ok(![...told, out].some((text) => text.includes(VALUE)));
  }));
