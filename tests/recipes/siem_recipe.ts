/** The recipe for a SIEM made to run: its configuration, its rsyslog, and what to ask of the server. */
import assert from "node:assert/strict";
import { parse, stringify } from "yaml";
import { filledIn, type Server, snippet, started } from "./recipe.ts";

interface Sinks {
  readonly sinks: readonly Record<string, unknown>[];
}

/** The configuration of the recipe, with only these sinks and these changes. */
export const configured = (change: Readonly<Record<string, Readonly<Record<string, unknown>>>>): string => {
  const { sinks } = parse(snippet("siem", "yaml")) as Sinks;
  const chosen = sinks.filter(({ name }) => change[name as string]);
  assert.equal(chosen.length, Object.keys(change).length);
  return stringify({ sinks: chosen.map((sink) => ({ ...sink, ...change[sink.name as string] })) });
};

/** By the shipped task, so with the permissions that it works out and no more. */
export const serving = (folder: string, config: string): Promise<Server> => {
  Deno.writeTextFileSync(`${folder}/daybook.yaml`, config);
  const data = `${folder}/data`;
  return started(data, {
    command: ["task", "start", "--data", data, "--port", "0", "--config", `${folder}/daybook.yaml`],
  });
};

export const ingest = async (server: Server, from: number, count: number, text = ""): Promise<void> => {
  const events = Array.from({ length: count }, (_, i) => ({
    specversion: "1.0",
    id: String(from + i),
    source: "/test",
    type: "orders.order.placed",
    data: { n: from + i, text },
  }));
  const answer = await fetch(`${server.url}/events`, {
    method: "POST",
    headers: { authorization: `Bearer ${server.token}`, "content-type": "application/cloudevents-batch+json" },
    body: JSON.stringify(events),
  });
  assert.equal(answer.status, 201, await answer.text());
};

export const metric = async (server: Server, name: string, sink: string): Promise<number> => {
  const text = await (await server.get("/metrics")).text();
  return Number(new RegExp(`^daybook_sink_${name}\\{sink="${sink}"\\} (\\S+)$`, "m").exec(text)?.[1]);
};

export const freePort = (): number => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
};

export const rsyslog = async (folder: string, port: number) => {
  const conf = filledIn(snippet("siem", "rsyslog"), {
    'port="6514"': `port="${port}" address="127.0.0.1"`,
    "/var/log/daybook.log": `${folder}/received`,
  });
  await Deno.writeTextFile(`${folder}/rsyslog.conf`, `global(workDirectory="${folder}")\n${conf}`);
  const env = { PATH: `${Deno.env.get("PATH")}:/usr/sbin:/sbin` };
  const daemon = () =>
    new Deno.Command("rsyslogd", {
      args: ["-n", "-f", `${folder}/rsyslog.conf`, "-i", `${folder}/pid`],
      env,
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
  /** Each once, and how many lines they came in. */
  const received = async (): Promise<{ readonly positions: ReadonlySet<number>; readonly lines: number }> => {
    const text = await Deno.readTextFile(`${folder}/received`).catch(() => "");
    const found = [...text.matchAll(/\[daybook@32473 position="(\d+)"/g)].map(([, position]) => Number(position));
    return { positions: new Set(found), lines: found.length };
  };
  const positions = async () => (await received()).positions;
  return { daemon, positions, received };
};
