/** Whether an event is one of those a control speaks of: fields looked up and compared. Made once a control, asked once an event. */
import type { Event } from "../../events/event.ts";
import type { Join, Scalar, Selector, Test, Where } from "./control.ts";

export type Field = (event: Event) => unknown;

/** A field by its dotted name; `undefined` where there is none. */
export const fieldOf = (name: string): Field => {
  const steps = name.split(".");
  if (steps.length === 1) return (event) => own(event, steps[0]!);
  return (event) => {
    let value: unknown = event;
    for (const step of steps) value = own(value, step);
    return value;
  };
};

const own = (value: unknown, key: string): unknown =>
  typeof value === "object" && value !== null && Object.hasOwn(value, key)
    ? (value as Readonly<Record<string, unknown>>)[key]
    : undefined;

type Holds = (value: unknown, event: Event) => boolean;

const isThere = (value: unknown): boolean => value !== undefined && value !== null;
const listed = (value: unknown, wanted: readonly Scalar[]): boolean => wanted.some((one) => one === value);
const timeOf = (value: unknown): number => typeof value === "string" ? Date.parse(value) : NaN;

/** One check for each thing that is said. */
const checksOf = (test: Test): readonly Holds[] => {
  const checks: Holds[] = [];
  const add = <T>(said: T | undefined, check: (said: T) => Holds) =>
    void (said !== undefined && checks.push(check(said)));
  add(test.is, (wanted) => (value) => value === wanted);
  add(test.is_not, (wanted) => (value) => value !== wanted);
  add(test.any_of, (wanted) => (value) => listed(value, wanted));
  add(test.none_of, (wanted) => (value) => !listed(value, wanted));
  add(test.present, (wanted) => (value) => isThere(value) === wanted);
  add(test.at_least, (least) => (value) => typeof value === "number" && value >= least);
  add(test.at_most, (most) => (value) => typeof value === "number" && value <= most);
  add(test.starts_with, (start) => (value) => typeof value === "string" && value.startsWith(start));
  add(test.includes, (wanted) => (value) => Array.isArray(value) && value.includes(wanted));
  add(test.includes_any_of, (wanted) => (value) => Array.isArray(value) && value.some((one) => listed(one, wanted)));
  add(test.different_at_least, (least) => (value) => Array.isArray(value) && new Set(value).size >= least);
  add(test.other_than, (names) => {
    const others = names.map(fieldOf);
    return (value, event) => isThere(value) && !others.some((other) => other(event) === value);
  });
  add(test.same_as, (name) => {
    const other = fieldOf(name);
    return (value, event) => isThere(value) && other(event) === value;
  });
  // A time that cannot be read is no time: NaN compares false.
  add(test.before_by_at_least, (span) => (value, event) => timeOf(event.time) - timeOf(value) >= span);
  add(test.after_by_at_most, (span) => (value, event) => timeOf(value) - timeOf(event.time) <= span);
  return checks;
};

/** The first field of which something does not hold; `undefined` when all holds. */
export const faultIn = (where: Where): (event: Event) => string | undefined => {
  const fields = Object.entries(where).map(([name, test]) => ({ name, field: fieldOf(name), checks: checksOf(test) }));
  return (event) =>
    fields.find(({ field, checks }) => {
      const value = field(event);
      return !checks.every((holds) => holds(value, event));
    })?.name;
};

export type Matches = (event: Event) => boolean;

export const matcherOf = ({ type, where }: Selector): Matches => {
  const types = new Set(type);
  if (where === undefined) return (event) => types.has(event.type);
  const fault = faultIn(where);
  return (event) => types.has(event.type) && fault(event) === undefined;
};

/** The key that joins events; `undefined` where a field of it is missing, for what is absent equals nothing. */
export type KeyOf = (event: Event) => string | undefined;

export const keyOf = (names: readonly string[]): KeyOf => {
  const fields = names.map(fieldOf);
  return (event) => {
    const values = fields.map((field) => field(event));
    return values.every(isThere) ? JSON.stringify(values) : undefined;
  };
};

export const joinKeys = (same: readonly Join[]): { readonly ours: KeyOf; readonly theirs: KeyOf } => ({
  ours: keyOf(same.map((join) => join.this)),
  theirs: keyOf(same.map((join) => join.that)),
});
