/** Rows of the suite about imports, under `deno bench`. */
import { benchGroup } from "./under_deno.ts";

benchGroup("import");
