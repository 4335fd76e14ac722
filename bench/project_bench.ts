/** Rows of the suite about project, under `deno bench`. */
import { benchGroup } from "./under_deno.ts";

benchGroup("project");
