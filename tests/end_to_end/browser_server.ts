/** The program itself on a fresh folder and a free port, stopped as an operator would. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { V8_FLAGS } from "../../adapters/process/reexec.ts";
import { signal, stopped } from "../until.ts";

export interface Started {
  /** `http://127.0.0.1:…` */
  readonly url: string;
  readonly token: string;
}

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const READY_MS = 120_000;

export const withStarted = async (use: (started: Started) => Promise<void>): Promise<void> => {
  const data = Deno.makeTempDirSync({ prefix: "daybook-started-" });
  // The running binary, never npx, which does not hand signals on.
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", V8_FLAGS, "-A", `${ROOT}main.ts`, "start", "--data", data, "--port", "0"],
    cwd: ROOT,
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let said = "";
  const timer = setTimeout(() => child.kill("SIGKILL"), READY_MS);
  try {
    let url: string | undefined;
    while (url === undefined) {
      const { value, done } = await lines.read();
      if (done) throw new Error(`it ended before it listened: ${said}`);
      said += value;
      url = /^listening on (http:\/\/\S+)/m.exec(said)?.[1];
    }
    clearTimeout(timer);
    await use({ url, token: Deno.readTextFileSync(`${data}/first-token`).trim() });
  } finally {
    clearTimeout(timer);
    signal(child, "SIGTERM");
    await lines.cancel();
    const { code } = await stopped(child);
    Deno.removeSync(data, { recursive: true });
    assert.equal(code, 0, `it ended with ${code}`);
  }
};
