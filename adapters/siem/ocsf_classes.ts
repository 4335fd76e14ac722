/**
 * Which class and activity of OCSF 1.6.0 (https://schema.ocsf.io/1.6.0) each type of event is: tables, and nothing else. A type that
 * is in none of them is a Base Event, which carries all of it as `unmapped`.
 */

import type { ObservedMessage } from "../../events/identity/signin.ts";

export const OCSF_VERSION = "1.6.0";

export const CLASSES = {
  base: { uid: 0, category: 0 },
  process: { uid: 1007, category: 1 },
  account: { uid: 3001, category: 3 },
  authentication: { uid: 3002, category: 3 },
  api: { uid: 6003, category: 6 },
} as const;
export type ClassName = keyof typeof CLASSES;

/** `severity_id`. */
export const SEVERITY = { informational: 1, low: 2, medium: 3, high: 4 } as const;
export type Severity = keyof typeof SEVERITY;

/** `activity_id` of what a class has no number for; `activity_name` says it then. */
export const OTHER = 99;

export interface Mapping {
  readonly class: ClassName;
  readonly activity: number;
  /** Of activity 99. */
  readonly name?: string;
  /** Absent: nobody says. */
  readonly outcome?: "success" | "failure";
  /** Default `informational`. */
  readonly severity?: Severity;
}

const authentication = (activity: number, more: Partial<Mapping> = {}): Mapping => ({
  class: "authentication",
  activity,
  outcome: "success",
  ...more,
});
const account = (activity: number, more: Partial<Mapping> = {}): Mapping => ({
  class: "account",
  activity,
  outcome: "success",
  ...more,
});
const process = (activity: number, more: Partial<Mapping> = {}): Mapping => ({
  class: "process",
  activity,
  outcome: "success",
  ...more,
});

const [LOGON, LOGOFF] = [1, 2];
const [CREATE, ENABLE, PASSWORD_CHANGE, PASSWORD_RESET, DISABLE, DELETE] = [1, 2, 3, 4, 5, 6];
const [ATTACH_POLICY, DETACH_POLICY, LOCK, FACTOR_ENABLE, FACTOR_DISABLE, UNLOCK] = [7, 8, 9, 10, 11, 12];
const [LAUNCH, TERMINATE] = [1, 2];

/** By type. Where the outcome or activity depends on the data as well, `ocsf.ts` says how. */
export const TYPES: Readonly<Record<string, Mapping>> = {
  "identity.signin.succeeded": authentication(LOGON),
  "identity.signin.failed": authentication(LOGON, { outcome: "failure", severity: "low" }),
  "identity.signin.observed": authentication(LOGON),
  "identity.session.started": authentication(OTHER, { name: "Session Start" }),
  "identity.session.refreshed": authentication(OTHER, { name: "Session Refresh" }),
  "identity.session.ended": authentication(LOGOFF),
  "identity.refresh.reused": authentication(OTHER, { name: "Token Reuse", outcome: "failure", severity: "high" }),
  "identity.factor.verified": authentication(OTHER, { name: "Factor Verification" }),
  "identity.account.created": account(CREATE),
  "identity.account.enabled": account(ENABLE),
  "identity.account.disabled": account(DISABLE),
  "identity.account.offboarded": account(OTHER, { name: "Offboard" }),
  "identity.account.locked": account(LOCK, { severity: "medium" }),
  "identity.account.unlocked": account(UNLOCK),
  "identity.password.set": account(PASSWORD_CHANGE),
  "identity.invitation.issued": account(OTHER, { name: "Invitation Issue" }),
  "identity.invitation.used": account(OTHER, { name: "Invitation Use" }),
  "identity.factor.enrolled": account(FACTOR_ENABLE),
  "identity.factor.removed": account(FACTOR_DISABLE),
  "identity.factor.renamed": account(OTHER, { name: "Factor Rename" }),
  "identity.clone.suspected": authentication(OTHER, { name: "Suspected Clone", outcome: "failure", severity: "high" }),
  "identity.link.added": account(OTHER, { name: "Link" }),
  "identity.link.removed": account(OTHER, { name: "Unlink" }),
  "identity.role.granted": account(ATTACH_POLICY),
  "identity.role.revoked": account(DETACH_POLICY),
  "identity.key.issued": account(OTHER, { name: "Key Issue" }),
  "identity.key.rotated": account(OTHER, { name: "Key Rotation" }),
  "identity.key.revoked": account(OTHER, { name: "Key Revocation" }),
  "kernel.process.started": process(LAUNCH),
  "kernel.process.stopped": process(TERMINATE),
  "kernel.child.started": process(LAUNCH),
  "kernel.child.restarted": process(LAUNCH, { severity: "low" }),
  "kernel.child.crashed": process(TERMINATE, { outcome: "failure", severity: "medium" }),
  "kernel.child.gave_up": process(TERMINATE, { outcome: "failure", severity: "high" }),
  "kernel.child.stopped": process(TERMINATE),
  "kernel.child.abandoned": process(TERMINATE, { outcome: "failure", severity: "medium" }),
  "services.instance.started": process(LAUNCH),
  "services.instance.refused": process(LAUNCH, { outcome: "failure", severity: "medium" }),
  "services.instance.exited": process(TERMINATE),
};

/** `identity.password.set`, by `because`: what is no wish of the person is no change of it. */
export const PASSWORDS: Readonly<Record<string, Pick<Mapping, "activity" | "name">>> = {
  reset: { activity: PASSWORD_RESET },
  imported: { activity: OTHER, name: "Password Import" },
  raised: { activity: OTHER, name: "Password Rehash" },
  upgraded: { activity: OTHER, name: "Password Rehash" },
};

/** What `identity.signin.observed` with the outcome `noted` is, by `message`: nobody signed in there, and nobody was refused. */
export const NOTED: Readonly<Record<string, string>> = {
  connection: "Connection",
  disconnected: "Disconnection",
  pam: "PAM Message",
  partial: "Partial Authentication",
  reverse_mapping: "Reverse Mapping Check",
  session: "Session Message",
} satisfies Partial<Record<ObservedMessage, string>>;

/** Events that were not asked for and call for a look, beyond those of `TYPES`. */
export const SEVERITIES: Readonly<Record<string, Severity>> = {
  "kernel.sink.failed": "medium",
  "kernel.projection.stopped": "medium",
  "kernel.message.dead_lettered": "low",
};

/** What CloudTrail tells of AWS's own accounts, by service and action. */
export const CLOUDTRAIL: Readonly<Record<string, Mapping>> = {
  "signin.amazonaws.com ConsoleLogin": authentication(LOGON),
  "signin.amazonaws.com SwitchRole": authentication(7),
  "sts.amazonaws.com AssumeRole": authentication(LOGON),
  "sts.amazonaws.com AssumeRoleWithSAML": authentication(LOGON),
  "sts.amazonaws.com AssumeRoleWithWebIdentity": authentication(LOGON),
  "sts.amazonaws.com GetFederationToken": authentication(LOGON),
  "sts.amazonaws.com GetSessionToken": authentication(LOGON),
  "iam.amazonaws.com CreateUser": account(CREATE),
  "iam.amazonaws.com CreateRole": account(CREATE),
  "iam.amazonaws.com DeleteUser": account(DELETE, { severity: "low" }),
  "iam.amazonaws.com DeleteRole": account(DELETE, { severity: "low" }),
  "iam.amazonaws.com ChangePassword": account(PASSWORD_CHANGE),
  "iam.amazonaws.com CreateLoginProfile": account(ENABLE),
  "iam.amazonaws.com UpdateLoginProfile": account(PASSWORD_RESET),
  "iam.amazonaws.com DeleteLoginProfile": account(DISABLE),
  "iam.amazonaws.com AttachUserPolicy": account(ATTACH_POLICY, { severity: "low" }),
  "iam.amazonaws.com AttachRolePolicy": account(ATTACH_POLICY, { severity: "low" }),
  "iam.amazonaws.com PutUserPolicy": account(ATTACH_POLICY, { severity: "low" }),
  "iam.amazonaws.com PutRolePolicy": account(ATTACH_POLICY, { severity: "low" }),
  "iam.amazonaws.com DetachUserPolicy": account(DETACH_POLICY),
  "iam.amazonaws.com DetachRolePolicy": account(DETACH_POLICY),
  "iam.amazonaws.com DeleteUserPolicy": account(DETACH_POLICY),
  "iam.amazonaws.com DeleteRolePolicy": account(DETACH_POLICY),
  "iam.amazonaws.com EnableMFADevice": account(FACTOR_ENABLE),
  "iam.amazonaws.com DeactivateMFADevice": account(FACTOR_DISABLE, { severity: "low" }),
};

/** Activity of a call, by how its name begins; `read_only` counts before it. */
export const VERBS: readonly (readonly [RegExp, number])[] = [
  [/^(?:Get|List|Describe|Head|Lookup|Search|Select|Scan|Query|BatchGet|Check|Preview|Test|View)/, 2],
  [/^(?:Create|Run|Put|Register|Allocate|Import|Copy|Add|Issue|Publish|Send|Start|Invoke|Generate|Request|Upload)/, 1],
  [/^(?:Delete|Terminate|Remove|Deregister|Release|Purge|Cancel|Abort|BatchDelete)/, 4],
  [
    /^(?:Update|Modify|Set|Attach|Detach|Associate|Disassociate|Enable|Disable|Change|Tag|Untag|Restore|Reset|Stop|Reboot)/,
    3,
  ],
];

/** `factor_type_id`, by the method that proved it. */
export const FACTORS: Readonly<Record<string, { readonly id: number; readonly name: string }>> = {
  password: { id: 11, name: "Password" },
  totp: { id: 7, name: "OTP" },
  backup_code: { id: 7, name: "OTP" },
  passkey: { id: 10, name: "WebAuthn" },
};

/** `auth_protocol_id`, by the method that proved it. */
export const PROTOCOLS: Readonly<Record<string, { readonly id: number; readonly name: string }>> = {
  oidc: { id: 4, name: "OpenID" },
  saml: { id: 5, name: "SAML" },
};

/** The row of a key that came from outside; `constructor` is in no table. */
export const rowOf = <T>(table: Readonly<Record<string, T>>, key: unknown): T | undefined =>
  typeof key === "string" && Object.hasOwn(table, key) ? table[key] : undefined;
