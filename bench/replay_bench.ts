/** Rows of the suite about replay, under `deno bench`. */
import { benchGroup } from "./under_deno.ts";

benchGroup("replay");
