/** `stack metrics`: what services tell of themselves. */
import { Board } from "../board.ts";
import { type Call, type Run, text, Usage } from "../call.ts";
import { table } from "../columns.ts";
import { type Palette, palette, safe } from "../print.ts";
import type { Runtime } from "../runtime.ts";

interface Told {
  readonly endpoints: readonly {
    readonly service: string;
    readonly replica: number;
    readonly up: boolean;
    readonly series: number;
    readonly because?: string;
  }[];
  readonly samples: readonly {
    readonly service: string;
    readonly replica: number;
    readonly name: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly value: number | string;
  }[];
  readonly more: number;
}

/** What services tell of themselves, as the server that runs them has read it last. */
export const metrics: Run = async (call, runtime) => {
  const { io } = runtime;
  const remote = await runtime.remote(call.data);
  if (!remote) throw new Usage("no server runs the services of this folder: deno task start --stack FILE does");
  try {
    const [service] = call.args;
    if (service !== undefined) await expectService(service, call, runtime);
    const name = text(call, "metric");
    const asked = { ...(service === undefined ? {} : { service }), ...(name === undefined ? {} : { name }) };
    const told = await remote.operate("stack-metrics", asked, () => {}) as Told;
    if (call.json) io.out(`${JSON.stringify(told)}\n`);
    else io.out(metricsText(told, palette(io)));
    return told.endpoints.every(({ up }) => up) ? 0 : 1;
  } finally {
    remote.close();
  }
};

/** Throws `Usage` for what is none. */
const expectService = async (service: string, call: Call, runtime: Runtime): Promise<void> => {
  const reader = await runtime.reader(call.data);
  try {
    (await Board.of(reader, call, runtime)).known([service]);
  } finally {
    await reader.close();
  }
};

const metricsText = ({ endpoints, samples, more }: Told, c: Palette): string => {
  if (endpoints.length === 0) return "no running service tells metrics: `metrics` of a service says where it does\n";
  const down = endpoints.filter(({ up }) => !up).map(({ service, replica, because = "" }) =>
    `${c.red("not read")}  ${safe(service)}/${replica}: ${safe(because)}\n`
  );
  const rows = samples.map(({ service, replica, name, labels, value }) => [
    safe(service),
    String(replica),
    safe(name),
    safe(Object.entries(labels).map(([label, text]) => `${label}=${text}`).join(" ")),
    String(value),
  ]);
  const columns = [{ title: "service" }, { title: "replica" }, { title: "metric" }, { title: "labels" }, {
    title: "value",
    right: true as const,
  }];
  return `${down.join("")}${table(columns, rows, c)}${more > 0 ? c.dim(`and ${more} more\n`) : ""}`;
};
