/**
 * The one schema of `daybook.yaml` as JSON Schema (2020-12), for editors: they complete and check with it. What several keys can only
 * get wrong together it does not say; `config check` does.
 */
import { shapeOfRules } from "./alerting.ts";
import { type Shape, shapeOfConfig } from "./problems.ts";
import { shapeOfStack } from "./stack.ts";

/** What the keys of a service are, for those who hover. */
const SERVICE: Readonly<Record<string, string>> = {
  enabled: "Whether it is there at all",
  command: "Program: looked for on the PATH it is given, or a path",
  arguments: "What the program is given",
  working_folder: "From the folder of this file",
  environment: "Variables; a secret is { env: NAME } or { file: PATH }, which only the agent reads",
  inherit: "Variables of Daybook's own that it gets too",
  ports: "Ports by name: a number, or random",
  depends_on: "Services it needs, and what must be true of them",
  probes: "How it is known to have started, to be ready, and to live",
  requires: "Variables without which it is not started",
  tls: "Certificate of the service: looked at, or issued by the folder's authority",
  checks: "What security checks find: ignore, warn or refuse; instead of what the stack says",
  metrics: "Where it tells metrics of its own, in Prometheus' text format",
  ready_line: "Regular expression: the first line of output it matches says that it is ready",
  restart: "When it is started again, after which pause, how often",
  stop: "How it is told to stop, and how long that may take",
  replicas: "How many of it run",
  update: "How a changed one takes the place of what runs",
  hooks: "Programs before and after a start and a stop",
  resources: "What must be free before a start, and what it may take",
  leftovers: "What it may have left behind, taken away before a start",
  schedule: "Cron, in UTC: it runs at these times and not before",
  profiles: "Profiles in which it runs; default: all",
  log: "How much of its output is kept",
};

type Node = { [key: string]: unknown };

/** A copy without words that are ours alone. */
const plain = (node: unknown): unknown => {
  if (Array.isArray(node)) return node.map(plain);
  if (typeof node !== "object" || node === null) return node;
  const named = (key: string, value: unknown): readonly [string, unknown] =>
    // Names of properties are anybody's.
    key === "properties" && typeof value === "object" && value !== null
      ? [key, Object.fromEntries(Object.entries(value).map(([name, shape]) => [name, plain(shape)]))]
      : [key, plain(value)];
  return Object.fromEntries(
    Object.entries(node).filter(([key, value]) => key !== "expected" || typeof value !== "string").map(([key, value]) =>
      named(key, value)
    ),
  );
};

const propertiesOf = (shape: Shape): Readonly<Record<string, Shape>> => shape.properties ?? {};

export const jsonSchema = (): unknown => {
  const whole = plain(shapeOfConfig()) as Node & { properties: Record<string, Node> };
  const { stack, services } = plain(propertiesOf(shapeOfStack())) as Record<string, Node>;
  const { properties } = whole;
  properties.stack = { ...stack, description: properties.stack!.description };
  properties.services = withAbout({ ...services, description: properties.services!.description });
  const rules = plain(shapeOfRules()) as Node;
  const off = {
    type: "object",
    properties: { enabled: { const: false } },
    required: ["enabled"],
    additionalProperties: false,
  };
  const alerting = properties.alerting as Node & { properties: Record<string, Node> };
  const { description, default: standard } = alerting.properties.rules!;
  const { $schema: _, ...named } = rules;
  alerting.properties.rules = {
    ...named,
    description,
    default: standard,
    additionalProperties: { anyOf: [rules.additionalProperties, off] },
  };
  return { ...whole, title: "Daybook's configuration" };
};

const withAbout = (services: Node): Node => {
  const service = services.additionalProperties as Node & { properties: Record<string, Node> };
  const properties = Object.fromEntries(
    Object.entries(service.properties).map(([key, shape]) => [
      key,
      key in SERVICE ? { ...shape, description: SERVICE[key] } : shape,
    ]),
  );
  return { ...services, additionalProperties: { ...service, properties } };
};
