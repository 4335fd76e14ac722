import assert from "node:assert/strict";
import { KeysFault } from "../adapters/keys/fault.ts";
import { createHash } from "node:crypto";
import { CloudEvent, HTTP } from "cloudevents";
import { cloudEvent, type Site, structured, withSite } from "./http_given.ts";

const BATCH = { "content-type": "application/cloudevents-batch+json" };
const post = (site: Site, body: BodyInit, headers: Record<string, string> = structured) =>
  site.send("/events", { method: "POST", body, headers, as: "ingest" });

/** The problem's code, path of the first error, and status. */
const problem = async (
  response: Response,
): Promise<{ status: number; code: string; path: string | undefined; body: Record<string, unknown> }> => {
  const body = await response.json();
  assert.equal(response.headers.get("content-type"), "application/problem+json");
  assert.equal(body.status, response.status);
  assert.match(body.type, /^urn:daybook:problem:/);
  return {
    status: response.status,
    code: body.type.slice("urn:daybook:problem:".length),
    path: body.errors?.[0]?.path,
    body,
  };
};

Deno.test("POST /events answers 201 with receipts whose leaf is the hash of the entry", () =>
  withSite(async (site) => {
    const response = await post(site, cloudEvent("a"));
    assert.equal(response.status, 201);
    assert.equal(response.headers.get("content-type"), "application/json");
    const leaf = createHash("sha256").update(Uint8Array.of(0)).update(site.log.entry(0)!).digest("base64");
    assert.deepEqual(await response.json(), {
      accepted: 1,
      duplicates: 0,
      size: 1,
      receipts: [{ id: "a", source: "urn:test", stream: "things/lamp", revision: 0, position: 0, leaf }],
    });
  }));

Deno.test("POST /events answers a repeat with 200 and the first receipt", () =>
  withSite(async (site) => {
    const first = await (await post(site, cloudEvent("a"))).json();
    const again = await post(site, cloudEvent("a"));
    assert.equal(again.status, 200);
    assert.deepEqual(await again.json(), { accepted: 0, duplicates: 1, size: 1, receipts: first.receipts });
  }));

Deno.test("POST /events answers the same id with other data with 409 and where the first is", () =>
  withSite(async (site) => {
    await (await post(site, cloudEvent("a"))).body?.cancel();
    const refused = await problem(await post(site, cloudEvent("a", { data: { name: "chair" } })));
    assert.equal(refused.status, 409);
    assert.equal(refused.code, "id_conflict");
    assert.equal(refused.body.position, 0);
    assert.equal(site.log.size, 1);
  }));

Deno.test("POST /events names the second of two events of a batch that have one id and say different things", () =>
  withSite(async (site) => {
    const chair = { data: { name: "chair" } };
    const refused = await problem(
      await post(site, `[${cloudEvent("b")},${cloudEvent("a")},${cloudEvent("a", chair)}]`, BATCH),
    );
    assert.deepEqual([refused.status, refused.code, refused.body.position], [409, "id_conflict", undefined]);
    assert.deepEqual(refused.body.errors, [{ path: "/2", message: "differs from the event at /1" }]);
    assert.equal(site.log.size, 0);
    await (await post(site, cloudEvent("a"))).body?.cancel();
    const known = await problem(await post(site, `[${cloudEvent("b")},${cloudEvent("a", chair)}]`, BATCH));
    assert.deepEqual([known.body.position, (known.body.errors as { path: string }[])[0]?.path], [0, "/1"]);
  }));

Deno.test("POST /events takes a batch, all or none, with paths into it", () =>
  withSite(async (site) => {
    const good = await post(site, `[${cloudEvent("a")},${cloudEvent("b")}]`, BATCH);
    assert.equal(good.status, 201);
    assert.deepEqual((await good.json()).receipts.map((receipt: { position: number }) => receipt.position), [0, 1]);
    const bad = await problem(
      await post(site, `[${cloudEvent("c")},${cloudEvent("d", { data: { name: "x", size: "big" } })}]`, BATCH),
    );
    assert.deepEqual([bad.status, bad.code, bad.path], [400, "invalid_data", "/1/data/size"]);
    const attribute = await problem(await post(site, `[${cloudEvent("c")},${cloudEvent("d", { source: "" })}]`, BATCH));
    assert.deepEqual([attribute.status, attribute.code, attribute.path], [400, "invalid_event", "/1/source"]);
    assert.equal(site.log.size, 2);
    const partly = await post(site, `[${cloudEvent("b")},${cloudEvent("e")}]`, BATCH);
    assert.equal(partly.status, 201);
    const { accepted, duplicates, size } = await partly.json();
    assert.deepEqual({ accepted, duplicates, size }, { accepted: 1, duplicates: 1, size: 3 });
  }));

Deno.test("POST /events takes an empty batch as nothing to do", () =>
  withSite(async (site) => {
    const response = await post(site, "[]", BATCH);
    assert.equal(response.status, 200);
    assert.deepEqual(await response.json(), { accepted: 0, duplicates: 0, size: 0, receipts: [] });
  }));

Deno.test("POST /events takes 1,000 events of a batch and refuses 1,001", () =>
  withSite(async (site) => {
    const many = (count: number) => `[${Array.from({ length: count }, (_, i) => cloudEvent(`n${i}`)).join(",")}]`;
    const refused = await problem(await post(site, many(1_001), BATCH));
    assert.deepEqual([refused.status, refused.code], [413, "too_large"]);
    const taken = await post(site, many(1_000), { ...BATCH, prefer: "return=minimal" });
    assert.equal(taken.status, 201);
    assert.deepEqual(await taken.json(), { accepted: 1_000, duplicates: 0, size: 1_000 });
  }));

Deno.test("POST /events takes binary mode, with JSON as data and all else as base64", () =>
  withSite(async (site) => {
    const ce = { "ce-specversion": "1.0", "ce-source": "urn:test", "ce-type": "things.thing.seen", "ce-id": "a" };
    assert.equal(
      (await post(site, '{"name":"lamp"}', {
        ...ce,
        "content-type": "application/json",
        "ce-subject": "a%20lamp",
        "ce-tenant": "7",
      })).status,
      201,
    );
    const event = [...site.log.read({})].flat()[0]! as unknown as Record<string, unknown>;
    assert.deepEqual([event.subject, event.tenant, event.data, event.datacontenttype], [
      "a lamp",
      "7",
      { name: "lamp" },
      "application/json",
    ]);
    const bytes = Uint8Array.of(0, 255, 128, 7);
    assert.equal(
      (await post(site, bytes, { ...ce, "ce-id": "b", "ce-type": "camera.image.taken", "content-type": "image/png" }))
        .status,
      201,
    );
    const image = [...site.log.read({ from: 1 })].flat()[0]!;
    assert.deepEqual([image.data_base64, image.datacontenttype, image.stream], [
      bytes.toBase64(),
      "image/png",
      "inbox/urn:test",
    ]);
    const header = await problem(
      await post(site, "x", { ...ce, "ce-id": "c", "content-type": "text/plain", "ce-subject": "%ff" }),
    );
    assert.deepEqual([header.status, header.path], [400, "/subject"]);
    const untyped = await problem(await post(site, Uint8Array.of(1), { ...ce, "ce-id": "c" }));
    assert.equal(untyped.status, 415);
    assert.equal((await post(site, "", { ...ce, "ce-id": "d", "ce-type": "door.bell.rung" })).status, 201);
  }));

Deno.test("POST /events takes what the CloudEvents SDK sends in all three modes", () =>
  withSite(async (site) => {
    const event = new CloudEvent({
      id: "s",
      source: "https://ci.example/builds",
      type: "things.thing.seen",
      time: "2026-01-02T03:04:05.678Z",
      subject: "grüße 100 %",
      data: { name: "lamp" },
      tenant: "blue",
    });
    const named = (id: string) => event.cloneWith({ id }) as CloudEvent<unknown>;
    for (const message of [HTTP.structured(named("s")), HTTP.binary(named("t"))]) {
      const response = await post(site, message.body as string, message.headers as Record<string, string>);
      assert.equal(response.status, 201, JSON.stringify(await response.json()));
    }
    const body = `[${["u", "v"].map((id) => HTTP.structured(named(id)).body as string).join(",")}]`;
    assert.equal((await post(site, body, BATCH)).status, 201);
    const all = [...site.log.read({})].flat() as unknown as Record<string, unknown>[];
    for (const one of all) {
      assert.deepEqual([one.subject, one.tenant, one.time], ["grüße 100 %", "blue", "2026-01-02T03:04:05.678Z"]);
      assert.deepEqual(one.data, { name: "lamp" });
    }
    const stored = all[0]!;
    const back = HTTP.toEvent({
      headers: { "content-type": "application/cloudevents+json" },
      body: JSON.stringify(stored),
    });
    assert.equal((back as CloudEvent).id, "s");
  }));

Deno.test("POST /events refuses what only the server sets", () =>
  withSite(async (site) => {
    for (
      const name of [
        "stream",
        "revision",
        "position",
        "version",
        "recordedat",
        "authid",
        "authtype",
        "authanything",
        "commanddigest",
      ]
    ) {
      const inBody = await problem(await post(site, cloudEvent("a", { [name]: "things/x" })));
      assert.deepEqual([inBody.status, inBody.code, inBody.path], [400, "server_attribute", `/${name}`]);
      const inHeader = await problem(
        await post(site, "", {
          "ce-specversion": "1.0",
          "ce-id": "a",
          "ce-source": "urn:x",
          "ce-type": "a.b.c",
          [`ce-${name}`]: "1",
        }),
      );
      assert.deepEqual([inHeader.status, inHeader.code], [400, "server_attribute"]);
    }
    assert.equal(site.log.size, 0);
  }));

Deno.test("POST /events refuses decided types and wrong data by path", () =>
  withSite(async (site) => {
    const decided = await problem(
      await post(site, cloudEvent("a", { type: "things.counter.raised", data: { by: 1 } })),
    );
    assert.deepEqual([decided.status, decided.code], [403, "decided_type"]);
    const wrong = await problem(await post(site, cloudEvent("a", { data: { name: "" } })));
    assert.deepEqual([wrong.status, wrong.code, wrong.path], [400, "invalid_data", "/data/name"]);
  }));

Deno.test("POST /events honours Prefer and says which preferences it applied", () =>
  withSite(async (site) => {
    const prefer = async (id: string, value: string) => {
      const response = await post(site, cloudEvent(id), { ...structured, prefer: value });
      return { applied: response.headers.get("preference-applied"), body: await response.json() };
    };
    assert.deepEqual(await prefer("a", "return=minimal"), {
      applied: "return=minimal",
      body: { accepted: 1, duplicates: 0, size: 1 },
    });
    assert.equal((await prefer("b", "respond-async, wait=10")).applied, null);
    assert.equal((await prefer("c", "return=representation")).applied, "return=representation");
    // Without a signed tree there is no checkpoint to wait for, and so nothing is claimed.
    assert.equal((await prefer("d", "checkpoint")).applied, null);
    site.faults.note = "origin\n5\nAAAA\n";
    const both = await prefer("e", "checkpoint, return=minimal");
    assert.equal(both.applied, "return=minimal, checkpoint");
    assert.equal(both.body.checkpoint, site.faults.note);
    // RFC 7240 section 2: what is in quotes is one value, and an empty one is none.
    for (
      const [n, [value, applied]] of [
        ['note="a, checkpoint"', null],
        ['note="\\", return=minimal"', null],
        ['note="a;b", checkpoint=""', "checkpoint"],
        ['return="minimal";note="a, b", checkpoint', "return=minimal, checkpoint"],
        ['checkpoint, note="', "checkpoint"],
      ].entries()
    ) assert.equal((await prefer(`q${n}`, value!)).applied, applied, value!);
  }));

const cases: readonly (readonly [string, string, number, string, string | undefined])[] = [
  ["not JSON", "{", 400, "malformed_json", ""],
  ["nothing", "", 400, "malformed_json", ""],
  ["a byte order mark", "\ufeff" + cloudEvent("a"), 400, "malformed_json", ""],
  ["an array in structured mode", "[]", 400, "invalid_event", ""],
  ["null", "null", 400, "invalid_event", ""],
  ["an empty object", "{}", 400, "invalid_event", "/specversion"],
  ["another specversion", cloudEvent("a", { specversion: "0.3" }), 400, "invalid_event", "/specversion"],
  ["an empty id", cloudEvent(""), 400, "invalid_event", "/id"],
  ["a number as id", cloudEvent("a", { id: 7 }), 400, "invalid_event", "/id"],
  ["a null id", cloudEvent("a", { id: null }), 400, "invalid_event", "/id"],
  ["a source with a space", cloudEvent("a", { source: "a b" }), 400, "invalid_event", "/source"],
  ["a time that is none", cloudEvent("a", { time: "yesterday" }), 400, "invalid_event", "/time"],
  ["a time of a month 13", cloudEvent("a", { time: "2026-13-01T00:00:00Z" }), 400, "invalid_event", "/time"],
  ["a relative dataschema", cloudEvent("a", { dataschema: "schema" }), 400, "invalid_event", "/dataschema"],
  [
    "a datacontenttype that is none",
    cloudEvent("a", { datacontenttype: "json" }),
    400,
    "invalid_event",
    "/datacontenttype",
  ],
  ["an upper-case extension", cloudEvent("a", { Tenant: "x" }), 400, "invalid_event", "/Tenant"],
  ["an extension that is an object", cloudEvent("a", { tenant: {} }), 400, "invalid_event", "/tenant"],
  ["an extension beyond 32 bits", cloudEvent("a", { tenant: 2147483648 }), 400, "invalid_event", "/tenant"],
  ["a fractional extension", cloudEvent("a", { tenant: 1.5 }), 400, "invalid_event", "/tenant"],
  ["a control character in a subject", cloudEvent("a", { subject: "a\nb" }), 400, "invalid_event", "/subject"],
  ["an id of 1,025 bytes", cloudEvent("a".repeat(1_025)), 400, "invalid_event", "/id"],
  [
    "65 extensions",
    cloudEvent("a", Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`x${i}`, true]))),
    400,
    "invalid_event",
    "/x64",
  ],
  ["a name of 41 letters", cloudEvent("a", { ["x".repeat(41)]: true }), 400, "invalid_event", `/${"x".repeat(40)}`],
  ["data and data_base64", cloudEvent("a", { data_base64: "AAAA" }), 400, "invalid_event", "/data_base64"],
  [
    "data_base64 that is not",
    cloudEvent("a", { data: undefined, data_base64: "A=A" }),
    400,
    "invalid_event",
    "/data_base64",
  ],
  [
    "a number too large",
    `{"specversion":"1.0","id":"a","source":"u","type":"a.b.c","data":{"n":[12345678901234567890]}}`,
    400,
    "number_not_representable",
    "/data/n/0",
  ],
  [
    "1e400",
    `{"specversion":"1.0","id":"a","source":"u","type":"a.b.c","data":1e400}`,
    400,
    "number_not_representable",
    "/data",
  ],
  [
    "a key twice",
    `{"specversion":"1.0","id":"a","source":"u","type":"a.b.c","data":{"a":1,"a":2}}`,
    400,
    "duplicate_key",
    "/data/a",
  ],
  [
    "a lone surrogate",
    `{"specversion":"1.0","id":"a","source":"u","type":"a.b.c","data":"\\ud800"}`,
    400,
    "lone_surrogate",
    "/data",
  ],
  [
    "a deep nest",
    `{"specversion":"1.0","id":"a","source":"u","type":"a.b.c","data":${"[".repeat(64)}${"]".repeat(64)}}`,
    400,
    "too_deep",
    undefined,
  ],
];
for (const [what, body, status, code, path] of cases) {
  Deno.test(`POST /events refuses ${what} with ${code}`, () =>
    withSite(async (site) => {
      const refused = await problem(await post(site, body));
      assert.deepEqual([refused.status, refused.code, path === undefined ? undefined : refused.path], [
        status,
        code,
        path,
      ]);
      assert.equal(site.log.size, 0);
    }));
}

Deno.test("POST /events takes the deepest nest that is allowed, attributes that are null, and odd keys in data", () =>
  withSite(async (site) => {
    const deep = `{"specversion":"1.0","id":"a","source":"u","type":"a.b.c","data":${"[".repeat(63)}${"]".repeat(63)}}`;
    assert.equal((await post(site, deep)).status, 201);
    assert.equal((await post(site, `[${deep.replace('"a"', '"b"')}]`, BATCH)).status, 201);
    assert.equal((await post(site, cloudEvent("c", { subject: null, stream: null, tenant: null }))).status, 201);
    const odd =
      `{"specversion":"1.0","id":"d","source":"u","type":"a.b.c","data":{"__proto__":{"x":1},"constructor":2,"toString":3},"constructor":"x"}`;
    assert.equal((await post(site, odd)).status, 201);
    const stored = [...site.log.read({ from: 3 })].flat()[0]!;
    assert.deepEqual(Object.keys(stored.data as object), ["__proto__", "constructor", "toString"]);
    assert.equal(({} as Record<string, unknown>).x, undefined);
  }));

Deno.test("POST /events refuses other media types, charsets and codings with 415", () =>
  withSite(async (site) => {
    for (
      const type of [
        "application/json",
        "text/plain",
        "application/cloudevents+xml",
        "nonsense",
        "application/cloudevents+json; charset=latin1",
      ]
    ) {
      const refused = await problem(await post(site, cloudEvent("a"), { "content-type": type }));
      assert.deepEqual([refused.status, refused.code], [415, "unsupported_media_type"], type);
    }
    const coded = await post(site, cloudEvent("a"), { ...structured, "content-encoding": "gzip" });
    assert.equal(coded.headers.get("accept-encoding"), "identity");
    assert.equal((await problem(coded)).status, 415);
    assert.equal(
      (await post(site, cloudEvent("a"), { "content-type": 'Application/CloudEvents+JSON; charset="UTF-8"' })).status,
      201,
    );
  }));

Deno.test("POST /events refuses bytes that are not UTF-8", () =>
  withSite(async (site) => {
    const bytes = new TextEncoder().encode(cloudEvent("a", { data: { name: "lamp#" } }));
    bytes[bytes.indexOf(35)] = 0xff;
    assert.equal((await problem(await post(site, bytes))).code, "invalid_utf8");
  }));

Deno.test("POST /events refuses a body over 1 MiB, whatever its length claims, and an entry over its limit", () =>
  withSite(async (site) => {
    const mebibyte = cloudEvent("a", { data: "x".repeat(1 << 20) });
    assert.equal((await problem(await post(site, mebibyte))).status, 413);
    assert.equal((await problem(await post(site, mebibyte, { ...structured, "content-length": "10" }))).status, 413);
    let pulled = 0;
    const endless = new ReadableStream<Uint8Array<ArrayBuffer>>({
      pull: (controller) => {
        pulled++;
        controller.enqueue(new Uint8Array(65_536).fill(32));
      },
    });
    assert.equal((await problem(await post(site, endless))).status, 413);
    assert.ok(pulled < 20, `read ${pulled} chunks of 64 KiB`);
    assert.equal(
      (await problem(await post(site, cloudEvent("a", { type: "a.b.c", data: "x".repeat(60_000) })))).status,
      413,
    );
    assert.equal(site.log.size, 0);
  }));

Deno.test("POST /events says what the log could not do without naming the inside", () =>
  withSite(async (site) => {
    const { LogFault } = await import("../events/log.ts");
    for (
      const [kind, status, code] of [
        ["full", 503, "unwritable"],
        ["locked", 503, "unwritable"],
        ["overloaded", 503, "overloaded"],
        ["closed", 503, "stopping"],
        ["fenced", 503, "unwritable"],
      ] as const
    ) {
      site.faults.ingest = () => Promise.reject(new LogFault(kind, "secret path /srv/x"));
      const response = await post(site, cloudEvent("a"));
      assert.ok(Number(response.headers.get("retry-after")) >= 1);
      const refused = await problem(response);
      assert.deepEqual([refused.status, refused.code], [status, code]);
      assert.doesNotMatch(JSON.stringify(refused.body), /srv/);
    }
    site.faults.ingest = () => Promise.reject(new TypeError("secret"));
    const broken = await problem(await post(site, cloudEvent("a")));
    assert.deepEqual([broken.status, broken.code], [500, "fault"]);
    assert.doesNotMatch(JSON.stringify(broken.body), /secret|TypeError|\.ts/);
    assert.equal(site.faultsSeen.length, 1);
  }));

Deno.test("a key database that cannot be written now is 503 like the log, and told to the operator; a broken one is a fault", () =>
  withSite(async (site) => {
    for (
      const [kind, status, code] of [
        ["full", 503, "unwritable"],
        ["locked", 503, "unwritable"],
        ["read_only", 503, "unwritable"],
        ["io", 503, "unwritable"],
        ["truncated", 500, "fault"],
      ] as const
    ) {
      site.faults.ingest = () => Promise.reject(new KeysFault(kind, "Cannot create subject keys: secret"));
      const response = await post(site, cloudEvent("a"));
      assert.equal(response.headers.has("retry-after"), status === 503);
      const refused = await problem(response);
      assert.deepEqual([refused.status, refused.code], [status, code]);
      assert.doesNotMatch(JSON.stringify(refused.body), /secret/);
    }
    assert.equal(site.faultsSeen.length, 5);
  }));
