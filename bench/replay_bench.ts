/** Rows of the suite about replay, under `deno bench`. */
import { benchGroup } from "./deno_bench.ts";

benchGroup("replay");
