/** `config schema` and `config check`: the configuration for editors, and for who is about to start with it. */
import { pathOf, type Run, text } from "../call.ts";
import { writeOutput } from "../draft.ts";
import { counted, palette, safe } from "../print.ts";

export const schema: Run = async (call, runtime) => {
  const { io } = runtime;
  const printed = `${JSON.stringify((await runtime.configurations()).schema(), null, 2)}\n`;
  const out = text(call, "out");
  if (out === undefined) io.out(printed);
  else {
    await writeOutput(io, pathOf(call, out), printed);
    io.out(call.json ? `${JSON.stringify({ ok: true, out })}\n` : `written to ${safe(out)}\n`);
  }
  return 0;
};

export const check: Run = async (call, runtime) => {
  const { io } = runtime;
  const file = pathOf(call, call.args[0]!);
  const problems = (await runtime.configurations()).problemsIn(await io.readText(file), call.args[0]!);
  const c = palette(io);
  if (call.json) io.out(`${JSON.stringify({ ok: problems.length === 0, problems })}\n`);
  else if (problems.length === 0) io.out(`${c.green("fine")}: ${safe(call.args[0]!)}\n`);
  else {
    for (const { file, line, column, path, expected, found, meant } of problems) {
      const place = line === undefined ? file : `${file}:${line}:${column}`;
      const where = path === "" ? "" : ` ${safe(path)}`;
      const guess = meant === undefined ? "" : `; did you mean ${JSON.stringify(meant)}?`;
      io.out(`${c.bold(safe(place))}${where}: expected ${safe(expected)}, found ${safe(found)}${safe(guess)}\n`);
    }
    io.err(`daybook: ${counted(problems.length, "problem")}\n`);
  }
  return problems.length === 0 ? 0 : 1;
};
