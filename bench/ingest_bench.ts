/** Rows of the suite about ingest over HTTP, under `deno bench`. */
import { benchGroup } from "./deno_bench.ts";

benchGroup("ingest");
