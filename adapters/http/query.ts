/**
 * Parameters of queries and paths, parsed by the zod schemas that the OpenAPI document shows. A parameter twice, an unknown
 * one, or one that does not fit is a 400 that names it.
 */
import { isTime } from "../../events/event.ts";
import { z } from "zod";
import { HTTP_LIMITS } from "./bounds.ts";
import { Problem } from "./problem.ts";

const POSITION = /^(?:0|[1-9]\d{0,15})$/;

/** A position or size in a query: decimal digits, no sign, at most 2^53 - 1. */
export const position = z.string()
  .refine(
    (text) => POSITION.test(text) && Number.isSafeInteger(Number(text)),
    "expected a whole number from 0 to 9007199254740991",
  )
  .transform(Number)
  .meta({ type: "integer", minimum: 0, maximum: Number.MAX_SAFE_INTEGER });

/** How many are wanted: from 1 to `max`. */
export const count = (max: number, about: string) =>
  z.string()
    .refine(
      (text) => POSITION.test(text) && Number(text) >= 1 && Number(text) <= max,
      `expected a whole number from 1 to ${max}`,
    )
    .transform(Number)
    .meta({ type: "integer", minimum: 1, maximum: max, description: about });

/** As of: a position, or a recorded time. */
export const moment = z.string()
  .refine(
    (text) => (POSITION.test(text) && Number.isSafeInteger(Number(text))) || isTime(text),
    "expected a position or an RFC 3339 time",
  )
  .meta({
    description: "A position, or an RFC 3339 time: the view as it was after that position, or at that recorded time.",
  });

export const order = z.enum(["asc", "desc"]);
export const limit = count(HTTP_LIMITS.page_events_max, "At most so many; default 100.");

/** The parameters of a query by name. Throws `invalid_query` for one that comes twice or is not UTF-8. */
export const parameters = (query: string): Record<string, string> => {
  const found: Record<string, string> = Object.create(null);
  if (query === "") return found;
  for (const pair of query.split("&")) {
    if (pair === "") continue;
    const at = pair.indexOf("=");
    const name = decode(at < 0 ? pair : pair.slice(0, at));
    const value = decode(at < 0 ? "" : pair.slice(at + 1));
    if (name === undefined || value === undefined) {
      throw new Problem("invalid_query", "The query is not percent-encoded UTF-8.");
    }
    if (name in found) {
      throw new Problem("invalid_query", "A parameter may come once.", {
        errors: [{ path: `?${name}`, message: "comes twice" }],
      });
    }
    found[name] = value;
  }
  return found;
};

/** The same; of a page without what is empty, for a form sends what was left so, too, and with times as pages show them. */
export const givenIn = (query: string, forPeople: boolean): Record<string, string> => {
  const given = parameters(query);
  if (!forPeople) return given;
  const meant = Object.entries(given).map(([name, value]) =>
    [name, MOMENTS.has(name) ? copied(value) : value] as const
  );
  return Object.fromEntries(meant.filter(([, value]) => value !== ""));
};

const MOMENTS: ReadonlySet<string> = new Set(["at", "from", "until"]);

/** What was copied from a page, where a blank stands between day and time, and UTC at times in the title of a column. */
const copied = (text: string): string =>
  text.trim().replace(
    /^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d(?:\.\d+)?)(Z|[+-]\d\d:\d\d)?$/,
    (_, day, time, zone = "Z") => `${day}T${time}${zone}`,
  );

const decode = (text: string): string | undefined => {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return undefined;
  }
};

/** The parameters by a strict object schema; issues name `?parameter`. */
export const parseQuery = <S extends z.ZodType>(schema: S, given: Record<string, string>): z.output<S> => {
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  throw new Problem("invalid_query", "A query parameter is unknown or does not fit.", {
    errors: parsed.error.issues.flatMap((issue) =>
      issue.code === "unrecognized_keys"
        ? issue.keys.map((key) => ({ path: `?${key}`, message: "is not a parameter of this route" }))
        : [{ path: `?${issue.path.join(".")}`, message: issue.message }]
    ),
  });
};

/** A segment of a path decoded; `invalid_path` when it is not percent-encoded UTF-8. */
export const segment = (raw: string): string => {
  try {
    return decodeURIComponent(raw);
  } catch {
    throw new Problem("invalid_path", "The path is not percent-encoded UTF-8.");
  }
};
