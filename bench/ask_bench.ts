/** Rows of the suite about ask, under `deno bench`. */
import { benchGroup } from "./under_deno.ts";

benchGroup("ask");
