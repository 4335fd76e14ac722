/** What flags say that the configuration also can. */
import type { Override } from "../../config/config.ts";
import { type Call, pathOf, text, Usage } from "./call.ts";

/** Of both the flag wins. Paths are made absolute: they count from where they were typed. */
export const overridesOf = (call: Call): readonly Override[] => {
  const flags = ([
    ["host", "--host", ["server", "host"]],
    ["port", "--port", ["server", "port"]],
    ["behindProxy", "--behind-proxy", ["server", "behind_proxy"]],
    ["profile", "--profile", ["profile"]],
  ] as const).flatMap(([option, name, path]): Override[] => {
    const given = text(call, option);
    return given === undefined ? [] : [{ name, path, text: given }];
  });
  const [cert, key] = [text(call, "tlsCert"), text(call, "tlsKey")];
  if ((cert === undefined) !== (key === undefined)) throw new Usage("--tls-cert and --tls-key go together");
  if (cert === undefined || key === undefined) return flags;
  return [
    ...flags,
    { name: "--tls-cert", path: ["server", "tls", "certificate"], text: pathOf(call, cert) },
    { name: "--tls-key", path: ["server", "tls", "key"], text: JSON.stringify({ file: pathOf(call, key) }) },
  ];
};
