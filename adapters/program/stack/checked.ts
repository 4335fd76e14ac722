/**
 * Security checks of an instance: what is looked at, what is found by it, and how grave it is. Pure; who looks is the agent
 * (`adapters/process/agent/inspect.ts`), and for handshakes the server itself.
 */
import type { CheckName, CheckPolicy } from "../../../config/stack_checks.ts";
import type { ServiceSettings, StackSettings } from "../../../config/stack.ts";
import { type Finding, SERVICE_LIMITS } from "../../../events/services.ts";
import type { Answer, Inspected } from "../../process/agent/protocol.ts";
import { isFor, isSignedBy, readCertificate } from "../../x509/certificate.ts";
import type { Shown } from "../../x509/handshake.ts";
import { type Placed, portNumberOf, type TlsFiles, tlsFilesOf } from "./launch.ts";

const DAY_MS = 86_400_000;

const CERTIFICATE = ["certificate_expired", "certificate_expiring", "certificate_unfit"] as const;
const GIVEN = ["secret_readable", "secret_missing", "url_plain", "runs_as_root", "limit_not_held"] as const;

/** Looked at before a start. */
export const checksBefore = ({ files }: Checked["instances"][number]): readonly CheckName[] =>
  files.certificate === undefined ? GIVEN : [...GIVEN, ...CERTIFICATE];

/** Whether anything that is looked at before a start may be a reason not to start it. */
export const mayRefuse = (
  { policies, requires }: Pick<Checked, "policies" | "requires">,
  instance: Checked["instances"][number],
): boolean =>
  checksBefore(instance).some((check) =>
    policies[check] === "refuse" && (check !== "secret_missing" || requires.length > 0)
  );

/** Looked at again and again while it runs. */
export const checksRunning = ({ files, port }: Checked["instances"][number]): readonly CheckName[] => [
  ...GIVEN,
  ...(files.certificate === undefined && port === undefined ? [] : CERTIFICATE),
  "listens_everywhere",
];

/** Kept beside what a service is started with. */
export interface Checked {
  readonly policies: Readonly<Record<CheckName, CheckPolicy>>;
  readonly requires: readonly string[];
  readonly expiring_ms: number;
  readonly every_ms: number;
  /** What a certificate must be for; absent where it has none. */
  readonly name?: string;
  /** By replica. */
  readonly instances: readonly { readonly files: TlsFiles; readonly port?: number }[];
}

const DEFAULTS: Readonly<Record<CheckName, CheckPolicy>> = {
  secret_readable: "warn",
  secret_missing: "refuse",
  url_plain: "warn",
  runs_as_root: "warn",
  certificate_expired: "warn",
  certificate_expiring: "warn",
  certificate_unfit: "warn",
  listens_everywhere: "warn",
  limit_not_held: "warn",
};

/** What a service says counts before what the stack says of the check, and that before what it says of all. */
const policiesOf = (service: ServiceSettings, { checks }: StackSettings): Checked["policies"] =>
  Object.fromEntries(
    (Object.keys(DEFAULTS) as CheckName[]).map((
      check,
    ) => [check, service.checks[check] ?? checks.findings[check] ?? checks.policy ?? DEFAULTS[check]]),
  ) as Checked["policies"];

export const checkedOf = (service: ServiceSettings, placed: Placed): Checked => {
  const { tls, replicas, requires } = service;
  const { expiring_days, every_ms } = placed.stack.checks;
  return {
    policies: policiesOf(service, placed.stack),
    requires,
    expiring_ms: expiring_days * DAY_MS,
    every_ms,
    ...(tls ? { name: tls.name } : {}),
    instances: Array.from({ length: replicas }, (_, replica) => ({
      files: tlsFilesOf(service, replica, placed),
      ...(tls?.port === undefined ? {} : { port: portNumberOf(tls.port, service, replica, placed) }),
    })),
  };
};

export type Found = Omit<Finding, "policy">;

/** The first of each check, without those that are to be ignored. */
export const judged = ({ policies }: Pick<Checked, "policies">, found: readonly Found[]): readonly Finding[] =>
  found.filter(({ check }, n) => found.findIndex((other) => other.check === check) === n).flatMap(
    ({ because, ...finding }) => {
      const policy = policies[finding.check];
      return policy === "ignore"
        ? []
        : [{ ...finding, policy, because: because.slice(0, SERVICE_LIMITS.cause_chars_max) }];
    },
  );

const SHOWN_MAX = 5;
const listed = (all: readonly string[]): string =>
  all.slice(0, SHOWN_MAX).join(", ") + (all.length > SHOWN_MAX ? `, and ${all.length - SHOWN_MAX} more` : "");

/** `at`: ms since 1970. */
export const foundBefore = (
  { root, missing, readable, plain, unheld, ...shown }: Inspected,
  checked: Checked,
  { files, at }: { readonly files: TlsFiles; readonly at: number },
): readonly Found[] => [
  ...(missing.length === 0 ? [] : [{
    check: "secret_missing" as const,
    severity: "high" as const,
    because: `${listed(missing)} ${missing.length === 1 ? "is" : "are"} required and not set`,
  }]),
  ...(readable.length === 0 ? [] : [{
    check: "secret_readable" as const,
    severity: "high" as const,
    because: `everybody may read ${listed(readable)}`,
  }]),
  ...(plain.length === 0 ? [] : [{
    check: "url_plain" as const,
    // What does not leave the machine is seen by nobody on the way.
    severity: plain.every(({ loopback }) => loopback) ? "low" as const : "high" as const,
    because: `without TLS: ${listed(plain.map(({ where, url }) => `${where} to ${url}`))}`,
  }]),
  ...(root ? [{ check: "runs_as_root" as const, severity: "medium" as const, because: "it is started as root" }] : []),
  ...(unheld === undefined ? [] : [{
    check: "limit_not_held" as const,
    severity: "medium" as const,
    because: `it is not held to what is stated of cpus or resident_bytes: ${unheld}`,
  }]),
  ...foundOf(checked, files, shown, at),
];

/** Of files. */
const foundOf = (
  checked: Checked,
  files: TlsFiles,
  { certificate, authority, fits }: Pick<Inspected, "certificate" | "authority" | "fits">,
  at: number,
): readonly Found[] => {
  if (files.certificate === undefined) return [];
  const unfit = (because: string): Found => ({ check: "certificate_unfit", severity: "high", because });
  if (certificate === undefined) return [unfit(`${files.certificate} cannot be read`)];
  if (files.authority !== undefined && authority === undefined) return [unfit(`${files.authority} cannot be read`)];
  return [
    ...foundIn(certificate, checked, { where: files.certificate, authority, at }),
    ...(fits === false ? [unfit(`${files.key} is not the key of ${files.certificate}`)] : []),
  ];
};

/** Of a certificate, PEM, wherever it comes from. */
export const foundIn = (
  certificate: string,
  { expiring_ms, name }: Pick<Checked, "expiring_ms" | "name">,
  { where, authority, at }: { readonly where: string; readonly authority?: string; readonly at: number },
): readonly Found[] => {
  const unfit = (because: string): Found => ({ check: "certificate_unfit", severity: "high", because });
  const read = readCertificate(certificate);
  if (!read) return [unfit(`${where} is no certificate`)];
  const until = new Date(read.not_after_ms).toISOString();
  const found: Found[] = [];
  if (read.not_after_ms <= at) {
    found.push({ check: "certificate_expired", severity: "high", because: `${where} has ended at ${until}` });
  } else if (read.not_after_ms - at <= expiring_ms) {
    found.push({ check: "certificate_expiring", severity: "medium", because: `${where} ends at ${until}` });
  }
  if (read.not_before_ms > at) found.push(unfit(`${where} counts from ${new Date(read.not_before_ms).toISOString()}`));
  else if (name !== undefined && !isFor(certificate, name)) {
    found.push(unfit(`${where} is for ${listed(read.names) || "nobody"}, not for ${name}`));
  } else if (authority !== undefined && !isSignedBy(certificate, authority)) {
    found.push(unfit(`${where} is signed by none of the authorities given`));
  }
  return found;
};

/** Of a handshake. */
export const foundShown = (
  shown: Shown,
  checked: Pick<Checked, "expiring_ms" | "name">,
  { port, authority, at }: { readonly port: number; readonly authority?: string; readonly at: number },
): readonly Found[] => {
  const where = `what it shows at port ${port}`;
  switch (shown.is) {
    case "closed": // it may not listen yet; probes tell of that
      return [];
    case "failed":
      return [{
        check: "certificate_unfit",
        severity: "high",
        because: `no handshake at port ${port}: ${shown.because}`,
      }];
    case "shown":
      return foundIn(shown.certificate, checked, { where, at, ...(shown.signed ? {} : { authority }) });
  }
};

/** Where it listens; all interfaces are 0.0.0.0 and `::`. */
export const foundListening = (sockets: Answer<"listening">["sockets"]): readonly Found[] => {
  const open = sockets.filter(({ address }) => address === "0.0.0.0" || address === "::");
  if (open.length === 0) return [];
  const places = open.map(({ address, port }) => address === "::" ? `[::]:${port}` : `${address}:${port}`);
  return [{ check: "listens_everywhere", severity: "high", because: `it listens on ${listed(places)}` }];
};
