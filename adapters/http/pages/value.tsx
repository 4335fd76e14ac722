/** Values of rows and events, drawn for people. */
import { isTime } from "../../../events/event.ts";
import { visible } from "../../../events/visible.ts";

/** Of things counted. */
export const number = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

export const counted = (count: number, one: string): string =>
  `${number.format(count)} ${one}${count === 1 ? "" : "s"}`;

/** Of a text in a table; the style cuts it further, to the width there is. */
const CELL_CHARS_MAX = 160;
/** Longer ones are told in full where they are pointed at, as they may have been cut. */
const CELL_CHARS_WHOLE = 30;

/** Of commits, hashes and the like: the beginning tells them apart. */
const NAME = /\b([0-9a-f]{12})[0-9a-f]{28,52}\b/g;

/** In one line of a table. */
export const Cell = ({ value }: { readonly value: unknown }) => {
  if (value === undefined || value === null) return <span class="none">–</span>;
  if (typeof value === "string" && isTime(value)) return <Time of={value} />;
  const text = visible(typeof value === "object" ? lineOf(value) : String(value));
  const [first] = text.split("\n", 1);
  const line = first!.replace(/\r$/, "").replaceAll(NAME, "$1…");
  const isCut = line.length > CELL_CHARS_MAX || text.slice(first!.length).trim() !== "";
  const short = isCut ? `${line.slice(0, CELL_CHARS_MAX).toWellFormed()}…` : line;
  return short === text && text.length <= CELL_CHARS_WHOLE ? <>{text}</> : <span title={text}>{short}</span>;
};

/** A list of what is plain as a list, all else as JSON. */
const lineOf = (value: object): string =>
  Array.isArray(value) && value.every((each) => typeof each !== "object") ? value.join(", ") : JSON.stringify(value);

const Time = ({ of }: { readonly of: string }) => (
  <time datetime={of}>{of.replace("T", " ").replace(/\.0+(?=\D|$)/, "")}</time>
);

/** All of it, lists and objects within each other. */
const Whole = ({ value }: { readonly value: unknown }) => {
  if (value === undefined || value === null) return <span class="none">–</span>;
  if (Array.isArray(value)) {
    if (value.length === 0) return <span class="none">none</span>;
    return (
      <ol>
        {value.map((each) => (
          <li>
            <Whole value={each} />
          </li>
        ))}
      </ol>
    );
  }
  if (typeof value === "object") {
    const members = Object.entries(value);
    return members.length === 0 ? <span class="none">nothing</span> : <Members of={members} />;
  }
  if (typeof value !== "string") return <>{String(value)}</>;
  if (isTime(value)) return <Time of={value} />;
  return <span class="text">{visible(value)}</span>;
};

/** Names and what they stand for. */
export const Members = ({ of }: { readonly of: readonly (readonly [name: string, value: unknown])[] }) => (
  <dl class="members">
    {of.map(([name, value]) => (
      <>
        <dt>{visible(name)}</dt>
        <dd>
          <Whole value={value} />
        </dd>
      </>
    ))}
  </dl>
);
