/** What the command line asks of configurations. */
import type { Problem } from "../../config/config.ts";

export interface Configurations {
  /** JSON Schema (2020-12) of the whole file. */
  schema(): unknown;
  /** `file`: a name for messages. */
  problemsIn(text: string, file: string): readonly Problem[];
}

export interface ConfigurationRuntime {
  configurations(): Promise<Configurations>;
}
