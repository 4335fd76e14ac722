/** What the command line asks of stacks of services, before they are run. */
import type { StackSettings } from "../../config/stack.ts";

/** Of stacks that were checked. */
export interface Stacks {
  readonly profiles: readonly string[];
  planOf(stack: StackSettings): StackPlan;
  /** The longest chain of needs, where a start of a service takes so many ms; and how long. */
  chainOf(
    stack: StackSettings,
    ms: (service: string) => number,
  ): { readonly path: readonly string[]; readonly length: number };
  /** Throws `Usage` for what is neither. `file`: a name for messages, and `out` for those about what it comes to. */
  importOf(text: string, file: string, out: string): ImportedStack;
  /** SVG; what is marked is drawn bold. */
  pictureOf(stack: StackSettings, marked?: readonly string[]): string;
}

export interface StackPlan {
  readonly name: string;
  readonly order: StackSettings["order"];
  readonly services: readonly {
    readonly service: string;
    readonly command: string;
    readonly replicas: number;
    readonly needs: StackSettings["services"][number]["needs"];
    readonly probes: readonly string[];
  }[];
  /** By depth; each starts as soon as what it needs is there, so a batch is no barrier unless the order says so. */
  readonly batches: readonly (readonly string[])[];
}

/** A file written for another program, as one of ours. */
export interface ImportedStack {
  readonly kind: "process-compose" | "compose";
  readonly yaml: string;
  readonly services: number;
  /** What of it has no place in ours. */
  readonly unmapped: readonly { readonly line: number; readonly path: string; readonly because: string }[];
}

export interface StackRuntime {
  stacks(): Promise<Stacks>;
}
