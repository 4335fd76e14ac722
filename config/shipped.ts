/**
 * The configuration as it is shipped, where nobody says anything else: most commands are run so, and need neither a reader of YAML nor the
 * schema, which takes a tenth of what a small command does. Both are written anew by `tests/config/defaults_text.ts`; a test holds them to the schema.
 */
import defaults from "./defaults.json" with { type: "json" };
import type { Config } from "./schema.ts";

/** SHA-256 in hex of `daybook.yaml`, where every key has its default. */
export const SHIPPED = "61b95aed445429f5ac33102aa427184367e759dc7f44c75f8ae8868ab2f18a3d";

export const DEFAULTS = defaults as Config;
