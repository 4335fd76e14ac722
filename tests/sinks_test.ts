/** What sinks deliver through: files, signed webhooks, syslog over TCP and TLS; what is delivered is, and what is not is said. */
import assert from "node:assert/strict";
import { Webhook } from "standardwebhooks";
import { Later, type Parcel, type Refusal, type Transport } from "../actors/kernel/transport.ts";
import { fileTransport } from "../adapters/sinks/file.ts";
import { secretsOf, signedHeaders } from "../adapters/sinks/signing.ts";
import { syslogTransport } from "../adapters/sinks/syslog.ts";
import { webhookTransport } from "../adapters/sinks/webhook.ts";
import { systemClock } from "../adapters/system/world.ts";
import { inFolder } from "./folder_given.ts";
import { authority, listening, parcel, unframed } from "./sinks_given.ts";
import { openssl } from "./installed_given.ts";
import { until } from "./until.ts";

const SECRET = "whsec_" + btoa("a secret of 24 bytes or more");
const never = new AbortController().signal;

/** One hand-over, made sure of. */
const deliver = async (transport: Transport, parcels: readonly Parcel[]): Promise<readonly Refusal[]> => {
  const connection = await transport.connect(never);
  try {
    const refused = await connection.send(parcels, never);
    await connection.settle(never);
    return refused;
  } finally {
    connection.close();
  }
};

Deno.test("a file grows by a line an event, is nobody else's to read, and may be moved away at any time", async () => {
  await inFolder(async (folder) => {
    const path = `${folder}/events.ndjson`;
    const file = fileTransport(path);
    await deliver(file, [parcel(1), parcel(2)]);
    assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);
    await Deno.rename(path, `${path}.1`);
    await deliver(file, [parcel(3)]);
    assert.equal(await Deno.readTextFile(`${path}.1`), '{"n":1}\n{"n":2}\n');
    assert.equal(await Deno.readTextFile(path), '{"n":3}\n');
  });
});

Deno.test("a file that several append to has all lines of each", async () => {
  await inFolder(async (folder) => {
    const paths = [`${folder}/events.ndjson`, `${folder}/./events.ndjson`];
    const positions = Array.from({ length: 40 }, (_, n) => n);
    await Promise.all(positions.map((n) => deliver(fileTransport(paths[n % 2]!), [parcel(n)])));
    const lines = (await Deno.readTextFile(paths[0]!)).split("\n").filter((line) => line !== "");
    assert.deepEqual(new Set(lines), new Set(positions.map((n) => parcel(n).text)));
  });
});

Deno.test("a line that a crash cut off is left behind, and what comes again is on a line of its own", async () => {
  await inFolder(async (folder) => {
    const path = `${folder}/events.ndjson`;
    await Deno.writeTextFile(path, '{"n":1}\n{"n":');
    await deliver(fileTransport(path), [parcel(2)]);
    assert.equal(await Deno.readTextFile(path), '{"n":1}\n{"n":\n{"n":2}\n');
    await Deno.mkdir(`${folder}/taken`);
    await assert.rejects(deliver(fileTransport(`${folder}/taken`), [parcel(1)]));
    await assert.rejects(deliver(fileTransport(`${folder}/none/x`), [parcel(1)]), Deno.errors.NotFound);
  });
});

interface Posted {
  readonly headers: Headers;
  readonly body: string;
}

const receiving = (answer: (posted: Posted, n: number) => Response | Promise<Response>) => {
  const posts: Posted[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const posted = { headers: request.headers, body: await request.text() };
    posts.push(posted);
    return await answer(posted, posts.length);
  });
  const url = `http://127.0.0.1:${server.addr.port}/hook?token=hidden`;
  const keys = secretsOf(SECRET)!;
  const transport = webhookTransport({ url, keys, parallel: 3, origin: "log.example", clock: systemClock });
  return { posts, transport, stop: () => server.shutdown() };
};

Deno.test("a webhook's messages are what Standard Webhooks' own library takes, with ids that stay the same", async () => {
  const { posts, transport, stop } = receiving(() => new Response(null, { status: 204 }));
  assert.deepEqual(await deliver(transport, [parcel(7), parcel(8)]), []);
  await deliver(transport, [parcel(7)]);
  await stop();
  const receiver = new Webhook(SECRET);
  for (const { headers, body } of posts) {
    const names = ["webhook-id", "webhook-timestamp", "webhook-signature"];
    const told = Object.fromEntries(names.map((name) => [name, headers.get(name)!]));
    const message = receiver.verify(body, told) as { type: string; timestamp: string; data: { n: number } };
    assert.deepEqual([message.type, message.timestamp], ["inbox.thing.happened", "2026-11-20T09:00:00.123Z"]);
    assert.throws(() => receiver.verify(body.replace("n", "m"), told));
    assert.throws(() => new Webhook("whsec_" + btoa("another secret of 24 bytes")).verify(body, told));
    assert.equal(headers.get("content-type"), "application/json");
  }
  const ids = posts.map(({ headers }) => headers.get("webhook-id")!);
  assert.deepEqual([new Set(ids).size, ids.every((id) => /^evt_[\w-]{12}_[78]$/.test(id))], [2, true]);
});

Deno.test("a message is signed under each secret that counts, and a secret that is none is refused", () => {
  // https://github.com/standard-webhooks/standard-webhooks: the example of its specification and libraries.
  const keys = secretsOf("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n" + SECRET)!;
  const signed = signedHeaders(keys, {
    id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
    at: 1_614_265_330_999,
    body: '{"test": 2432232314}',
  });
  const [first, second, ...more] = signed["webhook-signature"]!.split(" ");
  assert.deepEqual([first, more], ["v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", []]);
  const told = { ...signed, "webhook-timestamp": "1614265330" };
  assert.deepEqual([told, second!.startsWith("v1,")], [signed, true]);
  for (
    const text of ["", "hunter2", "whsec_", "whsec_c2hvcnQ=", `whsec_${btoa("x".repeat(65))}`, "whsec_!!!", "whsec_Zg"]
  ) {
    assert.equal(secretsOf(text), undefined, text);
  }
  const many = (count: number) => secretsOf(new Array<string>(count).fill(SECRET).join(" "))?.length;
  assert.deepEqual([many(4), many(5)], [4, undefined]);
});

Deno.test("what a webhook refuses for good is told one by one; what may pass is a failure, with the wait it asks for", async () => {
  const answers = new Map<number, number>([[1, 200], [2, 400], [3, 413], [4, 422]]);
  const picky = receiving(({ body }) => {
    const { data } = JSON.parse(body) as { data: { n: number } };
    return new Response("go away", { status: answers.get(data.n)! });
  });
  const refused = await deliver(picky.transport, [1, 2, 3, 4].map((n) => parcel(n)));
  await picky.stop();
  assert.deepEqual(
    new Set(refused.map(({ position, because }) => `${position} ${because}`)),
    new Set([
      "2 the receiver answered 400",
      "3 the receiver answered 413",
      "4 the receiver answered 422",
    ]),
  );
  for (
    const [status, headers, wait] of [
      [401, {}, undefined],
      [404, {}, undefined],
      [302, { location: "http://127.0.0.1:1/" }, undefined],
      [500, {}, undefined],
      [429, { "retry-after": "7" }, 7_000],
      [503, { "retry-after": "99999999" }, 3_600_000],
      [503, { "retry-after": "Fri, 20 Nov 2026 09:00:00 GMT" }, undefined],
    ] as const
  ) {
    const { transport, stop } = receiving(() => new Response(null, { status, headers }));
    await assert.rejects(deliver(transport, [parcel(1)]), (error: Error) => {
      assert.match(error.message, new RegExp(`the receiver answered ${status}$`));
      assert.equal(error instanceof Later ? error.ms : undefined, wait);
      return true;
    });
    await stop();
  }
});

Deno.test("what a webhook answered before it wants no more is told one by one", async () => {
  const told = Promise.withResolvers<void>();
  const tired = receiving(async ({ body }) => {
    const { data: { n } } = JSON.parse(body) as { data: { n: number } };
    if (n > 2) await told.promise;
    return new Response(null, { status: [200, 422][n - 1] ?? 429 });
  });
  const answered = new Map<number, string | undefined>();
  const connection = await tired.transport.connect(never);
  try {
    const sent = connection.send([1, 2, 3, 4, 5, 6].map((n) => parcel(n)), never, ({ position }, refusal) => {
      answered.set(position, refusal?.because);
      if (answered.size === 2) told.resolve();
    });
    await assert.rejects(sent, /the receiver answered 429$/);
  } finally {
    connection.close();
  }
  await tired.stop();
  assert.deepEqual(answered, new Map([[1, undefined], [2, "the receiver answered 422"]]));
});

Deno.test("a webhook that cannot be reached says so without its address", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const url = `http://127.0.0.1:${listener.addr.port}/hook?token=hidden`;
  listener.close();
  const transport = webhookTransport({ url, keys: secretsOf(SECRET)!, parallel: 1, origin: "o", clock: systemClock });
  await assert.rejects(deliver(transport, [parcel(1)]), (error: Error) => {
    assert.doesNotMatch(error.message, /hidden|hook/);
    assert.match(error.message, /refused/i);
    return true;
  });
});

const local = { hostname: "127.0.0.1", port: 0 } as const;
const syslogTo = (port: number, settleMs = 10, tls?: { ca?: string; certificate?: string; key?: string }) =>
  syslogTransport({
    host: tls ? "localhost" : "127.0.0.1",
    port,
    settleMs,
    clock: systemClock,
    ...(tls ? { tls } : {}),
  });

Deno.test("syslog over TCP counts octets, and is delivered when the receiver has read to the end", async () => {
  const heard = listening(Deno.listen(local));
  const texts = ["<110>1 a", "é\n5 x", "", "\ufeff{}"];
  const connection = await syslogTo(heard.port).connect(never);
  await connection.send(texts.slice(0, 2).map((text, i) => parcel(i, text)), never);
  await connection.send(texts.slice(2).map((text, i) => parcel(i + 2, text)), never);
  assert.deepEqual(heard.messages, [], "not before it is made sure of");
  await connection.settle(never);
  connection.close();
  assert.deepEqual([heard.messages, heard.connections], [texts, 1]);
  await heard.stop();
});

Deno.test("a receiver that goes before it was told to has not been delivered to", async () => {
  // given one that reads what comes and then dies, which ends the connection in the same way as reading to the end would
  const heard = listening(Deno.listen(local), async (conn) => {
    await conn.read(new Uint8Array(65_536));
    return true;
  });
  const connection = await syslogTo(heard.port, 60_000).connect(never);
  await connection.send([parcel(1)], never);
  await assert.rejects(connection.settle(never), /the receiver closed the connection|reset/);
  await assert.rejects(connection.lost!);
  connection.close();
  await heard.stop();
  await assert.rejects(syslogTo(heard.port).connect(never), { code: "ECONNREFUSED" });
});

Deno.test("a receiver that never reads, and one that never closes, end with the time that they are given", async () => {
  const held: PromiseWithResolvers<boolean>[] = [];
  const heard = listening(Deno.listen(local), () => {
    const hold = Promise.withResolvers<boolean>();
    held.push(hold);
    return hold.promise;
  });
  const stop = new AbortController();
  const stuck = await syslogTo(heard.port).connect(never);
  const sending = stuck.send([parcel(1, "x".repeat(16 * 1024 * 1024))], stop.signal);
  sending.catch(() => {});
  stop.abort();
  await assert.rejects(sending);
  stuck.close();
  const mute = await syslogTo(heard.port).connect(never);
  await mute.send([parcel(1)], never);
  const settling = mute.settle(never);
  settling.catch(() => {});
  mute.close();
  await assert.rejects(settling);
  for (const { resolve } of held) resolve(true);
  await heard.stop();
});

Deno.test({
  name: "syslog over TLS trusts the authority it is given and no other, and only the name it was told",
  ignore: openssl === undefined,
  fn: async () => {
    await inFolder(async (folder) => {
      const [ours, theirs] = [await authority(`${folder}/ours`), await authority(`${folder}/theirs`)];
      const heard = listening(Deno.listenTls({ ...local, cert: ours.cert, key: ours.key }));
      await deliver(syslogTo(heard.port, 10, { ca: ours.ca }), [parcel(1, "one"), parcel(2, "two")]);
      assert.deepEqual(heard.messages, ["one", "two"]);
      for (const ca of [theirs.ca, undefined]) {
        await assert.rejects(
          deliver(syslogTo(heard.port, 10, { ca }), [parcel(3, "three")]),
          /certificate|UnknownIssuer/i,
        );
      }
      const elsewhere = syslogTransport({
        host: "127.0.0.1",
        port: heard.port,
        settleMs: 10,
        clock: systemClock,
        tls: { ca: ours.ca },
      });
      await assert.rejects(deliver(elsewhere, [parcel(3, "three")]), /certificate|not valid/i);
      assert.deepEqual(heard.messages, ["one", "two"]);
      // As rsyslog does it: what is between lets the end of ours through, and closes without the end of theirs.
      const between = listening(Deno.listen(local), async (conn) => {
        const inner = await Deno.connect({ hostname: "127.0.0.1", port: heard.port });
        const back = inner.readable.pipeTo(conn.writable, { preventClose: true }).catch(() => {});
        const piece = new Uint8Array(65_536);
        for (let read; (read = await conn.read(piece)) !== null;) await inner.write(piece.subarray(0, read));
        conn.close();
        await inner.closeWrite();
        await back;
        return true;
      });
      await deliver(syslogTo(between.port, 10, { ca: ours.ca }), [parcel(3, "three")]);
      await until("the message behind it", () => heard.messages.length === 3);
      await between.stop();
      // A receiver that speaks no TLS.
      const plain = listening(Deno.listen(local), async (conn) => {
        await conn.write(new TextEncoder().encode("220 hello\r\n"));
        return true;
      });
      await assert.rejects(deliver(syslogTo(plain.port, 10, { ca: ours.ca }), [parcel(3, "three")]));
      await plain.stop();
      await heard.stop();
    });
  },
});

Deno.test("a receiver that never shakes hands keeps no connection once it is given up", async () => {
  let left = 0;
  const silent = listening(Deno.listen(local), async (conn) => {
    const piece = new Uint8Array(65_536);
    while (await conn.read(piece).catch(() => null) !== null);
    left++;
    return true;
  });
  // On a busy machine the time may be over before it was asked.
  let answer_ms = 25;
  await until("it was asked three times", async () => {
    const signal = AbortSignal.timeout(answer_ms *= 2);
    await assert.rejects(syslogTo(silent.port, 10, {}).connect(signal), { name: "TimeoutError" });
    await until("its end", () => left === silent.connections);
    return left >= 3;
  });
  await silent.stop();
});

Deno.test("a receiver that takes a connection in the moment in which it is given up has it no longer", async () => {
  const taken = new Set<number>(), left = new Set<number>();
  const plain = listening(Deno.listen(local), async (conn) => {
    const { port } = conn.remoteAddr as Deno.NetAddr;
    taken.add(port);
    left.add(port);
    const read = () => conn.read(new Uint8Array(1_024)).catch(() => null);
    while (await read() !== null);
    left.delete(port);
    return true;
  });
  for (let round = 0; round < 3; round++) {
    // One that comes about, so that the rest are as quick.
    (await syslogTo(plain.port).connect(never)).close();
    await until("none is left before", () => left, ({ size }) => taken.size > 0 && size === 0, { seconds: 20 });
    const late = new AbortController();
    setTimeout(() => late.abort(), 1);
    const tried = Array.from({ length: 20 }, async () => (await syslogTo(plain.port).connect(late.signal)).close());
    // As on a busy machine: both have come when it goes on.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
    await Promise.allSettled(tried);
  }
  const last = await Deno.connect({ hostname: "127.0.0.1", port: plain.port });
  await until("all were taken", () => taken.has(last.localAddr.port));
  last.close();
  await until("none is left", () => left, ({ size }) => size === 0);
  await plain.stop();
});

Deno.test("the frames of a stream that was cut are told from whole ones", () => {
  const bytes = new TextEncoder().encode("3 abc5 de");
  assert.deepEqual(unframed(bytes), { messages: ["abc"], left: "5 de" });
});
