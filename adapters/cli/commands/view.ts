/** `view`: rows of a view, now or as of then, whoever runs. */
import type { ComputedView, ViewSpec } from "../../../projections/computed.ts";
import { fieldOf, fieldsShown, isOfNumbers } from "../../../projections/fields.ts";
import type { AnyProjection } from "../../../projections/projection.ts";
import { PAGE_ROWS_MAX } from "../../../projections/query.ts";
import { type Row, type ViewPage, type ViewQuery, ViewsFault } from "../../../projections/views.ts";
import type { Call, Run } from "../call.ts";
import { archiveOf, flag, justAfter, list, moment, text, Usage, whole } from "../call.ts";
import { type Covering, coveringOf, describeCovering } from "../covering.ts";
import { table } from "../columns.ts";
import { build } from "../fold.ts";
import { layered } from "../layer.ts";
import { nearest } from "../nearest.ts";
import { cell, count, counted, palette, safe, short } from "../print.ts";
import { progressBar } from "../progress.ts";
import type { Remote, Runtime, StoredViews } from "../runtime.ts";
import type { Reader } from "../reader.ts";
import type { Io } from "../io.ts";
import { passedOver, readableViews, sizeOf } from "../stored.ts";

const ROWS_DEFAULT = 50;
/** For what does not depend on the log. */
const NOTHING = { size: 0, read: () => [] };

/** Where rows come from: the process that has the folder, the stored views, or a fold of our own. */
interface Source {
  row(name: string, key: string, at?: number): Promise<{ readonly size: number; readonly row: Row | undefined }>;
  list(name: string, query: ViewQuery): Promise<ViewPage>;
  close(): Promise<void>;
}

export const view: Run = async (call, runtime) => {
  const projections = await runtime.projections();
  const computed = await runtime.computed(NOTHING);
  const all = [...projections, ...computed.map(({ view }) => view)];
  const [name, key] = call.args;
  refuseOthers(call, name, key);
  if (name === undefined) return listViews(all, call, runtime);
  const spec = all.find((one) => one.name === name);
  if (!spec) {
    const close = nearest(name, all.map((one) => one.name));
    throw new Usage(
      `there is no view ${JSON.stringify(name)}; ${close ? `did you mean ${close}? ` : ""}\`view\` lists them`,
    );
  }
  const query = queryOf(call);
  const at = text(call, "at");
  const personal = flag(call, "personal");
  const asked = at === undefined ? undefined : moment(at, "--at");
  const edge = await runtime.edge(call.data);
  const shown = <T>(value: T): T => personal ? edge.unseal(value) : edge.redact(value);
  try {
    const reader = await runtime.reader(call.data, archiveOf(call));
    // Of the folder itself, and after the answer is there: the server may have signed meanwhile.
    const covering = async (size: number) => coveringOf(await reader.checkpoint(), size);
    const tell = (source: Opened) => told(source, { name, key, query, shown, covering, spec, call, runtime });
    try {
      const at = positionOf(reader, asked);
      const made = (await runtime.computed(reader)).find(({ view }) => view.name === name);
      if (made) return await tell(computedSource(made, at, asked));
      if (at !== undefined && at < 0) return await tell(BEFORE_ALL);
      const open = (stored: boolean) => openSource(reader, spec as AnyProjection, { call, runtime, at, stored });
      try {
        return await tell(await open(true));
      } catch (error) {
        if (!(error instanceof ViewsFault)) throw error;
        // Pages deep in the file may be damaged although it opened.
        passedOver(runtime, error.message);
        return await tell(await open(false));
      }
    } finally {
      await reader.close();
    }
  } finally {
    edge.close();
  }
};

type Opened = Source & { readonly at?: number };
type Asked = { readonly position: number } | { readonly time: string } | undefined;

interface Telling {
  readonly name: string;
  readonly key: string | undefined;
  readonly query: ViewQuery;
  readonly shown: <T>(value: T) => T;
  readonly covering: (size: number) => Promise<Covering | null>;
  readonly spec: ViewSpec;
  readonly call: Call;
  readonly runtime: Runtime;
}

const told = async (
  source: Opened,
  { name, key, query, shown, covering, spec, call, runtime }: Telling,
): Promise<0 | 1> => {
  const { io } = runtime;
  try {
    if (key === undefined) {
      const page = shown(await source.list(name, { ...query, at: source.at }));
      const checkpoint = await covering(page.size);
      io.out(
        call.json ? `${JSON.stringify({ name, ...page, checkpoint })}\n` : describePage(page, spec, runtime),
      );
      tellCovering(checkpoint, page.size, { call, runtime });
      return 0;
    }
    const found = await source.row(name, key, source.at);
    const checkpoint = await covering(found.size);
    const code = tellRow({ ...shown(found), checkpoint }, { name, key, call, runtime });
    if (code === 0) tellCovering(checkpoint, found.size, { call, runtime });
    return code;
  } finally {
    await source.close();
  }
};

/** Who asks a person's question about the past wants to know what stands behind the answer. */
const tellCovering = (
  checkpoint: Covering | null,
  size: number,
  { call, runtime: { io } }: { readonly call: Call; readonly runtime: Runtime },
): void => {
  if (!call.json && text(call, "at") !== undefined) io.out(describeCovering(checkpoint, size, palette(io)));
};

const listViews = (specs: readonly ViewSpec[], call: Call, { io }: Runtime): 0 => {
  const views = specs.map(({ name, version, about, indexes = [] }) => ({
    name,
    version,
    about,
    fields: indexes,
  }));
  const rows = views.map((v) => [v.name, v.about, v.fields.join(", ")]);
  io.out(
    call.json
      ? `${JSON.stringify({ views })}\n`
      : table([{ title: "view" }, { title: "about" }, { title: "fields" }], rows, palette(io)),
  );
  return 0;
};

/** Options that say which rows, and in what order. */
const OF_ROWS = ["where", "text", "prefix", "sort", "descending", "limit", "after"] as const;

/** What would be passed over without a word. */
const refuseOthers = ({ options }: Call, name: string | undefined, key: string | undefined): void => {
  if (name !== undefined && key === undefined) return;
  const given = [...OF_ROWS, ...(name === undefined ? ["at", "personal"] : [])].find((one) =>
    options[one] !== undefined
  );
  if (given === undefined) return;
  throw new Usage(
    key === undefined
      ? `--${given} is about one view, and none is named`
      : `--${given} is about many rows, and ${JSON.stringify(key)} names one`,
  );
};

const queryOf = (call: Call): ViewQuery => {
  const where = list(call, "where").map((pair) => {
    const at = pair.indexOf("=");
    if (at < 1) throw new Usage(`--where takes field=value, not ${JSON.stringify(pair)}`);
    return [pair.slice(0, at), pair.slice(at + 1)] as const;
  });
  const twice = where.find(([field], i) => where.findIndex(([other]) => other === field) < i);
  if (twice) throw new Usage(`--where names ${JSON.stringify(twice[0])} twice; a row has one value there`);
  return {
    ...(where.length > 0 ? { where: Object.fromEntries(where) } : {}),
    text: text(call, "text"),
    prefix: text(call, "prefix"),
    sort: text(call, "sort"),
    descending: flag(call, "descending"),
    limit: whole(call, "limit", { min: 1, max: PAGE_ROWS_MAX }) ?? ROWS_DEFAULT,
    after: text(call, "after"),
  };
};

const openSource = async (
  reader: Reader,
  projection: AnyProjection,
  { call, runtime, at, ...use }: {
    call: Call;
    runtime: Runtime;
    at: number | undefined;
    /** Whether what is stored may be used. */
    stored: boolean;
  },
): Promise<Opened> => {
  const { size } = reader;
  // Whoever runs shows nobody on the socket what is personal; who may read the keys reads the folder.
  const remote = flag(call, "personal") ? undefined : await runtime.remote(call.data);
  if (remote) return { at, ...remoteSource(remote, { at, size, io: runtime.io }) };
  const needed = at === undefined ? size : at + 1;
  const stored = use.stored ? await readableViews(runtime, call.data) : undefined;
  const from = stored && sizeOf(stored, projection, { reader, runtime });
  if (stored && from !== undefined) {
    if (from >= needed && (at === undefined || projection.history !== "none" || at + 1 === from)) {
      return { at, ...viewsSource(stored) };
    }
    if (from < needed && (goneOnWith(projection, call) || !hasNews(reader, projection, { from, until: needed }))) {
      return await aheadOf(reader, projection, { stored, from, until: needed, scratch: runtime.scratch });
    }
  }
  stored?.close();
  return await folded(reader, projection, { call, runtime, until: needed });
};

/** Text is of the events that made rows, and those are not all read again. */
const goneOnWith = (projection: AnyProjection, call: Call): boolean =>
  projection.appendOnly === true || projection.text === undefined || text(call, "text") === undefined;

const hasNews = (
  reader: Reader,
  { hears }: AnyProjection,
  range: { readonly from: number; readonly until: number },
): boolean => {
  const [found] = reader.read({ ...range, limit: 1, ...(hears === "*" ? {} : { types: hears }) });
  return found !== undefined;
};

/** Behind: the rest is folded on top of what is stored, for nobody may write here. */
const aheadOf = async (
  reader: Reader,
  projection: AnyProjection,
  options: Parameters<typeof layered>[2],
): Promise<Source> => {
  try {
    const ahead = await layered(reader, projection, options);
    return {
      ...ahead,
      close() {
        ahead.close();
        return Promise.resolve(options.stored.close());
      },
    };
  } catch (error) {
    options.stored.close();
    throw error;
  }
};

/** A time means all that was recorded up to and at it, -1 none; it is looked up in the log itself, whoever runs. */
const positionOf = (reader: Reader, asked: Asked): number | undefined => {
  const at = asked && ("position" in asked ? asked.position : reader.positionAt(justAfter(asked.time)) - 1);
  if (at === undefined || at < reader.size) return at;
  throw new Usage(`there is no event ${at}; the log has ${reader.size}`);
};

/** What every view shows after no event. */
const BEFORE_ALL: Opened = {
  row: () => Promise.resolve({ size: 0, row: undefined }),
  list: () => Promise.resolve({ size: 0, rows: [] }),
  close: () => Promise.resolve(),
};

/** Always of the log itself. */
const computedSource = (view: ComputedView, at: number | undefined, asked: Asked): Opened => {
  const then = { at, ...(asked && "time" in asked && { time: Date.parse(asked.time) }) };
  return {
    at,
    row: (_, key) => view.row(key, then),
    list: (_, query) => view.list({ ...query, ...then }),
    close: () => Promise.resolve(),
  };
};

/** What was in the log when the command began is in what it shows, or it is said that it is not. */
const remoteSource = (
  remote: Remote,
  { at, size, io }: { readonly at: number | undefined; readonly size: number; readonly io: Io },
): Source => {
  const wait = at === undefined && size > 0 ? size - 1 : undefined;
  const told = async <T extends { readonly size: number }>(name: string, shown: T): Promise<T> => {
    if (wait !== undefined && shown.size < size) {
      const state = (await remote.status()).projections.find((one) => one.name === name);
      const next = state?.stoppedAt?.of === "event" ? `stands still: ${safe(state.stoppedAt.cause)}` : "goes on";
      io.err(`daybook: the view has come to ${count(shown.size)} of ${count(size)} events, and ${next}\n`);
    }
    return shown;
  };
  return {
    row: async (name, key) => await told(name, await remote.row(name, key, { at, wait })),
    list: async (name, query) => await told(name, await remote.view(name, query, wait)),
    close: () => Promise.resolve(remote.close()),
  };
};

const viewsSource = (views: StoredViews): Source => ({
  row: (name, key, at) => Promise.resolve(views.row(name, key, at)),
  list: (name, query) => Promise.resolve(views.list(name, query)),
  close: () => Promise.resolve(views.close()),
});

/** The stored view is missing or of another version, or does not keep what is asked for. */
const folded = async (
  reader: Reader,
  projection: AnyProjection,
  { call, runtime, until }: { call: Call; runtime: Runtime; until: number },
): Promise<Source> => {
  const scratch = await runtime.scratch();
  const progress = progressBar("folding", { io: runtime.io, clock: runtime.clock, quiet: call.json });
  build(reader, projection, { scratch, until, progress: progress.on });
  progress.end();
  return viewsSource(scratch);
};

const tellRow = (
  found: { readonly size: number; readonly row: Row | undefined; readonly checkpoint: Covering | null },
  { name, key, call, runtime: { io } }: { name: string; key: string; call: Call; runtime: Runtime },
): 0 | 1 => {
  const { size, row, checkpoint } = found;
  if (call.json) {
    io.out(
      `${
        JSON.stringify(
          row ? { name, size, ...row, checkpoint } : {
            ok: false,
            error: { code: "no_such_row", message: `${name} has no row ${key}` },
            name,
            size,
            key,
            checkpoint,
          },
        )
      }\n`,
    );
    return row ? 0 : 1;
  }
  if (!row) {
    io.err(`daybook: ${name} has no row ${safe(JSON.stringify(key))} (after ${count(size)} events)\n`);
    return 1;
  }
  const value = row.row;
  const fields = typeof value === "object" && value !== null ? Object.entries(value) : [["value", value] as const];
  const width = Math.max(
    20,
    (io.terminal.out ? io.columns : 160) - 4 - Math.max(...fields.map(([field]) => field.length)),
  );
  io.out(
    table(
      [{ title: safe(row.key) }, { title: `as of event ${row.position}, of ${count(size)}` }],
      fields.map(([field, v]) => [safe(field), cell(v, width)]),
      palette(io),
    ),
  );
  return 0;
};

const CELL_MIN = 12;
const CELL_PIPED = 200;
const GAP = 2;

const describePage = (page: ViewPage, projection: ViewSpec, { io }: Runtime): string => {
  if (page.rows.length === 0) return `no rows (after ${count(page.size)} events)\n`;
  const fields = fieldsShown(projection, page.rows);
  const right = fields.map((field) => isOfNumbers(page.rows, field));
  const cells = page.rows.map(({ key, row }) =>
    [key, ...fields.map((field) => fieldOf(row, field))].map((v) => cell(v, CELL_PIPED))
  );
  const titles = ["key", ...fields.map((field) => safe(field))];
  const natural = titles.map((title, i) => Math.max(title.length, ...cells.map((row) => row[i]!.length)));
  const widths = io.terminal.out ? fitted(natural, io.columns) : natural;
  const columns = titles.map((title, i) => ({ title, ...(i > 0 && right[i - 1] ? { right: true as const } : {}) }));
  const more = page.next === undefined ? "" : `more: --after ${page.next}\n`;
  const rows = cells.map((row) => row.map((text, i) => short(text, widths[i]!)));
  return `${table(columns, rows, palette(io))}\n${counted(page.rows.length, "row")}, after ${
    count(page.size)
  } events\n${more}`;
};

/** The widest columns give way until all fit, or none is wider than can be read. */
const fitted = (natural: readonly number[], columns: number): readonly number[] => {
  const widths = [...natural];
  for (let over = widths.reduce((sum, width) => sum + width + GAP, -GAP) - columns; over > 0; over--) {
    const widest = widths.indexOf(Math.max(...widths));
    if (widths[widest]! <= CELL_MIN) break;
    widths[widest]!--;
  }
  return widths;
};
