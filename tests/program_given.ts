/** The command line as it is shipped, within this process: what is typed, what it says and how it ends. */
import { commandLine } from "../adapters/cli/main.ts";
import { terminal } from "../adapters/cli/terminal.ts";
import { foldersOf } from "../adapters/program/folder.ts";
import { rootSourceOf } from "../adapters/program/root_key.ts";
import { runtimeOf } from "../adapters/program/runtime.ts";
import { DEFAULTS } from "../config/shipped.ts";
import type { Io } from "../adapters/cli/io.ts";

export interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** With the configuration as it is without a file. `scratch`: where copies may be made; `rootAsked` is waited for before a command that writes or copies keys learns of the root key. */
export const commands = (
  scratch: string,
  { rootAsked }: { readonly rootAsked?: () => Promise<void> } = {},
): (...args: readonly string[]) => Promise<Ended> => {
  const file = "daybook.yaml";
  const settings = () => Promise.resolve({ config: DEFAULTS, file });
  return async (...args) => {
    let [out, err] = ["", ""];
    const io: Io = {
      ...terminal(() => undefined),
      out: (text) => void (out += text),
      err: (text) => void (err += text),
      terminal: { out: false, err: false },
      columns: 80,
    };
    const rootOf = async (data: string) => await rootSourceOf(await settings(), data, io);
    const code = await commandLine(args, {
      io,
      place: { data: `${scratch}/none`, version: "1.2.3" },
      house: { config: "config", own: [] },
      settings,
      permissions: { granted: () => true },
      scratch: { path: `${scratch}/copies`, wanted: () => Promise.resolve(false) },
      runtime: () =>
        Promise.resolve(
          runtimeOf({
            io,
            settingsOf: settings,
            rootOf: async (data) => {
              await rootAsked?.();
              return await rootOf(data);
            },
            version: "1.2.3",
            folders: foldersOf({
              io,
              scratch: `${scratch}/copies`,
              rootOf,
              archived: () => Promise.resolve(undefined),
            }),
          }),
        ),
    });
    return { code, out, err };
  };
};
