/**
 * The configuration as it is shipped, where nobody says anything else: most commands are run so, and need neither a reader of YAML nor the
 * schema, which takes a tenth of what a small command does. Both are written anew by `tests/config/defaults_text.ts`; a test holds them to the schema.
 */
import defaults from "./defaults.json" with { type: "json" };
import type { Config } from "./schema.ts";

/** SHA-256 in hex of `daybook.yaml`, where every key has its default. */
export const SHIPPED = "fec964053a1b0f63c933aff9cb4bdaad1cb0ffb9ae25acf93b0b336914d5f0de";

export const DEFAULTS = defaults as Config;
