/** What CloudTrail tells becomes events: once, sealed where it tells of people, without its secrets, and nothing of a bad file. */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { Incoming } from "../actors/kernel/daybook.ts";
import { checkFiles, importFiles } from "../adapters/cloudtrail/import.ts";
import { systemClock } from "../adapters/system/world.ts";
import { run } from "./end_to_end/program.ts";
import { recordsIn, Unreadable } from "../adapters/cloudtrail/records.ts";
import { isSecretName, NOT_TAKEN, withoutSecrets } from "../adapters/cloudtrail/secrets.ts";
import { translateRecord } from "../adapters/cloudtrail/translate.ts";
import { CLOUDTRAIL_LIMITS, type CloudtrailObserved } from "../events/cloudtrail.ts";
import { events } from "../events/mod.ts";
import { isSealed } from "../events/personal.ts";
import { opened } from "./daybook_given.ts";
import { ACCOUNT, fileOf, gzip, imported, recordOf } from "./cloudtrail_given.ts";
import { inFolder } from "./folder_given.ts";

const translated = (record: unknown): CloudtrailObserved => {
  const outcome = translateRecord(typeof record === "string" ? record : JSON.stringify(record));
  assert.ok(outcome.ok, JSON.stringify(outcome));
  return events.spec(outcome.event.type)!.schema.parse(outcome.event.data) as CloudtrailObserved;
};
const refused = (record: unknown): readonly string[] => {
  const outcome = translateRecord(typeof record === "string" ? record : JSON.stringify(record));
  assert.ok(!outcome.ok, "it is refused");
  return outcome.issues.map(({ path, message }) => `${path} ${message}`);
};

Deno.test("a record becomes one fact: who, what, where from, how it ended, and the rest of it as JSON", () => {
  const fact = translated(recordOf(1));
  assert.deepEqual(fact, {
    event_version: "1.09",
    service: "iam.amazonaws.com",
    action: "CreateUser",
    region: "us-east-1",
    account: ACCOUNT,
    category: "Management",
    kind: "AwsApiCall",
    outcome: "success",
    read_only: false,
    request_id: "00000000-0000-4000-8000-000000000001",
    identity: "IAMUser",
    mfa: true,
    session_started: "2026-11-19T21:11:57Z",
    actor: `arn:aws:iam::${ACCOUNT}:user/Jane.Doe`,
    user_name: "Jane.Doe",
    principal: "AIDACKCEVSQ6C2EXAMPLE",
    access_key: "AKIAIOSFODNN7EXAMPLE",
    address: "192.0.2.17",
    user_agent: "aws-cli/2.13.5 Python/3.11.4",
    request: '{"userName":"Richard.Roe"}',
    response: `{"user":{"arn":"arn:aws:iam::${ACCOUNT}:user/Richard.Roe"}}`,
    rest: '{"tlsDetails":{"cipherSuite":"TLS_AES_128_GCM_SHA256","tlsVersion":"TLSv1.3"}}',
  });
});

Deno.test("a role's session, a failure, a failed sign-in, a service and an insight are read as what they are", () => {
  const role = `arn:aws:iam::${ACCOUNT}:role/Admin`;
  const assumed = translated(recordOf(1, {
    userIdentity: {
      type: "AssumedRole",
      arn: `arn:aws:sts::${ACCOUNT}:assumed-role/Admin/jane@example.com`,
      sessionContext: { attributes: { mfaAuthenticated: "false" }, sessionIssuer: { type: "Role", arn: role } },
    },
    errorCode: "AccessDenied",
    errorMessage: "User: jane is not authorized",
    resources: [{ ARN: "arn:aws:s3:::bucket/key", type: "AWS::S3::Object" }],
  }));
  assert.deepEqual([assumed.role, assumed.mfa, assumed.outcome, assumed.error_code], [
    role,
    false,
    "failure",
    "AccessDenied",
  ]);
  assert.deepEqual([assumed.resources, assumed.rest], [
    ["arn:aws:s3:::bucket/key"],
    '{"resources":[{"type":"AWS::S3::Object"}],' +
    '"tlsDetails":{"cipherSuite":"TLS_AES_128_GCM_SHA256","tlsVersion":"TLSv1.3"}}',
  ]);
  const anonymous = translated(recordOf(5, {
    userIdentity: {
      type: "AWSAccount",
      principalId: "",
      accountId: "anonymous",
      onBehalfOf: { userId: "u-1" },
      sessionContext: { sourceIdentity: "jane", sessionIssuer: { type: "User", arn: "arn:x" } },
    },
    tlsDetails: undefined,
  }));
  assert.deepEqual([anonymous.identity_account, anonymous.actor, anonymous.rest], [
    "anonymous",
    ACCOUNT,
    '{"userIdentity":{"onBehalfOf":{"userId":"u-1"},' +
    '"sessionContext":{"sessionIssuer":{"arn":"arn:x","type":"User"},"sourceIdentity":"jane"}}}',
  ]);
  const signin = translated(recordOf(2, {
    eventSource: "signin.amazonaws.com",
    eventName: "ConsoleLogin",
    responseElements: { ConsoleLogin: "Failure" },
    additionalEventData: { MFAUsed: "No" },
    userIdentity: { type: "IAMUser", accountId: ACCOUNT, userName: "HIDDEN_DUE_TO_SECURITY_REASONS" },
  }));
  assert.deepEqual([signin.outcome, signin.mfa, signin.actor], ["failure", false, "HIDDEN_DUE_TO_SECURITY_REASONS"]);
  const service = translated(recordOf(3, {
    userIdentity: { type: "AWSService", invokedBy: "autoscaling.amazonaws.com" },
    requestParameters: null,
    responseElements: null,
  }));
  assert.deepEqual([service.actor, service.invoked_by, service.request], [
    "autoscaling.amazonaws.com",
    "autoscaling.amazonaws.com",
    undefined,
  ]);
  const insight = translated(recordOf(4, {
    eventType: "AwsCloudTrailInsight",
    eventSource: undefined,
    eventName: undefined,
    userIdentity: undefined,
    insightDetails: { state: "Start", eventSource: "ec2.amazonaws.com", eventName: "RunInstances" },
  }));
  assert.deepEqual([insight.service, insight.action, insight.actor], ["ec2.amazonaws.com", "RunInstances", ACCOUNT]);
  assert.match(insight.rest!, /"state":"Start"/);
});

Deno.test("nothing that a record says is lost, wherever AWS adds it", () => {
  let n = 0;
  const added = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(added);
    if (typeof value !== "object" || value === null) return value;
    const members = Object.entries(value).map(([key, member]) => [key, added(member)]);
    return { ...Object.fromEntries(members), [`new${n}`]: `marker-${n++}`, [`deep${n}`]: [{ a: `marker-${n++}` }] };
  };
  const record = added(recordOf(1, {
    resources: [{ ARN: "arn:aws:s3:::bucket/key", accountId: ACCOUNT, type: "AWS::S3::Object" }],
    additionalEventData: { a: { b: "c" } },
    vpcEndpointId: "vpce-1",
    errorCode: "Denied",
    errorMessage: "no",
  }));
  const outcome = translateRecord(JSON.stringify(record));
  assert.ok(outcome.ok);
  const told = JSON.stringify(outcome.event);
  const leaves = JSON.stringify(record).match(/"[^"]*"(?=[,}\]])/g)!.map((text) => text.slice(1, -1));
  assert.ok(n > 10 && leaves.length > 40);
  assert.deepEqual(leaves.filter((leaf) => leaf !== "true" && !told.includes(leaf)), []);
});

Deno.test("numbers that a double does not hold are strings of their digits, in strings they are left alone", () => {
  const text = JSON.stringify(recordOf(1, { requestParameters: { a: "id 12345678901234567890", b: 0 } }))
    .replace('"b":0', '"b":[12345678901234567890,1e400,-0.10,1.50]');
  assert.equal(
    translated(text).request,
    '{"a":"id 12345678901234567890","b":["12345678901234567890","1e400",-0.1,1.5]}',
  );
});

Deno.test("what looks like a secret is not taken, by its name, by the name beside it, or by its shape", () => {
  const { value, notTaken } = withoutSecrets({
    masterUserPassword: "hunter2",
    clientToken: "b7f1",
    credentials: { accessKeyId: "ASIAEXAMPLE", sessionToken: "FwoGZXIv", secretAccessKey: "wJalr", expiration: "x" },
    environment: { variables: { STAGE: "prod", DB: "x" } },
    containerDefinitions: [{ environment: [{ name: "DB_PASSWORD", value: "p" }, { name: "STAGE", value: "prod" }] }],
    parameters: [{ parameterKey: "DbPassword", parameterValue: "p" }],
    userData: "IyEvYmluL2Jhc2g=",
    secretId: "prod/db",
    secretString: "{}",
    policyDocument: "-----BEGIN RSA PRIVATE KEY-----\nMIIE",
    url: "https://jane:pw@example.com/",
    maxResults: 5,
    password: null,
  });
  assert.deepEqual(value, {
    masterUserPassword: NOT_TAKEN,
    clientToken: "b7f1",
    credentials: { accessKeyId: "ASIAEXAMPLE", sessionToken: NOT_TAKEN, secretAccessKey: NOT_TAKEN, expiration: "x" },
    environment: { variables: { STAGE: NOT_TAKEN, DB: NOT_TAKEN } },
    containerDefinitions: [{
      environment: [{ name: "DB_PASSWORD", value: NOT_TAKEN }, { name: "STAGE", value: "prod" }],
    }],
    parameters: [{ parameterKey: "DbPassword", parameterValue: NOT_TAKEN }],
    userData: NOT_TAKEN,
    secretId: "prod/db",
    secretString: NOT_TAKEN,
    policyDocument: NOT_TAKEN,
    url: NOT_TAKEN,
    maxResults: 5,
    password: null,
  });
  assert.equal(notTaken, 11);
  for (const name of ["nextToken", "accessKeyId", "secretArn", "passwordPolicy", "MFAUsed"]) {
    assert.ok(!isSecretName(name), name);
  }
  for (const name of ["SecretAccessKey", "x-amz-security-token", "oauth_token", "apiKey", "db_pwd", "smsMfaCode"]) {
    assert.ok(isSecretName(name), name);
  }
});

Deno.test("of a key that was made it is told whose and which, and how an instance's metadata are asked for", () => {
  const made = { accessKeyId: "AKIAEXAMPLE", status: "Active", userName: "mallory", createDate: "Nov 20, 2026" };
  const { value, notTaken } = withoutSecrets({
    accessKey: { ...made, secretAccessKey: "wJalr" },
    metadataOptions: { httpTokens: "optional" },
    encryptionContext: { SecretVersionId: "b7f1", accessKey: "wJalr" },
    lists: [{ accessKey: { value: "wJalr" } }, { AccessKey: ["wJalr"] }],
  });
  assert.deepEqual(value, {
    accessKey: { ...made, secretAccessKey: NOT_TAKEN },
    metadataOptions: { httpTokens: "optional" },
    encryptionContext: { SecretVersionId: "b7f1", accessKey: NOT_TAKEN },
    lists: [{ accessKey: NOT_TAKEN }, { AccessKey: NOT_TAKEN }],
  });
  assert.equal(notTaken, 4);
});

Deno.test("texts that do not fit are left out, the longest first, and names are cut; it is said of both", () => {
  const fact = translated(recordOf(1, {
    requestParameters: { a: "x".repeat(CLOUDTRAIL_LIMITS.texts_bytes_max) },
    userAgent: "é".repeat(5_000),
    resources: Array.from({ length: 30 }, (_, i) => ({ ARN: `arn:aws:s3:::bucket/${i}` })),
  }));
  assert.deepEqual([fact.request, fact.left_out?.request, fact.cut], [
    undefined,
    CLOUDTRAIL_LIMITS.texts_bytes_max + 8,
    true,
  ]);
  assert.equal(fact.user_agent?.length, CLOUDTRAIL_LIMITS.personal_chars_max);
  assert.deepEqual([fact.resources?.length, fact.resources_left_out], [CLOUDTRAIL_LIMITS.resources_max, 10]);
  assert.match(fact.response!, /Richard/);
});

Deno.test("a record that is none is refused with the place of what is wrong, and none of its text", () => {
  assert.deepEqual(refused(recordOf(1, { eventTime: "yesterday" })), ["/eventTime expected an RFC 3339 time"]);
  assert.deepEqual(refused(recordOf(1, { eventID: undefined })).length, 1);
  assert.deepEqual(refused(recordOf(1, { recipientAccountId: undefined, userIdentity: undefined })), [
    "/recipientAccountId expected an AWS account: 12 digits",
  ]);
  assert.match(refused('{"a":{"b":1,"b":2}}')[0]!, /^\/a\/b /);
  assert.match(refused('{"eventID":"\\ud800"}')[0]!, /surrogate/);
  assert.deepEqual(refused('{"secret":hunter2}'), [" not JSON"]);
});

const texts = async (bytes: Uint8Array<ArrayBuffer>, piece: number): Promise<readonly string[]> => {
  let at = 0;
  const stream = new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull(controller) {
      if (at >= bytes.length) return controller.close();
      controller.enqueue(bytes.slice(at, at += piece));
    },
  });
  return (await Array.fromAsync(recordsIn(stream))).map(({ text }) => text);
};

Deno.test("records are found wherever the pieces of a file end, in strings, escapes and characters too", async () => {
  const records = [recordOf(1), { a: '"]}\\', "é": ['\\"{[', { "\u{1f600}": 1 }] }, {}];
  for (const text of [fileOf(records), JSON.stringify({ Records: records, next: { Records: [1] } }, null, 2)]) {
    const bytes = new TextEncoder().encode(text);
    for (const piece of [1, 2, 3, 7, 1 << 16]) {
      assert.deepEqual((await texts(bytes, piece)).map((text) => JSON.parse(text)), records, `pieces of ${piece}`);
    }
  }
  assert.deepEqual(await texts(await gzip(fileOf([])), 5), []);
});

Deno.test("a file that is none of CloudTrail's says what it is instead, and where it ends", async () => {
  const whole = new TextEncoder().encode(fileOf([recordOf(1), recordOf(2)]));
  const packed = await gzip(fileOf(Array.from({ length: 2_000 }, (_, i) => recordOf(i, { salt: Math.sin(i) }))));
  const cases: readonly (readonly [string, string | Uint8Array<ArrayBuffer>, RegExp])[] = [
    ["nothing", "", /^it is empty$/],
    ["another document", '{"records":[{}]}', /^not a CloudTrail file/],
    ["an array", "[{}]", /^not a CloudTrail file/],
    ["a digest", '{"digestStartTime":"x"}', /digest file/],
    ["text", "hello", /^not JSON$/],
    ["cut in a record", whole.slice(0, whole.length - 20), /^record 1: the file ends before it does$/],
    ["cut behind the records", whole.slice(0, whole.length - 1), /^not JSON behind its records$/],
    ["a record that is a number", '{"Records":[{},7]}', /^record 1: expected an object, found "7"$/],
    ["no comma", '{"Records":[{} {}]}', /^record 1: expected a comma/],
    ["a comma too many", '{"Records":[{},]}', /^record 1: expected an object/],
    ["more behind it", `${fileOf([])}]`, /^not JSON behind its records$/],
    ["Records twice", '{"Records":[],"Records":[]}', /^not JSON behind its records$/],
    ["not UTF-8", new Uint8Array([0x7b, 0xc0, 0xaf]), /UTF-8/],
    ["truncated gzip", packed.slice(0, packed.length - 9), /^its gzip data is truncated or damaged/],
    ["damaged gzip", packed.map((byte, i) => i === 3_000 ? byte ^ 0x55 : byte), /gzip data|record \d+|JSON|UTF-8/],
  ];
  for (const [what, content, expected] of cases) {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    await assert.rejects(texts(bytes, 1_000), (error) => {
      assert.ok(error instanceof Unreadable, `${what}: ${error}`);
      assert.match(error.message, expected, what);
      return true;
    }, what);
  }
});

Deno.test("whatever is done to a file, its records come out or it is said to be unreadable, and a shape of secrets costs no time", async () => {
  const plain = new TextEncoder().encode(fileOf([recordOf(1), recordOf(2), { a: ['\\"', "}"] }]));
  const packed = await gzip(fileOf([recordOf(1), recordOf(2)]));
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(plain, packed),
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }),
      fc.nat(),
      fc.integer({ min: 1, max: 999 }),
      async (whole, changes, cut, piece) => {
        const bytes = whole.slice(0, cut % 3 === 0 ? cut % whole.length : undefined);
        for (const [at, byte] of changes) if (bytes.length > 0) bytes[at % bytes.length] = byte;
        try {
          for (const text of await texts(bytes, piece)) translateRecord(text);
        } catch (error) {
          assert.ok(error instanceof Unreadable, String(error));
        }
      },
    ),
    { numRuns: 300 },
  );
  for (const bait of ["eyJ-", "://a:", "-----BEGIN ", "?sig", "ghp_", "\\"]) {
    withoutSecrets({ text: bait.repeat(250_000 / bait.length) });
  }
});

Deno.test("a folder comes in once, sealed; a bad file is left out by name and place, and the next import goes on", async () => {
  await inFolder(async (folder) => {
    const trail = `${folder}/AWSLogs/${ACCOUNT}/CloudTrail/us-east-1/2026/11/19`;
    const digests = `${folder}/AWSLogs/${ACCOUNT}/CloudTrail-Digest/us-east-1`;
    await Deno.mkdir(trail, { recursive: true });
    await Deno.mkdir(digests, { recursive: true });
    await Deno.writeFile(`${trail}/1.json.gz`, await gzip(fileOf([recordOf(1), recordOf(2), recordOf(1)])));
    await Deno.writeTextFile(`${trail}/2.json`, fileOf([recordOf(2), recordOf(3)]));
    await Deno.writeTextFile(`${trail}/3.json`, fileOf([recordOf(4), recordOf(5, { eventTime: "never" })]));
    await Deno.writeTextFile(`${trail}/README.txt`, "not looked at");
    await Deno.writeTextFile(`${digests}/1.json`, '{"digestStartTime":"x"}');
    await using daybook = await opened();
    const first = await imported(daybook, `${folder}/AWSLogs`);
    assert.deepEqual([first.found.digests, first.found.refused, first.found.problems], [1, 1, [
      `${trail}/3.json: record 1: /eventTime: expected an RFC 3339 time`,
    ]]);
    assert.deepEqual([first.done.records, first.done.events, first.done.known], [5, 3, 2]);
    const again = await imported(daybook, `${folder}/AWSLogs`);
    assert.deepEqual([again.done.events, again.done.known], [0, 5]);
    await Deno.writeTextFile(`${trail}/3.json`, fileOf([recordOf(4), recordOf(5)]));
    assert.equal((await imported(daybook, `${trail}/3.json`)).done.events, 2);

    const stored = [...daybook.log.read({ types: ["cloudtrail.event.observed"] })].flat();
    assert.deepEqual(stored.map(({ id }) => id.slice(-1)), ["1", "2", "3", "4", "5"]);
    for (const { position, stream, source, time, data } of stored) {
      assert.deepEqual([stream, source, time], [
        `cloudtrail/${ACCOUNT}`,
        `//cloudtrail.amazonaws.com/${ACCOUNT}`,
        "2026-11-19T21:33:41Z",
      ]);
      const fact = data as CloudtrailObserved;
      for (const text of [fact.actor, fact.user_name, fact.address, fact.request, fact.rest]) {
        assert.ok(isSealed(text!));
      }
      assert.match(fact.actor_pseudonym!, /^p_/);
      const entry = new TextDecoder().decode(daybook.log.entry(position)!);
      for (const plain of ["Jane", "Richard", "192.0.2.17", "AKIA", "aws-cli"]) {
        assert.ok(!entry.includes(plain), plain);
      }
    }
    const { rows } = await daybook.view("audit.trail", {
      where: { type: "cloudtrail.event.observed" },
      text: "CreateUser us-east-1",
      wait: daybook.log.size - 1,
    });
    assert.equal(rows.length, 5);
  });
});

Deno.test("a file that is gone at the second reading keeps out none of the others", async () => {
  await inFolder(async (folder) => {
    for (const n of [1, 2, 3]) await Deno.writeTextFile(`${folder}/${n}.json`, fileOf([recordOf(n)]));
    const found = await checkFiles([folder], () => {});
    await Deno.remove(`${folder}/2.json`);
    await using daybook = await opened();
    const by = { authtype: "user", authid: "operator" } as const;
    const done = await importFiles(daybook, found, { by, clock: systemClock, told: () => {} });
    assert.deepEqual([done.events, done.problems], [2, [`${folder}/2.json: it is not there any more`]]);
  });
});

Deno.test("what only looks sealed is not taken, and keeps nothing out", async () => {
  await inFolder(async (folder) => {
    const forged = `sealed:1:s_abcdefghijklmnop:${"A".repeat(60)}`;
    const path = `${folder}/forged.json`;
    const called = recordOf(2, { userAgent: forged, errorMessage: forged, resources: [{ ARN: forged }] });
    await Deno.writeTextFile(path, fileOf([recordOf(1), called, recordOf(3)]));
    await using daybook = await opened();
    const { found, done } = await imported(daybook, path);
    assert.deepEqual([found.refused, done.events, done.notTaken], [0, 3, 3]);
    const [, second] = [...daybook.log.read({ types: ["cloudtrail.event.observed"] })].flat();
    const fact = daybook.unseal(second!).data as CloudtrailObserved;
    assert.deepEqual([fact.user_agent, fact.error_message, fact.resources, fact.not_taken], [
      NOT_TAKEN,
      NOT_TAKEN,
      [NOT_TAKEN],
      3,
    ]);
  });
});

Deno.test("import cloudtrail exits with 0, 1 or 2 by what could be read, makes no folder for nothing, and goes on where it was", async () => {
  await inFolder(async (folder) => {
    const [good, bad, data] = [`${folder}/good.json.gz`, `${folder}/bad.json`, `${folder}/data`];
    await Deno.writeFile(
      good,
      await gzip(fileOf([recordOf(1), recordOf(2, { requestParameters: { password: "x" } })])),
    );
    await Deno.writeTextFile(bad, fileOf([recordOf(3), recordOf(4, { eventTime: "never" })]));
    const nothing = await run("import", "cloudtrail", bad, "--data", data);
    assert.deepEqual([nothing.code, nothing.out], [2, ""]);
    assert.equal(nothing.err, `daybook: ${bad}: record 1: /eventTime: expected an RFC 3339 time\n`);
    await assert.rejects(Deno.stat(data), Deno.errors.NotFound);
    const some = await run("import", "cloudtrail", folder, "--data", data, "--json");
    assert.equal(some.code, 1, some.err);
    assert.deepEqual(JSON.parse(some.out), {
      ok: false,
      files: 1,
      refused: 1,
      digests: 0,
      records: 2,
      events: 2,
      known: 0,
      notTaken: 1,
      stopped: false,
      problems: [`${bad}: record 1: /eventTime: expected an RFC 3339 time`],
    });
    const again = await run("import", "cloudtrail", good, "--data", data);
    assert.equal(again.code, 0, again.err);
    assert.match(again.out, /^0 new events of 2 records in 1 file \(\d+ B\), 2 known already/);
    const missing = await run("import", "cloudtrail", `${folder}/none`, "--data", data);
    assert.deepEqual([missing.code, missing.out], [3, ""]);
    // Nothing that was taken for a secret, or tells of a person, is anywhere in the folder in clear.
    const exported = await run("export", "--data", data);
    for (const plain of ["Jane", "192.0.2.17", '"x"']) assert.ok(!exported.out.includes(plain), plain);
  });
});

Deno.test("an import that is stopped keeps what it has, says so, and the next one brings the rest", async () => {
  await inFolder(async (folder) => {
    const names = ["a", "b", "c"];
    for (const [i, name] of names.entries()) {
      await Deno.writeTextFile(`${folder}/${name}.json`, fileOf([recordOf(2 * i), recordOf(2 * i + 1)]));
    }
    await using daybook = await opened();
    const by = { authtype: "user", authid: "operator" } as const;
    const found = await checkFiles([folder], () => {});
    const stop = new AbortController();
    // It is told to stop while the second file is read.
    const target = {
      log: daybook.log,
      ingest: (events: readonly Incoming[], principal: typeof by) => {
        if (events.some(({ id }) => id.endsWith("2"))) stop.abort();
        return daybook.ingest(events, principal);
      },
    };
    const first = await importFiles(target, found, { by, clock: systemClock, told: () => {}, signal: stop.signal });
    assert.deepEqual([first.stopped, first.events], [true, 4]);
    const rest = await imported(daybook, folder);
    assert.deepEqual([rest.done.stopped, rest.done.events, rest.done.known], [false, 2, 4]);
  });
});
