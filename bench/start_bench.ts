/** Rows of the suite about starting, under `deno bench`. */
import { benchGroup } from "./under_deno.ts";

benchGroup("start");
