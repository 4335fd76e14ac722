/** `events`: the log as it was written, newest or from a moment on, and live. */
import { isArchived, readableFrom } from "../../../actors/kernel/kept.ts";
import type { Event } from "../../../events/event.ts";
import type { LogFault, Range } from "../../../events/log.ts";
import type { Call, Run } from "../call.ts";
import { archiveOf, flag, list, moment, text, whole } from "../call.ts";
import { cell, palette, safe, short } from "../print.ts";
import type { Palette } from "../print.ts";
import type { Runtime } from "../runtime.ts";
import type { Reader } from "../reader.ts";
import type { Io } from "../io.ts";

const NEWEST = 50;
const POLL_MS = 200;

export const events: Run = async (call, runtime) => {
  const limit = whole(call, "limit", { min: 1, max: Number.MAX_SAFE_INTEGER });
  const since = text(call, "since");
  const from = since === undefined ? undefined : moment(since, "--since");
  const reader = await runtime.reader(call.data, archiveOf(call));
  const edge = await runtime.edge(call.data);
  const shown = (event: Event): Event => flag(call, "personal") ? edge.unseal(event) : edge.redact(event);
  try {
    const types = list(call, "type");
    const filter: Range = {
      stream: text(call, "stream") as Range["stream"],
      types: types.length > 0 ? types : undefined,
      correlation: text(call, "correlation"),
    };
    const size = reader.size;
    const first = from && ("position" in from ? from.position : reader.positionAt(from.time));
    const following = flag(call, "follow");
    const { found, cut }: Found = first === undefined
      ? newest(reader.read({ ...filter, until: size, backward: true, limit: limit ?? NEWEST }), following)
      : { found: reader.read({ ...filter, from: first, until: size, limit }) };
    if (cut) runtime.io.err(`daybook: there may be older ones: ${safe(cut.message)}\n`);
    const print = printer(call, runtime.io);
    let printed = 0;
    for (const batch of found) for (const event of batch) printed++, print.one(shown(event));
    if (!following) {
      print.end(size, cut && readableFrom(reader));
      return 0;
    }
    const left = limit === undefined || first === undefined ? Infinity : limit - printed;
    await follow(
      { reader, filter, from: Math.max(size, first ?? 0), left, runtime },
      (event) => print.one(shown(event)),
    );
    return 0;
  } finally {
    edge.close();
    await reader.close();
  }
};

interface Found {
  readonly found: Iterable<readonly Event[]>;
  /** Why there may be older ones that are not among them. */
  readonly cut?: LogFault;
}

/** Of a log whose beginning lies in an archive that is not attached, those that are here, if any; who follows wants what comes. */
const newest = (backward: Iterable<readonly Event[]>, following: boolean): Found => {
  const events: Event[] = [];
  try {
    for (const batch of backward) events.push(...batch);
    return { found: [events.reverse()] };
  } catch (error) {
    // One that is attached and lacks something is damaged.
    if (!isArchived(error) || error.cause !== undefined || (events.length === 0 && !following)) throw error;
    return { found: [events.reverse()], cut: error };
  }
};

/** Reads on as the log grows, whoever writes it. Ends on SIGINT, SIGTERM and SIGHUP, or when `left` have been told. */
const follow = async (
  { reader, filter, from, left, runtime }: {
    reader: Reader;
    filter: Range;
    from: number;
    left: number;
    runtime: Runtime;
  },
  tell: (event: Event) => void,
): Promise<void> => {
  let stopping = false;
  let wake = () => {};
  const forget = runtime.io.onStop(() => {
    stopping = true;
    wake();
  });
  try {
    for (let next = from; !stopping && left > 0;) {
      await reader.renew();
      const size = reader.size;
      for (const batch of size > next ? reader.read({ ...filter, from: next, until: size }) : []) {
        for (const event of batch) if (left-- > 0) tell(event);
      }
      next = Math.max(next, size);
      if (stopping || left <= 0) break;
      await new Promise<void>((resolve) => {
        const cancel = runtime.clock.schedule(POLL_MS, resolve);
        wake = () => {
          cancel();
          resolve();
        };
      });
    }
  } finally {
    forget();
  }
};

interface Printer {
  one(event: Event): void;
  /** `from`: where what can be read begins, if that is not the beginning. */
  end(size: number, from?: number): void;
}

/** `--json` is one document `{ "events", "size", "from"? }`; with `--follow`, which has no end, it is one event a line. */
const printer = (call: Call, io: Io): Printer => {
  const c = palette(io);
  if (!call.json) return { one: (event) => io.out(`${line(event, c, io)}\n`), end: () => {} };
  if (flag(call, "follow")) return { one: (event) => io.out(`${JSON.stringify(event)}\n`), end: () => {} };
  let lead = `{"events":[`;
  return {
    one(event) {
      io.out(`${lead}\n${JSON.stringify(event)}`);
      lead = ",";
    },
    end: (size, from) =>
      io.out(`${lead === "," ? "\n" : lead}],"size":${size}${from === undefined ? "" : `,"from":${from}`}}\n`),
  };
};

/** `90412  2026-11-20T09:00:00.000Z  commits.branch.moved  commits/linux  {"branch":…}`, cut to the terminal's width. */
export const line = (event: Event, c: Palette, io: Io): string => {
  const head = [String(event.position).padStart(8), event.recordedat, safe(event.type), safe(event.stream)];
  const plain = head.join("  ");
  const data = io.terminal.out
    ? short(dataText(event), Math.max(0, io.columns - plain.length - 2))
    : cell(dataText(event), 200);
  return `${c.bold(head[0]!)}  ${c.dim(head[1]!)}  ${c.cyan(head[2]!)}  ${head[3]}  ${data}`.trimEnd();
};

const dataText = (event: Event): string => event.data === undefined ? "" : JSON.stringify(event.data);
