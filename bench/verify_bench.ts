/** Rows of the suite about verify, under `deno bench`. */
import { benchGroup } from "./under_deno.ts";

benchGroup("verify");
