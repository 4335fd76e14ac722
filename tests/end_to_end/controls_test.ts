/** Controls of a running server, over HTTP and on the command line: what they decline, what is put on record, what lets it pass. */
import assert from "node:assert/strict";
import { type Place, run, withPlace } from "./cli_given.ts";
import { Program } from "./program.ts";

const SHA = "a".repeat(40);
const CONTROLS = `
controls:
  - id: deployment-after-gates
    title: Only a commit that passed its tests is deployed
    frameworks: { soc2: [CC8.1] }
    mode: enforce
    guards: [releases.deployment.started]
    freshness: 90d
    query:
      every: { type: releases.deployment.started }
      preceded_by: { type: releases.gate.passed, same: [data.commit] }
  - id: log-intact
    title: No verification of the log finds anything wrong
    frameworks: { soc2: [CC7.2] }
    mode: enforce
    guards: [token.create]
    freshness: 7d
    query:
      every: { type: kernel.log.verified }
      satisfies: { data.ok: true }
`;

/** A configuration with this catalogue beside it. */
const configured = async ({ dir }: Place, controls: string): Promise<string> => {
  await Deno.mkdir(`${dir}/controls`, { recursive: true });
  await Deno.writeTextFile(`${dir}/controls/all.yaml`, controls);
  await Deno.writeTextFile(`${dir}/daybook.yaml`, "controls: { folder: controls, every_ms: 100 }\n");
  return `${dir}/daybook.yaml`;
};

/** Waits until the log has an event of this type, by following it. */
const recorded = async ({ url, token }: Program, type: string): Promise<void> => {
  const following = new AbortController();
  const answer = await fetch(`${url}/follow?from=0&type=${type}`, {
    headers: { authorization: `Bearer ${token}` },
    signal: following.signal,
  });
  let text = "";
  for await (const piece of answer.body!.pipeThrough(new TextDecoderStream())) {
    text += piece;
    if (text.includes(`"type":"${type}"`)) break;
  }
  following.abort();
};

const post = async ({ url, token }: Program, id: string, type: string, data: object) => {
  const answer = await fetch(`${url}/events`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/cloudevents+json" },
    body: JSON.stringify({
      specversion: "1.0",
      id,
      source: "urn:ci",
      type,
      data,
      sequence: id,
      sequencetype: "Integer",
    }),
  });
  return { status: answer.status, media: answer.headers.get("content-type"), body: await answer.json() };
};

const deployment = { deployment: "d1", commit: SHA, environment: "production" };

Deno.test("a red control declines events, tokens and nothing else, until it holds or is excepted, with a server and without", () =>
  withPlace(async (place) => {
    const { data } = place;
    const config = await configured(place, CONTROLS);
    const program = await Program.start(data, {}, { more: ["--config", config] });
    const token = (name: string) => run(["token", "create", name, "--data", data, "--json"]);
    try {
      await recorded(program, "kernel.control.enforced");
      const declined = await post(program, "1", "releases.deployment.started", deployment);
      assert.deepEqual([declined.status, declined.media], [409, "application/problem+json"]);
      const { type, detail, control, action } = declined.body;
      assert.deepEqual([type, control, action], [
        "urn:daybook:problem:control_failed",
        "deployment-after-gates",
        "releases.deployment.started",
      ]);
      assert.equal(detail, "Recorded now, it would break the rule: not preceded by releases.gate.passed.");
      assert.equal((await post(program, "2", "releases.gate.passed", { commit: SHA, gate: "tests" })).status, 201);
      assert.equal((await post(program, "3", "releases.deployment.started", deployment)).status, 201);
      // The same again is the same event; the same id with another number is not.
      assert.equal((await post(program, "3", "releases.deployment.started", deployment)).status, 200);

      const verified = await run(["verify", "--data", data]);
      assert.deepEqual([verified.code, verified.err], [0, ""]);
      await recorded(program, "kernel.log.verified");
      // Somebody's verification of this log found it wanting.
      const control2 = Deno.createHttpClient({ proxy: { transport: "unix", path: `${data}/control.sock` } });
      const root = `${"A".repeat(43)}=`;
      const told = await fetch("http://control.invalid/operations/record-verification", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ size: 1, root, ok: false, failures: 1, anchored: 0 }),
        client: control2,
      });
      assert.match(await told.text(), /"result"/);
      control2.close();
      const refused = await token("two");
      assert.equal(refused.code, 1);
      const { code, message } = JSON.parse(refused.out).error;
      assert.equal(code, "control_failed");
      assert.match(message, /^The control "log-intact" declines/);
      const until = new Date(Date.now() + 3_600_000).toISOString();
      const grant = ["controls.exception.grant", "log-intact", JSON.stringify({ until, why: "It was a test" })];
      assert.equal((await run(["send", ...grant, "--data", data])).code, 0);
      assert.equal((await token("two")).code, 0);
      const ended = ["controls.exception.end", "log-intact", JSON.stringify({ why: "It was" })];
      assert.equal((await run(["send", ...ended, "--data", data])).code, 0);
    } finally {
      await program.end("SIGINT");
    }
    // Who writes the folder without a server holds to it as well.
    assert.equal((await token("three")).code, 1);
    const view = await run(["view", "controls.status", "log-intact", "--data", data, "--json"]);
    const { declined, enforced } = JSON.parse(view.out).row;
    assert.deepEqual([declined, enforced], [2, true]);
    const sources = JSON.parse((await run(["view", "audit.sources", "urn:ci", "--data", data, "--json"])).out).row;
    assert.deepEqual([sources.numbering, sources.count.first, sources.count.last, sources.missing], [
      "integer",
      2,
      3,
      0,
    ]);
  }));

Deno.test("a catalogue that cannot be read is told of before anything listens", () =>
  withPlace(async (place) => {
    const config = await configured(place, CONTROLS.replace("every:", "evry:"));
    const { code, out, err } = await run(["start", "--data", place.data, "--config", config, "--port", "0"]);
    assert.deepEqual([code, out], [2, ""]);
    assert.match(
      err,
      /^daybook: .*controls\/all\.yaml:10:7 controls\.0\.query\.evry: expected a known key, found "evry"; did you mean "every"\?/,
    );
    assert.equal(err.trim().split("\n").length, 1);
  }));
