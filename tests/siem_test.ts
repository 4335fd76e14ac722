/** Events as other systems read them: OCSF by its own schema, syslog by RFC 5424, CEF by its rules of escaping. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { type Format, lineOf, syslogLineOf } from "../adapters/siem/format.ts";
import { emitterOf } from "../adapters/siem/emitter.ts";
import { CLASSES, CLOUDTRAIL, NOTED, TYPES } from "../adapters/siem/ocsf_classes.ts";
import { ocsfOf } from "../adapters/siem/ocsf.ts";
import { translateRecord } from "../adapters/cloudtrail/translate.ts";
import { events } from "../events/mod.ts";
import type { Event } from "../events/event.ts";
import { isSealed, SEALED_TEXT } from "../events/personal.ts";
import { ACCOUNT, recordOf } from "./cloudtrail_given.ts";
import { givenStage } from "./cli_given.ts";
import { arbitraryOf } from "./laws/arbitrary.ts";
import { eventOf, ocsfFaults } from "./siem_given.ts";

const emitter = emitterOf("0.1.0", "daybook.example/log");
const U = "u_aaaaaaaaaaaaaaaa";

const redacted = (value: unknown): unknown => {
  if (typeof value === "string") return isSealed(value) ? SEALED_TEXT : value;
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(redacted);
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, redacted(member)]));
};

const valid = (event: Event): Readonly<Record<string, unknown>> => {
  const made = ocsfOf(event, emitter);
  assert.deepEqual(ocsfFaults(made), [], JSON.stringify(made));
  return made;
};

const types = events.domains.flatMap(({ facts }) => Object.entries(facts));

for (const [type, { schema }] of types) {
  Deno.test(`${type} is valid OCSF whatever it holds, sealed, plain or without its data`, () => {
    fc.assert(
      fc.property(arbitraryOf(schema), (data) => {
        const made = valid(eventOf(type, redacted(data)));
        const { class: of } = TYPES[type] ?? { class: "base" };
        // Of a key that signs nobody's account is changed.
        if (of !== "account") {
          assert.equal(made.class_uid, type.startsWith("cloudtrail.") ? made.class_uid : CLASSES[of].uid);
        }
        valid(eventOf(type, undefined));
      }),
      { numRuns: 25 },
    );
  });
}

Deno.test("every type that has a class exists", () => {
  const known = new Set(types.map(([type]) => type));
  assert.deepEqual(Object.keys(TYPES).filter((type) => !known.has(type)), []);
});

const cloudtrailOf = (change: Readonly<Record<string, unknown>>): Event => {
  const translated = translateRecord(JSON.stringify(recordOf(1, change)));
  assert.ok(translated.ok);
  const { id, source, time, type, data } = translated.event;
  return eventOf(type, { ...data as object, actor_pseudonym: "p_202611_a", address_pseudonym: "p_202611_b" }, {
    id,
    source,
    time: time!,
  });
};
const hidden = (event: Event): Event => {
  const people = /^(?:actor|user_name|principal|access_key|address|user_agent|error_message|request|response|rest)$/;
  const data = Object.entries(event.data as object).map((
    [key, value],
  ) => [key, people.test(key) ? SEALED_TEXT : value]);
  return { ...event, data: Object.fromEntries(data) };
};

Deno.test("what CloudTrail tells is authentication, account change or API activity, sealed or not", () => {
  const cases: readonly (readonly [Readonly<Record<string, unknown>>, number, number, number])[] = [
    [{}, CLASSES.account.uid, 1, 1],
    [{ eventName: "DetachUserPolicy", errorCode: "AccessDenied", errorMessage: "no" }, CLASSES.account.uid, 8, 2],
    [
      {
        eventSource: "signin.amazonaws.com",
        eventName: "ConsoleLogin",
        responseElements: { ConsoleLogin: "Failure" },
      },
      CLASSES.authentication.uid,
      1,
      2,
    ],
    [{ eventSource: "s3.amazonaws.com", eventName: "GetObject", readOnly: true }, CLASSES.api.uid, 2, 1],
    [{ eventSource: "s3.amazonaws.com", eventName: "PutObject" }, CLASSES.api.uid, 1, 1],
    [{ eventSource: "ec2.amazonaws.com", eventName: "TerminateInstances" }, CLASSES.api.uid, 4, 1],
    [{ eventSource: "ec2.amazonaws.com", eventName: "Frobnicate", sourceIPAddress: "ec2.amazonaws.com" }, 6003, 99, 1],
    [{ eventSource: "ec2.amazonaws.com", eventName: "Frobnicate", sourceIPAddress: undefined }, 6003, 99, 1],
  ];
  for (const [change, class_uid, activity_id, status_id] of cases) {
    for (const event of [cloudtrailOf(change), hidden(cloudtrailOf(change))]) {
      const made = valid(event);
      assert.deepEqual([made.class_uid, made.activity_id, made.status_id], [class_uid, activity_id, status_id]);
      assert.equal(made.type_uid, class_uid * 100 + activity_id);
    }
  }
  for (const call of Object.keys(CLOUDTRAIL)) {
    const [eventSource, eventName] = call.split(" ");
    assert.notEqual(valid(cloudtrailOf({ eventSource, eventName })).class_uid, CLASSES.api.uid, call);
  }
});

Deno.test("who is told by a pseudonym where the name is sealed, and by name where it is not", () => {
  const open = valid(cloudtrailOf({})) as Record<string, Record<string, unknown>>;
  assert.deepEqual(open.user, { name: "Richard.Roe" });
  assert.deepEqual((open.actor!.user as Record<string, unknown>).uid, `arn:aws:iam::${ACCOUNT}:user/Jane.Doe`);
  assert.deepEqual(open.src_endpoint, { ip: "192.0.2.17", uid: "p_202611_b" });
  const sealed = valid(hidden(cloudtrailOf({}))) as Record<string, Record<string, unknown>>;
  assert.deepEqual(sealed.user, { name: SEALED_TEXT });
  assert.deepEqual((sealed.actor!.user as Record<string, unknown>).uid, "p_202611_a");
  assert.deepEqual(sealed.src_endpoint, { uid: "p_202611_b" });
  // Nobody else is named where somebody changes their own password.
  const own = cloudtrailOf({ eventName: "ChangePassword", requestParameters: null });
  for (const event of [own, hidden(own)]) {
    const { user, actor } = valid(event) as Record<string, Record<string, unknown>>;
    assert.deepEqual(user, actor!.user);
  }
  for (const plain of ["Jane", "Richard", "192.0.2.17"]) assert.ok(!JSON.stringify(sealed).includes(plain), plain);
});

Deno.test("a sign-in here tells account, factors and outcome, and what it could not be is no account change", () => {
  const made = valid(eventOf("identity.signin.failed", { account: U, method: "totp", reason: "locked", failures: 3 }));
  assert.deepEqual(
    [made.class_uid, made.activity_id, made.status_id, made.status_detail, made.severity_id],
    [3002, 1, 2, "locked", 2],
  );
  assert.deepEqual([made.user, made.auth_factors], [{ uid: U }, [{ factor_type_id: 7, factor_type: "OTP" }]]);
  const signing = { key: "k".repeat(20), kind: "access_token" };
  assert.equal(valid(eventOf("identity.key.issued", signing)).class_uid, 0);
  assert.equal(valid(eventOf("identity.key.issued", { ...signing, account: U })).class_uid, 3001);
  const password = { account: U, credential: "c".repeat(20), scheme: { algorithm: "bcrypt", cost: 12 } };
  assert.equal(valid(eventOf("identity.password.set", { ...password, because: "reset" })).activity_id, 4);
  const raised = valid(eventOf("identity.password.set", { ...password, because: "raised" }));
  assert.deepEqual([raised.activity_id, raised.activity_name], [99, "Password Rehash"]);
});

Deno.test("what sshd only notes, such as who disconnects, is no sign-in that succeeded, in any format", () => {
  const told = (outcome: string, more = {}) => {
    const event = eventOf("identity.signin.observed", { service: "sshd", outcome, ...more });
    const { activity_id, activity_name, status_id } = valid(event);
    const cef = /\boutcome=(\w+)/.exec(lineOf(event, "cef", emitter))?.[1];
    return [activity_id, activity_name, status_id, cef];
  };
  assert.deepEqual(told("accepted"), [1, undefined, 1, "success"]);
  assert.deepEqual(told("failed"), [1, undefined, 2, "failure"]);
  assert.deepEqual(told("noted"), [99, "Note", undefined, undefined]);
  for (const [of, name] of Object.entries(NOTED)) {
    assert.deepEqual(told("noted", { message: of }), [99, name, undefined, undefined]);
  }
});

Deno.test("who sent what happened elsewhere is not told as who did it", () => {
  const signin = eventOf("identity.signin.observed", { service: "sshd", outcome: "failed" });
  const login = cloudtrailOf({ eventSource: "signin.amazonaws.com", eventName: "ConsoleLogin" });
  for (const event of [signin, login]) {
    assert.equal(valid(event).actor, undefined, event.type);
    assert.doesNotMatch(lineOf(event, "cef", emitter), / suid=/, event.type);
  }
  const here = eventOf("identity.signin.failed", { account: U, method: "totp", reason: "locked", failures: 3 });
  assert.deepEqual(valid(here).actor, { user: { uid: U, type: "user" } });
  assert.match(lineOf(here, "cef", emitter), new RegExp(` suid=${U} `));
});

Deno.test("OCSF's schema takes nothing that it does not have", () => {
  const made = valid(eventOf("kernel.child.crashed", { child: "daybook:http", cause: "no", ran_ms: 1 }));
  for (
    const [change, expected] of [
      [{ severity_id: 42 }, /severity_id/],
      [{ invented: 1 }, /additional/],
      [{ process: undefined }, /required/],
      [{ device: { name: "x" } }, /type_id/],
      [{ type_uid: 100 }, /type_uid/],
    ] as const
  ) {
    const changed = JSON.parse(JSON.stringify({ ...made, ...change }));
    assert.match(ocsfFaults(changed).join(), expected);
  }
});

/** RFC 5424 section 6, written a second time: header, structured data with its escapes undone, message. */
const parsedSyslog = (line: string) => {
  const header =
    /^<(\d{1,3})>1 (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)) ([\x21-\x7e]{1,255}) ([\x21-\x7e]{1,48}) ([\x21-\x7e]{1,128}) ([\x21-\x7e]{1,32}) /
      .exec(line);
  assert.ok(header, line.slice(0, 200));
  let rest = line.slice(header[0].length);
  const elements: Record<string, Record<string, string>> = {};
  while (rest.startsWith("[")) {
    const id = /^\[([^\s="\]]{1,32})/.exec(rest)!;
    const parameters: Record<string, string> = elements[id[1]!] = {};
    rest = rest.slice(id[0].length);
    for (let found; (found = /^ ([^\s="\]]{1,32})="((?:[^"\\\]]|\\["\\\]])*)"/.exec(rest));) {
      parameters[found[1]!] = found[2]!.replace(/\\(["\\\]])/g, "$1");
      rest = rest.slice(found[0].length);
    }
    assert.ok(rest.startsWith("]"), rest.slice(0, 100));
    rest = rest.slice(1);
  }
  assert.ok(rest === "" || rest.startsWith(" \ufeff"), "a message in UTF-8 begins with a byte order mark");
  const [, priority, time, host, app, , msgid] = header;
  return { priority: Number(priority), time, host, app, msgid, elements, message: rest.slice(2) };
};

Deno.test("a syslog message is RFC 5424: header, escaped structured data, a BOM, the event", () => {
  const event = eventOf("privacy.subject.erasure_requested", { subject: "s_1", reason: 'é "]\\\n' }, {
    source: 'urn:a"b]c\\d é\u0007',
    time: "2026-11-20t09:00:00.123456789+01:00",
  });
  const line = lineOf(event, "syslog", emitter);
  assert.ok(!line.includes("\n"), "one line");
  const { priority, time, host, msgid, elements, message } = parsedSyslog(line);
  assert.deepEqual([priority, time, host, msgid], [
    13 * 8 + 6,
    "2026-11-20T09:00:00.123456+01:00",
    "-",
    "privacy.subject.erasure_requeste",
  ]);
  assert.deepEqual(elements.origin, { software: "Daybook", swVersion: "0.1.0" });
  assert.deepEqual(
    [elements["daybook@32473"]!.source, elements["daybook@32473"]!.type, elements["daybook@32473"]!.position],
    ['urn:a"b]c\\d é\ufffd', event.type, "17"],
  );
  assert.deepEqual(JSON.parse(message), event);
  const crashed = eventOf("kernel.child.gave_up", { child: "a", because: "b", cause: "c", max: 1, within_ms: 1 });
  assert.equal(parsedSyslog(lineOf(crashed, "syslog", emitter)).priority, 13 * 8 + 3);
});

/** Any character that the log can hold, and often one that means something. */
const character = fc.oneof(
  fc.constantFrom(...'"\\[]|=, \n\r\t\u0000\u007f\ufeff'),
  fc.integer({ min: 0, max: 0x10ffff }).map((code) => String.fromCodePoint(code).toWellFormed()),
);

Deno.test("any attribute survives the escapes of structured data, and a message keeps its bound", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: character, maxLength: 200 }),
      fc.constantFrom<Format>("ndjson", "ocsf", "syslog", "cef"),
      (text, format) => {
        const event = eventOf("inbox.thing.happened", { text }, { id: text || "x" });
        const line = syslogLineOf(event, format, { emitter, hostname: "log é 1", bytesMax: 1_500 });
        const { elements, host } = parsedSyslog(line);
        assert.equal(host, "log___1");
        // deno-lint-ignore no-control-regex
        assert.equal(elements["daybook@32473"]!.id, event.id.replace(/[\u0000-\u001f\u007f]/g, "\ufffd"));
      },
    ),
    { numRuns: 100 },
  );
  const long = eventOf("inbox.thing.happened", { text: "é".repeat(5_000) });
  const line = syslogLineOf(long, "syslog", { emitter, bytesMax: 8_192 });
  const { elements, message } = parsedSyslog(line);
  assert.equal(elements["daybook@32473"]!.cut, "10011");
  assert.deepEqual(
    JSON.parse(message),
    ({ ...long, data: undefined, ...{} }).data === undefined ? without(long) : long,
  );
});

Deno.test("a syslog message keeps its bound whatever the attributes are, and says by what the event is found", () => {
  const attributes = Object.fromEntries(Array.from({ length: 40 }, (_, n) => [`extension${n}`, "y".repeat(1_000)]));
  const [id, source] = ['"'.repeat(1_024), "\\".repeat(1_024)];
  const long = eventOf("inbox.thing.happened", { text: "x" }, { id, source, ...attributes });
  const hostname = "h".repeat(255);
  for (const format of ["ndjson", "ocsf", "syslog", "cef"] as const) {
    for (const bytesMax of [480, 8_192]) {
      const line = syslogLineOf(long, format, { emitter, hostname, bytesMax });
      assert.ok(new TextEncoder().encode(line).length <= bytesMax, `${format} ${bytesMax}: ${line.length}`);
      const { elements, message } = parsedSyslog(line);
      const { position, cut, source: named } = elements["daybook@32473"]!;
      assert.deepEqual([position, Number(cut) > 40_000], [String(long.position), message === ""]);
      assert.equal(named, bytesMax === 480 ? undefined : source);
    }
  }
});

const without = ({ data: _, ...header }: Event): unknown => header;

/** CEF's own rules, undone. */
const parsedCef = (line: string) => {
  const fields = [...line.matchAll(/((?:[^|\\]|\\[|\\])*)\|/gy)].slice(0, 7).map(([, field]) =>
    field!.replace(/\\([|\\])/g, "$1")
  );
  let at = 0;
  for (let pipes = 0; pipes < 7; at++) {
    if (line[at] === "\\") at++;
    else if (line[at] === "|") pipes++;
  }
  const extension: Record<string, string> = {};
  for (const [, key, value] of line.slice(at).matchAll(/(\w+)=((?:[^\\=]|\\[\\=nr])*?)(?= \w+=|$)/g)) {
    extension[key!] = value!.replace(/\\([\\=nr])/g, (_, c) => c === "n" ? "\n" : c === "r" ? "\r" : c);
  }
  return { fields, extension };
};

Deno.test("CEF escapes pipes in its header and equals signs in its extension, and nothing else", () => {
  const event = eventOf("identity.signin.failed", { account: U, method: "totp", reason: "locked", x: "a=b\\c|d" }, {
    source: "a=b|c\\d\r\ne",
    type: "a|b\\c.d=e.f" as never,
  });
  const line = lineOf(event, "cef", emitter);
  const { fields, extension } = parsedCef(line);
  assert.deepEqual(fields, ["CEF:0", "Daybook", "Daybook", "0.1.0", "a|b\\c.d=e.f", "a|b\\c.d=e.f", "1"]);
  assert.deepEqual([extension.cs2, extension.rt, extension.externalId], [
    event.source,
    String(Date.parse(event.time)),
    "17",
  ]);
  assert.deepEqual(JSON.parse(extension.msg!), event.data);
  const failed = parsedCef(lineOf({ ...event, type: "identity.signin.failed" }, "cef", emitter));
  assert.deepEqual([failed.fields[6], failed.extension.outcome, failed.extension.duid], ["4", "failure", U]);
  const away = parsedCef(lineOf(cloudtrailOf({}), "cef", emitter)).extension;
  assert.deepEqual([away.src, away.duser], ["192.0.2.17", "Richard.Roe"]);
});

/** RFC 4180, undone. */
const parsedCsv = (text: string): readonly (readonly string[])[] => {
  const rows: string[][] = [[]];
  for (const [, quoted, bare, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\n|$)/g)) {
    rows.at(-1)!.push(quoted?.replaceAll('""', '"') ?? bare!);
    if (end === "\n") rows.push([]);
    if (end === "") break;
  }
  return rows;
};

Deno.test("CSV has a row an event, and nothing in it that a spreadsheet would compute", () => {
  const odd = eventOf("inbox.thing.happened", { a: 'x,"y"\n' }, {
    id: "=HYPERLINK(1)",
    source: "@SUM(A1)",
    subject: ' a\n"b", ',
    correlationid: "-1",
  });
  const [row, ...more] = parsedCsv(lineOf(odd, "csv", emitter));
  assert.deepEqual(more, []);
  assert.deepEqual(row, [
    "17",
    odd.recordedat,
    odd.time,
    odd.type,
    odd.stream,
    "0",
    "'=HYPERLINK(1)",
    "'@SUM(A1)",
    ' a\n"b", ',
    "user",
    odd.authid,
    "'-1",
    "",
    JSON.stringify(odd.data),
  ]);
});

Deno.test("export writes each format to a file or out, sealed unless personal is asked for", async () => {
  const stage = givenStage();
  const by = { authtype: "user", authid: "u_tester" } as const;
  const taken = await stage.daybook.ingest([
    { id: "1", source: "s", type: "inbox.thing.happened", data: { a: 1 } },
    { id: "2", source: "s", type: "inbox.thing.happened", data: { a: 2 } },
  ], by);
  assert.ok(taken.ok);
  const lines = (await stage.type("export", "--format", "ocsf", "--from", "1")).out.trimEnd().split("\n");
  assert.deepEqual(lines.map((line) => ocsfFaults(JSON.parse(line))), [[]]);
  assert.equal((await stage.type("export", "--format", "syslog", "--out", "log.txt")).code, 0);
  const written = stage.files.get("/here/log.txt")!.trimEnd().split("\n").map(parsedSyslog);
  assert.deepEqual(written.map(({ message }) => (JSON.parse(message) as Event).position), [0, 1]);
  const document = await stage.json<{ events: string[]; size: number }>("export", "--format", "cef");
  assert.deepEqual([document.exit, document.events.map((line) => line.slice(0, 5)), document.size], [
    0,
    ["CEF:0", "CEF:0"],
    2,
  ]);
  const table = parsedCsv((await stage.type("export", "--format", "csv", "--to", "1")).out);
  assert.deepEqual([table[0]!.slice(0, 2), table[1]!.at(-1), table.length], [["position", "recordedat"], '{"a":1}', 3]);
  const { code, err } = await stage.type("export", "--format", "xml");
  assert.deepEqual([code, err], [
    2,
    'daybook: --format is ndjson, ocsf, syslog, cef, csv or tlog-tiles, not "xml"\n',
  ]);
});
