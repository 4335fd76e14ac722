/**
 * The CloudEvents 1.0.2 HTTP binding and its type system, clause by clause; what is refused appends nothing.
 * https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md and …/bindings/http-protocol-binding.md
 */
import assert from "node:assert/strict";
import { HTTP_LIMITS } from "../adapters/http/bounds.ts";
import type { Event } from "../events/event.ts";
import { type Site, withSite } from "./http_given.ts";

const BINARY = { "ce-specversion": "1.0", "ce-id": "a", "ce-source": "urn:test", "ce-type": "a.b.c" };
const STRUCTURED = { specversion: "1.0", id: "a", source: "urn:test", type: "a.b.c" };

type Headers_ = Readonly<Record<string, string>>;
const binary = (site: Site, headers: Headers_, body?: BodyInit): Promise<Response> =>
  site.send("/events", {
    method: "POST",
    as: "ingest",
    headers: { ...BINARY, ...headers },
    ...(body !== undefined && { body }),
  });
const structured = (site: Site, more: object, type = "application/cloudevents+json"): Promise<Response> =>
  site.send("/events", {
    method: "POST",
    as: "ingest",
    headers: { "content-type": type },
    body: JSON.stringify({ ...STRUCTURED, ...more }),
  });

/** What was stored of the one event that was taken. */
const taken = async (site: Site, response: Response, what: string): Promise<Event & Record<string, unknown>> => {
  const answer = await response.json();
  assert.equal(response.status, 201, `${what}: ${JSON.stringify(answer)}`);
  return [...site.log.read({ from: answer.receipts[0].position })].flat()[0] as Event & Record<string, unknown>;
};
const refused = async (site: Site, response: Response, what: string): Promise<void> => {
  const problem = await response.json();
  assert.equal(response.status, 400, `${what}: ${JSON.stringify(problem)}`);
  assert.equal(problem.type, "urn:daybook:problem:invalid_event", what);
  assert.equal(site.log.size, 0, what);
};

/** Binding section 3.1.3.2: how a header's value is read. */
const DECODED: Readonly<Record<string, string>> = {
  "Euro%20%E2%82%AC%20%F0%9F%98%80": "Euro € 😀",
  "a%25b": "a%b",
  "a%2525b": "a%25b",
  '"quoted"': "quoted",
  '"a \\"b\\" c"': 'a "b" c',
  '"a%20b"': "a b",
  "100% sure": "100% sure",
  "a%2": "a%2",
  "%E4%bd%A0": "你",
};

Deno.test("binary mode decodes a header once: quotes, then percent signs, as UTF-8", () =>
  withSite(async (site) => {
    let n = 0;
    for (const [sent, meant] of Object.entries(DECODED)) {
      const event = await taken(site, await binary(site, { "ce-id": `d${n++}`, "ce-subject": sent }), sent);
      assert.equal(event.subject, meant, sent);
    }
  }));

Deno.test("binary mode refuses headers that decode to what no attribute may be", () =>
  withSite(async (site) => {
    for (const value of ["%FF", "%C0%AF", "%ED%A0%80", "%00", "%0A", "%7F", "%EF%BF%BF", "%EF%B7%90", '""']) {
      await refused(site, await binary(site, { "ce-subject": value }), value);
    }
  }));

Deno.test("binary mode takes attributes in any letter case of their headers, and all of them as strings", () =>
  withSite(async (site) => {
    const event = await taken(
      site,
      await binary(
        site,
        { "CE-Subject": "s", "Ce-TenantId": "7", "cE-flag": "true", "content-type": "text/plain" },
        "ä",
      ),
      "letter case",
    );
    assert.deepEqual([event.subject, event.tenantid, event.flag], ["s", "7", "true"]);
    assert.deepEqual([event.datacontenttype, event.data, event.data_base64], ["text/plain", undefined, "w6Q="]);
  }));

Deno.test("binary mode has its data in the body alone, and its type in Content-Type alone", () =>
  withSite(async (site) => {
    for (const name of ["ce-data", "ce-data_base64", "ce-datacontenttype"]) {
      await refused(site, await binary(site, { [name]: "x" }), name);
    }
    const without = await taken(site, await binary(site, {}), "no data");
    assert.deepEqual([without.data, without.data_base64, without.datacontenttype], [undefined, undefined, undefined]);
    const json = await binary(
      site,
      { "ce-id": "j", "content-type": "application/vnd.acme+json; charset=utf-8" },
      "[1]",
    );
    assert.deepEqual((await taken(site, json, "a +json type")).data, [1]);
    const bytes = await binary(
      site,
      { "ce-id": "o", "content-type": "application/octet-stream" },
      new Uint8Array([0, 255]),
    );
    assert.equal((await taken(site, bytes, "bytes")).data_base64, "AP8=");
    const unnamed = await binary(site, { "ce-id": "u" }, new Uint8Array([1]));
    await unnamed.body?.cancel();
    assert.equal(unnamed.status, 415);
  }));

Deno.test("a required attribute that is missing or empty is refused, in every mode", () =>
  withSite(async (site) => {
    for (const name of ["specversion", "id", "source", "type"]) {
      await refused(site, await structured(site, { [name]: undefined }), `${name} missing`);
      await refused(site, await structured(site, { [name]: "" }), `${name} empty`);
      await refused(site, await structured(site, { [name]: null }), `${name} null`);
      if (name !== "specversion" && name !== "id") {
        const headers: Record<string, string> = { ...BINARY };
        delete headers[`ce-${name}`];
        await refused(
          site,
          await site.send("/events", { method: "POST", as: "ingest", headers }),
          `ce-${name} missing`,
        );
      }
    }
  }));

/** Section "Type System": name and value of an extension, and whether it may be. */
const EXTENSIONS: readonly (readonly [string, unknown, boolean])[] = [
  ["flag", true, true],
  ["flag", false, true],
  ["count", 0, true],
  ["count", 2_147_483_647, true],
  ["count", -2_147_483_648, true],
  ["count", 2_147_483_648, false],
  ["count", -2_147_483_649, false],
  ["count", 1.5, false],
  ["text", "", true],
  ["text", "ä€😀", true],
  ["text", "tab\there", false],
  ["text", "nul\u0000", false],
  ["text", "c1\u0085", false],
  ["text", "\ufffe", false],
  ["text", "\ufdd0", false],
  ["list", [], false],
  ["map", {}, false],
  ["a1b2", "x", true],
  ["1a", "x", true],
  ["constructor", "x", true],
  ["tostring", "x", true],
  ["Upper", "x", false],
  ["under_score", "x", false],
  ["da-sh", "x", false],
  ["dot.ted", "x", false],
  ["", "x", false],
  ["ümlaut", "x", false],
  ["a".repeat(HTTP_LIMITS.attribute_name_max), "x", true],
  ["a".repeat(HTTP_LIMITS.attribute_name_max + 1), "x", false],
];

Deno.test("an attribute with a place of its own is told to be empty where it is, other extensions may be", () =>
  withSite(async (site) => {
    for (const name of ["subject", "causationid", "correlationid", "traceparent", "tracestate"]) {
      const answer = await structured(site, { [name]: "" });
      const { errors } = await answer.json();
      assert.deepEqual([answer.status, errors], [400, [{ path: `/${name}`, message: "is empty" }]], name);
    }
    const fine = await structured(site, { shade: "" });
    await fine.body?.cancel();
    assert.equal(fine.status, 201);
  }));

Deno.test("extensions are named in lower-case letters and digits, and are booleans, 32-bit integers or clean strings", async () => {
  for (const [name, value, may] of EXTENSIONS) {
    await withSite(async (site) => {
      const what = `${name} = ${JSON.stringify(value)}`;
      const response = await structured(site, { [name]: value });
      if (may) assert.deepEqual((await taken(site, response, what))[name], value, what);
      else await refused(site, response, what);
    });
  }
  await withSite(async (site) => {
    const event = JSON.stringify(STRUCTURED).replace("{", '{"__proto__":"x",');
    const headers = { "content-type": "application/cloudevents+json" };
    await refused(
      site,
      await site.send("/events", { method: "POST", as: "ingest", headers, body: event }),
      "__proto__",
    );
  });
});

Deno.test("an event has so many extensions and no more", () =>
  withSite(async (site) => {
    const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`e${i}`, i]));
    await refused(site, await structured(site, many(HTTP_LIMITS.extensions_max + 1)), "one more");
    await taken(site, await structured(site, many(HTTP_LIMITS.extensions_max)), "as many as there may be");
  }));

/** RFC 3339 section 5.6, and days that there are. */
const TIMES: Readonly<Record<string, boolean>> = {
  "2026-02-28T00:00:00Z": true,
  "2026-02-28t00:00:00z": true,
  "2026-02-28T23:59:59.123456789+14:00": true,
  "2024-02-29T12:00:00-00:00": true,
  "0001-01-01T00:00:00Z": true,
  "2026-02-29T00:00:00Z": false,
  "2026-04-31T00:00:00Z": false,
  "2026-02-28T24:00:00Z": false,
  "2026-02-28T12:60:00Z": false,
  "2026-02-28T00:00:00": false,
  "2026-02-28 00:00:00Z": false,
  "2026-02-28T00:00:00+0100": false,
  "2026-02-28T00:00:00+24:00": false,
  "2026-02-28T00:00Z": false,
  "2026-2-28T00:00:00Z": false,
  "+02026-02-28T00:00:00Z": false,
  "2026-02-28": false,
  "1772236800": false,
  "2026-02-28T00:00:00.Z": false,
  " 2026-02-28T00:00:00Z": false,
};

Deno.test("times are RFC 3339, with an offset, of days that there are", async () => {
  for (const [time, may] of Object.entries(TIMES)) {
    await withSite(async (site) => {
      const response = await structured(site, { time });
      if (may) assert.equal((await taken(site, response, time)).time, time);
      else await refused(site, response, time);
    });
  }
});

/** RFC 3986: `source` is a URI reference, `dataschema` a URI. */
const SOURCES: Readonly<Record<string, boolean>> = {
  "/relative/path": true,
  "a": true,
  "?q": true,
  "#f": true,
  "//host/path": true,
  "mailto:someone@example.org": true,
  "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66": true,
  "https://example.org/a%20b?c=d#e": true,
  "https://example.org/a b": false,
  "https://example.org/ä": false,
  "https://example.org/%zz": false,
  "a<b>": false,
  "a\\b": false,
  '"a"': false,
};

Deno.test("a source is a URI reference, and a dataschema an absolute URI", async () => {
  for (const [source, may] of Object.entries(SOURCES)) {
    await withSite(async (site) => {
      const response = await structured(site, { source });
      if (may) assert.equal((await taken(site, response, source)).source, source);
      else await refused(site, response, source);
    });
  }
  await withSite(async (site) => {
    for (const dataschema of ["/relative", "schema", "#x", "https:"]) {
      await refused(site, await structured(site, { dataschema }), dataschema);
    }
    await taken(site, await structured(site, { dataschema: "urn:schema:1" }), "absolute");
  });
});

Deno.test("data may be any JSON, null too; data_base64 is bytes; both at once is refused", () =>
  withSite(async (site) => {
    let n = 0;
    for (const data of [null, 0, false, "", [], {}, "text", [null], { data: { data: 1 } }]) {
      const event = await taken(site, await structured(site, { id: `d${n++}`, data }), JSON.stringify(data));
      assert.deepEqual(event.data, data);
    }
    for (const data_base64 of ["", "AA==", "AP8="]) {
      const event = await taken(site, await structured(site, { id: `b${n++}`, data_base64 }), data_base64);
      assert.equal(event.data_base64, data_base64);
    }
    const size = site.log.size;
    for (
      const wrong of [{ data: 1, data_base64: "AA==" }, { data_base64: "A" }, { data_base64: "AA" }, {
        data_base64: "A-_=",
      }, { data_base64: 1 }]
    ) {
      const response = await structured(site, wrong);
      await response.body?.cancel();
      assert.equal(response.status, 400, JSON.stringify(wrong));
    }
    assert.equal(site.log.size, size);
  }));

Deno.test("a batch is an array of events, of any length, all or none; its mode is told by the media type alone", () =>
  withSite(async (site) => {
    const batch = (body: unknown, type = "application/cloudevents-batch+json") =>
      site.send("/events", {
        method: "POST",
        as: "ingest",
        headers: { ...BINARY, "content-type": type },
        body: JSON.stringify(body),
      });
    for (
      const wrong of [{}, STRUCTURED, null, [null], [[]], [STRUCTURED, { ...STRUCTURED, id: "" }], [STRUCTURED, 1]]
    ) {
      const response = await batch(wrong);
      await response.body?.cancel();
      assert.equal(response.status, 400, JSON.stringify(wrong));
      assert.equal(site.log.size, 0);
    }
    const both = await batch(
      [STRUCTURED, { ...STRUCTURED, id: "b" }],
      "application/cloudevents-batch+json; charset=UTF-8",
    );
    await both.body?.cancel();
    assert.deepEqual([both.status, site.log.size], [201, 2]);
    // With structured media the headers of binary mode say nothing.
    const one = await batch({ ...STRUCTURED, id: "c" }, "application/cloudevents+json");
    assert.equal((await taken(site, one, "structured, with ce- headers")).id, "c");
  }));
