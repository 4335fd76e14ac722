/** `GET /views`, a view and a row of it, as pages; programs are given the same as JSON. */
import { visible } from "../../../events/visible.ts";
import type { ViewSpec } from "../../../projections/computed.ts";
import { fieldOf, fieldsShown, isOfNumbers } from "../../../projections/fields.ts";
import type { Row } from "../../../projections/views.ts";
import type { Exchange } from "../route.ts";
import { Head } from "./head.tsx";
import { Page, page } from "./layout.tsx";
import { Cell, counted, Members, number } from "./value.tsx";

/** A view in the list of them. */
export interface Listed {
  readonly name: string;
  readonly about: string;
  readonly state: string;
  readonly lag: number;
}

const pathOf = (name: string, key?: string): string =>
  key === undefined ? `/views/${name}` : `/views/${name}/${encodeURIComponent(key)}`;

const asOf = (at: string | undefined): string => at === undefined ? "" : `?${new URLSearchParams({ at })}`;

export const viewsPage = (exchange: Exchange, views: readonly Listed[]): Response =>
  page(
    exchange,
    200,
    <Page title="Views · Daybook">
      <Head here="Views" />
      <main>
        <section>
          <h2>Views</h2>
          <div class="wide">
            <table>
              <thead>
                <tr>
                  <th>View</th>
                  <th>What it tells</th>
                  <th class="number">Behind the log</th>
                </tr>
              </thead>
              <tbody>
                {views.map(({ name, about, state, lag }) => (
                  <tr>
                    <td>
                      <a href={pathOf(name)}>{name}</a>
                    </td>
                    <td>{about}</td>
                    <td class="number">{state === "stopped" ? "stopped" : number.format(lag)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </section>
      </main>
    </Page>,
  );

export interface Shown {
  readonly view: ViewSpec & { readonly asks?: readonly string[] };
  /** As it was asked, by the names of parameters. */
  readonly given: Readonly<Record<string, string>>;
  /** What of it asks for fields, by their names: some are called like a parameter. */
  readonly where: Readonly<Record<string, string>>;
  /** Absent where a view that is made when it is asked was not asked yet. */
  readonly found?: { readonly size: number; readonly rows: readonly Row[]; readonly next?: string };
}

/** The same question with some of it changed; where a page begins belongs to the question before. */
const asking = ({ view, given }: Shown, changed: Readonly<Record<string, string>>): string => {
  const { after: _, ...kept } = given;
  return `${pathOf(view.name)}?${new URLSearchParams({ ...kept, ...changed })}`;
};

export const viewPage = (exchange: Exchange, shown: Shown): Response => {
  const { view, given, found } = shown;
  return page(
    exchange,
    200,
    <Page title={`${view.name} · Daybook`}>
      <Head here="Views" />
      <main>
        <section>
          <h2>
            {view.name}
            <small>{view.about}</small>
          </h2>
          <Question {...shown} />
          {found && found.rows.length > 0 && <Rows {...shown} found={found} />}
          {found && (
            <p class="below">
              <span>
                {found.rows.length === 0 ? "No rows" : counted(found.rows.length, "row")}, after{" "}
                {counted(found.size, "event")}
              </span>
              {given.after !== undefined && <a href={asking(shown, {})}>First</a>}
              {found.next !== undefined && <a href={asking(shown, { after: found.next })}>Next</a>}
            </p>
          )}
        </section>
      </main>
    </Page>,
  );
};

/** What a view can be asked: words, fields that it has an index of, and as of when. */
const Question = ({ view, given, where }: Shown) => {
  const { indexes = [], asks = [], text, history, appendOnly } = view;
  const fields = [...new Set([...asks, ...indexes.map(String)])].map((name) => `where.${name}`);
  const named = [
    ...(text ? ["q"] : []),
    ...(appendOnly ? [] : ["prefix"]),
    ...fields,
    ...(history === "none" ? [] : ["at"]),
  ];
  const labels: Readonly<Record<string, string>> = { q: "words", prefix: "key begins", at: "as of" };
  const said = (name: string) => (name.startsWith("where.") ? where[name.slice("where.".length)] : given[name]) ?? "";
  const kept = Object.entries(given).filter(([name]) =>
    ![...named, "after"].includes(name) && !name.startsWith("where.") && !Object.hasOwn(where, name)
  );
  const isAsked = named.some((name) => said(name) !== "");
  return (
    <details class="question" open={isAsked || asks.length > 0}>
      <summary>Ask</summary>
      <form method="get" action={pathOf(view.name)}>
        {named.map((name) => (
          <label>
            <span>{labels[name] ?? name.slice("where.".length)}</span>
            <input
              name={name}
              value={said(name)}
              {...(name === "at" ? { placeholder: "position or time" } : {})}
              {...(asks.includes(name.slice("where.".length)) ? { required: true } : {})}
            />
          </label>
        ))}
        {kept.map(([name, value]) => <Hidden key={name} name={name} value={value} />)}
        <button type="submit">Show</button>
        {isAsked && <a href={pathOf(view.name)}>Everything</a>}
      </form>
    </details>
  );
};

const Hidden = ({ name, value }: { readonly name: string; readonly value: string }) => (
  <input type="hidden" name={name} value={value} />
);

const Rows = (shown: Shown & { readonly found: NonNullable<Shown["found"]> }) => {
  const { view, given, found: { rows } } = shown;
  const fields = fieldsShown(view, rows).map((field) => ({ field, isNumber: isOfNumbers(rows, field) }));
  const at = asOf(given.at);
  return (
    <div class="wide">
      <table class="rows">
        <thead>
          <tr>
            <Title {...shown} field="key" />
            {fields.map(({ field, isNumber }) => <Title key={field} {...shown} field={field} number={isNumber} />)}
          </tr>
        </thead>
        <tbody>
          {rows.map(({ key, row }) => (
            <tr>
              <td>
                <a href={pathOf(view.name, key) + at}>
                  <Cell value={key} />
                </a>
              </td>
              {fields.map(({ field, isNumber }) => (
                <td class={isNumber ? "number" : ""}>
                  <Cell value={fieldOf(row, field)} />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
};

/** Its rows can be sorted by what it has an index of, or by position alone: upwards, and by the same again downwards. */
const Title = ({ field, number = false, ...shown }: Shown & { readonly field: string; readonly number?: boolean }) => {
  const { view: { indexes = [], appendOnly }, where, given: { q, order } } = shown;
  // What is chosen by words or fields comes as it was made.
  const isAsMade = !appendOnly && (q !== undefined || Object.keys(where).length > 0);
  const sort = shown.given.sort ?? (isAsMade ? "" : "key");
  const cls = number ? "number" : "";
  if (field !== "key" && (appendOnly || !indexes.map(String).includes(field))) return <th class={cls}>{field}</th>;
  const isSorted = sort.replace(/^-/, "") === field;
  const isDown = isSorted && (sort.startsWith("-") ? order !== "asc" : order === "desc");
  const { order: _, ...given } = shown.given;
  const href = asking({ ...shown, given }, { sort: isSorted && !isDown ? `-${field}` : field });
  return (
    <th class={cls} {...(isSorted ? { "aria-sort": isDown ? "descending" : "ascending" } : {})}>
      <a href={href}>{field}</a>
      {isSorted && <span aria-hidden="true">{isDown ? " ↓" : " ↑"}</span>}
    </th>
  );
};

export const rowPage = (
  exchange: Exchange,
  { name, key, row, position, size, at }: {
    readonly name: string;
    readonly key: string;
    readonly row: unknown;
    readonly position: number;
    readonly size: number;
    /** As it was asked. */
    readonly at: string | undefined;
  },
): Response =>
  page(
    exchange,
    200,
    <Page title={`${visible(key)} · ${name} · Daybook`}>
      <Head here="Views" />
      <main>
        <section>
          <h2>
            <a href={pathOf(name) + asOf(at)}>{name}</a>
            <small>{visible(key)}</small>
          </h2>
          <Members of={typeof row === "object" && row !== null ? Object.entries(row) : [["value", row]]} />
          <p class="below">
            <span>
              As event <a href={`/events/${position}`}>{position}</a> left it, of {number.format(size)}
            </span>
          </p>
        </section>
      </main>
    </Page>,
  );
