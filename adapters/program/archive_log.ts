/**
 * The beginning of the log goes to an archive. Whoever writes the log says up to where that can be, and signs a checkpoint of just that
 * (`begin-archive`); the command writes the folder and has it verified (`archive_folder.ts`); then the log lets go (`end-archive`), in this
 * order, each step durable before the next: an event says so, a row of the store says so, the blocks are deleted. Cut off anywhere it may be
 * asked again, and the next opening deletes what is left.
 */
import { z } from "zod";
import { isArchived } from "../../actors/kernel/kept.ts";
import { kernelEvent } from "../../actors/kernel/kernel_event.ts";
import { managerCalled, managerPlaceIn } from "../../actors/kernel/manage.ts";
import type { Behind } from "../../actors/kernel/places.ts";
import { sinkCalled, sinkPlaceIn, sinkPlacesIn } from "../../actors/kernel/sink_place.ts";
import { pause } from "../../actors/kernel/world.ts";
import { heldBy, type Register } from "../../actors/privacy.ts";
import { LOG_STREAM } from "../../events/kernel_log.ts";
import { LogFault, type NewEvent } from "../../events/log.ts";
import { PRIVACY_STREAM } from "../../events/privacy.ts";
import { TILE_WIDTH } from "../../events/tiles.ts";
import { ViewQuestion } from "../../projections/views.ts";
import { Usage } from "../cli/call.ts";
import { Refused } from "../cli/runtime.ts";
import { deleteArchived, lettingGo, markArchived, markOf } from "../kv/archive.ts";
import { systemClock } from "../system/world.ts";
import { ARCHIVE } from "./controls/guarded.ts";
import type { Opened } from "./opened.ts";
import { operation } from "./operation.ts";
import { OPERATOR } from "./operator.ts";
import { checkpointKept, settled, signed } from "./settled.ts";

/** What a verifier has to find without the archive: who signs the log, and what it was. */
const TELLS = ["kernel.log.key_rotated", "kernel.log.forked"];
/** A view that has not come so far is waited for. */
const VIEWS_MS = 60_000;
/** So is one that acts outside, where it runs; a receiver that is away may be so for days. */
const SEEN_MS = 10_000;
const SEEN_LOOK_MS = 50;

/** A hold on anything forbids to move what may be part of it; what begins an erasure that is under way is needed to end it. */
const expectFree = ({ entities }: Pick<Opened, "entities">): void => {
  const { holds, erasing } = entities.look(PRIVACY_STREAM).state as Register;
  const hold = heldBy(holds, {}, systemClock.now());
  if (hold) throw new Refused("held", `The legal hold ${hold.hold} forbids it: ${hold.reason}`);
  if (erasing.length > 0) {
    throw new Refused("erasing", `The erasure of ${erasing[0]} is under way; archive when it is done`);
  }
};

interface Archived {
  readonly until: number;
  readonly kept: number;
  readonly link: string;
  readonly root: string;
}

const archived = (data: Archived): NewEvent =>
  kernelEvent({ type: "kernel.log.archived", data }, {
    id: `kernel.log.archived ${data.until}`,
    at: systemClock.now(),
    timeGiven: false,
    stream: LOG_STREAM,
    ...OPERATOR.principal,
  });

/** A control may guard it, and is asked before anything is written and again before anything is let go of. */
const expectAllowed = ({ gate }: Pick<Opened, "gate">, data: Archived): Promise<void> =>
  gate.check({ type: ARCHIVE, target: LOG_STREAM, event: archived(data) });

/** How far tree and index have come, in whole bundles. */
const boundaryOf = async ({ log }: Pick<Opened, "log">, asked: number): Promise<number> => {
  await settled(log, Math.min(asked, log.size));
  const most = Math.min(asked, log.size, log.tree.size, log.indexed);
  return most - most % TILE_WIDTH;
};

/** `undefined`: somewhere in what was archived, so there is nothing more before it. */
const positionOf = (log: Opened["log"], time: string): number | undefined => {
  try {
    return log.positionAt(time);
  } catch (error) {
    if (!isArchived(error)) throw error;
    return undefined;
  }
};

const before = z.union([
  z.strictObject({ position: z.int().nonnegative() }),
  z.strictObject({ time: z.iso.datetime({ offset: true }) }),
]);

export const beginArchive = operation({
  about: "Says up to where the log can be archived, and signs a checkpoint of that.",
  input: z.strictObject({ before }),
  async run(opened, { input, signal }) {
    expectFree(opened);
    const { log, lies, keys } = opened;
    const from = markOf(lies)?.until ?? 0;
    const asked = "position" in input.before ? input.before.position : positionOf(log, input.before.time) ?? from;
    if (asked > log.size) {
      throw new Usage(`--before ${asked} lies behind the end of the log, which has ${log.size} events`);
    }
    const until = await boundaryOf(opened, asked);
    if (until <= from) return { from, until: from };
    await expectSeen(opened, until, signal);
    const root = log.tree.root(until)!.toBase64();
    await expectAllowed(opened, { until, kept: until, link: "", root });
    const note = keys.logKey.checkpoint(until, root);
    // So that whoever verifies knows the root there.
    await checkpointKept(log, { size: until, note });
    return { from, until, root, note, key: keys.logKey.signer.vkey };
  },
});

/** Every view has folded what is about to go. */
const expectFolded = async ({ daybook }: Pick<Opened, "daybook">, kept: number): Promise<void> => {
  for (const { name, size, stoppedAt } of daybook.status().projections) {
    // One that an event stops comes no further. One that its disk stops does when that has room, and would miss what is about to go.
    if (stoppedAt?.of === "event") continue;
    if (stoppedAt && size < kept) {
      throw new Refused(
        "view_behind",
        `The view ${name} stands still at position ${size}, ${stoppedAt.cause}; archive when it has come to ${kept}`,
      );
    }
    try {
      await daybook.view(name, { limit: 1, wait: kept - 1, deadline: VIEWS_MS });
    } catch (error) {
      if (!(error instanceof ViewQuestion)) throw error;
      throw new Refused("view_behind", `The view ${name} has not read so far yet; archive when it has`);
    }
  }
};

/** Who acts outside on what the log says has done so with all that is about to go, or it would be stuck there the next time. */
const expectSeen = async (opened: Opened, position: number, signal: AbortSignal): Promise<void> => {
  const { outbound: { places } } = opened;
  const until = systemClock.monotonic() + SEEN_MS;
  for (;;) {
    const behind = places.behind(position) ?? await resting(opened, position);
    if (!behind) return;
    const runs = places.has(behind.who);
    if (signal.aborted || !runs || systemClock.monotonic() >= until) {
      throw new Refused(
        "follower_behind",
        `The ${behind.who} has come to position ${behind.size} and needs what lies before ${position}: ` +
          `archive when it has come so far${runs ? "" : ", which it does while the server runs"}`,
      );
    }
    await pause(systemClock, SEEN_LOOK_MS, signal);
  }
};

/** One that is configured and does not run in this process, where it is behind. */
const resting = async (opened: Opened, position: number): Promise<Behind | undefined> => {
  const { outbound: { places, views }, config, log } = opened;
  const { rulesOf } = await import("./threats/plant.ts");
  const rules = rulesOf(opened).map(({ name }) => [managerCalled(name), managerPlaceIn(views, name)] as const);
  const sinks = config.sinks.map(({ name, from }) =>
    [sinkCalled(name), sinkPlaceIn({ name, log, views }) ?? (from === "end" ? undefined : 0)] as const
  );
  const found = [...sinks, ...rules].find(([who, size]) => size !== undefined && size < position && !places.has(who));
  return found && { who: found[0], size: found[1]! };
};

/** Sinks of another configuration than that which is read here, or of none any more: nobody waits for them, and who reads theirs is told. */
const leftBehind = ({ outbound: { places, views }, config }: Opened, position: number): readonly Behind[] =>
  sinkPlacesIn(views).filter(([name, size]) =>
    size < position && !places.has(sinkCalled(name)) && !config.sinks.some((sink) => sink.name === name)
  ).map(([name, size]) => ({ who: sinkCalled(name), size }));

/** So that a run after this one finds its way without what is about to go. */
const leaveNotes = async (opened: Opened): Promise<void> => {
  const { outbound: { places, views }, log } = opened;
  const { enforcedIn } = await import("./threats/plant.ts");
  enforcedIn(opened).enforced.note(log.size);
  places.note();
  views.flush();
};

export const endArchive = operation({
  about: "Lets go of what was archived.",
  input: z.strictObject({ until: z.int().positive().multipleOf(TILE_WIDTH), root: z.string() }),
  async run(opened, { input: { until, root }, signal }) {
    const { log, lies, crash, entities } = opened;
    expectFree(opened);
    if (await boundaryOf(opened, until) !== until || log.tree.root(until)?.toBase64() !== root) {
      throw new LogFault("invalid", `the log has no root ${root} over ${until} events`);
    }
    const going = await lettingGo(lies, until, {
      tells: TELLS,
      entities: (domain) => entities.has(domain),
      turn: () => pause(systemClock, 0),
    });
    if (!going) return { until, kept: markOf(lies)?.kept ?? 0, blocks: 0 };
    const { kept, link } = going.mark;
    const data = { until, kept, link, root };
    await expectAllowed(opened, data);
    await expectFolded(opened, kept);
    await entities.leave(going.streams);
    await opened.gate.retell(until);
    await expectSeen(opened, kept, signal);
    await leaveNotes(opened);
    // Nothing waits between this look and the event.
    expectFree(opened);
    // All that was to be erased by then is, in these keys.
    opened.keys.settleErasures(log.size);
    const appended = await log.append({ events: [archived(data)] });
    if (!appended.ok) throw new LogFault("foreign", `the log tells otherwise of what was archived up to ${until}`);
    const { position } = appended.receipts[0]!;
    await signed(log, position + 1);
    crash?.("archive.recorded");
    await markArchived(lies, going);
    crash?.("archive.marked");
    const blocks = await deleteArchived(lies);
    log.forgetBefore(kept);
    crash?.("archive.deleted");
    return { until, kept, blocks, position, behind: leftBehind(opened, kept) };
  },
});
