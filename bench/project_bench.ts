/** Rows of the suite about project, under `deno bench`. */
import { benchGroup } from "./deno_bench.ts";

benchGroup("project");
