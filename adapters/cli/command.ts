/** What is said of a command in the table of them (`table.ts`). */
import type { Call, Grants, Run } from "./call.ts";
import type { Settings } from "./settings.ts";

export interface CommandSpec {
  /** One or two words. */
  readonly name: string;
  readonly about: string;
  /** `<required>`, `[optional]`, with a line each; the last may be `<one or more...>` or `[any number...]`. */
  readonly args?: readonly (readonly [string, string])[];
  /** `--flag` or `--flag <value>`, with a line each, `<file|->` where `-` is a standard stream; `collect` lets it be given more than once. */
  readonly options?: readonly {
    readonly flags: string;
    readonly about: string;
    readonly collect?: true;
    /** One letter that stands for it. */
    readonly short?: string;
  }[];
  /** What comes after `deno task daybook `. */
  readonly examples: readonly string[];
  /** Whether `--data :memory:` makes sense. */
  readonly memory?: true;
  /** Whether it may open the log as its writer. */
  readonly opens?: true;
  /** It is about a log that there is: a folder without one is not made to be a log. */
  readonly existing?: true;
  /** Whether it reads databases of a data folder that may have been left open. */
  readonly reads?: true;
  /** Whether it cannot be undone, or lets somebody in: accounts that may do it are asked first (`PROOF`). */
  dangerous?(call: Call): boolean;
  /** Whether what it needs depends on the configuration. */
  readonly configured?: true;
  /** Beyond the configuration and the socket of a running server. */
  needs(call: Call, settings?: Settings): Partial<Grants>;
  load(): Promise<Run>;
}
