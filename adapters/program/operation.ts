/**
 * What an operator asks of whoever writes the folder, beyond commands to entities: of this process where it could take the lock, else of
 * the one that has it, over the folder's socket.
 */
import type { z } from "zod";
import type { OnProgress } from "../cli/io.ts";
import type { Opened } from "./opened.ts";

export interface Asked<I> {
  readonly input: I;
  /** For people who wait. */
  readonly progress: OnProgress;
  /** Aborts when nobody waits any more: what can end early without harm does. */
  readonly signal: AbortSignal;
}

/** `run` throws `Refused` where the state of things says no, and faults where something is broken. Its answer is JSON. */
export interface Operation<I = unknown> {
  /** One line, for the OpenAPI document. */
  readonly about: string;
  readonly input: z.ZodType<I>;
  run(opened: Opened, asked: Asked<I>): Promise<unknown>;
}

export const operation = <I>(spec: Operation<I>): Operation => spec as unknown as Operation;
