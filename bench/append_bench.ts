/** Rows of the suite about append, under `deno bench`. */
import { benchGroup } from "./deno_bench.ts";

benchGroup("append");
