/** Rows of the suite about append, under `deno bench`. */
import { benchGroup } from "./under_deno.ts";

benchGroup("append");
