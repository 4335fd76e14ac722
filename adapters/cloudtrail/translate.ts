/**
 * A record of CloudTrail as a fact
 * (https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html).
 */
import { z } from "zod";
import type { Incoming, Issue } from "../../actors/kernel/daybook.ts";
import { canonical, CanonicalError, parseIJson, sameNumber } from "../../events/canonical.ts";
import { CLOUDTRAIL_LIMITS, type CloudtrailObserved, cloudtrailSource } from "../../events/cloudtrail.ts";
import { isTime } from "../../events/event.ts";
import { LIMITS } from "../../events/log.ts";
import { looksSealed } from "../../events/personal.ts";
import { NOT_TAKEN, withoutSecrets } from "./secrets.ts";

export type TranslatedRecord =
  | { readonly ok: true; readonly event: Incoming; readonly notTaken: number }
  /** Paths are JSON Pointers (RFC 6901) into the record. */
  | { readonly ok: false; readonly issues: readonly Issue[] };

const { name_chars_max, personal_chars_max, resource_chars_max, role_chars_max, resources_max, texts_bytes_max } =
  CLOUDTRAIL_LIMITS;

const name = z.string().min(1).max(name_chars_max);
const account = z.string().regex(/^\d{12}$/, "expected an AWS account: 12 digits");
const text = z.string().nullish();

// What AWS adds later is kept in `rest`; what is read is held to what it says.
const identity = z.looseObject({
  type: name.nullish(),
  principalId: text,
  arn: text,
  // `anonymous` where nobody signed the request.
  accountId: name.nullish().catch(undefined),
  accessKeyId: text,
  userName: text,
  invokedBy: name.nullish().catch(undefined),
  sessionContext: z.looseObject({
    attributes: z.looseObject({ mfaAuthenticated: z.union([z.string(), z.boolean()]).nullish(), creationDate: text })
      .nullish(),
    sessionIssuer: z.looseObject({ type: text, arn: text }).nullish(),
  }).nullish(),
});

const record = z.looseObject({
  eventVersion: name,
  eventID: name,
  eventTime: z.string().refine(isTime, "expected an RFC 3339 time"),
  eventSource: name.nullish(),
  eventName: name.nullish(),
  awsRegion: name,
  eventType: name.nullish(),
  eventCategory: name.nullish(),
  recipientAccountId: account.nullish(),
  errorCode: name.nullish(),
  errorMessage: text,
  readOnly: z.boolean().nullish(),
  requestID: name.nullish(),
  sharedEventID: name.nullish(),
  sourceIPAddress: text,
  userAgent: text,
  userIdentity: identity.nullish(),
  resources: z.array(z.looseObject({ ARN: text, arn: text })).nullish(),
  requestParameters: z.unknown().optional(),
  responseElements: z.unknown().optional(),
  additionalEventData: z.unknown().optional(),
  insightDetails: z.looseObject({ eventSource: name.nullish(), eventName: name.nullish() }).nullish(),
});
type AwsRecord = z.output<typeof record>;

const utf8 = new TextEncoder();

/** Reads one record; all or nothing. */
export const translateRecord = (json: string): TranslatedRecord => {
  let value: unknown;
  try {
    value = parsed(json);
  } catch (error) {
    if (!(error instanceof CanonicalError)) throw error;
    // What the parser says of malformed text repeats some of it.
    const message = error.code === "malformed" ? "not JSON" : error.message;
    return { ok: false, issues: [{ path: error.path, message }] };
  }
  const read = record.safeParse(value);
  if (!read.success) return { ok: false, issues: issuesOf(read.error) };
  const { data } = read;
  const service = data.eventSource ?? data.insightDetails?.eventSource;
  const action = data.eventName ?? data.insightDetails?.eventName;
  const whose = data.recipientAccountId ?? account.safeParse(data.userIdentity?.accountId).data;
  const missing = [
    ...(service ? [] : [{ path: "/eventSource", message: "expected a service" }]),
    ...(action ? [] : [{ path: "/eventName", message: "expected an action" }]),
    ...(whose ? [] : [{ path: "/recipientAccountId", message: "expected an AWS account: 12 digits" }]),
  ];
  if (missing.length > 0) return { ok: false, issues: missing };
  const { fact, notTaken } = factOf(data, { service: service!, action: action!, account: whose! });
  if (entryBytes(fact) > LIMITS.entry_bytes_max) {
    return { ok: false, issues: [{ path: "", message: "its names are longer than an entry holds" }] };
  }
  return {
    ok: true,
    notTaken,
    event: {
      id: data.eventID,
      source: cloudtrailSource(whose!),
      type: "cloudtrail.event.observed",
      time: data.eventTime,
      datacontenttype: "application/json",
      data: fact,
    },
  };
};

const factOf = (
  data: AwsRecord,
  known: Pick<CloudtrailObserved, "service" | "action" | "account">,
): { readonly fact: CloudtrailObserved; readonly notTaken: number } => {
  const cutter = new Cutter();
  const { userIdentity: who, resources } = data;
  const { sessionContext: session } = who ?? {};
  const role = session?.sessionIssuer?.type === "Role" ? session.sessionIssuer.arn : undefined;
  const arns = (resources ?? []).map(({ ARN, arn }) => ARN ?? arn).filter((arn) => !!arn) as string[];
  const texts = textsOf(data);
  const fact = {
    ...known,
    event_version: data.eventVersion,
    region: data.awsRegion,
    category: data.eventCategory,
    kind: data.eventType,
    outcome: failed(data) ? "failure" as const : "success" as const,
    error_code: data.errorCode,
    read_only: data.readOnly,
    request_id: data.requestID,
    shared_event_id: data.sharedEventID,
    identity: who?.type,
    identity_account: who?.accountId === known.account ? undefined : who?.accountId,
    role: cutter.cut(role, role_chars_max),
    invoked_by: who?.invokedBy,
    mfa: mfaOf(data),
    session_started: timeOf(session?.attributes?.creationDate),
    actor: cutter.cut(actorOf(data, known.account), personal_chars_max)!,
    user_name: cutter.cut(who?.userName, personal_chars_max),
    principal: cutter.cut(who?.principalId, personal_chars_max),
    access_key: cutter.cut(who?.accessKeyId, personal_chars_max),
    address: cutter.cut(data.sourceIPAddress, personal_chars_max),
    user_agent: cutter.cut(data.userAgent, personal_chars_max),
    resources: arns.length === 0
      ? undefined
      : arns.slice(0, resources_max).map((arn) => cutter.cut(arn, resource_chars_max)!),
    resources_left_out: arns.length > resources_max ? arns.length - resources_max : undefined,
    ...texts.taken,
    left_out: texts.leftOut,
    cut: cutter.used || undefined,
    not_taken: texts.notTaken + cutter.notTaken || undefined,
  };
  return { fact: present(fact) as unknown as CloudtrailObserved, notTaken: texts.notTaken + cutter.notTaken };
};

/** What the entry may come to, at most: each text as if it were sealed, and room for the header. */
const entryBytes = (value: unknown): number => {
  if (typeof value === "string") return SEALED_BYTES + Math.ceil(utf8.encode(value).length * 4 / 3);
  if (typeof value !== "object" || value === null) return 10;
  return Object.entries(value).reduce((sum, [key, member]) => sum + key.length + 4 + entryBytes(member), HEADER_BYTES);
};
const SEALED_BYTES = 80;
const HEADER_BYTES = 1_000;

/** The members that say something: the log knows neither null nor undefined, and an empty text tells nothing. */
const present = (members: Readonly<{ [name: string]: unknown }>): { readonly [name: string]: unknown } =>
  Object.fromEntries(
    Object.entries(members).filter(([, value]) => value !== undefined && value !== null && value !== ""),
  );

/** What is read above; the rest of the record goes into `rest`. */
const READ = new Set([
  ...Object.keys(record.shape).filter((key) => !["additionalEventData", "insightDetails"].includes(key)),
  "managementEvent", // says what `eventCategory` says
]);

const READ_OF_IDENTITY = new Set(Object.keys(identity.shape).filter((key) => key !== "sessionContext"));
const READ_OF_SESSION = new Set(["attributes", "sessionIssuer"]);
const READ_OF_ATTRIBUTES = new Set(["mfaAuthenticated", "creationDate"]);
const READ_OF_RESOURCE = new Set(["ARN", "arn"]);

const without = (read: ReadonlySet<string>, members: object): { readonly [name: string]: unknown } =>
  present(Object.fromEntries(Object.entries(members).filter(([key]) => !read.has(key))));

/** What no field of the fact says. An issuer that is a role is its ARN. */
const restOf = (data: AwsRecord): { readonly [name: string]: unknown } => {
  const { userIdentity: who, resources } = data;
  const session = who?.sessionContext;
  const issuer = session?.sessionIssuer;
  const sessionContext = present({
    ...without(READ_OF_SESSION, session ?? {}),
    attributes: some(without(READ_OF_ATTRIBUTES, session?.attributes ?? {})),
    sessionIssuer: issuer && issuer.type !== "Role" ? issuer : undefined,
  });
  const userIdentity = present({
    ...without(READ_OF_IDENTITY, { ...who, sessionContext: undefined }),
    sessionContext: some(sessionContext),
  });
  const more = (resources ?? []).map((resource) => without(READ_OF_RESOURCE, resource));
  return present({
    ...without(READ, data),
    userIdentity: some(userIdentity),
    resources: more.some((members) => some(members)) ? more : undefined,
  });
};

/** The members, if there are any. */
const some = <T extends object>(members: T): T | undefined => Object.keys(members).length > 0 ? members : undefined;

interface Texts {
  request?: string;
  response?: string;
  rest?: string;
  error_message?: string;
}

/** What callers and services write freely, without its secrets; when it is too long, the longest of it is left out. */
const textsOf = (
  data: AwsRecord,
): {
  readonly taken: Texts;
  readonly leftOut: { readonly [P in keyof Texts]?: number } | undefined;
  readonly notTaken: number;
} => {
  const rest = restOf(data);
  let notTaken = 0;
  const told = (value: unknown): string | undefined => {
    if (value === undefined || value === null) return undefined;
    const without = withoutSecrets(value);
    notTaken += without.notTaken;
    return typeof value === "string" ? without.value as string : canonical(without.value, LIMITS.data_depth_max);
  };
  const parameters = (value: unknown) => typeof value === "string" ? told({ text: value }) : told(value);
  const all: [keyof Texts, string][] = ([
    ["request", parameters(data.requestParameters)],
    ["response", parameters(data.responseElements)],
    ["rest", Object.keys(rest).length > 0 ? told(rest) : undefined],
    ["error_message", told(data.errorMessage)],
  ] as const).filter((each): each is [keyof Texts, string] => each[1] !== undefined && each[1] !== "");
  const bytes = new Map(all.map(([key, text]) => [key, utf8.encode(text).length]));
  const leftOut: { [P in keyof Texts]?: number } = {};
  let sum = [...bytes.values()].reduce((sum, each) => sum + each, 0);
  for (const [key, length] of [...bytes].sort(([, a], [, b]) => b - a)) {
    if (sum <= texts_bytes_max) break;
    leftOut[key] = length;
    sum -= length;
  }
  return {
    taken: Object.fromEntries(all.filter(([key]) => leftOut[key] === undefined)),
    leftOut: Object.keys(leftOut).length > 0 ? leftOut : undefined,
    notTaken,
  };
};

/** Whose key all of it is sealed under: the best name there is of who called, and never nothing. */
const actorOf = ({ userIdentity: who }: AwsRecord, account: string): string =>
  who?.arn || who?.userName || who?.principalId || who?.invokedBy || account;

const failed = ({ errorCode, responseElements }: AwsRecord): boolean => {
  if (errorCode) return true;
  const signin = membersOf(responseElements)?.ConsoleLogin;
  return signin === "Failure";
};

const mfaOf = ({ userIdentity, additionalEventData }: AwsRecord): boolean | undefined => {
  const used = membersOf(additionalEventData)?.MFAUsed;
  if (used === "Yes" || used === "No") return used === "Yes";
  const said = userIdentity?.sessionContext?.attributes?.mfaAuthenticated;
  return said === undefined || said === null ? undefined : String(said) === "true";
};

const timeOf = (time: string | null | undefined): string | undefined => time && isTime(time) ? time : undefined;

const membersOf = (value: unknown): { readonly [name: string]: unknown } | undefined =>
  typeof value === "object" && value !== null && !Array.isArray(value)
    ? value as { readonly [name: string]: unknown }
    : undefined;

/** Cuts at a whole character, takes nothing that only looks sealed, and remembers that it did. */
class Cutter {
  used = false;
  notTaken = 0;
  cut(text: string | null | undefined, max: number): string | undefined {
    if (text && looksSealed(text)) {
      this.notTaken++;
      return NOT_TAKEN;
    }
    if (text === null || text === undefined || text.length <= max) return text ?? undefined;
    this.used = true;
    return text.slice(0, max - 1).replace(/[\ud800-\udbff]$/, "") + "…";
  }
}

/** Strings are passed over, so that a number within one is none. */
const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/** Strictly, but that a number which a double does not hold becomes a string of its digits. */
const parsed = (json: string): unknown => {
  try {
    return parseIJson(json, LIMITS.data_depth_max - 1);
  } catch (error) {
    if (!(error instanceof CanonicalError) || error.code !== "number_not_representable") throw error;
  }
  const exact = json.replace(
    TOKEN,
    (token) => token.startsWith('"') || sameNumber(token, Number(token)) ? token : `"${token}"`,
  );
  return parseIJson(exact, LIMITS.data_depth_max - 1);
};

const issuesOf = (error: z.ZodError): readonly Issue[] =>
  error.issues.map(({ path, message }) => ({
    path: path.map((step) => `/${String(step).replaceAll("~", "~0").replaceAll("/", "~1")}`).join(""),
    message,
  }));
