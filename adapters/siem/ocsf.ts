/**
 * An event as OCSF 1.6.0 has it (https://schema.ocsf.io/1.6.0): Authentication, Account Change, API Activity, Process Activity, and
 * Base Event for all else. `ocsf_classes.ts` says which is which; here is how the attributes of a class are filled.
 *
 * What is sealed is not told: then people are known by pseudonyms and opaque ids, which stand in `uid`.
 */
import { isIP } from "node:net";
import type { Event, FactType } from "../../events/event.ts";
import { millis } from "../../events/event.ts";
import { ERASED_TEXT, SEALED_TEXT } from "../../events/personal.ts";
import type { Emitter } from "./emitter.ts";
import {
  CLASSES,
  type ClassName,
  CLOUDTRAIL,
  FACTORS,
  type Mapping,
  NOTED,
  OCSF_VERSION,
  OTHER,
  PASSWORDS,
  PROTOCOLS,
  rowOf,
  SEVERITIES,
  SEVERITY,
  TYPES,
  VERBS,
} from "./ocsf_classes.ts";

export type OcsfEvent = Readonly<Record<string, unknown>>;

type Members = Readonly<Record<string, unknown>>;

/** `event` as it may be read: sealed texts are opened, or `[sealed]`. */
export const ocsfOf = (event: Event, emitter: Emitter): OcsfEvent => {
  const data = membersOf(event.data);
  const mapping = mappingOf(event.type, data);
  const { uid, category } = CLASSES[mapping.class];
  const { status, detail } = outcomeOf(mapping, data);
  const severity = SEVERITY[mapping.severity ?? rowOf(SEVERITIES, event.type) ?? "informational"];
  return present({
    activity_id: mapping.activity,
    activity_name: mapping.name,
    category_uid: category,
    class_uid: uid,
    type_uid: uid * 100 + mapping.activity,
    severity_id: status === "failure" ? Math.max(severity, SEVERITY.low) : severity,
    status_id: status === undefined ? undefined : status === "success" ? 1 : 2,
    status_code: text(data.error_code),
    status_detail: detail,
    time: millis(event.time),
    message: `${event.type} ${event.stream}`,
    metadata: metadataOf(event, mapping.class, emitter),
    ...FILLED[mapping.class](data, event, emitter),
    unmapped: present({ data: event.data, data_base64: event.data_base64, source: event.source }),
  });
};

const metadataOf = (event: Event, of: ClassName, { product, origin }: Emitter): unknown =>
  present({
    version: OCSF_VERSION,
    product,
    // With the position an event is known for ever, however often it is delivered.
    uid: origin === undefined ? `${event.source} ${event.id}` : `${origin} ${event.position}`,
    sequence: event.position,
    event_code: event.type,
    log_name: event.stream,
    log_provider: event.source,
    log_version: String(event.version),
    original_time: event.time,
    logged_time: millis(event.recordedat),
    correlation_uid: event.correlationid,
    profiles: of === "base" || !isCloudtrail(event.type) ? undefined : ["cloud"],
  });

const mappingOf = (type: FactType, data: Members): Mapping => {
  if (isCloudtrail(type) && data.action !== undefined) return callOf(data);
  const mapping = rowOf(TYPES, type);
  // Without its data, because it was too long or is missing, there is nothing to fill a class with.
  if (mapping === undefined || Object.keys(data).length === 0) return BASE;
  if (mapping.class === "account" && text(data.account) === undefined) return BASE;
  if (type === "identity.signin.observed" && data.outcome === "noted") {
    return { class: mapping.class, activity: OTHER, name: rowOf(NOTED, data.message) ?? "Note" };
  }
  if (type === "identity.password.set") return { ...mapping, ...rowOf(PASSWORDS, data.because) };
  return mapping;
};

const BASE: Mapping = { class: "base", activity: OTHER, name: "Record" };

const isCloudtrail = (type: string): boolean => type === "cloudtrail.event.observed";

/** What happened elsewhere: who sent it here, as the header says, is not who did it. */
export const isElsewhere = (type: string): boolean => isCloudtrail(type) || type === "identity.signin.observed";

const callOf = (data: Members): Mapping => {
  const own = rowOf(CLOUDTRAIL, `${data.service} ${data.action}`);
  if (own) return own;
  const verb = data.read_only === true ? 2 : VERBS.find(([pattern]) => pattern.test(String(data.action)))?.[1];
  return { class: "api", activity: verb ?? OTHER, ...(verb === undefined ? { name: String(data.action) } : {}) };
};

/** What the data says of how it ended counts before the table. */
const outcomeOf = (
  { outcome }: Mapping,
  data: Members,
): { readonly status?: "success" | "failure"; readonly detail?: string } => {
  const said = data.outcome === "failure" || data.outcome === "failed"
    ? "failure" as const
    : data.outcome === "success" || data.outcome === "accepted"
    ? "success" as const
    : outcome;
  const detail = told(data.error_message) ?? text(data.reason) ?? text(data.because) ?? text(data.cause);
  return { status: said, detail };
};

/** What a class has beside what all have. */
const FILLED: Readonly<Record<ClassName, (data: Members, event: Event, emitter: Emitter) => Members>> = {
  base: () => ({}),

  authentication(data, event) {
    const methods = listOf(data.methods ?? data.factors ?? data.method);
    const factors = methods.flatMap((method) => rowOf(FACTORS, method) ?? []);
    const protocol = methods.map((method) => rowOf(PROTOCOLS, method)).find((found) => found !== undefined);
    // Of a method that has no number here, nobody knows how many factors it is; a passkey is two, for its holder was verified as well.
    const known = methods.length > 0 && factors.length === methods.length;
    const mfa = typeof data.mfa === "boolean"
      ? data.mfa
      : known
      ? factors.length > 1 || methods.includes("passkey")
      : undefined;
    return {
      user: subjectOf(data),
      actor: isElsewhere(event.type) ? undefined : actorOf(event),
      service: { name: text(data.service) ?? "daybook" },
      src_endpoint: endpointOf(data),
      session: present({ uid: text(data.session) }),
      is_mfa: mfa,
      auth_factors: factors.map(({ id, name }) => ({ factor_type_id: id, factor_type: name })),
      auth_protocol_id: protocol?.id,
      auth_protocol: protocol?.name,
      count: typeof data.times === "number" ? data.times : undefined,
      cloud: cloudOf(data, event),
    };
  },

  account(data, event) {
    const roles = text(data.role);
    return {
      // Whom it was done to; of AWS only the request says, and that is sealed.
      user: isCloudtrail(event.type) ? targetOf(data) : subjectOf(data),
      actor: isCloudtrail(event.type) ? { user: subjectOf(data), app_name: text(data.invoked_by) } : actorOf(event),
      src_endpoint: endpointOf(data),
      policies: roles === undefined || isCloudtrail(event.type) ? undefined : [{ name: roles }],
      cloud: cloudOf(data, event),
    };
  },

  api(data, event) {
    const resources = listOf(data.resources).map((resource) => ({ uid: resource }));
    return {
      actor: { user: subjectOf(data), app_name: text(data.invoked_by) },
      api: present({
        operation: String(data.action),
        service: { name: String(data.service) },
        request: text(data.request_id) === undefined ? undefined : { uid: text(data.request_id) },
        response: text(data.error_code) === undefined
          ? undefined
          : present({ error: text(data.error_code), error_message: told(data.error_message) }),
      }),
      src_endpoint: endpointOf(data) ?? { name: "unknown" },
      http_request: told(data.user_agent) === undefined ? undefined : { user_agent: told(data.user_agent) },
      resources,
      cloud: cloudOf(data, event),
    };
  },

  process(data, event, { origin }) {
    const path = text(data.child) ?? event.stream;
    return {
      actor: { app_name: "daybook" },
      device: { type_id: 1, name: origin ?? "daybook" },
      process: present({
        uid: path,
        name: path.slice(Math.max(path.lastIndexOf(":"), path.lastIndexOf("/")) + 1),
        pid: data.pid,
      }),
      exit_code: data.code ?? undefined,
    };
  },
};

/** Who the event is about: opaque id or pseudonym, and the name where it may be read. */
const subjectOf = (data: Members): Members => {
  const actor = told(data.actor);
  const uid = text(data.account_pseudonym) ?? (isOpaque(data.account) ? text(data.account) : undefined) ?? actor ??
    text(data.actor_pseudonym) ?? text(data.name_pseudonym);
  const name = told(data.user_name) ?? told(data.name);
  const aws = /^\d{12}$/.test(String(data.account));
  return present({
    uid,
    name: name ?? (uid === undefined ? SEALED_TEXT : undefined),
    uid_alt: told(data.principal),
    type: text(data.identity),
    email_addr: emailOf(data.email),
    account: aws ? { uid: text(data.identity_account) ?? text(data.account), type_id: 10 } : undefined,
  });
};

const isOpaque = (value: unknown): boolean => typeof value === "string" && value.startsWith("u_");

/** Of a call to IAM; the request tells the name, to those who may read it. A password is changed by whose it is, and the request names nobody. */
const targetOf = (data: Members): Members => {
  if (data.action === "ChangePassword") return subjectOf(data);
  const request = told(data.request);
  const { userName, roleName } = membersOf(request === undefined ? undefined : parsed(request));
  return { name: text(userName) ?? text(roleName) ?? SEALED_TEXT };
};

/** Who did it, by the header. */
const actorOf = ({ authtype, authid }: Event): Members =>
  authtype === "system" ? { app_name: authid } : { user: { uid: authid, type: authtype } };

const endpointOf = (data: Members): Members | undefined => {
  const address = told(data.address);
  const uid = text(data.address_pseudonym);
  if (address === undefined && uid === undefined) return undefined;
  // AWS's own services call by their names.
  const place = address === undefined ? {} : isIP(address) ? { ip: address } : { name: address };
  return present({ ...place, uid, port: data.port });
};

const cloudOf = (data: Members, { type }: Event): Members | undefined =>
  isCloudtrail(type)
    ? { provider: "AWS", region: text(data.region), account: { uid: text(data.account), type_id: 10 } }
    : undefined;

/** A text that may be read, neither sealed nor erased. */
const told = (value: unknown): string | undefined => {
  const found = text(value);
  return found === SEALED_TEXT || found === ERASED_TEXT ? undefined : found;
};

const text = (value: unknown): string | undefined => typeof value === "string" && value !== "" ? value : undefined;

/** The form that OCSF's `email_t` asks for. */
const EMAIL = /^[a-zA-Z0-9!#$%&'*+\-/=?^_`{|}~.]+@[a-zA-Z0-9-]+\.[a-zA-Z0-9.-]+$/;
const emailOf = (value: unknown): string | undefined => {
  const found = told(value);
  return found !== undefined && EMAIL.test(found) ? found : undefined;
};

const listOf = (value: unknown): readonly string[] =>
  (Array.isArray(value) ? value : [value]).filter((item): item is string => told(item) !== undefined);

const membersOf = (value: unknown): Members =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? value as Members : {};

const parsed = (json: string): unknown => {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
};

/** Without what says nothing: OCSF has no nulls, and an empty object or list tells nothing. */
const present = (members: Members): Members =>
  Object.fromEntries(
    Object.entries(members).filter(([, value]) =>
      value !== undefined && !(typeof value === "object" && value !== null && Object.keys(value).length === 0)
    ),
  );
