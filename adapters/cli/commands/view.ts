/** `view`: rows of a view, now or as of then, whoever runs. */
import type { AnyProjection } from "../../../projections/projection.ts";
import { PAGE_ROWS_MAX } from "../../../projections/query.ts";
import type { Row, ViewPage, ViewQuery } from "../../../projections/views.ts";
import type { Call, Run } from "../call.ts";
import { flag, list, moment, text, Usage, whole } from "../call.ts";
import { table } from "../columns.ts";
import { build } from "../fold.ts";
import { nearest } from "../nearest.ts";
import { cell, count, palette, safe } from "../print.ts";
import { progressBar } from "../progress.ts";
import type { Runtime } from "../runtime.ts";

const ROWS_DEFAULT = 50;

/** Where rows come from: the process that has the folder, the stored views, or a fold of our own. */
interface Source {
  row(name: string, key: string, at?: number): Promise<{ readonly size: number; readonly row: Row | undefined }>;
  list(name: string, query: ViewQuery): Promise<ViewPage>;
  close(): Promise<void>;
}

export const view: Run = async (call, runtime) => {
  const projections = await runtime.projections();
  const [name, key] = call.args;
  if (name === undefined) return listViews(projections, call, runtime);
  const projection = projections.find((one) => one.name === name);
  if (!projection) {
    const close = nearest(name, projections.map((one) => one.name));
    throw new Usage(
      `there is no view ${JSON.stringify(name)}${close ? `; did you mean ${close}?` : ""} \`view\` lists them`,
    );
  }
  const query = queryOf(call);
  const at = text(call, "at");
  const personal = flag(call, "personal");
  const source = await openSource(projection, {
    call,
    runtime,
    asked: at === undefined ? undefined : moment(at, "--at"),
  });
  const edge = await runtime.edge(call.data);
  const shown = <T>(value: T): T => personal ? edge.unseal(value) : edge.redact(value);
  try {
    if (key === undefined) {
      const page = shown(await source.list(name, { ...query, at: source.at }));
      runtime.io.out(call.json ? `${JSON.stringify({ name, ...page })}\n` : describePage(page, { call, runtime }));
      return 0;
    }
    const found = await source.row(name, key, source.at);
    return tellRow(shown(found), { name, key, call, runtime });
  } finally {
    edge.close();
    await source.close();
  }
};

const listViews = (projections: readonly AnyProjection[], call: Call, { io }: Runtime): 0 => {
  const views = projections.map(({ name, version, about, indexes = [] }) => ({
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

const queryOf = (call: Call): ViewQuery => {
  const where = list(call, "where").map((pair) => {
    const at = pair.indexOf("=");
    if (at < 1) throw new Usage(`--where takes field=value, not ${JSON.stringify(pair)}`);
    return [pair.slice(0, at), pair.slice(at + 1)] as const;
  });
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
  projection: AnyProjection,
  { call, runtime, asked }: { call: Call; runtime: Runtime; asked?: { position: number } | { time: string } },
): Promise<Source & { readonly at?: number }> => {
  // A time means all that was recorded up to and at it; it is looked up in the log itself, whoever runs.
  const reader = await runtime.reader(call.data);
  const at = asked && ("position" in asked ? asked.position : reader.positionAt(justAfter(asked.time)) - 1);
  const size = reader.size;
  if (at !== undefined && (at < 0 || at >= size)) {
    await reader.close();
    throw new Usage(at < 0 ? "nothing was recorded until then" : `there is no event ${at}; the log has ${size}`);
  }
  const remote = await runtime.remote(call.data);
  if (remote) {
    await reader.close();
    return {
      at,
      row: (name, key) => remote.row(name, key, { at }),
      list: (name, query) => remote.view(name, query),
      close: () => Promise.resolve(remote.close()),
    };
  }
  const needed = at === undefined ? size : at + 1;
  const stored = await runtime.views(call.data);
  const state = stored?.stores().find((store) => store.name === projection.name && store.served);
  const usable = state !== undefined && state.version === projection.version && state.size >= needed &&
    (at === undefined || projection.history !== "none" || at + 1 === state.size);
  if (stored && usable) {
    await reader.close();
    return {
      at,
      row: (name, key) => Promise.resolve(stored.row(name, key, at)),
      list: (name, query) => Promise.resolve(stored.list(name, query)),
      close: () => Promise.resolve(stored.close()),
    };
  }
  stored?.close();
  // The stored view is missing, behind, or of another version: nobody may write here, so it is folded in memory.
  const scratch = await runtime.scratch();
  const progress = progressBar("folding", { io: runtime.io, clock: runtime.clock, quiet: call.json });
  build(reader, projection, { scratch, until: needed, progress: progress.on });
  progress.end();
  await reader.close();
  return {
    row: (name, key) => Promise.resolve(scratch.row(name, key)),
    list: (name, query) => Promise.resolve(scratch.list(name, query)),
    close: () => Promise.resolve(scratch.close()),
  };
};

/** Recorded times have whole milliseconds: what is at or before this time is what is before the next one. */
const justAfter = (time: string): string => new Date(Date.parse(time) + 1).toISOString();

const tellRow = (
  found: { readonly size: number; readonly row: Row | undefined },
  { name, key, call, runtime: { io } }: { name: string; key: string; call: Call; runtime: Runtime },
): 0 | 1 => {
  const { size, row } = found;
  if (call.json) {
    io.out(
      `${
        JSON.stringify(
          row
            ? { name, size, ...row }
            : { ok: false, error: { code: "no_such_row", message: `${name} has no row ${key}` }, name, size, key },
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

const describePage = (page: ViewPage, { call, runtime: { io } }: { call: Call; runtime: Runtime }): string => {
  const c = palette(io);
  if (page.rows.length === 0) return `no rows (after ${count(page.size)} events)\n`;
  const fields = [
    ...new Set(page.rows.flatMap(({ row }) => typeof row === "object" && row !== null ? Object.keys(row) : ["value"])),
  ];
  const valueOf = (row: unknown, field: string): unknown =>
    typeof row === "object" && row !== null ? (row as Record<string, unknown>)[field] : row;
  const right = fields.map((field) =>
    page.rows.every(({ row }) => ["number", "undefined"].includes(typeof valueOf(row, field)))
  );
  const width = Math.max(CELL_MIN, Math.floor((io.terminal.out ? io.columns : 200) / (fields.length + 1)) - 2);
  const columns = [
    { title: "key" },
    ...fields.map((field, i) => ({ title: safe(field), ...(right[i] ? { right: true as const } : {}) })),
  ];
  const rows = page.rows.map((
    { key, row },
  ) => [cell(key, width * 2), ...fields.map((field) => cell(valueOf(row, field), width))]);
  const more = page.next === undefined ? "" : `more: --after ${page.next}\n`;
  return `${table(columns, rows, c)}\n${count(page.rows.length)} rows, after ${count(page.size)} events\n${
    flag(call, "json") ? "" : more
  }`;
};
