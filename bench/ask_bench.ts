/** Rows of the suite about ask, under `deno bench`. */
import { benchGroup } from "./deno_bench.ts";

benchGroup("ask");
