/** Answers that go on, when who takes them may no longer: however much there is to send. */
import assert from "node:assert/strict";
import { CedarAuthority } from "../adapters/program/access/authority.ts";
import { shippedModel } from "../adapters/program/access/model.ts";
import { Sessions, type SessionsOptions } from "../adapters/program/identity/sessions.ts";
import type { Access } from "../adapters/http/access.ts";
import { HTTP_LIMITS } from "../adapters/http/bounds.ts";
import { Streams } from "../adapters/http/outflow.ts";
import { createServer } from "../adapters/http/server.ts";
import { SimulatedClock } from "../adapters/simulation/clock.ts";
import { systemRandom } from "../adapters/system/world.ts";
import { cloudEvent, givenAccess, givenDaybook, structured } from "./http_given.ts";

Deno.test("a stream that always has something to send ends as soon when its token is revoked", async () => {
  const clock = new SimulatedClock(systemRandom);
  const streams = new Streams(clock);
  const busy = async function* (): AsyncGenerator<string> {
    for (let i = 0; i < 1_000; i++) {
      await new Promise<void>((resolve) => void clock.schedule(1_000, resolve));
      yield "an event";
    }
  };
  let granted = true;
  const reader = streams.start(busy, { comment: ":\n\n", granted: () => granted }).getReader();
  for (let i = 0; i < 40; i++) assert.equal((await clock.until(reader.read())).done, false);
  granted = false;
  const revoked = clock.monotonic();
  while (!(await clock.until(reader.read())).done && clock.monotonic() - revoked < 120_000);
  assert.ok(clock.monotonic() - revoked <= HTTP_LIMITS.comment_every_ms, `${clock.monotonic() - revoked} ms later`);
  assert.equal(streams.count, 0);
});

/**
 * A server with an event each second, and somebody who follows it with a token of these scopes, of which others are left then; or whose
 * account, by a key, has to show a second factor then.
 */
const following = async (as: string, left: string | undefined, then: { readonly challenged?: true } = {}) => {
  const clock = new SimulatedClock(systemRandom);
  const { daybook } = givenDaybook();
  const access = givenAccess();
  let changed = false;
  const check: Access["check"] = (bearer) => {
    if (bearer !== as) return access.check(bearer);
    const grant = access.check(changed ? left ?? "" : as);
    return grant && then.challenged ? { ...grant, account: "u_a", roles: ["viewer"] } : grant;
  };
  const server = createServer({
    daybook,
    access: { ...access, check, isChallenged: () => changed },
    authority: new CedarAuthority(shippedModel()),
    clock,
    random: systemRandom,
  });
  const send = (to: string, init: RequestInit, bearer: string) =>
    server.fetch(
      new Request(`http://localhost${to}`, {
        ...init,
        headers: { host: "localhost", authorization: `Bearer ${bearer}`, ...init.headers },
      }),
      { remoteAddr: { transport: "tcp", hostname: "127.0.0.1" } },
    );
  const tell = async (id: string) => {
    const body = cloudEvent(id, { data: { name: "lamp", who: `Ada ${id}`, owner: "o" } });
    assert.equal((await send("/events", { method: "POST", headers: structured, body }, "ingest")).status, 201);
  };
  try {
    await tell("0");
    const answer = await send("/follow", {}, as);
    assert.equal(answer.status, 200);
    const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    let ended = false;
    const taken = (async () => {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        text += value;
      }
      ended = true;
    })();
    for (let i = 1; i < 60; i++) {
      changed = i >= 3;
      await tell(String(i));
      await clock.settle();
      await clock.advance(1_000);
    }
    const told = { text, ended };
    if (!ended) await reader.cancel();
    await taken;
    return told;
  } finally {
    await server.stop();
    await daybook.close();
  }
};

Deno.test("who follows a busy log sees no more of it soon after the token was revoked", async () => {
  const { text, ended } = await following("read", undefined);
  assert.match(text, /^id: 2$/m);
  assert.doesNotMatch(text, /^id: 30$/m);
  assert.equal(ended, true);
});

Deno.test("so it is where the token may read no more, or its account has to show a second factor first", async () => {
  for (const later of [following("read", "ingest"), following("read", "read", { challenged: true })]) {
    const { text, ended } = await later;
    assert.match(text, /^id: 2$/m);
    assert.doesNotMatch(text, /^id: 30$/m);
    assert.equal(ended, true);
  }
});

Deno.test("who follows is shown no more personal values soon after that was taken away", async () => {
  const { text, ended } = await following("read+personal", "read");
  assert.ok(text.includes('"Ada 2"'), text);
  assert.ok(!text.includes('"Ada 30"'), "it is shown half a minute later");
  assert.equal(ended, true);
});

Deno.test("who follows goes on while nothing is taken away", async () => {
  const { text, ended } = await following("read+personal", "read+personal");
  assert.ok(text.includes('"Ada 59"'), text);
  assert.equal(ended, false);
});

Deno.test("a stream that is left open is no use of its session, which ends when nobody does anything", async () => {
  const clock = new SimulatedClock(systemRandom);
  const { daybook } = givenDaybook();
  const looked: (string | undefined)[] = [];
  const grant = {
    id: "u_a",
    scopes: ["read"],
    tenant: "default",
    principal: { authtype: "user", authid: "u_a" },
  } as const;
  const server = createServer({
    daybook,
    access: { ...givenAccess(), session: (_, unused) => (looked.push(unused), grant) },
    authority: new CedarAuthority(shippedModel()),
    clock,
    random: systemRandom,
  });
  const headers = { host: "localhost", cookie: "__Host-daybook_session=x" };
  const answer = await server.fetch(new Request("http://localhost/follow", { headers }));
  const reader = answer.body!.getReader();
  for (let i = 0; i < 3; i++) await clock.until(reader.read());
  assert.deepEqual(looked, [undefined, "unused", "unused"]);
  await reader.cancel();
  await server.stop();
  await daybook.close();

  let touched = 0;
  const session = { session: "s", idle_until: 60_000, until: 600_000, roles: [] };
  const state = { is: "active", tenant: "default", sessions: [session] };
  const sessions = new Sessions({
    states: { of: () => state, ask: () => Promise.resolve(touched++) },
    tickets: { read: () => ["u_a", "s"] },
    policy: () => ({ idle_ms: 60_000 }),
    now: () => 30_000,
    erased: () => false,
  } as unknown as SessionsOptions);
  assert.ok(sessions.bearer("cookie", "unused"));
  assert.equal(touched, 0);
  assert.ok(sessions.bearer("cookie"));
  assert.equal(touched, 1);
});
