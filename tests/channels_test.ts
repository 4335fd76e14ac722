/** What channels tell of alerts, each in its protocol, to real receivers: what is taken, refused, and tried again. */
import assert from "node:assert/strict";
import { Later, type Parcel, type Refusal, type Transport } from "../actors/kernel/transport.ts";
import { emailText, emailTransport } from "../adapters/sinks/email.ts";
import { pagerdutyText, pagerdutyTransport } from "../adapters/sinks/pagerduty.ts";
import { slackText, slackTransport } from "../adapters/sinks/slack.ts";
import type { Notification } from "../events/alerts.ts";
import type { Event } from "../events/event.ts";
import { httpReceiver, mailServer, notificationOf } from "./channels_given.ts";
import { inFolder } from "./folder_given.ts";
import { authority } from "./sinks_given.ts";
import { openssl } from "./installed_given.ts";
import { eventOf } from "./siem_given.ts";

const never = new AbortController().signal;
const ORIGIN = "log.example/daybook";

const deliver = async (
  transport: Transport,
  line: (event: Event) => string,
  ...events: readonly Event[]
): Promise<readonly Refusal[]> => {
  const parcels = events.map((event): Parcel => ({ position: event.position, part: 0, event, text: line(event) }));
  const connection = await transport.connect(never);
  try {
    const refused = await connection.send(parcels, never);
    await connection.settle(never);
    return refused;
  } finally {
    connection.close();
  }
};

Deno.test("Slack is told in text and blocks, with what its markup means taken as text", async () => {
  const receiver = httpReceiver();
  const [one, many] = [
    notificationOf(7),
    notificationOf(8, { title: "T".repeat(200), standing: 40, more: 25, severity: "critical" }),
  ];
  assert.deepEqual(await deliver(slackTransport({ url: receiver.url }), slackText, one, many), []);
  await receiver.stop();
  const [{ body }, { body: long }] = receiver.posts as [typeof receiver.posts[0], typeof receiver.posts[0]];
  assert.deepEqual(body, {
    text: "[ERROR] A service is not healthy",
    blocks: [
      { type: "header", text: { type: "plain_text", text: "[ERROR] A service is not healthy", emoji: false } },
      {
        type: "section",
        text: {
          type: "mrkdwn",
          text: "• service=api replica=0: readiness: answered 500 &lt;b&gt;&amp; (since 2026-11-20T08:59:00.000Z)",
        },
      },
      { type: "context", elements: [{ type: "mrkdwn", text: "service-unhealthy · 2026-11-20T09:00:00.123Z" }] },
    ],
  });
  assert.equal(long.blocks[0].text.text.length, 150);
  assert.match(long.blocks[1].text.text, /and 25 more/);
});

Deno.test("what does not fit a message to Slack is counted, and nothing of it is cut within a character", () => {
  const told = (because: string) => (notificationOf(1).data as Notification).raised.map((one) => ({ ...one, because }));
  const said = (raised: Notification["raised"], more = 0): readonly string[] => {
    const { blocks } = JSON.parse(slackText(notificationOf(1, { raised, resolved: told("it was so"), more })));
    assert.ok(blocks[1].text.text.length <= 3_000);
    return blocks[1].text.text.split("\n");
  };
  const long = Array.from({ length: 15 }, () => told("<".repeat(200))[0]!);
  const lines = said(long, 4);
  assert.equal(lines.length, 4);
  assert.equal(lines.at(-1), "and 17 more, as `daybook alerts` lists them");
  for (const line of lines.slice(0, -1)) assert.match(line, /^• service=api replica=0: (?:&lt;){200} \(since .*\)$/);
  assert.match(said(told("&".repeat(5_000)))[0]!, /^• service=api replica=0: (?:&amp;)+…$/);
  assert.match(said(told("it is so"))[1]!, /^• over: service=api replica=0: it was so/);
});

Deno.test("PagerDuty is told by one key of an incident from its beginning to its end, and the routing key is nowhere else", async () => {
  const receiver = httpReceiver();
  receiver.answer = () => new Response(`{"status":"success"}`, { status: 202 });
  const routingKey = "R".repeat(32);
  const transport = pagerdutyTransport({ url: receiver.url, routingKey });
  const line = (event: Event) => pagerdutyText(event, ORIGIN);
  const events = [
    notificationOf(7),
    notificationOf(8, { status: "acknowledged", raised: [] }),
    notificationOf(9, { status: "resolved", standing: 0, raised: [], resolved: [] }),
  ];
  assert.deepEqual(await deliver(transport, line, ...events), []);
  await receiver.stop();
  const bodies = receiver.posts.map(({ body }) => body);
  assert.deepEqual(bodies.map(({ event_action }) => event_action), ["trigger", "acknowledge", "resolve"]);
  assert.deepEqual(new Set(bodies.map(({ routing_key }) => routing_key)), new Set([routingKey]));
  const [key, ...others] = new Set(bodies.map(({ dedup_key }) => dedup_key as string));
  assert.ok(others.length === 0 && key!.length <= 255 && key!.includes("/service-unhealthy/"));
  const { payload } = bodies[0];
  assert.deepEqual([payload.summary, payload.severity, payload.source, payload.component], [
    "[ERROR] A service is not healthy",
    "error",
    ORIGIN,
    "service-unhealthy",
  ]);
  assert.ok(!events.map(line).join().includes(routingKey));
  assert.notEqual(JSON.parse(pagerdutyText(events[0]!, "another.example/log")).dedup_key, key);
});

Deno.test("a mail goes over a real server, says who it is from and to, and a repeat of it is the same mail", async () => {
  const server = await mailServer();
  const transport = emailTransport({
    host: "127.0.0.1",
    port: server.port,
    tls: "none",
    sender: "daybook@example.com",
    recipients: ["ops@example.com", "night@example.com"],
    origin: ORIGIN,
    answerMs: 5_000,
  });
  const raised = notificationOf(7, { title: "Ein Dienst läuft nicht 🌻" });
  const over = notificationOf(8, { status: "resolved", standing: 0, raised: [] });
  assert.deepEqual(await deliver(transport, emailText, raised, over, raised), []);
  await server.stop();
  const [first, second, again] = server.mails as [
    typeof server.mails[0],
    typeof server.mails[0],
    typeof server.mails[0],
  ];
  assert.deepEqual([first.from, first.to], ["daybook@example.com", ["ops@example.com", "night@example.com"]]);
  assert.match(first.headers.get("subject")!, /^=\?UTF-8\?/);
  assert.equal(second.headers.get("subject"), "[resolved] A service is not healthy");
  assert.match(first.headers.get("message-id")!, /^<[\w-]{12}\.7@example\.com>$/);
  assert.equal(again.headers.get("message-id"), first.headers.get("message-id"));
  assert.equal(second.headers.get("references"), first.headers.get("references"));
  assert.equal(first.headers.get("auto-submitted"), "auto-generated");
  assert.match(second.body, /^\[resolved\] A service is not healthy\r\n/);
});

Deno.test({
  name: "a mail server that is asked for STARTTLS and a login gets both, checked by its authority, or nothing",
  ignore: openssl === undefined,
  fn: () =>
    inFolder(async (folder) => {
      const { ca, cert, key } = await authority(`${folder}/ca`);
      const server = await mailServer({
        key,
        cert,
        authOptional: false,
        onAuth: ({ username, password }, _, done) =>
          password === "right" ? done(null, { user: username! }) : done(new Error("no")),
      });
      const plain = await mailServer();
      const encrypted = await mailServer({
        key,
        cert,
        secure: true,
        onAuth: (_, __, done) => done(null, { user: "any" }),
      });
      const to = (port: number, password: string, more: { ca?: string; tls?: "implicit" } = {}) =>
        emailTransport({
          host: "localhost",
          port,
          tls: "starttls",
          login: { username: "daybook", password },
          sender: "daybook@example.com",
          recipients: ["ops@example.com"],
          origin: ORIGIN,
          answerMs: 5_000,
          ...more,
        });
      const event = notificationOf(7);
      assert.deepEqual(await deliver(to(server.port, "right", { ca }), emailText, event), []);
      // A wrong password may be mended, an authority that is not ours as well: nothing of it becomes a dead letter.
      await assert.rejects(deliver(to(server.port, "wrong", { ca }), emailText, event), /the server answered 535/);
      await assert.rejects(deliver(to(server.port, "right"), emailText, event), /cannot be reached/);
      await assert.rejects(deliver(to(plain.port, "right", { ca }), emailText, event), /the server answered 500/);
      const implicit = { ca, tls: "implicit" } as const;
      assert.deepEqual(await deliver(to(encrypted.port, "any", implicit), emailText, event), []);
      await encrypted.stop();
      assert.deepEqual(encrypted.mails.map(({ secure }) => secure), [true]);
      await server.stop();
      await plain.stop();
      const [mail, ...more] = server.mails;
      assert.deepEqual([mail!.secure, mail!.user, more.length, plain.mails.length], [true, "daybook", 0, 0]);
    }),
});

Deno.test("what a receiver refuses for good is told as that; what may pass is a failure, without addresses and secrets", async () => {
  const event = notificationOf(7);
  const receiver = httpReceiver();
  const http = [
    [slackTransport({ url: receiver.url }), slackText],
    [pagerdutyTransport({ url: receiver.url, routingKey: "hidden" }), (one: Event) => pagerdutyText(one, ORIGIN)],
  ] as const;
  for (const [transport, line] of http) {
    receiver.answer = () => new Response("invalid_payload hidden", { status: 400 });
    assert.deepEqual(await deliver(transport, line, event), [{ position: 7, because: "the receiver answered 400" }]);
    receiver.answer = () => new Response("hidden", { status: 500 });
    await assert.rejects(deliver(transport, line, event), /^Error: the receiver answered 500$/);
    receiver.answer = () => new Response(null, { status: 429, headers: { "retry-after": "30" } });
    await assert.rejects(deliver(transport, line, event), (error) => error instanceof Later && error.ms === 30_000);
  }
  await receiver.stop();
  await assert.rejects(deliver(http[0][0], slackText, event), (error: Error) => !error.message.includes("hidden"));
  for (
    const [code, refused] of [[550, true], [452, false]] as const
  ) {
    const server = await mailServer({
      onRcptTo: ({ address }, _, done) => done(Object.assign(new Error(`${address} hidden`), { responseCode: code })),
    });
    const mail = emailTransport({
      host: "127.0.0.1",
      port: server.port,
      tls: "none",
      sender: "daybook@example.com",
      recipients: ["ops@example.com"],
      origin: ORIGIN,
      answerMs: 5_000,
    });
    const because = `the server answered ${code}`;
    if (refused) assert.deepEqual(await deliver(mail, emailText, event), [{ position: 7, because }]);
    else await assert.rejects(deliver(mail, emailText, event), new RegExp(`^Error: ${because}$`));
    await server.stop();
  }
  const picky = await mailServer({
    onRcptTo: ({ address }, _, done) =>
      address.startsWith("ops") ? done() : done(Object.assign(new Error("no"), { responseCode: 550 })),
  });
  const both = emailTransport({
    host: "127.0.0.1",
    port: picky.port,
    tls: "none",
    sender: "daybook@example.com",
    recipients: ["ops@example.com", "gone@example.com"],
    origin: ORIGIN,
    answerMs: 5_000,
  });
  assert.deepEqual(await deliver(both, emailText, event), [{
    position: 7,
    because: "the server refused 1 of 2 recipients",
  }]);
  await picky.stop();
  assert.equal(picky.mails.length, 1);
});

Deno.test("a mail server that takes a connection and says nothing, or that is not there, is a failure in time", async () => {
  const silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = silent.addr;
  const taken: Deno.Conn[] = [];
  const accepting = (async () => {
    for await (const conn of silent) taken.push(conn);
  })();
  const mail = emailTransport({
    host: "127.0.0.1",
    port,
    tls: "none",
    sender: "daybook@example.com",
    recipients: ["ops@example.com"],
    origin: ORIGIN,
    answerMs: 100,
  });
  await assert.rejects(
    deliver(mail, emailText, notificationOf(7)),
    /^Error: the server cannot be reached \(ETIMEDOUT\)$/,
  );
  silent.close();
  await accepting;
  for (const conn of taken) conn.close();
  await assert.rejects(deliver(mail, emailText, notificationOf(7)), /cannot be reached \(ECONNREFUSED\)$/);
});

Deno.test("a mail server that says more than a mail server has to say is left at once, and read no further", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const lines = new TextEncoder().encode("220-welcome\r\n".repeat(4_000));
  const [left, most] = [16 * 1_048_576, 128 * 1_048_576];
  const flooded = (async () => {
    using connection = await listener.accept();
    let said = 0;
    try {
      while (said < most) said += await connection.write(lines);
    } catch {
      // The other side has gone.
    }
    return said;
  })();
  const transport = emailTransport({
    host: "127.0.0.1",
    port: listener.addr.port,
    tls: "none",
    sender: "daybook@example.com",
    recipients: ["ops@example.com"],
    origin: ORIGIN,
    answerMs: 30_000,
  });
  try {
    await assert.rejects(deliver(transport, emailText, notificationOf(1)), /the server cannot be reached/);
    assert.ok(await flooded < left, "it is read on");
  } finally {
    listener.close();
  }
});

Deno.test("a mail that is not sent in the time it is given is given up, and not delivered afterwards", async () => {
  const reached = Promise.withResolvers<void>();
  const answer = Promise.withResolvers<void>();
  const server = await mailServer({
    onRcptTo: (_, __, done) => {
      reached.resolve();
      void answer.promise.then(() => done());
    },
  });
  const transport = emailTransport({
    host: "127.0.0.1",
    port: server.port,
    tls: "none",
    sender: "daybook@example.com",
    recipients: ["ops@example.com"],
    origin: ORIGIN,
    answerMs: 5_000,
  });
  const connection = await transport.connect(never);
  const late = new AbortController();
  const event = notificationOf(7);
  const sending = connection.send([{ position: 7, part: 0, event, text: emailText(event) }], late.signal);
  const ended = assert.rejects(sending, /the server cannot be reached/);
  await reached.promise;
  late.abort();
  answer.resolve();
  await ended;
  connection.close();
  await server.stop();
  assert.deepEqual(server.mails, []);
});

Deno.test("a channel is for notifications of alerts and nothing else", () => {
  const other = eventOf("inbox.thing.happened", {});
  for (const line of [slackText, emailText, (event: Event) => pagerdutyText(event, ORIGIN)]) {
    assert.throws(() => line(other), /is no notification of alerts/);
  }
});
