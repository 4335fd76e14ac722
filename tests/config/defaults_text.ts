/**
 * The shipped configuration as the schema has it. To write it anew: `deno run tests/config/defaults_text.ts > config/daybook.yaml`, and
 * `deno run tests/config/defaults_text.ts --json > config/defaults.json`.
 */
import { parseConfig, schema } from "../../config/config.ts";
import { type Shape, shapeOfConfig } from "../../config/problems.ts";

const HEAD = `# Daybook's configuration. Every key is here with its default, so every line may be left out.
#
# Later wins: this file, environment variables, flags. A variable is DAYBOOK__ and the path joined by __, in any letter
# case, its value written as here: DAYBOOK__SERVER__PORT=8080. A secret is only pointed at, { env: NAME } or { file: PATH }.
`;

const lines = (shape: Shape, value: unknown, depth: number): readonly string[] =>
  Object.entries(shape.properties ?? {}).flatMap(([key, inner]) => {
    const indent = "  ".repeat(depth);
    const here = (value as Readonly<Record<string, unknown>>)[key];
    const about = `${indent}# ${inner.description}.`;
    if (inner.properties) {
      return [...(depth === 0 ? [""] : []), about, `${indent}${key}:`, ...lines(inner, here, depth + 1)];
    }
    return [
      ...(depth === 0 ? [""] : []),
      about,
      `${indent}${key}: ${valueText(here)}`,
    ];
  });

/** As the formatter would have it. */
const valueText = (value: unknown): string => {
  if (typeof value === "string") return value;
  return Array.isArray(value) ? `[${value.map((one) => JSON.stringify(one)).join(", ")}]` : JSON.stringify(value);
};

export const defaultsText = (): string =>
  [HEAD.trimEnd(), ...lines(shapeOfConfig(), schema.parse({}), 0), ""].join("\n");

if (import.meta.main) {
  const parsed = parseConfig(defaultsText(), "defaults", {});
  if (!parsed.ok) throw new Error("the defaults do not hold");
  console.log(Deno.args.includes("--json") ? JSON.stringify(parsed.config, null, 2) : defaultsText().trimEnd());
}
