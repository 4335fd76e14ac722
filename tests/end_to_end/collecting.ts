/**
 * Run before the program: at SIGUSR2 it collects all garbage, and writes what its heap holds then, in bytes, to the file that is
 * named in `DAYBOOK_TEST_HEAP`. So a test sees what is held, and not what was not yet swept. It takes `--expose-gc`.
 */
const { gc } = globalThis as unknown as { gc(options: { type: "major"; flavor: "last-resort" }): void };
const file = Deno.env.get("DAYBOOK_TEST_HEAP")!;

Deno.addSignalListener("SIGUSR2", () => {
  gc({ type: "major", flavor: "last-resort" });
  Deno.writeTextFileSync(`${file}.new`, String(Deno.memoryUsage().heapUsed));
  Deno.renameSync(`${file}.new`, file);
});
