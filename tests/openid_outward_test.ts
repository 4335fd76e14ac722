import assert from "node:assert/strict";
import { givenAuthority } from "./certificates_given.ts";
import { OUTWARD, outward, OutwardFault } from "../adapters/openid/outward.ts";

const withServer = async (answer: () => Response, test: (url: string) => Promise<void>): Promise<void> => {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, answer);
  try {
    await test(`http://127.0.0.1:${server.addr.port}/`);
  } finally {
    await server.shutdown();
  }
};
const hostOf = (url: string): string => new URL(url).host;

Deno.test("a provider's answer has a bound, and redirects are answers like others", async () => {
  await withServer(() => new Response("x".repeat(OUTWARD.body_bytes_max)), async (url) => {
    const answer = await outward([hostOf(url)], undefined)(url, {});
    assert.equal((await answer.text()).length, OUTWARD.body_bytes_max);
  });
  await withServer(() => new Response("x".repeat(OUTWARD.body_bytes_max + 1)), async (url) => {
    await assert.rejects(outward([hostOf(url)], undefined)(url, {}), OutwardFault);
  });
  await withServer(
    () => new Response(null, { status: 302, headers: { location: "http://127.0.0.1:1/" } }),
    async (url) => {
      assert.equal((await outward([hostOf(url)], undefined)(url, {})).status, 302);
    },
  );
});

Deno.test("a provider that does not answer in time is one that cannot be asked", async () => {
  const waiting = Promise.withResolvers<Response>();
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => waiting.promise);
  try {
    const url = `http://127.0.0.1:${server.addr.port}/`;
    await assert.rejects(outward([hostOf(url)], undefined, 20)(url, {}), /cannot be asked/);
  } finally {
    waiting.resolve(new Response());
    await server.shutdown();
  }
});

Deno.test("why a provider cannot be asked is said: a certificate that does not count, nobody who listens, no answer; and no query", async () => {
  const asked = (url: string, ms?: number) => outward([hostOf(url)], undefined, ms)(`${url}?code=secret`, {});
  const never = Promise.withResolvers<Response>();
  const plain = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => never.promise);
  const pair = await (await givenAuthority()).issue("provider", ["server"]);
  const secure = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {}, ...pair }, () => new Response());
  const gone = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  gone.close();
  const [late, untrusted] = [plain, secure].map(({ addr }) => addr.port);
  try {
    for (
      const [url, why] of [
        [`https://127.0.0.1:${untrusted}/`, /:\d+ cannot be asked: .*certificate/],
        [`http://127.0.0.1:${gone.addr.port}/`, /:\d+ cannot be asked: .*refused/],
        [`http://127.0.0.1:${late}/`, /:\d+ cannot be asked: .*timed? ?out/],
      ] as const
    ) {
      const { message } = await asked(url, 200).then(() => assert.fail(url), (error: Error) => error);
      assert.match(message, why);
      assert.ok(!message.includes("secret"), message);
    }
  } finally {
    never.resolve(new Response());
    await Promise.all([plain.shutdown(), secure.shutdown()]);
  }
});

Deno.test("hosts that are not named are not asked, nor is who asks kept waiting once it is told to stop", async () => {
  let asked = 0;
  await withServer(() => new Response(`${++asked}`), async (url) => {
    await assert.rejects(outward(["id.example.com"], undefined)(url, {}), OutwardFault);
    await assert.rejects(outward([hostOf(url)], undefined)(url, { signal: AbortSignal.abort() }), OutwardFault);
  });
  assert.equal(asked, 0);
});
