/** `keys rotate`: every key is wrapped anew under another root key. */
import { Buffer } from "node:buffer";
import type { Run } from "../call.ts";
import { pathOf, text, Usage } from "../call.ts";
import { count, palette, safe } from "../print.ts";
import { progressBar } from "../progress.ts";
import { operateOn } from "../writer.ts";

interface Rotated {
  readonly from: number;
  readonly to: number;
  readonly keys: {
    readonly tenants: number;
    readonly subjects: number;
    readonly periods: number;
    readonly secrets: number;
  };
  readonly position?: number;
}

const PLACES = ["toFile", "toEnv", "toPassphraseFile"] as const;

export const rotateRoot: Run = async (call, runtime) => {
  const { io, clock } = runtime;
  const given = PLACES.filter((name) => text(call, name) !== undefined);
  if (given.length > 1) throw new Usage("one of --to-file, --to-env and --to-passphrase-file");
  const [place] = given;
  const said = place && text(call, place)!;
  const to = said === undefined ? undefined : await runtime.rootKey(
    place === "toEnv"
      ? { env: said }
      : place === "toFile"
      ? { file: pathOf(call, said) }
      : { passphraseFile: pathOf(call, said) },
    call.data,
  );
  const progress = progressBar("wrapping", { io, clock, quiet: call.json });
  const rotated = await operateOn<Rotated>(call, runtime, {
    operation: "rotate-root-key",
    input: to ? { to: { ...to, key: Buffer.from(to.key).toString("base64") } } : {},
    progress: progress.on,
  }).finally(() => progress.end());
  if (call.json) io.out(`${JSON.stringify({ ok: true, ...rotated, left: { [rotated.from]: 0 } })}\n`);
  else {
    const { from, to, keys, position } = rotated;
    const { tenants, subjects, periods, secrets } = keys;
    io.out(
      `${palette(io).green("the root key was replaced")}, version ${from} by version ${to}${
        position === undefined ? "" : `; recorded at position ${count(position)}`
      }\n` +
        `version ${to}   ${count(tenants)} tenant, ${count(subjects)} subjects, ${count(periods)} periods, ${
          count(secrets)
        } secrets; each was unwrapped once\n` +
        `version ${from}   nothing is left\n` +
        (said === undefined
          ? "the old root key is overwritten; copies of it elsewhere open no key of this database any more\n"
          : `the configuration must say where it is now (keys.${
            place === "toPassphraseFile" ? "passphrase" : "root"
          }: ${
            safe(place === "toEnv" ? `{ env: ${said} }` : `{ file: ${pathOf(call, said)} }`)
          }); the old one may be destroyed\n`),
    );
  }
  return 0;
};
