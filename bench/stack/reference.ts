/**
 * The reference stack: redis, PostgreSQL, prometheus, a dashboard on prometheus, a vector store, a retrieval server on all three. Once as
 * Daybook's services, once as programs of supervisord with a script before each that waits for what it needs. Both look every 100 ms.
 */
import { fileURLToPath } from "node:url";

export const SERVICES = ["redis", "postgres", "prometheus", "vectors", "dashboard", "retrieval"] as const;
export type Name = typeof SERVICES[number];
export type Ports = Readonly<Record<Name, number>>;

export const NEEDS: Readonly<Record<Name, readonly Name[]>> = {
  redis: [],
  postgres: [],
  prometheus: [],
  vectors: [],
  dashboard: ["prometheus"],
  retrieval: ["vectors", "redis", "prometheus"],
};
const HTTP: Partial<Readonly<Record<Name, string>>> = {
  prometheus: "/-/ready",
  vectors: "/healthz",
  dashboard: "/healthz",
  retrieval: "/healthz",
};

const POSTGRES = ["/usr/lib/postgresql/17/bin", "/usr/lib/postgresql/15/bin", "/usr/lib/postgresql/16/bin"];
const has = (path: string): boolean => {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
};

/** What is not installed here, as Debian calls it. */
export const missing = (): readonly string[] => {
  const programs = [["/usr/bin/redis-server", "redis-server"], ["/usr/bin/prometheus", "prometheus"], [
    "/usr/bin/supervisord",
    "supervisor",
  ]] as const;
  const absent = programs.filter(([path]) => !has(path)).map(([, name]) => name as string);
  if (!POSTGRES.some((folder) => has(`${folder}/postgres`))) absent.push("postgresql");
  return Deno.uid() === 0 ? absent : [...absent, "root, who may start PostgreSQL as its user"];
};

const run = async (command: string, ...args: readonly string[]): Promise<void> => {
  const { success, stderr } = await new Deno.Command(command, { args: [...args], stdout: "null", stderr: "piped" })
    .output();
  if (!success) throw new Error(`${command}: ${new TextDecoder().decode(stderr)}`);
};

/** A free port each. */
export const freePorts = (): Ports => {
  const listeners = SERVICES.map(() => Deno.listen({ hostname: "127.0.0.1", port: 0 }));
  const ports = listeners.map(({ addr }) => (addr as Deno.NetAddr).port);
  for (const listener of listeners) listener.close();
  return Object.fromEntries(SERVICES.map((name, i) => [name, ports[i]!])) as Ports;
};

/** The folders that the programs need: a made database, a configuration. PostgreSQL does not run as root, so it gets a user of its own. */
export const prepare = async (folder: string): Promise<void> => {
  const bin = POSTGRES.find((each) => has(`${each}/initdb`))!;
  await Deno.mkdir(`${folder}/postgres`, { recursive: true });
  await Deno.mkdir(`${folder}/prometheus`, { recursive: true });
  await Deno.writeTextFile(`${folder}/prometheus.yml`, "global: { scrape_interval: 15s }\nscrape_configs: []\n");
  await Deno.chmod(folder, 0o755);
  await run("chown", "-R", "postgres", `${folder}/postgres`);
  await run(
    "setpriv",
    "--reuid=postgres",
    "--regid=postgres",
    "--clear-groups",
    `${bin}/initdb`,
    "-D",
    `${folder}/postgres`,
    "-N",
  );
};

/** Program and arguments. */
export const commandOf = (name: Name, folder: string, ports: Ports): readonly [string, ...string[]] => {
  const port = String(ports[name]);
  const bin = POSTGRES.find((each) => has(`${each}/postgres`));
  const server = (...needs: readonly string[]): [string, ...string[]] => [
    Deno.execPath(),
    "run",
    "-q",
    "--allow-net=127.0.0.1",
    "--no-config",
    fileURLToPath(new URL("./server.ts", import.meta.url)),
    port,
    ...needs,
  ];
  switch (name) {
    case "redis":
      return ["/usr/bin/redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", folder];
    case "postgres":
      return [
        "setpriv",
        "--reuid=postgres",
        "--regid=postgres",
        "--clear-groups",
        `${bin}/postgres`,
        "-D",
        `${folder}/postgres`,
        "-p",
        port,
        "-h",
        "127.0.0.1",
        "-k",
        "",
      ];
    case "prometheus":
      return [
        "/usr/bin/prometheus",
        `--config.file=${folder}/prometheus.yml`,
        `--storage.tsdb.path=${folder}/prometheus`,
        `--web.listen-address=127.0.0.1:${port}`,
      ];
    case "vectors":
      return server();
    case "dashboard":
      return server(`http://127.0.0.1:${ports.prometheus}/-/ready`);
    case "retrieval":
      return server(
        `http://127.0.0.1:${ports.vectors}/healthz`,
        `tcp://127.0.0.1:${ports.redis}`,
        `http://127.0.0.1:${ports.prometheus}/-/ready`,
      );
  }
};

/** As services of Daybook. */
export const asStack = (folder: string, ports: Ports): string =>
  JSON.stringify({
    stack: { name: "reference" },
    services: Object.fromEntries(SERVICES.map((name) => {
      const [command, ...rest] = commandOf(name, folder, ports);
      const path = HTTP[name];
      const look = path ? { http: { port: ports[name], path } } : { tcp: { port: ports[name] } };
      return [name, {
        command,
        arguments: rest.map((text) => text.replaceAll("$", "$$")),
        depends_on: NEEDS[name],
        profiles: ["full"],
        probes: { readiness: { ...look, interval_ms: 100, timeout_ms: 1_000 } },
        stop: { signal: name === "postgres" ? "SIGINT" : "SIGTERM", grace_ms: 10_000 },
        restart: { first_ms: 200, last_ms: 1_000 },
      }];
    })),
  });

/** When the program itself was begun: nanoseconds since 1970. */
export const begunFile = (folder: string, name: Name): string => `${folder}/${name}.begun`;

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** As programs of supervisord; each waits for what it needs by a script, as its users do. */
export const asSupervisord = (folder: string, ports: Ports): string =>
  [
    "[supervisord]",
    "nodaemon=true",
    "user=root",
    `logfile=${folder}/supervisord.log`,
    `pidfile=${folder}/supervisord.pid`,
    ...SERVICES.flatMap((name) => {
      const waits = NEEDS[name].map((need) =>
        HTTP[need]
          ? `until curl -sf -o /dev/null http://127.0.0.1:${ports[need]}${HTTP[need]}; do sleep 0.1; done`
          : `until bash -c '</dev/tcp/127.0.0.1/${ports[need]}' 2>/dev/null; do sleep 0.1; done`
      );
      const begun = `date +%s%N > ${quoted(begunFile(folder, name))}`;
      const script = [...waits, begun, `exec ${commandOf(name, folder, ports).map(quoted).join(" ")}`].join("\n");
      const path = `${folder}/${name}.sh`;
      Deno.writeTextFileSync(path, `#!/bin/bash\n${script}\n`, { mode: 0o755 });
      return [
        `[program:${name}]`,
        `command=${path}`,
        "autorestart=true",
        "startsecs=0",
        "stopasgroup=true",
        "killasgroup=true",
        `stdout_logfile=${folder}/${name}.out`,
        "redirect_stderr=true",
      ];
    }),
    "",
  ].join("\n");

const isWell = async (name: Name, ports: Ports): Promise<boolean> => {
  const path = HTTP[name];
  try {
    if (!path) {
      (await Deno.connect({ hostname: "127.0.0.1", port: ports[name] })).close();
      return true;
    }
    const response = await fetch(`http://127.0.0.1:${ports[name]}${path}`, { signal: AbortSignal.timeout(1_000) });
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false;
  }
};

/** Until every service is well, seen from outside. */
export const untilWell = async (ports: Ports): Promise<void> => {
  const deadline = performance.now() + 120_000;
  for (const name of SERVICES) {
    while (!await isWell(name, ports)) {
      if (performance.now() > deadline) throw new Error(`${name} did not become well`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
};
