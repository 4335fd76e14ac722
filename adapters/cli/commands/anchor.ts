/** `anchor`: has a witness cosign the newest checkpoint, and keeps it where `verify --against` finds it. */
import { LogFault } from "../../../events/log.ts";
import type { Run } from "../call.ts";
import { pathOf, text, Usage } from "../call.ts";
import { count, palette, safe } from "../print.ts";

export const anchor: Run = async (call, runtime) => {
  const { io } = runtime;
  const [url] = call.args;
  const key = text(call, "key");
  const out = text(call, "out");
  if (key === undefined || out === undefined) {
    throw new Usage("anchor needs --key, the witness's public key, and --out");
  }
  const reader = await runtime.reader(call.data);
  try {
    const checkpoint = await reader.checkpoint();
    if (!checkpoint) throw new LogFault("closed", "the log has signed no checkpoint yet");
    const report = await runtime.anchor({ checkpoint, tree: reader.tree }, { url: url!, key });
    if (report.ok) await io.writePrivate({ [pathOf(call, out)]: report.note });
    const c = palette(io);
    io.out(
      call.json
        ? `${JSON.stringify(report.ok ? { ...report, file: out } : report)}\n`
        : report.ok
        ? `${c.green("anchored")}: a checkpoint of ${count(report.size)} events of ${
          safe(report.origin)
        }, cosigned, in ${safe(out)}\n`
        : `${c.red("not anchored")}: ${safe(report.because)}\n`,
    );
    return report.ok ? 0 : 1;
  } finally {
    await reader.close();
  }
};
