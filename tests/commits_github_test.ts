import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { importGit } from "../adapters/git/import.ts";
import { PUSH_COMMITS_MAX, translatePush, verifySignature } from "../adapters/github/push.ts";
import { BATCH_BYTES_MAX, recordPush } from "../adapters/github/record.ts";
import { githubWebhook, type GithubWebhookOptions, LARGE_RECEIVING_MAX } from "../adapters/program/webhooks.ts";
import { HTTP_LIMITS } from "../adapters/http/bounds.ts";
import { type ProblemCode, PROBLEMS } from "../adapters/http/problem.ts";
import type { ServerOptions } from "../adapters/http/server.ts";
import { SimulatedClock } from "../adapters/simulation/clock.ts";
import { systemClock, systemRandom } from "../adapters/system/world.ts";
import { LogFault } from "../events/log.ts";
import { BY, commit, imported, Place, SmallDaybook } from "./git_given.ts";
import { ratesOf, withSite } from "./http_given.ts";

const SECRET = "It's a Secret to Everybody";
const utf8 = new TextEncoder();
const sha = (n: number) => (n + 1).toString(16).padStart(40, "0");
const sign = (body: string, secret = SECRET) => `sha256=${createHmac("sha256", secret).update(body).digest("hex")}`;

/** As GitHub sends them, but for what nobody reads. */
const push = (change: Record<string, unknown> = {}) => ({
  ref: "refs/heads/main",
  before: sha(0),
  after: sha(2),
  created: false,
  deleted: false,
  forced: false,
  base_ref: null,
  compare: "https://github.com/Octo-Org/Hello/compare/000…",
  repository: {
    id: 1,
    full_name: "Octo-Org/Hello",
    html_url: "https://github.com/Octo-Org/Hello",
    pushed_at: 1_767_603_600,
  },
  pusher: { name: "octocat", email: "octo@example.com" },
  commits: [1, 2].map((n) => ({
    id: sha(n),
    tree_id: sha(100 + n),
    distinct: true,
    message: `Change ${n}\n\nWith a body, by Ada Byron`,
    timestamp: "2026-01-05T10:00:00+01:00",
    author: { name: "Ada Byron", email: "ada@example.com", username: "ada" },
    committer: { name: "GitHub", email: "noreply@github.com", username: "web-flow" },
    added: ["a.txt"],
    removed: [],
    modified: ["b.txt"],
  })),
  ...change,
});

const request = (body: string, headers: Record<string, string> = {}, init: RequestInit = {}) =>
  new Request("http://127.0.0.1/webhooks/github", {
    method: "POST",
    body,
    headers: {
      "content-type": "application/json",
      "x-github-event": "push",
      "x-github-delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
      "x-hub-signature-256": sign(body),
      ...headers,
    },
    ...init,
  });

type Receive = (sent: Request) => Promise<Response>;

/** The webhook of a server, over a daybook of ours. */
const receiving = (
  target: SmallDaybook,
  test: (receive: Receive) => Promise<void>,
  options: Partial<GithubWebhookOptions & ServerOptions> = {},
): Promise<void> =>
  withSite(({ server }) => test(async (sent) => await server.fetch(sent)), {
    ...options,
    routes: [githubWebhook({ target, secret: SECRET, by: BY, ...options })],
  });

Deno.test("of large bodies, whose sender nobody knows yet, few are received at a time; small ones always", async () => {
  const clock = new SimulatedClock(systemRandom);
  await receiving({} as SmallDaybook, async (receive) => {
    const post = (body: BodyInit, more: HeadersInit = {}) =>
      receive(new Request("http://127.0.0.1/webhooks/github", { method: "POST", body, headers: more }));
    let given = 0;
    const endless = () => new ReadableStream<Uint8Array>({ cancel: () => void given++ });
    const waiting = Array.from({ length: LARGE_RECEIVING_MAX }, () => post(endless()));
    const refused = await post(endless());
    assert.deepEqual([refused.status, refused.headers.get("retry-after")], [503, "1"]);
    await refused.body?.cancel();
    const small = await post("{}", { "content-length": "2" });
    assert.equal(small.status, 401);
    await small.body?.cancel();
    await clock.advance(HTTP_LIMITS.request_ms_max);
    for (const response of await Promise.all(waiting)) {
      assert.equal(response.status, 408);
      await response.body?.cancel();
    }
    const large = await post("x".repeat(100_000));
    assert.deepEqual([large.status, given], [401, LARGE_RECEIVING_MAX]);
    await large.body?.cancel();
  }, { clock });
});

Deno.test("the signature is the one that GitHub documents", () => {
  // https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries#testing-the-webhook-payload-validation
  const body = utf8.encode("Hello, World!");
  const good = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
  assert.ok(verifySignature(SECRET, body, good));
  assert.ok(verifySignature(SECRET, body, good.replace("757107ea", "757107EA")));
  for (
    const bad of [
      null,
      "",
      "sha256=",
      good.slice(0, -1),
      good.replace("3e17", "3e18"),
      good.replace("sha256", "sha1"),
      `${good}0`,
      `${good.slice(0, -1)}g`,
    ]
  ) {
    assert.ok(!verifySignature(SECRET, body, bad), String(bad));
  }
  assert.ok(!verifySignature("another", body, good));
  assert.ok(!verifySignature(SECRET, utf8.encode("Hello, World?"), good));
  assert.ok(
    !verifySignature("", body, `sha256=${createHmac("sha256", "").update(body).digest("hex")}`),
    "an empty secret signs nothing",
  );
});

Deno.test("a push is its commits, incomplete, and where the branch went", () => {
  const told = translatePush(push(), { by: BY, delivery: "d-1" });
  assert.ok(told.is === "push");
  assert.equal(told.source, "https://github.com/octo-org/hello");
  assert.deepEqual(told.incoming.map(({ id, type }) => [id, type]), [[sha(1), "commits.commit.recorded"], [
    sha(2),
    "commits.commit.recorded",
  ]]);
  assert.deepEqual(told.incoming[0]!.data, {
    sha: sha(1),
    parts: 0,
    parents: [],
    author: { email: "ada@example.com", name: "Ada Byron", message: "Change 1\n\nWith a body, by Ada Byron" },
    committer: { email: "noreply@github.com", name: "GitHub" },
    subject: "Change 1",
    times: { committed: "2026-01-05T10:00:00+01:00" },
    files: 0,
    added: 0,
    deleted: 0,
    incomplete: "webhook",
  });
  assert.deepEqual(told.asks, [{
    type: "commits.branch.move",
    id: "github.com:octo-org:hello",
    by: BY,
    command: "github:d-1:main",
    data: { branch: "main", to: sha(2), at: "2026-01-05T09:00:00.000Z" },
    causationid: sha(2),
    correlationid: sha(2),
  }]);
});

Deno.test("forced pushes say so, and deleted branches are deleted", () => {
  const forced = translatePush(push({ forced: true }), { by: BY });
  assert.ok(forced.is === "push");
  assert.deepEqual(forced.asks[0]!.data, { branch: "main", to: sha(2), forced: true, at: "2026-01-05T09:00:00.000Z" });
  const deleted = translatePush(
    push({
      deleted: true,
      after: "0".repeat(40),
      commits: [],
      repository: { html_url: "https://github.example.com/T/App", pushed_at: "2026-01-05T09:00:00Z" },
    }),
    { by: BY },
  );
  assert.ok(deleted.is === "push");
  assert.deepEqual([deleted.asks[0]!.type, deleted.asks[0]!.id, deleted.asks[0]!.data], [
    "commits.branch.delete",
    "github.example.com:T:App",
    { branch: "main", at: "2026-01-05T09:00:00Z" },
  ]);
});

Deno.test("what is no push of a branch is ignored or refused, and says where", () => {
  const is = (body: unknown) => translatePush(body, { by: BY });
  assert.deepEqual(is({ zen: "Keep it logically awesome.", hook_id: 1 }), { is: "ignored", because: "a ping" });
  assert.deepEqual(is({ action: "opened", sender: {} }), { is: "ignored", because: "not a push" });
  assert.deepEqual(is({ action: "published", security_advisory: {} }), { is: "ignored", because: "not a push" });
  const synced = { cache_location: "oslo", ref: "refs/heads/main", before: "0".repeat(40), after: "1".repeat(40) };
  const repository = { html_url: "https://github.example/octo/hello" };
  assert.deepEqual(is({ ...synced, repository, sender: {} }), { is: "ignored", because: "not a push" });
  assert.deepEqual(is(push({ ref: "refs/tags/v1" })), { is: "ignored", because: "refs/tags/v1 is not a branch" });
  for (
    const [body, path] of [
      [push({ repository: { html_url: "nonsense" } }), "/repository/html_url"],
      [push({ after: "0".repeat(40) }), "/after"],
      [push({ ref: "refs/heads/a..b" }), "/ref"],
      [push({ commits: [{ ...push().commits[0], id: "abc" }] }), "/commits/0/id"],
      [push({ commits: Array.from({ length: PUSH_COMMITS_MAX + 1 }, () => push().commits[0]) }), "/commits"],
      [push({ forced: "yes" }), "/forced"],
      ["text", ""],
      [null, ""],
      [{ hello: 1 }, ""],
      [[], ""],
    ] as const
  ) {
    const outcome = is(body);
    assert.ok(outcome.is === "invalid", JSON.stringify(outcome));
    assert.equal(outcome.issues[0]!.path, path);
  }
});

Deno.test("a signed push is recorded once, however often it is delivered", async () => {
  const daybook = new SmallDaybook();
  await receiving(daybook, async (receive) => {
    const body = JSON.stringify(push());
    const first = await receive(request(body));
    assert.deepEqual([first.status, await first.json()], [200, { commits: 2, known: 0, moves: 1 }]);
    const size = daybook.log.size;
    const second = await receive(request(body));
    assert.deepEqual([second.status, await second.json()], [200, { commits: 0, known: 2, moves: 0 }]);
    assert.equal(daybook.log.size, size);
  });
});

Deno.test("a push that arrives late does not move the branch back", async () => {
  const daybook = new SmallDaybook();
  await receiving(daybook, async (receive) => {
    const at = (pushed_at: number) => ({ repository: { html_url: "https://github.com/octo-org/hello", pushed_at } });
    await receive(request(JSON.stringify(push({ after: sha(9), commits: [], ...at(2_000) }))));
    const late = await receive(request(JSON.stringify(push({ after: sha(8), commits: [], ...at(1_000) }))));
    assert.equal(late.status, 200);
    assert.equal((await late.json()).rejected.code, "branch_moved_since");
  });
});

Deno.test("what is not signed, not JSON, not a push or too large is answered as such, and records nothing", async () => {
  const daybook = new SmallDaybook();
  await receiving(daybook, async (receive) => {
    const body = JSON.stringify(push());
    const cases: readonly (readonly [number, Request])[] = [
      [401, request(body, { "x-hub-signature-256": sign(body, "wrong") })],
      [401, request(body, { "x-hub-signature-256": "" })],
      [401, request(`${body} `, { "x-hub-signature-256": sign(body) })],
      [415, request(body, { "content-type": "application/x-www-form-urlencoded" })],
      [400, request("{")],
      [400, request('{"ref":1,"ref":2}')],
      [400, request('"\\ud800"')],
      [400, request(`${"[".repeat(100)}${"]".repeat(100)}`)],
      [400, request(JSON.stringify(push({ after: "main" })))],
      [413, request("x".repeat(10_001))],
      [
        413,
        request(
          "",
          {},
          { body: new Blob(["x".repeat(6_000), "x".repeat(6_000)]).stream(), duplex: "half" } as RequestInit,
        ),
      ],
      [405, new Request("http://127.0.0.1/webhooks/github")],
    ];
    for (const [status, sent] of cases) {
      const response = await receive(sent);
      assert.equal(response.status, status, await response.clone().text());
      const told = await response.json();
      assert.match(told.type, /^urn:daybook:problem:[a-z_]+$/);
      assert.equal(told.title, PROBLEMS[told.type.split(":").at(-1) as ProblemCode][1]);
      assert.equal(told.instance, `urn:daybook:request:${response.headers.get("x-request-id")}`);
      assert.equal(told.status, status);
      assert.equal(response.headers.get("content-type"), "application/problem+json");
      assert.equal(response.headers.get("www-authenticate"), status === 401 ? "X-Hub-Signature-256" : null);
      await sent.body?.cancel().catch(() => {});
    }
    for (const [event, ignored] of [["ping", "ping"], ["issues", "issues"]] as const) {
      const response = await receive(request("{}", { "x-github-event": event }));
      assert.deepEqual([response.status, await response.json()], [200, { ignored }]);
    }
    assert.equal(daybook.log.size, 0);
  }, { bodyBytesMax: 10_000 });
});

Deno.test("wrong signatures count against their address; a good one is heard all the same", async () => {
  const daybook = new SmallDaybook();
  await receiving(daybook, async (receive) => {
    const body = JSON.stringify(push());
    const wrong = { "x-hub-signature-256": sign(body, "wrong") };
    for (const status of [401, 401, 429]) {
      const response = await receive(request(body, wrong));
      await response.body?.cancel();
      assert.equal(response.status, status);
      assert.equal(response.headers.get("retry-after"), status === 429 ? "60" : null);
    }
    const good = await receive(request(body));
    assert.deepEqual([good.status, await good.json()], [200, { commits: 2, known: 0, moves: 1 }]);
  }, {
    clock: new SimulatedClock(systemRandom),
    rates: ratesOf({ window_ms: 60_000, requests_max: 100, denied_max: 2 }),
  });
});

Deno.test("while the log cannot be written a push is asked for again", async () => {
  const daybook = new SmallDaybook();
  daybook.before = () => {
    throw new LogFault("full", "no room");
  };
  await receiving(daybook, async (receive) => {
    const response = await receive(request(JSON.stringify(push())));
    assert.deepEqual([response.status, response.headers.get("retry-after")], [503, "10"]);
    assert.equal((await response.json()).type, "urn:daybook:problem:unwritable");
  });
});

Deno.test("a large push goes in several batches below the bounds of an append", async () => {
  const daybook = new SmallDaybook();
  const commits = Array.from(
    { length: PUSH_COMMITS_MAX },
    (_, n) => ({ ...push().commits[0], id: sha(n), message: `n${n}\n\n${"body ".repeat(400)}` }),
  );
  const told = translatePush(push({ commits }), { by: BY });
  assert.ok(told.is === "push");
  const done = await recordPush(daybook, told, BY);
  assert.deepEqual(done, { is: "recorded", commits: PUSH_COMMITS_MAX, known: 0, moves: 1 });
  assert.ok(daybook.batches.length > 1);
  for (const batch of daybook.batches) assert.ok(JSON.stringify(batch).length <= BATCH_BYTES_MAX);
});

Deno.test("what a webhook told is completed by the next import, and what an import recorded is left alone by a webhook", async () => {
  await using place = await Place.make();
  const stream = [1, 2, 3].map((n) => commit({ mark: n, message: `commit ${n}`, files: { [`f${n}`]: "x\n" } })).join(
    "",
  );
  const path = await place.repository("hello", stream);
  await place.git("hello", ["remote", "add", "origin", "git@github.com:Octo-Org/Hello.git"]);
  const shas = (await place.git("hello", ["rev-list", "--reverse", "main"])).split("\n");
  const told = (only: readonly string[], after: string) => ({
    ...push({ after }),
    commits: only.map((id) => ({ ...push().commits[0], id, message: `commit ${shas.indexOf(id) + 1}` })),
  });
  const daybook = new SmallDaybook();
  await imported(daybook, place, path, { range: ["main~2"] });
  await receiving(daybook, async (receive) => {
    const response = await receive(request(JSON.stringify(told([shas[0]!, shas[1]!], shas[1]!))));
    assert.deepEqual(await response.json(), { commits: 1, known: 1, moves: 1 });
    assert.equal(daybook.commit("commit 2").incomplete, "webhook");
    const done = await imported(daybook, place, path);
    assert.deepEqual(done.commits, { new: 1, completed: 1, known: 1 });
    assert.deepEqual(daybook.of("commits.commit.completed").map(({ data }) => [data.sha, data.parents, data.files]), [[
      shas[1],
      [shas[0]],
      1,
    ]]);
    assert.equal((await imported(daybook, place, path)).events, 0);
  });
});

Deno.test("a webhook that overtakes an import does not stop it", async () => {
  await using place = await Place.make();
  const path = await place.repository("hello", commit({ message: "commit 1", files: { f: "x\n" } }));
  await place.git("hello", ["remote", "add", "origin", "https://github.com/octo-org/hello"]);
  const id = await place.git("hello", ["rev-parse", "main"]);
  const daybook = new SmallDaybook();
  const told = translatePush(push({ after: id, commits: [{ ...push().commits[0], id }] }), { by: BY });
  assert.ok(told.is === "push");
  daybook.before = async () => {
    daybook.before = () => {};
    await daybook.ingest(told.incoming);
  };
  const done = await importGit(daybook, { path, by: BY, clock: systemClock, env: place.env });
  assert.ok(done.ok, JSON.stringify(done));
  assert.deepEqual([done.commits.new, done.commits.completed], [0, 1]);
});
