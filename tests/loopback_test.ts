/** How services of this machine are asked over HTTP: past every proxy, and of whom they show to be. */
import assert from "node:assert/strict";
import { createServer, type Server, type Socket } from "node:net";
import { get, INTERIM_MAX, type Trusted } from "../adapters/process/loopback.ts";
import { httpProbe } from "../adapters/process/probes.ts";
import { givenAuthority } from "./certificates_given.ts";

const signal = () => AbortSignal.timeout(20_000);

const textOf = async (body: AsyncIterable<Uint8Array>): Promise<string> => {
  const pieces: Uint8Array[] = [];
  for await (const piece of body) pieces.push(piece);
  return await new Blob(pieces as BlobPart[]).text();
};

/** A server that says these bytes to whoever connects, and what it was told. */
const saying = async (
  bytes: string | undefined,
  body: (url: string, heard: readonly string[]) => Promise<void>,
): Promise<void> => {
  const heard: string[] = [];
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {}).on("close", () => sockets.delete(socket));
    socket.once("data", (data) => {
      heard.push(String(data));
      if (bytes !== undefined) socket.end(bytes);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    await body(`http://127.0.0.1:${(server.address() as { port: number }).port}/a?b=c`, heard);
  } finally {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  }
};

const VARIABLES = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"].flatMap((name) => [name, name.toLowerCase()]);

/** With a proxy in the environment, for whoever reads it there. */
const withProxy = async (proxy: string, body: () => Promise<void>): Promise<void> => {
  const all: Record<string, string> = Object.fromEntries(VARIABLES.map((name) => [name, proxy]));
  const before = new Map(
    Object.entries({ ...all, NODE_USE_ENV_PROXY: "1" }).map(([name, value]) => {
      const had = Deno.env.get(name);
      Deno.env.set(name, value);
      return [name, had];
    }),
  );
  try {
    await body();
  } finally {
    for (const [name, had] of before) had === undefined ? Deno.env.delete(name) : Deno.env.set(name, had);
  }
};

Deno.test("no proxy of the environment is asked, where fetch and node:http ask it", () =>
  saying("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nproxy", async (proxy, asked) => {
    const own = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, () => new Response("own"));
    const url = `http://127.0.0.1:${own.addr.port}/`;
    try {
      await withProxy(new URL(proxy).origin, async () => {
        const { status, body } = await get(url, { signal: signal() });
        assert.deepEqual([status, await textOf(body)], [200, "own"]);
        assert.deepEqual(await httpProbe(url)(signal()), { ok: true, because: "status 200" });
        assert.deepEqual(asked, []);
        assert.equal(await (await fetch(url)).text(), "proxy", "it is there to be asked");
        assert.equal(asked.length, 1);
      });
    } finally {
      await own.shutdown();
    }
  }));

Deno.test("what is asked is one request on a connection that ends with it; redirects are an answer", () =>
  saying("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n", async (url, heard) => {
    await withProxy("http://127.0.0.1:9", async () => {
      const { status, close } = await get(url, { signal: signal(), headers: { accept: "text/plain" } });
      close();
      assert.equal(status, 302);
    });
    const [first, ...headers] = heard[0]!.trimEnd().toLowerCase().split("\r\n");
    assert.equal(first, "get /a?b=c http/1.1");
    assert.deepEqual(headers.toSorted(), [
      "accept: text/plain",
      "connection: close",
      `host: ${new URL(url).host}`,
      "user-agent: daybook",
    ]);
  }));

Deno.test("whatever comes instead of an answer is one line that repeats nothing of it", async () => {
  const answers: [string, RegExp][] = [
    ["", /^the connection was closed without an answer$|^socket hang up$/],
    ["SSH-2.0-OpenSSH_9.2 secret\r\n", /^[^\n]{5,200}$/],
    ["HTTP/1.1 200 OK\r\nx: " + "secret".repeat(20_000), /^[^\n]{5,200}$/],
    ["HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: secret\r\n\r\n", /another protocol/],
  ];
  for (const [bytes, because] of answers) {
    await saying(bytes, async (url) => {
      const error = await get(url, { signal: signal() }).then(() => assert.fail("it is none"), (error: Error) => error);
      assert.match(error.message, because);
      assert.doesNotMatch(error.message, /secret/);
    });
  }
  // One that never answers is let go of.
  await saying(undefined, async (url, heard) => {
    const stop = new AbortController();
    const asking = get(url, { signal: stop.signal });
    for (let i = 0; heard.length === 0; i++) {
      assert.ok(i < 2_000, "it is asked");
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    stop.abort(new Error("no answer in time"));
    await assert.rejects(asking, /no answer in time/);
    await assert.rejects(get(url, { signal: stop.signal }), /no answer in time/);
  });
});

Deno.test("interim answers are passed over up to their bound; who goes on with them has no answer", async () => {
  const ok = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
  for (const status of ["100 Continue", "103 Early Hints"]) {
    const interim = `HTTP/1.1 ${status}\r\n\r\n`;
    await saying(interim.repeat(INTERIM_MAX) + ok, async (url) => {
      assert.deepEqual(await httpProbe(url)(signal()), { ok: true, because: "status 200" });
    });
    await saying(interim.repeat(INTERIM_MAX + 1) + ok, async (url) => {
      await assert.rejects(get(url, { signal: signal() }), { message: "more than 100 interim answers" });
    });
  }
});

Deno.test("a certificate must be for the name, and of an authority that is given or known; no proxy is asked either", async () => {
  const [ours, others] = [await givenAuthority(), await givenAuthority()];
  const serving = async (
    names: readonly string[],
    until: number,
    body: (look: (trusted?: Partial<Trusted>) => Promise<string>) => Promise<void>,
  ): Promise<void> => {
    const { cert, key } = await ours.issue("s", ["server"], { names, from: -7_200_000, until });
    const server = Deno.serve({ hostname: "127.0.0.1", port: 0, cert, key, onListen: () => {} }, (request) => {
      return new Response(request.headers.get("host"));
    });
    try {
      await body(async (trusted) => {
        const about = { name: "localhost", authorities: [ours.certificate], ...trusted };
        const { body } = await get(`https://127.0.0.1:${server.addr.port}/`, {
          signal: signal(),
          trusted: () => Promise.resolve(about),
        });
        return (await textOf(body)).replace(`:${server.addr.port}`, "");
      });
    } finally {
      await server.shutdown();
    }
  };
  await saying("HTTP/1.1 502 Bad\r\n\r\n", (proxy, asked) =>
    withProxy(new URL(proxy).origin, async () => {
      await serving(["localhost", "web.internal"], 86_400_000, async (look) => {
        assert.equal(await look(), "localhost");
        assert.equal(await look({ name: "web.internal" }), "web.internal");
        assert.equal(await look({ authorities: [others.certificate, ours.certificate] }), "localhost");
        for (const authorities of [[], [others.certificate]]) {
          await assert.rejects(look({ authorities }), /unable to (verify|get)|self.signed/i);
        }
        for (const name of ["api.internal", "127.0.0.1", "::1"]) {
          await assert.rejects(look({ name }), /does not match/, name);
        }
      });
      await serving(["127.0.0.1"], 86_400_000, async (look) => {
        assert.equal(await look({ name: "127.0.0.1" }), "127.0.0.1");
        await assert.rejects(look(), /does not match/);
      });
      await serving(["localhost"], -3_600_000, (look) => assert.rejects(look(), /expired/));
      assert.deepEqual(asked, []);
    }));
});
