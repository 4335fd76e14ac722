/** What the program and the thread of its projections say to each other, and over what. */
import type { KernelFact } from "../../events/kernel.ts";
import type { Millis } from "../../events/event.ts";
import type { ProjectionState } from "./daybook.ts";

/** To the thread that projects. `settings` is what its composer needs to open the log and the views; plain data. */
export type ToProjections =
  | { readonly to: "open"; readonly settings: unknown }
  | { readonly to: "start"; readonly name: string; readonly path: string }
  | { readonly to: "stop"; readonly name: string }
  /** The log has at least so many events. */
  | { readonly to: "grown"; readonly size: number }
  /** A reader waits until the view shows this position, at most so long. */
  | { readonly to: "hurry"; readonly name: string; readonly position: number; readonly ms: Millis }
  | { readonly to: "close" };

/** From it. */
export type FromProjections =
  | { readonly from: "opened" }
  | { readonly from: "state"; readonly state: ProjectionState; readonly served: number }
  | { readonly from: "fact"; readonly fact: KernelFact; readonly child: string }
  /** The views are damaged; this thread can only be closed, and another one begin anew. */
  | { readonly from: "damaged"; readonly cause: string }
  /** A run has ended; with `cause` it crashed. */
  | { readonly from: "ended"; readonly name: string; readonly cause?: string }
  /** Still alive. */
  | { readonly from: "beat" }
  | { readonly from: "closed" };

/** One end of a connection to another thread. Messages arrive in order; none is lost while both ends live. */
export interface Line<Out, In> {
  send(message: Out): void;
  /** Set once, before the first message can arrive. */
  listen(heard: (message: In) => void, died: (cause: string) => void): void;
  /** Ends the other side at once, whatever it is doing. */
  cut(): void;
}

/** Bounds of the conversation; each has a test that reaches it. */
export const PROJECTIONS_APART = {
  /** The thread says that it lives this often. */
  beat_ms: 1_000,
  /** Longer silence, and it is taken for dead. Its longest step is a transaction. */
  silent_ms: 30_000,
  /** Loading the program and opening the files. */
  open_ms: 30_000,
  /** How long it may take to finish its transactions when asked to close. */
  close_ms: 5_000,
  /** News of a growing log are sent at most this often, unless a reader waits. */
  news_ms: 20,
} as const satisfies Record<string, Millis>;
