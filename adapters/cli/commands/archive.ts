/** `archive`: the beginning of the log moves to a folder. */
import type { Run } from "../call.ts";
import { archiveOf, moment, pathOf, text, Usage } from "../call.ts";
import { bytes, count, palette, safe } from "../print.ts";
import { progressBar } from "../progress.ts";
import { withWriter } from "../writer.ts";

interface Begun {
  readonly from: number;
  readonly until: number;
  readonly root: string;
  readonly note: string;
  readonly key: string;
}

interface Ended {
  readonly until: number;
  readonly kept: number;
  readonly blocks: number;
  readonly position?: number;
  /** Sinks that are in no configuration here, and would need what was archived. */
  readonly behind?: readonly { readonly who: string; readonly size: number }[];
}

export const archive: Run = async (call, runtime) => {
  const [given, to] = [text(call, "before"), text(call, "to")];
  if (given === undefined || to === undefined) throw new Usage("archive takes --before and --to");
  const before = moment(given, "--before");
  const folder = pathOf(call, to);
  if (`${folder}/`.startsWith(`${call.data}/`)) throw new Usage("an archive does not lie in the data folder");
  const { io, clock } = runtime;
  const progress = progressBar("archiving", { io, clock, quiet: call.json });
  const { begun, ended } = await withWriter(call, runtime, async (writer) => {
    const operate = <T>(operation: string, input: unknown) =>
      (writer.is === "local"
        ? runtime.operate(writer.daybook, operation, input, () => {})
        : writer.remote.operate(operation, input, () => {})) as Promise<T>;
    const begun = await operate<Begun>("begin-archive", { before });
    if (begun.until <= begun.from) return { begun };
    const written = await runtime.writeArchive(call.data, folder, { ...begun, taken: archiveOf(call) }, progress.on);
    const letGo = await operate<Ended>("end-archive", { until: begun.until, root: begun.root });
    return { begun, ended: { ...letGo, bytes: written.bytes } };
  }).finally(() => progress.end());
  const { from, until, root } = begun;
  if (!ended) {
    io.out(
      call.json
        ? `${JSON.stringify({ ok: true, until, folder, events: 0, blocks: 0 })}\n`
        : until === 0
        ? "nothing to archive: it goes by whole bundles of 256 events\n"
        : `nothing to archive: ${count(until)} events are archived already\n`,
    );
    return 0;
  }
  const { kept, blocks, position, behind = [] } = ended;
  io.out(
    call.json
      ? `${
        JSON.stringify({
          ok: true,
          from,
          until,
          kept,
          root,
          folder,
          events: until - from,
          blocks,
          bytes: ended.bytes,
          position,
          behind,
        })
      }\n`
      : `${palette(io).green("archived")} ${count(until - from)} events, up to position ${count(until)}, ${
        bytes(ended.bytes)
      } in ${safe(folder)}, verified\n${count(blocks)} blocks were let go of; what is kept begins at position ${
        count(kept)
      }\nto read them where they are now: log.archive in the configuration, --archive ${safe(folder)} for a command\n${
        behind.map(({ who, size }) =>
          `the ${safe(who)}, which is in no configuration here, has come to position ${
            count(size)
          }: to go on it needs log.archive\n`
        ).join("")
      }`,
  );
  return 0;
};
