/** What is kept of a stack beside the log: its ports, and what its services are started with. */
import assert from "node:assert/strict";
import { parseStack, type StackSettings } from "../config/stack.ts";
import { launchOf } from "../adapters/program/stack/launch.ts";
import { portsOf } from "../adapters/program/stack/ports.ts";
import { prepare, PreparedServices } from "../adapters/program/stack/prepared.ts";
import { changesOf, specOf } from "../adapters/program/stack/apply.ts";
import { NOTHING } from "../actors/services/state.ts";
import { services } from "../actors/services/stack.ts";
import { digestOf } from "./services_given.ts";
import { inFolder } from "./folder_given.ts";

const stackOf = (services: string): StackSettings => {
  const parsed = parseStack(`services:\n${services}`, "s.yaml");
  return parsed.ok ? parsed.stack : assert.fail(JSON.stringify(parsed.problems));
};
const A = "  a: { command: x, replicas: 2, ports: { web: random } }\n";

Deno.test("random ports are free, each another, and stay the same as long as the folder is there", async () => {
  await inFolder(async (folder) => {
    const first = await portsOf(stackOf(A), folder);
    assert.equal(new Set(first.values()).size, 2);
    for (const port of first.values()) Deno.listen({ hostname: "127.0.0.1", port }).close();
    const more = await portsOf(stackOf(`${A}  b: { command: x, ports: { main: random, fixed: 5432 } }\n`), folder);
    assert.deepEqual([...more].slice(0, 2), [...first]);
    assert.equal(more.get("b/0/fixed"), 5432);
    assert.equal(new Set(more.values()).size, 4);
    const { mode } = await Deno.stat(`${folder}/main.ports.json`);
    assert.equal(mode! & 0o777, 0o600);
  });
});

Deno.test("a random port is none that is stated anywhere in the stack, though it was remembered", async () => {
  await inFolder(async (folder) => {
    const taken = (await portsOf(stackOf(A), folder)).get("a/0/web")!;
    const ports = await portsOf(stackOf(`${A}  z: { command: x, ports: { main: ${taken} } }\n`), folder);
    assert.equal(ports.get("z/0/main"), taken);
    assert.equal(new Set(ports.values()).size, 3);
  });
});

Deno.test("looking at what would change keeps nothing and forgets nothing", async () => {
  await inFolder(async (folder) => {
    const first = await portsOf(stackOf(A), folder);
    const looked = await portsOf(stackOf("  b: { command: x, ports: { main: random } }\n"), folder, { keep: false });
    assert.equal(looked.size, 1);
    assert.deepEqual([...await portsOf(stackOf(A), folder)], [...first]);
  });
});

Deno.test("a memory of ports that cannot be read is one that is not there", async () => {
  for (const text of ["{", "[]", '{"a/0/web":"x","a/1/web":70000}', "null"]) {
    await inFolder(async (folder) => {
      await Deno.writeTextFile(`${folder}/main.ports.json`, text);
      const ports = await portsOf(stackOf(A), folder);
      assert.ok([...ports.values()].every((port) => Number.isInteger(port) && port > 0 && port < 65_536), text);
    });
  }
});

Deno.test("what services are started with is kept by its digest, secrets only pointed at, and let go of when nobody names it", async () => {
  await inFolder(async (folder) => {
    const stack = stackOf(
      "  a: { command: x, environment: { S: { env: A_SECRET } }, arguments: ['${replica}'], replicas: 2 }\n",
    );
    const placed = { stack, file: `${folder}/s.yaml`, ports: new Map() };
    const prepared = prepare(stack.services[0]!, placed);
    assert.deepEqual(prepared.instances.map(({ launch }) => launch.arguments), [["0"], ["1"]]);
    assert.deepEqual(prepared.instances[1]!.launch, launchOf(stack.services[0]!, 1, placed));
    const kept = new PreparedServices(`${folder}/prepared`);
    for (const n of [1, 2]) await kept.keep("a", digestOf(n), prepared);
    const file = `${folder}/prepared/${digestOf(1)}.a.json`;
    assert.equal((await Deno.stat(file)).mode! & 0o777, 0o600);
    assert.match(await Deno.readTextFile(file), /"S":\{"env":"A_SECRET"\}/);
    await kept.only(new Set([digestOf(2)]));
    const next = new PreparedServices(`${folder}/prepared`);
    assert.equal(await next.of("a", digestOf(1)), undefined);
    assert.equal(await kept.of("a", digestOf(1)), undefined);
    assert.deepEqual(await next.of("a", digestOf(2)), JSON.parse(JSON.stringify(prepared)));
    await new PreparedServices(`${folder}/never`).only(new Set());
  });
});

Deno.test("two services that are started alike keep their own checks; what an older version kept is found for both", async () => {
  await inFolder(async (folder) => {
    const stack = stackOf("  a: { command: x, checks: { runs_as_root: refuse } }\n  b: { command: x }\n");
    const of = { stack, file: `${folder}/s.yaml`, ports: new Map() };
    const all = stack.services.map((service) => ({ service, prepared: prepare(service, of) }));
    const [a, b] = all.map(({ service, prepared }) => specOf(service, prepared).digest);
    assert.equal(a, b);
    await Deno.writeTextFile(`${folder}/${a}.json`, JSON.stringify(all[1]!.prepared));
    const before = new PreparedServices(folder);
    for (const name of ["a", "b"]) assert.ok(await before.of(name, a!), name);
    for (const { service, prepared } of all) await before.keep(service.name, a!, prepared);
    const kept = new PreparedServices(folder);
    const policies = ["a", "b"].map(async (name) => (await kept.of(name, a!))!.checks!.policies.runs_as_root);
    assert.deepEqual(await Promise.all(policies), ["refuse", "warn"]);
  });
});

Deno.test("what was kept and is cut off is lost, and is kept anew", async () => {
  await inFolder(async (folder) => {
    const path = `${folder}/${digestOf(1)}.json`;
    await Deno.writeTextFile(path, '{"instances":[');
    const kept = new PreparedServices(folder);
    assert.equal(await kept.of("a", digestOf(1)), undefined);
    const stack = stackOf("  a: { command: x }\n");
    await kept.keep(
      "a",
      digestOf(1),
      prepare(stack.services[0]!, { stack, file: `${folder}/s.yaml`, ports: new Map() }),
    );
    assert.equal((await kept.of("a", digestOf(1)))?.instances.length, 1);
  });
});

const WEB = (replicas: number, more = "") =>
  `  web: { command: x, replicas: ${replicas}, ports: { http: random }, arguments: ["\${replica}", "\${ports.http}"]${more} }\n`;

Deno.test("how many replicas there are is no change of any, and what is planned says so; another port of one is a change of all", async () => {
  await inFolder(async (folder) => {
    const placed = async (yaml: string) => {
      const stack = stackOf(yaml);
      return { stack, file: `${folder}/s.yaml`, ports: await portsOf(stack, folder) };
    };
    const specs = async (yaml: string) => {
      const of = await placed(yaml);
      return of.stack.services.map((service) => specOf(service, prepare(service, of)));
    };
    const [two] = await specs(WEB(2));
    const second = (await placed(WEB(2))).ports.get("web/1/http")!;
    const [three] = await specs(WEB(3));
    assert.equal(three!.digest, two!.digest);
    const now = services.evolve(NOTHING, { type: "services.service.defined", data: two! });
    const planned = async (yaml: string) =>
      changesOf(await placed(yaml), now).map(({ change, had, replicas }) => [change, had, replicas]);
    assert.deepEqual(await planned(WEB(3)), [["scaled", 2, 3]]);
    assert.deepEqual(await planned(WEB(2)), [["same", 2, 2]]);
    assert.deepEqual(await planned(WEB(2, ", restart: { max: 3 }")), [["adjusted", 2, 2]]);
    // The second's port is wanted by another: it is not the only one that goes.
    const [moved] = await specs(`${WEB(2)}  db: { command: x, ports: { main: ${second} } }\n`);
    assert.notEqual(moved!.digest, two!.digest);
  });
});

Deno.test("what a replica that was taken away was started with is kept until it has ended", async () => {
  await inFolder(async (folder) => {
    const kept = new PreparedServices(folder);
    const of = (replicas: number) => {
      const stack = stackOf(`  a: { command: x, replicas: ${replicas}, arguments: ["\${replica}"] }\n`);
      return prepare(stack.services[0]!, { stack, file: `${folder}/s.yaml`, ports: new Map() });
    };
    await kept.keep("a", digestOf(1), of(3));
    await kept.keep("a", digestOf(1), of(1));
    const found = await new PreparedServices(folder).of("a", digestOf(1));
    assert.deepEqual(found!.instances.map(({ launch }) => launch.arguments), [["0"], ["1"], ["2"]]);
  });
});

Deno.test("who depends on several replicas is given all their addresses", () => {
  const stack = stackOf(
    `${
      WEB(3)
    }  shop: { command: x, depends_on: [web], environment: { ALL: "\${services.web.addresses.http}", ONE: "\${services.web.ports.http}" } }\n`,
  );
  const ports = new Map([0, 1, 2].map((replica) => [`web/${replica}/http`, 8_000 + replica]));
  const { environment } = launchOf(stack.services[1]!, 0, { stack, file: "/s.yaml", ports });
  assert.deepEqual(environment, { ALL: "127.0.0.1:8000,127.0.0.1:8001,127.0.0.1:8002", ONE: "8000" });
});
