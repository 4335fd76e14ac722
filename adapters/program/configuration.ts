/** What the command line asks of configurations, without starting anything. */
import { parseConfig, type Problem } from "../../config/config.ts";
import { jsonSchema } from "../../config/json_schema.ts";
import { parseStack } from "../../config/stack.ts";
import { YamlText } from "../../config/yaml_text.ts";
import { events } from "../../events/mod.ts";
import { rulesOf } from "./alerts/file.ts";
import { misnamed } from "./named.ts";
import { faultsOfStack } from "./stack/launch.ts";

export const schema = jsonSchema;

/** Every reason why it cannot be, as far as the file alone tells; none where it can. */
export const problemsIn = (text: string, file: string): readonly Problem[] => {
  const parsed = parseConfig(text, file, {});
  // What is wrong with the whole file is wrong with its sections.
  if (!parsed.ok) return parsed.problems;
  const stack = parseStack(text, file, faultsOfStack(file));
  const rules = rulesOf(parsed.config.alerting.rules, text, file);
  const source = new YamlText(text, file);
  const names = misnamed(parsed.config, { events, views: [] }).map(
    ({ path, ...rest }) => ({
      ...source.place(path, true),
      path: path.slice(0, -1).join("."),
      found: JSON.stringify(path.at(-1)),
      ...rest,
    }),
  );
  return [...stack.ok ? [] : stack.problems, ...rules.ok ? [] : rules.problems, ...names];
};
