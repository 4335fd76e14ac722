/** Log files of CloudTrail as AWS writes them, and a daybook to import them into. */
import type { CheckedFiles, CloudtrailImported } from "../adapters/cloudtrail/import.ts";
import { checkFiles, importFiles } from "../adapters/cloudtrail/import.ts";
import { systemClock } from "../adapters/system/world.ts";
import type { Daybook } from "../actors/kernel/daybook.ts";

export const ACCOUNT = "111122223333";

/** A record with its members replaced; `undefined` takes one away. */
export const recordOf = (n: number, change: Readonly<Record<string, unknown>> = {}): Record<string, unknown> => ({
  eventVersion: "1.09",
  userIdentity: {
    type: "IAMUser",
    principalId: "AIDACKCEVSQ6C2EXAMPLE",
    arn: `arn:aws:iam::${ACCOUNT}:user/Jane.Doe`,
    accountId: ACCOUNT,
    accessKeyId: "AKIAIOSFODNN7EXAMPLE",
    userName: "Jane.Doe",
    sessionContext: { attributes: { creationDate: "2026-11-19T21:11:57Z", mfaAuthenticated: "true" } },
  },
  eventTime: "2026-11-19T21:33:41Z",
  eventSource: "iam.amazonaws.com",
  eventName: "CreateUser",
  awsRegion: "us-east-1",
  sourceIPAddress: "192.0.2.17",
  userAgent: "aws-cli/2.13.5 Python/3.11.4",
  requestParameters: { userName: "Richard.Roe" },
  responseElements: { user: { arn: `arn:aws:iam::${ACCOUNT}:user/Richard.Roe` } },
  requestID: `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`,
  eventID: `eae87c48-d421-4626-94f5-${String(n).padStart(12, "0")}`,
  readOnly: false,
  eventType: "AwsApiCall",
  managementEvent: true,
  recipientAccountId: ACCOUNT,
  eventCategory: "Management",
  tlsDetails: { tlsVersion: "TLSv1.3", cipherSuite: "TLS_AES_128_GCM_SHA256" },
  ...change,
});

export const fileOf = (records: readonly unknown[]): string => JSON.stringify({ Records: records });

export const gzip = async (text: string): Promise<Uint8Array<ArrayBuffer>> =>
  new Uint8Array(
    await new Response(new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"))).arrayBuffer(),
  );

/** Checks and imports, as the command does. */
export const imported = async (
  daybook: Pick<Daybook, "ingest" | "log">,
  ...paths: readonly string[]
): Promise<{ readonly found: CheckedFiles; readonly done: CloudtrailImported }> => {
  const found = await checkFiles(paths, () => {});
  const by = { authtype: "user", authid: "operator" } as const;
  return { found, done: await importFiles(daybook, found, { by, clock: systemClock, told: () => {} }) };
};
