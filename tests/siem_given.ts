/** Events of every kind, and the judge of what is made of them: OCSF's own schema, as ajv reads it. */
import { Ajv, type ValidateFunction } from "ajv";
import type { Event, FactType, StreamId } from "../events/event.ts";
import { events } from "../events/mod.ts";

const schema = JSON.parse(Deno.readTextFileSync(new URL("ocsf/1.6.0.json", import.meta.url))) as {
  readonly classes: Readonly<Record<string, object>>;
  readonly definitions: object;
};

const ajv = new Ajv({ strict: false, allErrors: true });
const validators = new Map(
  Object.entries(schema.classes).map(([uid, of]): [number, ValidateFunction] => [
    Number(uid),
    ajv.compile({ ...of, definitions: schema.definitions }),
  ]),
);

/** What OCSF's schema has against it; nothing when it is fine. */
export const ocsfFaults = (value: { readonly class_uid?: unknown }): readonly string[] => {
  const validate = validators.get(value.class_uid as number);
  if (!validate) return [`no class ${value.class_uid}`];
  if (validate(value)) return [];
  return validate.errors!.map(({ instancePath, message, params }) =>
    `${instancePath} ${message} ${JSON.stringify(params)}`
  );
};

/** An event of this type as it is read from the log. */
export const eventOf = (type: string, data: unknown, change: Partial<Event> = {}): Event => ({
  specversion: "1.0",
  id: "e1",
  source: "https://example.org/a",
  type: type as FactType,
  time: "2026-11-20T09:00:00.123Z",
  stream: `${type.slice(0, type.indexOf("."))}/one` as StreamId,
  revision: 0,
  position: 17,
  version: events.spec(type)?.version ?? 1,
  recordedat: "2026-11-20T09:00:01.000Z",
  authtype: "user",
  authid: "u_aaaaaaaaaaaaaaaa",
  data: data as never,
  ...change,
});
