/**
 * The configuration as it is shipped, where nobody says anything else: most commands are run so, and need neither a reader of YAML nor the
 * schema, which takes a tenth of what a small command does. Both are written anew by `tests/config/defaults_text.ts`; a test holds them to the schema.
 */
import defaults from "./defaults.json" with { type: "json" };
import type { Config } from "./schema.ts";

/** SHA-256 in hex of `daybook.yaml`, where every key has its default. */
export const SHIPPED = "0483c6f55129b23ac39ac327f8c08410e9dd2af0c9d6e3a151601c822a5b1030";

export const DEFAULTS = defaults as Config;
