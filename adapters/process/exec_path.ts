/** Prints where the running Deno lies: for `--allow-run` in the tasks of deno.json, so that main.ts may start itself and nothing else. */
console.log(Deno.execPath());
