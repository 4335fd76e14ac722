/** `secret set`, `rotate`, `delete` and `list`. A value is read from standard input or a file, never from the command line, which others can see. */
import { type Call, pathOf, type Run, text, Usage } from "../call.ts";
import { table } from "../columns.ts";
import { palette, safe } from "../print.ts";
import type { Runtime } from "../runtime.ts";
import { operateOn } from "../writer.ts";

const store = (replace: boolean): Run => async (call, runtime) => {
  const value = await valueOf(call, runtime);
  const input = { name: call.args[0]!, value, replace };
  const { name, version } = await operateOn<{ name: string; version: number }>(call, runtime, {
    operation: "store-secret",
    input,
  });
  runtime.io.out(call.json ? `${JSON.stringify({ name, version })}\n` : `${safe(name)}, version ${version}\n`);
  return 0;
};

export const set = store(false);
export const rotate = store(true);

export const remove: Run = async (call, runtime) => {
  const { name } = await operateOn<{ name: string }>(call, runtime, {
    operation: "delete-secret",
    input: { name: call.args[0]! },
  });
  runtime.io.out(call.json ? `${JSON.stringify({ ok: true, deleted: name })}\n` : `deleted ${safe(name)}\n`);
  return 0;
};

export const listAll: Run = async (call, runtime) => {
  const { io } = runtime;
  const secrets = await runtime.secretList(call.data);
  if (call.json) io.out(`${JSON.stringify({ secrets })}\n`);
  else if (secrets.length === 0) io.out("no secrets\n");
  else {
    const columns = ["name", "version", "changed"].map((title) => ({ title }));
    io.out(table(columns, secrets.map((one) => [one.name, String(one.version), one.changed]), palette(io)));
  }
  return 0;
};

/** Without the line's end that a file or a terminal puts behind it. */
const valueOf = async (call: Call, { io }: Runtime): Promise<string> => {
  const file = text(call, "file");
  const given = file === undefined || file === "-" ? await io.readInput() : await io.readText(pathOf(call, file));
  const value = given.replace(/\r?\n$/, "");
  if (value === "") throw new Usage("the secret is empty; write it to standard input, or give --file");
  return value;
};
