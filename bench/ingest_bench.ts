/** Rows of the suite about ingest over HTTP, under `deno bench`. */
import { benchGroup } from "./under_deno.ts";

benchGroup("ingest");
