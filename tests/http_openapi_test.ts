import assert from "node:assert/strict";
import { z } from "zod";
import { actors } from "../actors/mod.ts";
import type { Daybook } from "../actors/kernel/daybook.ts";
import { openapi } from "../adapters/http/openapi.ts";
import { schemaOf } from "../adapters/http/openapi_parts.ts";
import { githubWebhook } from "../adapters/program/webhooks.ts";
import { operatorRoutes } from "../adapters/program/operator_routes.ts";
import { events } from "../events/mod.ts";
import { projections } from "../projections/mod.ts";
import { cloudEvent, type Site, structured, withSite } from "./http_given.ts";
import { withHouse } from "./identity_given.ts";
import { type Document, type Node, untoldBy } from "./openapi_given.ts";

const documentOf = async (site: Site): Promise<Document> => await (await site.send("/openapi.json")).json();

/** Every object within, with its path. */
function* walk(value: unknown, path = ""): Generator<readonly [string, Node]> {
  if (typeof value !== "object" || value === null) return;
  if (!Array.isArray(value)) yield [path, value as Node];
  for (const [name, member] of Object.entries(value)) yield* walk(member, `${path}/${name}`);
}

Deno.test("the OpenAPI document is of one piece: references resolve, ids are unique, path parameters are told", () =>
  withSite(async (site) => {
    const document = await documentOf(site);
    assert.equal(document.openapi, "3.1.0");
    for (const [path, node] of walk(document)) {
      if (typeof node.$ref === "string") {
        assert.ok(document.components.schemas[node.$ref.replace("#/components/schemas/", "")], `${path} ${node.$ref}`);
      }
    }
    const ids = Object.values(document.paths).flatMap((methods) =>
      Object.values(methods).map(({ operationId }) => operationId)
    );
    assert.equal(new Set(ids).size, ids.length);
    for (const [path, methods] of Object.entries(document.paths)) {
      for (const operation of Object.values(methods)) {
        const told = (operation.parameters ?? []).filter((parameter) => parameter.in === "path").map(({ name }) =>
          name
        );
        assert.deepEqual(told, [...path.matchAll(/\{([a-z0-9]+)\}/g)].map(([, name]) => name), path);
        assert.ok(Object.keys(operation.responses).some((status) => /^[23]/.test(status)), path);
      }
    }
  }));

Deno.test("of all operations of a whole server no two have one id, be they routes or views", () =>
  withHouse(async (house) => {
    const { paths } = (await house.send("/openapi.json", { as: house.token })).body as Document;
    const ids = Object.values(paths).flatMap((methods) => Object.values(methods).map(({ operationId }) => operationId));
    assert.deepEqual(ids.filter((id, at) => ids.indexOf(id) < at), []);
    assert.ok(ids.includes("get_access_who_could"));
  }));

Deno.test("a schema that refers to itself leaves no reference that the document does not resolve", () => {
  const schema = z.strictObject({ command: z.strictObject({ type: z.string(), data: z.json() }) });
  assert.deepEqual(schemaOf(schema, "output"), {
    type: "object",
    properties: {
      command: {
        type: "object",
        properties: { type: { type: "string" }, data: {} },
        required: ["type", "data"],
        additionalProperties: false,
      },
    },
    required: ["command"],
    additionalProperties: false,
  });
});

Deno.test("the OpenAPI document of the shipped domains and all routes resolves, and says of each answer what it holds", () =>
  withSite((site) => {
    const daybook = { ...site.daybook, catalogue: events, actors, projections } as unknown as Daybook;
    const routes = [
      ...site.server.routes,
      ...operatorRoutes({ daybook } as Parameters<typeof operatorRoutes>[0]),
      githubWebhook({ target: daybook, secret: "s", by: { authtype: "system", authid: "github" } }),
    ];
    const document = openapi(daybook, routes, "1") as unknown as Document;
    for (const [path, node] of walk(document)) {
      if (typeof node.$ref !== "string") continue;
      assert.ok(document.components.schemas[node.$ref.replace("#/components/schemas/", "")], `${path} ${node.$ref}`);
    }
    for (const [path, methods] of Object.entries(document.paths)) {
      for (const [method, { responses }] of Object.entries(methods)) {
        for (const [status, { content }] of Object.entries(responses)) {
          assert.ok(content || status.startsWith("3"), `${method} ${path} ${status}`);
        }
      }
    }
    return Promise.resolve();
  }));

Deno.test("the OpenAPI document has every route, command, view and fact, from the schemas that validate", () =>
  withSite(async (site) => {
    const document = await documentOf(site);
    for (const { method, path } of site.server.routes) {
      if (/:type|:name/.test(path)) continue;
      const said = path.replace(":position", "{position}").replace(":file", "{file}").replace(":level", "{level}")
        .replace(":sha256{.+}", "{sha256}").replace(":index{.+}", "{index}");
      assert.ok(document.paths[said]?.[method.toLowerCase()], path);
    }
    const raise = document.paths["/commands/things.counter.raise/{id}"]!.post as unknown as {
      requestBody: { content: Record<string, { schema: Node }> };
    };
    assert.deepEqual(raise.requestBody.content["application/json"]!.schema, {
      type: "object",
      properties: { by: { type: "integer", minimum: 1, maximum: Number.MAX_SAFE_INTEGER } },
      required: ["by"],
      additionalProperties: false,
    });
    const names = document.paths["/views/things.seen"]!.get!.parameters!.map(({ name }) => name);
    for (const name of ["q", "prefix", "sort", "limit", "after", "at", "wait", "name", "times"]) {
      assert.ok(names.includes(name), name);
    }
    const limit = document.paths["/events"]!.get!.parameters!.find(({ name }) => name === "limit")!;
    assert.deepEqual([limit.schema.type, limit.schema.maximum], ["integer", 1_000]);
    const seen = document.components.schemas["fact.things.thing.seen"] as {
      properties: Record<string, Node>;
      "x-kind": string;
    };
    assert.equal(seen["x-kind"], "observed");
    assert.deepEqual(seen.properties.who!["x-personal"], { subject: "owner" });
  }));

Deno.test("answers are as the OpenAPI document says", () =>
  withSite(async (site) => {
    const document = await documentOf(site);
    const untold = untoldBy(document);
    const check = async (response: Response, template: string, method: string) => {
      assert.ok(document.paths[template]?.[method], template);
      const { pathname: path } = new URL(response.url || `http://x${template.replace(/\{\w+\}/g, "0")}`);
      const type = response.headers.get("content-type");
      const said = untold({ method, path, status: response.status, type, body: await response.json() });
      assert.equal(said, undefined);
    };
    const post = (body: string) => site.send("/events", { method: "POST", body, headers: structured });
    await check(await post(cloudEvent("a")), "/events", "post");
    await check(await post(cloudEvent("a")), "/events", "post");
    await check(await post(cloudEvent("a", { data: { name: "b" } })), "/events", "post");
    await check(await post("{"), "/events", "post");
    await check(await site.send("/events"), "/events", "get");
    await check(await site.send("/events?limit=x"), "/events", "get");
    await check(await site.send("/events/0"), "/events/{position}", "get");
    await check(await site.send("/events/9"), "/events/{position}", "get");
    await check(await site.send("/views"), "/views", "get");
    await check(await site.send("/views/things.seen"), "/views/things.seen", "get");
    await check(await site.send("/views/things.seen/lamp"), "/views/things.seen/{key}", "get");
    await check(await site.send("/views/things.seen/none"), "/views/things.seen/{key}", "get");
    await check(await site.send("/readyz"), "/readyz", "get");
    const command = (body: string) =>
      site.send("/commands/things.counter.raise/a", {
        method: "POST",
        body,
        headers: { "content-type": "application/json" },
      });
    await check(await command('{"by":99}'), "/commands/things.counter.raise/{id}", "post");
    await check(await command('{"by":99}'), "/commands/things.counter.raise/{id}", "post");
    await check(await command("{"), "/commands/things.counter.raise/{id}", "post");
    await check(await command("[]"), "/commands/things.counter.raise/{id}", "post");
    await check(await site.send("/events", { as: null }), "/events", "get");
  }));

Deno.test("what is wrong is told to a browser as the OpenAPI document says: as a page, or by leading it to one", () =>
  withSite(async (site) => {
    const untold = untoldBy(await documentOf(site));
    const accept = "text/html";
    const form = { "content-type": "application/x-www-form-urlencoded", accept };
    const given: readonly (readonly [number, string, Parameters<typeof site.send>[1]])[] = [
      [400, "/events?limit=x", { headers: { accept } }],
      [404, "/events/9", { headers: { accept } }],
      [400, "/views/things.seen?limit=x", { headers: { accept } }],
      [404, "/views/things.seen/none", { headers: { accept } }],
      [303, "/views/things.seen", { headers: { accept }, as: null }],
      [415, "/login", { method: "POST", body: "{}", headers: { "content-type": "application/json", accept } }],
      [401, "/login", { method: "POST", body: "token=x", headers: form }],
    ];
    for (const [status, target, init] of given) {
      const response = await site.send(target, init);
      const [type, body] = [response.headers.get("content-type"), await response.text()];
      assert.equal(response.status, status, target);
      assert.equal(
        untold({ method: init?.method ?? "GET", path: target.split("?")[0]!, status, type, body }),
        undefined,
      );
    }
  }));

Deno.test("the documentation page and its files are served from here", () =>
  withSite(async (site) => {
    const page = await (await site.send("/docs")).text();
    for (const [, path] of page.matchAll(/(?:src|href)="([^"]+)"/g)) {
      if (path!.startsWith("data:") || path === "/") continue;
      const file = await site.send(path!);
      assert.equal(file.status, 200, path);
      assert.ok((await file.text()).length > 10_000);
    }
    assert.equal((await site.send("/docs/package.json")).status, 404);
    assert.equal((await site.send("/docs/..%2fpackage.json")).status, 404);
  }));
