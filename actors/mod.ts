/** The catalogue of deciders: one line per domain. */
import { commits } from "./commits.ts";
import type { Actor } from "./types.ts";

export const actors: readonly Actor[] = [commits];
