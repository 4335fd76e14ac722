/** Security checks of services: what the agent sees, what is found in it, and what is told. */
import assert from "node:assert/strict";
import { createServer } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { ORCHESTRATOR, type ServiceCommand, services } from "../actors/services/stack.ts";
import { findingsOf } from "../actors/services/state.ts";
import { INSPECT, inspect } from "../adapters/process/agent/inspect.ts";
import { PROTOCOL } from "../adapters/process/agent/protocol.ts";
import { listeningOf, Networks } from "../adapters/process/agent/sockets.ts";
import {
  type Checked,
  checkedOf,
  foundBefore,
  foundIn,
  foundListening,
  foundShown,
  judged,
} from "../adapters/program/stack/checked.ts";
import { handshake } from "../adapters/x509/handshake.ts";
import { parseStack } from "../config/stack.ts";
import type { ServiceFact } from "../events/services.ts";
import { givenAuthority, withFolder } from "./certificates_given.ts";
import { given } from "./given.ts";
import { Agent, nonce, starting } from "./services_agent_given.ts";
import { spec } from "./services_given.ts";
import { until } from "./until.ts";

const DAY_MS = 86_400_000;

const checked = (yaml: string): Checked => {
  const parsed = parseStack(yaml, "s.yaml");
  assert.ok(parsed.ok, JSON.stringify(parsed));
  return checkedOf(parsed.stack.services[0]!, { stack: parsed.stack, file: "/s.yaml", ports: new Map() });
};

const inspected = (over: Partial<Parameters<typeof inspect>[0]>, own: Readonly<Record<string, string>> = {}) =>
  inspect({
    ask: "inspect",
    id: 0,
    command: "x",
    arguments: [],
    folder: "/",
    environment: {},
    inherit: [],
    requires: [],
    held: {},
    tls: {},
    ...over,
  }, (name) => own[name]);

Deno.test("a required secret that is not there, or is empty, is missing, wherever it would come from", () =>
  withFolder((folder) => {
    Deno.writeTextFileSync(`${folder}/empty`, " \n");
    Deno.writeTextFileSync(`${folder}/full`, "s3cret\n");
    const { missing } = inspected({
      folder,
      requires: ["A", "B", "C", "D", "E", "F", "G", "H"],
      inherit: ["F", "G"],
      environment: {
        A: "there",
        B: "",
        C: { file: "full" },
        D: { file: "empty" },
        E: { file: "none" },
        H: { env: "H_FROM" },
      },
    }, { F: "there", H_FROM: "there" });
    assert.deepEqual(missing, ["B", "D", "E", "G"]);
    return Promise.resolve();
  }));

Deno.test("files with secrets that everybody may read are seen, others are not", () =>
  withFolder((folder) => {
    for (const [name, mode] of [["open", 0o644], ["group", 0o640], ["own", 0o600], ["key", 0o604]] as const) {
      Deno.writeTextFileSync(`${folder}/${name}`, "s3cret");
      Deno.chmodSync(`${folder}/${name}`, mode);
    }
    const environment = { A: { file: "open" }, B: { file: "group" }, C: { file: "own" }, D: { file: "none" } };
    const { readable, ...rest } = inspected({ folder, environment, tls: { key: `${folder}/key` } });
    assert.deepEqual(readable, ["open", `${folder}/key`]);
    assert.ok(!JSON.stringify(rest).includes("s3cret"));
    return Promise.resolve();
  }));

Deno.test("URLs without TLS are seen with their host and nothing of who signs in, those with TLS are not", () => {
  const { plain } = inspected({
    environment: {
      DB: "postgres://me:pass@db.internal:5432/app",
      SAFE_DB: "postgres://me:pass@db.internal/app?sslmode=verify-full",
      CACHE: "redis://127.0.0.1:6379/0",
      SAFE: "https://example.com rediss://a amqps://b wss://c",
      SOCKET: "postgres:///app?host=/run/postgresql",
      SEVERAL: "mongodb://u:p%40@a.internal:27017,b.internal:27017/x",
      SAFE_MONGO: "mongodb://a.internal/x?tls=true",
      SECRET: { env: "FROM" },
      NOTHING: "no URL, nor http: alone, nor http://",
    },
    arguments: ["--upstream=http://[::1]:8080/x", "http://u:p@h.example/?a=b"],
  }, { FROM: "amqp://guest:guest@queue.internal" });
  assert.deepEqual(plain, [
    { where: "DB", url: "postgres://db.internal:5432", loopback: false },
    { where: "CACHE", url: "redis://127.0.0.1:6379", loopback: true },
    { where: "SEVERAL", url: "mongodb://a.internal:27017", loopback: false },
    { where: "SEVERAL", url: "mongodb://b.internal:27017", loopback: false },
    { where: "SECRET", url: "amqp://queue.internal", loopback: false },
    { where: "argument 1", url: "http://[::1]:8080", loopback: true },
    { where: "argument 2", url: "http://h.example", loopback: false },
  ]);
});

Deno.test("where a process listens is read off the kernel, with its address", async () => {
  const listen = async (host: string) => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen({ host, port: 0 }, resolve));
    return { server, port: (server.address() as { readonly port: number }).port };
  };
  // Not every machine has IPv6, as containers often have not.
  const six = Deno.networkInterfaces().some(({ address }) => address === "::1");
  const all = {
    "127.0.0.1": await listen("127.0.0.1"),
    "0.0.0.0": await listen("0.0.0.0"),
    ...six ? { "::1": await listen("::1") } : {},
  };
  try {
    const script =
      `import { listeningOf } from "./adapters/process/agent/sockets.ts"; console.log(JSON.stringify(listeningOf([${Deno.pid}])))`;
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["eval", "-q", script],
      cwd: new URL("..", import.meta.url),
    }).output();
    const found: readonly { readonly address: string; readonly port: number }[] = JSON.parse(
      new TextDecoder().decode(stdout),
    );
    for (const [address, { port }] of Object.entries(all)) {
      assert.ok(found.some((each) => each.address === address && each.port === port), address);
    }
    assert.deepEqual(listeningOf([2 ** 22 - 1]), []);
  } finally {
    for (const { server } of Object.values(all)) server.close();
  }
});

Deno.test("what is listened on in a network is looked up once for all who ask at once, and anew later", () => {
  let [now, looks] = [0, 0];
  const networks = new Networks(200, {
    now: () => now,
    networkOf: (pid) => pid === 0 ? undefined : pid % 2 === 0 ? "ours" : "theirs",
    placesOf: (pid) => [{ address: "127.0.0.1", port: ++looks, inode: String(pid) }],
  });
  const ports = (...pids: readonly number[]) => pids.map((pid) => networks.placesOf(pid)[0]!.port);
  assert.deepEqual(ports(2, 4, 1, 6, 3), [1, 1, 2, 1, 2]);
  now = 200;
  assert.deepEqual(ports(4, 1), [1, 2]);
  now = 201;
  assert.deepEqual(ports(6, 2, 3, 1), [3, 3, 4, 4]);
  assert.deepEqual(ports(0, 0), [5, 6], "one of which it is not known is looked at by itself");
});

Deno.test("of more places than are told at once where a process listens, so many are told", async () => {
  const script = `import { listeningOf } from "./adapters/process/agent/sockets.ts";
    const all = Array.from({ length: ${
    PROTOCOL.sockets_max + 1
  } }, () => Deno.listen({ hostname: "127.0.0.1", port: 0 }));
    console.log(all.length, listeningOf([Deno.pid]).length);`;
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "-q", script],
    cwd: new URL("..", import.meta.url),
  }).output();
  const [listens, told] = new TextDecoder().decode(stdout).trim().split(" ").map(Number);
  assert.deepEqual([listens, told], [PROTOCOL.sockets_max + 1, PROTOCOL.sockets_max]);
});

Deno.test("only so many URLs of only so many characters are told, and no file that is too large for a certificate is read", () =>
  withFolder((folder) => {
    const long = "a".repeat(1_000);
    const { plain } = inspected({
      environment: Object.fromEntries(Array.from({ length: 30 }, (_, n) => [`U${n}`, `http://${long}`])),
    });
    assert.deepEqual([plain.length, plain[0]!.url.length], [INSPECT.urls_max, INSPECT.url_chars_max]);
    for (const [bytes, there] of [[INSPECT.file_bytes_max, true], [INSPECT.file_bytes_max + 1, false]] as const) {
      Deno.writeTextFileSync(`${folder}/c`, "x".repeat(bytes));
      assert.equal(inspected({ tls: { certificate: `${folder}/c` } }).certificate !== undefined, there);
    }
    const answered = (text: string): number => {
      Deno.writeTextFileSync(`${folder}/c`, text.slice(0, INSPECT.file_bytes_max));
      const answer = inspected({ tls: { certificate: `${folder}/c`, authority: `${folder}/c` } });
      assert.ok(answer.certificate !== undefined);
      return JSON.stringify(answer).length;
    };
    const [begin, end] = ["-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----\n"];
    const full = (of: string) =>
      `${begin}${of.repeat(INSPECT.file_bytes_max).slice(0, INSPECT.file_bytes_max - begin.length - end.length)}${end}`;
    assert.ok(answered("\u0001".repeat(INSPECT.file_bytes_max)) < 1_000, "what is no PEM is not handed on");
    for (const text of [full("A\n"), full("A\v"), full("A"), `${begin}${end}`.repeat(INSPECT.file_bytes_max)]) {
      assert.ok(answered(text) < PROTOCOL.line_max, "whatever the file holds, the answer is a line");
    }
    return Promise.resolve();
  }));

Deno.test("a signal that tells something goes to the process alone, and not to another that has its number", () =>
  Agent.with(async (agent, folder) => {
    // It ends with what it has started, also where nobody ends it.
    const script = `trap 'echo told > ${folder}/told' HUP; sleep 60 & child=$!; echo $child > ${folder}/child; ` +
      "while kill -0 $child; do wait; done";
    const begun = await agent.ask("start", starting(folder, nonce(), script));
    assert.ok("process" in begun);
    const { process } = begun;
    const lineOf = async (path: string): Promise<string> =>
      (await until(path, () => Deno.readTextFile(path).catch(() => ""), (text) => text.endsWith("\n"))).trim();
    await lineOf(`${folder}/child`);
    assert.deepEqual(await agent.ask("tell", { process, signal: "SIGHUP" }), { sent: true });
    await lineOf(`${folder}/told`);
    const { usage: [both] } = await agent.ask("usage", { processes: [process] });
    assert.equal(both!.processes, 2, "what it has started is there");
    assert.deepEqual(await agent.ask("tell", { process: { ...process, ticks: 1 }, signal: "SIGHUP" }), { sent: false });
    await agent.ask("end", { process, signal: "SIGKILL" });
  }));

Deno.test("listening on all interfaces is found, on one's own it is not", () => {
  const found = foundListening([
    { address: "127.0.0.1", port: 1 },
    { address: "0.0.0.0", port: 80 },
    { address: "::", port: 443 },
  ]);
  assert.deepEqual(found.map(({ check, because }) => [check, because]), [
    ["listens_everywhere", "it listens on 0.0.0.0:80, [::]:443"],
  ]);
  assert.deepEqual(foundListening([{ address: "::1", port: 1 }, { address: "10.0.0.1", port: 2 }]), []);
});

Deno.test("certificates are found that have ended, end soon, do not count yet, are for others, or signed by others", async () => {
  const authority = await givenAuthority();
  const other = await givenAuthority();
  const about = { expiring_ms: 14 * DAY_MS, name: "localhost" };
  const found = (cert: string, more: { authority?: string } = {}) =>
    foundIn(cert, about, { where: "c.pem", at: Date.now(), ...more }).map(({ check, severity }) =>
      `${check} ${severity}`
    );
  const issue = async (from: number, until: number, names?: readonly string[]) =>
    (await authority.issue("a", ["server"], { from, until, ...(names ? { names } : {}) })).cert;
  assert.deepEqual(found(await issue(0, 30 * DAY_MS), { authority: authority.certificate }), []);
  assert.deepEqual(found(await issue(0, 13 * DAY_MS)), ["certificate_expiring medium"]);
  assert.deepEqual(found(await issue(-2 * DAY_MS, -DAY_MS)), ["certificate_expired high"]);
  assert.deepEqual(found(await issue(DAY_MS, 30 * DAY_MS)), ["certificate_unfit high"]);
  assert.deepEqual(found(await issue(0, 30 * DAY_MS, ["api.internal"])), ["certificate_unfit high"]);
  assert.deepEqual(found(await issue(0, 30 * DAY_MS), { authority: other.certificate }), ["certificate_unfit high"]);
  assert.deepEqual(found("none"), ["certificate_unfit high"]);
});

Deno.test("files of TLS that cannot be read, or do not belong together, are found", () =>
  withFolder(async (folder) => {
    const { certificate, issue } = await givenAuthority();
    const [one, two] = [await issue("a", ["server"]), await issue("b", ["server"])];
    Deno.writeTextFileSync(`${folder}/cert`, one.cert);
    Deno.writeTextFileSync(`${folder}/key`, two.key);
    Deno.writeTextFileSync(`${folder}/ca`, certificate);
    const files = { certificate: `${folder}/cert`, key: `${folder}/key`, authority: `${folder}/ca` };
    const found = (tls: typeof files) => {
      const about = checked("services:\n  a: { command: x, tls: { certificate: c } }\n");
      return foundBefore({ ...inspected({ tls }), root: false, readable: [] }, { ...about, expiring_ms: 0 }, {
        files: tls,
        at: Date.now(),
      }).map(({ check, because }) => `${check}: ${because.replaceAll(folder, "")}`);
    };
    assert.deepEqual(found(files), ["certificate_unfit: /key is not the key of /cert"]);
    Deno.writeTextFileSync(`${folder}/key`, one.key);
    assert.deepEqual(found(files), []);
    assert.deepEqual(found({ ...files, key: `${folder}/none` }), ["certificate_unfit: /none is not the key of /cert"]);
    assert.deepEqual(found({ ...files, certificate: `${folder}/none` }), ["certificate_unfit: /none cannot be read"]);
    assert.deepEqual(found({ ...files, authority: `${folder}/none` }), ["certificate_unfit: /none cannot be read"]);
  }));

Deno.test("a handshake shows what is really served, who has signed it, and that there is none", async () => {
  const authority = await givenAuthority();
  const own = await authority.issue("server", ["server"], { from: -2 * DAY_MS, until: -DAY_MS });
  const server = createTlsServer(own, (socket) => socket.end());
  server.on("tlsClientError", () => {});
  const plain = createServer((socket) => socket.end("no TLS\n"));
  const listen = async (one: typeof plain) => {
    await new Promise<void>((resolve) => one.listen({ host: "127.0.0.1", port: 0 }, resolve));
    return (one.address() as { readonly port: number }).port;
  };
  const { signal } = new AbortController();
  const about = { expiring_ms: 0, name: "localhost" };
  try {
    const port = await listen(server);
    const look = async (port: number) => {
      const to = { host: "127.0.0.1", port, name: "localhost", authority: authority.certificate, signal };
      const shown = await handshake(to);
      return foundShown(shown, about, { port, authority: authority.certificate, at: Date.now() }).map(({ check }) =>
        check
      );
    };
    assert.deepEqual(await look(port), ["certificate_expired"]);
    assert.equal((await handshake({ host: "127.0.0.1", port, name: "127.0.0.1", signal })).is, "shown");
    assert.deepEqual(await look(await listen(plain)), ["certificate_unfit"]);
    plain.close();
    const gone = createServer();
    const closed = await listen(gone);
    await new Promise((resolve) => gone.close(resolve));
    assert.deepEqual(await look(closed), [], "nobody listens yet");
    const over = await handshake({ host: "127.0.0.1", port, signal: AbortSignal.abort() });
    assert.deepEqual(over, { is: "failed", because: "no answer in time" });
  } finally {
    server.close();
    plain.close();
  }
});

Deno.test("what is done about a finding is said by the service, else by the stack of the check, else of all, else a warning", () => {
  const policies = (stack: string, service: string) =>
    checked(`stack: { checks: ${stack} }\nservices:\n  a: { command: x, checks: ${service} }\n`).policies;
  assert.equal(policies("{}", "{}").url_plain, "warn");
  assert.equal(policies("{}", "{}").secret_missing, "refuse");
  assert.equal(policies("{ policy: refuse }", "{}").url_plain, "refuse");
  assert.equal(policies("{ policy: warn }", "{}").secret_missing, "warn");
  assert.equal(policies("{ policy: refuse, findings: { url_plain: warn } }", "{}").url_plain, "warn");
  assert.equal(policies("{ findings: { url_plain: refuse } }", "{ url_plain: ignore }").url_plain, "ignore");
  const found = [
    { check: "url_plain", severity: "low", because: "x".repeat(1_000) },
    { check: "url_plain", severity: "high", because: "again" },
    { check: "runs_as_root", severity: "medium", because: "root" },
  ] as const;
  const all = judged({ policies: policies("{}", "{ runs_as_root: ignore }") }, found);
  assert.deepEqual(all.map(({ check, because }) => [check, because.length]), [["url_plain", 500]]);
});

Deno.test("the example of the page on services refuses a service whose required secrets are missing, as it says", () => {
  const page = Deno.readTextFileSync(new URL("../docs/services.md", import.meta.url));
  const example = [...page.matchAll(/```yaml\n([^]*?)```/g)].map(([, text]) => text!).find((text) =>
    text.includes("# not started without them")
  )!;
  assert.equal(checked(example).policies.secret_missing, "refuse");
});

const defined: ServiceFact = { type: "services.service.defined", data: spec("a", { replicas: 2 }) };
const applied: ServiceFact = {
  type: "services.stack.applied",
  data: { services: ["a"], profile: null, order: "ready" },
};
const announced = (replica: number): ServiceFact => ({
  type: "services.instance.announced",
  data: { service: "a", replica, nonce: `n-${replica}`, digest: spec("a").digest, attempt: 0 },
});
const before = [
  defined,
  applied,
  { type: "services.service.wanted", data: { service: "a" } },
  announced(0),
  announced(1),
] as const satisfies readonly ServiceFact[];
const finding = { check: "runs_as_root", severity: "medium", policy: "warn", because: "root" } as const;
const of = { service: "a", replica: 1 } as const;
const reported: ServiceFact = { type: "services.finding.reported", data: { ...of, ...finding } };
const cleared: ServiceFact = { type: "services.finding.cleared", data: { ...of, check: "runs_as_root" } };
const look = (
  checks: readonly ("runs_as_root" | "url_plain")[],
  ...findings: readonly (Omit<typeof finding, "because"> & { readonly because: string })[]
): ServiceCommand => ({
  type: "services.process.record_findings",
  data: { ...of, checks: [...checks], findings: [...findings] },
});
const by = ORCHESTRATOR;

Deno.test("a finding is told once, again when it is another, and when it is gone; of what was not looked at nothing changes", () => {
  given(services, ...before).when(look(["runs_as_root"], finding), { by }).accepted(reported);
  given(services, ...before, reported).when(look(["runs_as_root"], finding), { by }).accepted();
  const other = { ...finding, because: "root again" };
  given(services, ...before, reported).when(look(["runs_as_root"], other), { by })
    .accepted({ type: "services.finding.reported", data: { ...of, ...other } });
  given(services, ...before, reported).when(look(["runs_as_root"]), { by }).accepted(cleared);
  given(services, ...before, reported).when(look(["url_plain"]), { by }).accepted();
  given(services, ...before, reported, cleared).when(look(["runs_as_root"]), { by }).accepted();
  given(services, ...before).when(look(["runs_as_root"], finding)).rejected("not_the_orchestrator");
  const elsewhere: ServiceCommand = {
    type: "services.process.record_findings",
    data: { service: "b", replica: 0, checks: ["runs_as_root"], findings: [finding] },
  };
  given(services, ...before).when(elsewhere, { by }).accepted();
});

Deno.test("findings stay with a service that changes, and go with one that is stopped, or taken away", () => {
  const history = [...before, reported] as const;
  const stopped = (replica: number): ServiceFact => ({
    type: "services.instance.stopped",
    data: { service: "a", replica },
  });
  const apply = (...all: readonly ReturnType<typeof spec>[]): ServiceCommand => ({
    type: "services.stack.apply",
    data: { services: [...all], profile: null, order: "ready", wanted: all.map(({ service }) => service) },
  });
  const changed = given(services, ...history).when(
    apply(spec("a", { replicas: 2, probes: ["readiness"] })),
    { by },
  );
  assert.equal(findingsOf(changed.state, "a", 1).length, 1);
  const failed: ServiceFact = { type: "services.instance.failed", data: { ...of, because: "it" } };
  assert.equal(
    findingsOf(given(services, ...history, failed).when(look(["url_plain"]), { by }).state, "a", 1).length,
    1,
  );
  const down: ServiceFact = { type: "services.service.unwanted", data: { service: "a", because: "asked" } };
  given(services, ...history, down, stopped(0), stopped(1)).when(look(["url_plain"]), { by }).accepted(cleared);
  const removed: ServiceFact = { type: "services.service.unwanted", data: { service: "a", because: "removed" } };
  given(services, ...history, removed, stopped(0), failed).when(look(["url_plain"]), { by })
    .accepted(cleared, { type: "services.service.removed", data: { service: "a" } });
});
