/** Rows of the suite about imports, under `deno bench`. */
import { benchGroup } from "./deno_bench.ts";

benchGroup("import");
