/** Values for the laws, made from the zod schemas of the catalogue, so that a new domain is tested before its author writes a test. */
import fc from "fast-check";
import type { z } from "zod";
import type { Event, FactType, StreamId } from "../../events/event.ts";
import type { Catalogue } from "../../events/catalogue.ts";

/** Texts that schemas with a pattern are likely to take; few, so that events meet in the same rows and streams. */
const LIKELY = [
  "a".repeat(40),
  "0123456789abcdef0123456789abcdef01234567",
  "b".repeat(64),
  "main",
  "feature/x",
  "release-1.0",
  "src/main.c",
  "README.md",
  "https://example.org/a",
  "u_1",
  "u_aaaaaaaaaaaaaaaa",
  "t_aaaaaaaaaaaaaaaa",
  "00ff",
  "s_aaaaaaaaaaaaaaaa",
  `${"A".repeat(43)}=`,
  "2026-02-03T04:05:06Z",
  "2026-W07",
  "202602",
  "1.0.0",
  "fire",
  "123456789012",
  `sha256:${"c".repeat(64)}`,
] as const;
const ODD = [
  "",
  " ",
  "é",
  "\u0000",
  "\u0001",
  "__proto__",
  "constructor",
  "~",
  "/",
  "\n",
  "💥",
  "a\tb",
  "sealed:",
  "~a/0",
] as const;
const SEALED = ["sealed:1:u_a:c2VjcmV0", "sealed:1:u_b:b3RoZXI", "sealed:1:s_c:eA"] as const;

const TIMES = [
  "2026-02-03T04:05:06Z",
  "1970-01-01T00:00:00.000+02:00",
  "2024-12-30T23:59:59-11:00",
  "9999-12-31T23:59:59Z",
  "0001-01-01T00:00:00Z",
] as const;

const json = fc.jsonValue({ maxDepth: 3 });

/** Values that the schema accepts. Throws when it finds none: then this file needs to learn a kind of schema, or a likely text. */
export const arbitraryOf = (schema: z.core.$ZodType): fc.Arbitrary<unknown> => {
  const made = madeOf(schema as z.core.$ZodTypes);
  const accepts = (value: unknown) => (schema as z.ZodType).safeParse(value).success;
  return made.filter(accepts);
};

const madeOf = (schema: z.core.$ZodTypes): fc.Arbitrary<unknown> => {
  const { def } = schema._zod;
  switch (def.type) {
    case "string":
      return text(schema as z.core.$ZodType as z.ZodType);
    case "number":
      return numbers(schema as z.core.$ZodType as z.ZodNumber);
    case "boolean":
      return fc.boolean();
    case "null":
      return fc.constant(null);
    case "literal":
      return fc.constantFrom(...def.values);
    case "enum":
      return fc.constantFrom(...Object.values(def.entries));
    case "optional":
      return fc.option(arbitraryOf(def.innerType), { nil: undefined });
    case "nullable":
      return fc.option(arbitraryOf(def.innerType), { nil: null });
    case "default":
    case "readonly":
      return arbitraryOf(def.innerType);
    case "array":
      return fc.array(arbitraryOf(def.element), { maxLength: 4 });
    case "tuple":
      return fc.tuple(...def.items.map(arbitraryOf));
    case "union":
      return fc.oneof(...def.options.map(arbitraryOf));
    case "record":
      return fc.dictionary(arbitraryOf(def.keyType) as fc.Arbitrary<string>, arbitraryOf(def.valueType), {
        maxKeys: 3,
      });
    case "lazy":
    case "unknown":
    case "any":
      return json;
    case "object": {
      const shape = Object.entries(def.shape).map(([key, member]) => [key, arbitraryOf(member)] as const);
      // Absent, not undefined: the log knows no undefined.
      return fc.record(Object.fromEntries(shape)).map((value) =>
        Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined))
      );
    }
    default:
      throw new Error(`The laws have no values for a schema of type "${def.type}"`);
  }
};

const text = (schema: z.ZodType): fc.Arbitrary<string> => {
  if (schema.meta()?.personal !== undefined) return fc.constantFrom(...SEALED);
  const accepted = [...LIKELY, ...TIMES, ...ODD].filter((value) => schema.safeParse(value).success);
  if (accepted.length === 0) {
    throw new Error(`The laws know no text for ${JSON.stringify(schema.meta() ?? schema._zod.bag)}; add one to LIKELY`);
  }
  const free = fc.string({ unit: "grapheme", maxLength: 12 }).filter((value) => schema.safeParse(value).success);
  // Where hardly any text passes, drawing until one does would take for ever.
  const open = ODD.filter((value) => schema.safeParse(value).success).length > ODD.length / 2;
  return open
    ? fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...accepted) }, { weight: 1, arbitrary: free })
    : fc.constantFrom(...accepted);
};

const numbers = ({ minValue, maxValue, isInt }: z.ZodNumber): fc.Arbitrary<number> => {
  const min = Math.max(minValue ?? -Infinity, -1_000_000);
  const max = Math.min(maxValue ?? Infinity, Number.MAX_SAFE_INTEGER);
  // Mostly small, so that parts of a whole meet.
  const whole = fc.oneof(
    { weight: 29, arbitrary: fc.integer({ min, max: Math.min(max, min + 3) }) },
    { weight: 1, arbitrary: fc.integer({ min, max }) },
  );
  return isInt ? whole : fc.oneof(whole, fc.double({ min, max, noNaN: true }));
};

export const freeze = <T>(value: T): T => {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const member of Object.values(value)) freeze(member);
  }
  return value;
};

/** Histories of schema-valid events of these types, in a few streams, frozen. */
export const histories = (
  catalogue: Catalogue,
  types: readonly string[],
  length = 24,
): fc.Arbitrary<readonly Event[]> => {
  const facts = types.map((type) => {
    const data = catalogue.spec(type) === undefined ? json : arbitraryOf(catalogue.spec(type)!.schema);
    return data.map((data) => ({ type: type as FactType, data }));
  });
  const about = fc.record({
    fact: fc.oneof(...facts),
    source: fc.constantFrom("https://example.org/a", "b"),
    time: fc.constantFrom(...TIMES),
    cause: fc.option(fc.constantFrom("e0", "e1", "x"), { nil: undefined }),
    correlation: fc.option(fc.constantFrom("e0", "work"), { nil: undefined }),
    subject: fc.option(fc.constantFrom("s", ""), { nil: undefined }),
    sequence: fc.option(fc.integer({ min: -1, max: 6 }), { nil: undefined }),
  });
  return fc.array(about, { maxLength: length }).map((list) => {
    const revisions = new Map<StreamId, number>();
    return list.map(({ fact, source, time, cause, correlation, subject, sequence }, position) => {
      const spec = catalogue.spec(fact.type);
      const domain = fact.type.slice(0, fact.type.indexOf("."));
      const stream = spec?.stream?.({ source, subject, data: fact.data }) ?? `${domain}/one` as const;
      const revision = (revisions.get(stream) ?? -1) + 1;
      revisions.set(stream, revision);
      return freeze<Event>({
        specversion: "1.0",
        id: `e${position}`,
        source,
        ...fact,
        time,
        stream,
        revision,
        position,
        version: spec?.version ?? 1,
        recordedat: new Date(1_767_225_600_000 + position).toISOString(),
        authtype: "api_key",
        authid: "t_1",
        ...(cause === undefined ? {} : { causationid: cause }),
        ...(correlation === undefined ? {} : { correlationid: correlation }),
        ...(subject === undefined ? {} : { subject }),
        // CloudEvents' Sequence extension, which a source may use.
        ...(sequence === undefined ? {} : { sequence: String(sequence), sequencetype: "Integer" }),
      });
    });
  });
};
