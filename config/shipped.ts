/**
 * The configuration as it is shipped, where nobody says anything else: most commands are run so, and need neither a reader of YAML nor the
 * schema, which takes a tenth of what a small command does. Both are written anew by `tests/config/defaults_text.ts`; a test holds them to the schema.
 */
import defaults from "./defaults.json" with { type: "json" };
import type { Config } from "./schema.ts";

/** SHA-256 in hex of `daybook.yaml`, where every key has its default. */
export const SHIPPED = "cc7c84486cc5ae1f9a402d3ff7d7048610eb01523ff370715ecb508a4f69bf77";

export const DEFAULTS = defaults as Config;
