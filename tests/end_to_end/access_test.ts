/** Policies of one's own, as an operator meets them: mistakes are told before anything listens, and what they say counts. */
import assert from "node:assert/strict";
import { document, run, start, withPlace } from "./cli_given.ts";

const shipped = (name: string) => Deno.readTextFile(new URL(`../../config/access/${name}`, import.meta.url));

Deno.test("a folder of policies is read at the start: a mistake is exit 2 with its line, and what it says counts and is on record", () =>
  withPlace(async ({ dir, data }) => {
    const config = `${dir}/daybook.yaml`;
    await Deno.writeTextFile(config, "server: { port: 0 }\naccess: { folder: policies }\n");
    const begun = () => run(["start", "--config", config, "--data", data]);
    const missing = await begun();
    assert.deepEqual([missing.code, /policies is not there/.test(missing.err)], [2, true], missing.err);
    await Deno.mkdir(`${dir}/policies`);
    await Deno.writeTextFile(`${dir}/policies/roles.json`, await shipped("roles.json"));
    const write = (name: string, text: string) => Deno.writeTextFile(`${dir}/policies/${name}.cedar`, text);
    await write("a", '@id("all")\npermit (principal, action == Action::"events.raed", resource);\n');
    const wrong = await begun();
    assert.equal(wrong.code, 2);
    assert.match(wrong.err, /policies\/a\.cedar:2:\d+: .*unrecognized action/);
    const deep = Array.from({ length: 3_000 }, () => 'principal == User::"u_1"').join(" || ");
    await write("a", `@id("deep")\nforbid (principal, action, resource) when { ${deep} };\n`);
    const deeper = await begun();
    assert.deepEqual([deeper.code, /policies\/a\.cedar:1:1: .*250 deep/.test(deeper.err)], [2, true], deeper.err);
    await write("a", '@id("none")\nforbid (principal, action, resource);\n');
    assert.match((await begun()).err, /shut out who works on the machine itself/);
    await write("a", await shipped("policies.cedar"));
    await write(
      "b",
      '@id("no-views")\nforbid (principal is Token, action == Action::"views.read", resource == View::"identity.keys");\n',
    );
    const server = await start(data, ["--config", config]);
    try {
      const asked = async (path: string) => {
        const answer = await fetch(`${server.url}${path}`, { headers: { authorization: `Bearer ${server.token}` } });
        await answer.body?.cancel();
        return answer.status;
      };
      assert.equal(await asked("/views/identity.keys"), 403);
      // Not built yet is no answer to whether one may.
      assert.notEqual(await asked("/views/identity.accounts"), 403);
    } finally {
      await server.stop();
    }
    const { rows } = await document<{ rows: { row: { policies: string } }[] }>([
      "view",
      "access.policies",
      "--data",
      data,
    ]);
    assert.ok(rows.length === 1 && rows[0]!.row.policies.includes("no-views"));
    const could = await document<{ principals: unknown[] }>([
      "who-could",
      "views.read",
      "view:identity.keys",
      "--data",
      data,
    ]);
    assert.deepEqual(could.principals, []);
    const who = ["view", "access.who_could", "--data", data, "--where", "action=views.read"];
    const asked = [...who, "--where", "resource=view:identity.accounts"];
    const page = await document<{ rows: { row: { principal: string; policies: string[] } }[] }>(asked);
    const said = await document<{ principals: { id: string; policies: string[] }[] }>([
      "who-could",
      "views.read",
      "view:identity.accounts",
      "--data",
      data,
    ]);
    assert.ok(page.rows.length > 1);
    assert.deepEqual(
      page.rows.map(({ row }) => [row.principal, row.policies]).sort(),
      said.principals.map(({ id, policies }) => [id, policies]).sort(),
    );
    const unasked = await run(who);
    assert.deepEqual([unasked.code, /action=… and resource=…/.test(unasked.err)], [2, true], unasked.err);
    const replayed = await run(["replay", "--view", "access.who_could", "--data", data]);
    assert.deepEqual([replayed.code, /made of the log/.test(replayed.err)], [2, true], replayed.err);
  }));
