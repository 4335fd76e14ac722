/** The stored views, for commands that can do without them. */
import type { AnyProjection } from "../../projections/projection.ts";
import { PAGE_ROWS_MAX } from "../../projections/query.ts";
import type { ViewPage } from "../../projections/views.ts";
import { safe } from "./print.ts";
import { type Runtime, type StoredViews, ViewsUnreadable } from "./runtime.ts";
import type { Reader } from "./reader.ts";

/** Views that cannot be read are told of and passed over, as if there were none. */
export const readableViews = async (runtime: Runtime, data: string): Promise<StoredViews | undefined> => {
  try {
    return await runtime.views(data);
  } catch (error) {
    if (!(error instanceof ViewsUnreadable)) throw error;
    passedOver(runtime, error.message);
    return undefined;
  }
};

/** How far a stored view has come; `undefined` where it is missing, of another version, or of another log. */
export const sizeOf = (
  stored: StoredViews,
  { name, version }: Pick<AnyProjection, "name" | "version">,
  { reader, runtime }: { readonly reader: Pick<Reader, "size">; readonly runtime: Runtime },
): number | undefined => {
  const state = stored.stores().find((store) => store.name === name && store.served);
  // Of another log, as where an older copy was put in its place. The log may have grown meanwhile.
  const { size } = reader;
  if (state && state.size > size) passedOver(runtime, `the view shows ${state.size} events, and the log has ${size}`);
  else if (state?.version === version) return state.size;
  return undefined;
};

/** All rows of a stored view, in the order in which their keys came to be; one that keeps history as of the size of the first page. */
export function* pagesOf(stored: Pick<StoredViews, "list">, name: string): Iterable<ViewPage> {
  const query = { limit: PAGE_ROWS_MAX, byAge: true };
  let page = stored.list(name, query);
  yield page;
  while (page.next !== undefined) yield page = stored.list(name, { ...query, after: page.next });
}

/** Tells the operator why the log is folded instead. */
export const passedOver = ({ io }: Runtime, because: string): void =>
  io.err(`daybook: ${safe(because)}; start builds them again, until then the log itself is read\n`);
