/** A stack as a graph, for people: batches, the longest chain, a picture. Pure. */
import type { StackSettings } from "../../../config/stack.ts";
import { problemsText, PROFILES } from "../../../config/stack.ts";
import { importStack } from "../../../config/stack_import.ts";
import { Usage } from "../../cli/call.ts";
import type { ImportedStack, StackPlan } from "../../cli/stacks.ts";
import { faultsOfStack } from "./launch.ts";
import { batchesOf, criticalPath, type Graph, graphOf } from "../../../actors/services/graph.ts";

export const profiles: readonly string[] = PROFILES;

export const importOf = (text: string, file: string, out: string): ImportedStack => {
  const imported = importStack(text, file, faultsOfStack(out));
  if (!imported.ok) throw new Usage(problemsText(imported.problems));
  const { kind, yaml, services, unmapped } = imported;
  return { kind, yaml, services, unmapped };
};

const nodesOf = ({ services }: StackSettings) =>
  services.map(({ name, needs }) => ({ name, needs: needs.map(({ service }) => service) }));

/** Of a stack that was checked: there is no cycle. */
const sorted = (stack: StackSettings): Extract<Graph, { ok: true }> =>
  graphOf(nodesOf(stack)) as Extract<Graph, { ok: true }>;

export const planOf = (stack: StackSettings): StackPlan => ({
  name: stack.name,
  order: stack.order,
  services: stack.services.map(({ name, command, replicas, needs, probes }) => ({
    service: name,
    command,
    replicas,
    needs,
    probes: Object.entries(probes).filter(([, probe]) => probe !== undefined).map(([kind]) => kind),
  })),
  batches: batchesOf(sorted(stack)),
});

/** The longest chain, where a start of a service takes so many ms. */
export const chainOf = (stack: StackSettings, ms: (service: string) => number) =>
  criticalPath(nodesOf(stack), sorted(stack), ms);

const BOX = { width: 150, height: 34, across: 210, down: 54, margin: 16 } as const;

const escaped = (text: string): string =>
  text.replace(/[<>&"]/g, (c) => ({ "<": "&lt;", ">": "&gt;", "&": "&amp;", '"': "&quot;" })[c]!);

/** From left to right by depth; what is in `marked` is drawn bold. The same for the same stack, byte by byte. */
export const pictureOf = (stack: StackSettings, marked: readonly string[] = []): string => {
  const batches = batchesOf(sorted(stack));
  const at = new Map(
    batches.flatMap((names, x) =>
      names.map((name, y) => [name, { x: BOX.margin + x * BOX.across, y: BOX.margin + y * BOX.down }] as const)
    ),
  );
  const width = 2 * BOX.margin + Math.max(0, batches.length - 1) * BOX.across + BOX.width;
  const tallest = Math.max(1, ...batches.map((names) => names.length));
  const height = 2 * BOX.margin + (tallest - 1) * BOX.down + BOX.height;
  const isMarked = (name: string) => marked.includes(name);
  const edges = stack.services.flatMap(({ name, needs }) =>
    needs.filter(({ service }) => at.has(service)).map(({ service, condition, required }) => {
      const [from, to] = [at.get(service)!, at.get(name)!];
      const [x1, y1, x2, y2] = [from.x + BOX.width, from.y + BOX.height / 2, to.x, to.y + BOX.height / 2];
      const bend = (x1 + x2) / 2;
      const bold = isMarked(name) && isMarked(service) ? ' class="marked"' : "";
      const dashed = required ? "" : ' stroke-dasharray="4 3"';
      return `<path${bold}${dashed} d="M${x1} ${y1}C${bend} ${y1} ${bend} ${y2} ${x2} ${y2}"><title>${
        escaped(`${name} needs ${service} ${condition}`)
      }</title></path>`;
    })
  );
  const boxes = [...at].map(([name, { x, y }]) =>
    `<g${
      isMarked(name) ? ' class="marked"' : ""
    }><rect x="${x}" y="${y}" width="${BOX.width}" height="${BOX.height}" rx="6"/>` +
    `<text x="${x + BOX.width / 2}" y="${y + BOX.height / 2}">${
      escaped(name.length > 20 ? `${name.slice(0, 19)}…` : name)
    }</text></g>`
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">`,
    `<title>${escaped(`Services of ${stack.name}: an arrow goes from what is needed to who needs it`)}</title>`,
    "<style>rect{fill:#f4f6f8;stroke:#5b6b7b}path{fill:none;stroke:#9aa7b3;marker-end:url(#a)}" +
    "text{font:13px system-ui,sans-serif;text-anchor:middle;dominant-baseline:central;fill:#1c2733}" +
    ".marked rect{fill:#fff1d6;stroke:#b26a00;stroke-width:2}path.marked{stroke:#b26a00;stroke-width:2}</style>",
    '<defs><marker id="a" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">' +
    '<path d="M0 0L8 4L0 8z" style="fill:#5b6b7b;stroke:none"/></marker></defs>',
    ...edges,
    ...boxes,
    "</svg>",
    "",
  ].join("\n");
};
