import assert from "node:assert/strict";
import { remoteOver } from "../adapters/cli/remote.ts";
import { sendData, type Site, withSite } from "./http_given.ts";

const JSON_BODY = { "content-type": "application/json" };
const raise = (site: Site, id: string, body: string, headers: Record<string, string> = {}) =>
  site.send(`/commands/things.counter.raise/${id}`, {
    method: "POST",
    body,
    headers: { ...JSON_BODY, ...headers },
    as: "command",
  });
const get = async (
  site: Site,
  path: string,
  as?: string,
): Promise<
  { status: number; body: Record<string, unknown> & { rows: { key: string }[]; errors: { path: string }[] } }
> => {
  const response = await site.send(path, as === undefined ? {} : { as });
  return { status: response.status, body: await response.json() };
};

Deno.test("POST /commands answers an accepted command with its facts, revision and ETag", () =>
  withSite(async (site) => {
    const response = await raise(site, "a", '{"by":2}');
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("etag"), '"0"');
    const body = await response.json();
    assert.deepEqual([body.stream, body.revision, body.position, body.facts.length], ["things/a", 0, 0, 1]);
    assert.deepEqual([body.facts[0].type, body.facts[0].data, body.facts[0].authid], ["things.counter.raised", {
      by: 2,
    }, "t_command"]);
  }));

Deno.test("POST /commands decodes the id, slashes and all", () =>
  withSite(async (site) => {
    assert.equal((await (await raise(site, "a/b%20c%2Fd", '{"by":2}')).json()).stream, "things/a/b c/d");
    assert.equal((await raise(site, "%ff", '{"by":2}')).status, 400);
    // Ends of lines are for the entity to refuse, not for the door.
    for (const odd of ["a%0Ab", "a%0Db", "%E2%80%A8%0A", "..%2F..%0A"]) {
      const { stream } = await (await raise(site, odd, '{"by":2}')).json();
      assert.equal(stream, `things/${decodeURIComponent(odd)}`);
      const { status, body } = await get(site, `/views/things.seen/${odd}`);
      assert.deepEqual([status, body.type], [404, "urn:daybook:problem:no_row"], odd);
    }
  }));

Deno.test("POST /commands answers a rejection with 409 and the domain's code", () =>
  withSite(async (site) => {
    await (await raise(site, "a", '{"by":99}')).body?.cancel();
    const response = await raise(site, "a", '{"by":2}');
    assert.equal(response.status, 409);
    assert.equal(response.headers.get("etag"), '"0"');
    const body = await response.json();
    assert.deepEqual([body.type, body.code, body.detail, body.revision], [
      "urn:daybook:problem:rejected",
      "counter_full",
      "A counter ends at 100",
      0,
    ]);
  }));

Deno.test("POST /commands answers wrong data with 400 and paths, an unknown command with 404", () =>
  withSite(async (site) => {
    const wrong = await (await raise(site, "a", '{"by":"two"}')).json();
    assert.deepEqual([wrong.status, wrong.errors[0].path], [400, "/by"]);
    const missing = await (await raise(site, "a", "")).json();
    assert.deepEqual([missing.status, missing.type], [400, "urn:daybook:problem:invalid_data"]);
    assert.equal((await raise(site, "a", "{")).status, 400);
    assert.equal((await raise(site, "a", '{"by":1}', { "content-type": "text/plain" })).status, 415);
    assert.equal((await raise(site, "a", '{"by":1}', { "content-encoding": "br" })).status, 415);
    assert.equal((await raise(site, "a", `{"by":${"[".repeat(64)}${"]".repeat(64)}}`)).status, 400);
    for (const type of ["things.counter.lower", "__proto__", "constructor", "toString"]) {
      const response = await site.send(`/commands/${type}/a`, { method: "POST", body: "{}", headers: JSON_BODY });
      assert.equal(response.status, 404, type);
      assert.equal((await response.json()).type, "urn:daybook:problem:unknown_command");
    }
  }));

Deno.test("POST /commands is done once for one Idempotency-Key, and conflicts when the data differ", () =>
  withSite(async (site) => {
    const first = await (await raise(site, "a", '{"by":2}', { "idempotency-key": '"k-1"' })).json();
    const again = await raise(site, "a", '{"by":2}', { "idempotency-key": "k-1" });
    assert.deepEqual([again.status, await again.json()], [200, first]);
    assert.equal(again.headers.get("idempotent-replayed"), "true");
    assert.equal(site.log.size, 1);
    const other = await raise(site, "a", '{"by":3}', { "idempotency-key": "k-1" });
    const { type, detail } = await other.json();
    assert.deepEqual([other.status, type], [409, "urn:daybook:problem:command_conflict"]);
    assert.match(detail, /other data or another If-Match or If-None-Match/);
    for (const key of ["", '""', "a b", "x".repeat(256)]) {
      assert.equal((await raise(site, "b", '{"by":1}', { "idempotency-key": key })).status, 400, key);
    }
  }));

Deno.test("an Idempotency-Key that is a Display String is any id of a command, and the one that the log knows", () =>
  withSite(async (site) => {
    const remote = remoteOver(
      (path, init) => site.send(path, { ...init, as: "command" }),
      () => {},
    );
    const by = { authtype: "user", authid: "u_1" } as const;
    for (const [n, command] of ["github:größe", '日本 %41"\\', "x".repeat(300), "a b", "plain"].entries()) {
      const ask = { type: "things.counter.raise", id: `c${n}`, data: { by: 2 }, by, command } as const;
      const first = await remote.ask(ask);
      assert.equal(first.is, "accepted", command);
      assert.deepEqual(await remote.ask(ask), { ...first, duplicate: true }, "done once");
      const [fact] = [...site.log.read({ stream: `things/c${n}` })].flat();
      assert.ok(fact!.id.endsWith(`:${command}/0`), fact!.id);
    }
    for (const key of ['%"%ff"', '%"é"']) {
      assert.equal((await raise(site, "e", '{"by":1}', { "idempotency-key": key })).status, 400, key);
    }
  }));

Deno.test("data that no body holds is invalid, also for who asks from another process", () =>
  withSite(async (site) => {
    const remote = remoteOver((path, init) => site.send(path, { ...init, as: "command" }), () => {});
    const by = { authtype: "user", authid: "u_1" } as const;
    const data = { by: 1, note: "x".repeat(1_100_000) };
    assert.deepEqual(await remote.ask({ type: "things.counter.raise", id: "a", data, by }), {
      is: "invalid",
      issues: [{ path: "", message: "A body has at most 1048576 bytes." }],
    });
  }));

Deno.test("POST /commands with If-Match is done at that revision only; 412 tells the actual one", () =>
  withSite(async (site) => {
    assert.equal((await raise(site, "a", '{"by":1}', { "if-none-match": "*" })).status, 200);
    const there = await raise(site, "a", '{"by":1}', { "if-none-match": "*" });
    assert.deepEqual([there.status, (await there.json()).detail], [412, "Expected no events yet, found revision 0."]);
    const none = await raise(site, "b", '{"by":1}', { "if-match": '"0"' });
    assert.deepEqual([none.status, (await none.json()).detail], [412, "Expected revision 0, found no events yet."]);
    assert.equal((await raise(site, "a", '{"by":1}', { "if-match": '"0"' })).status, 200);
    const late = await raise(site, "a", '{"by":1}', { "if-match": '"0"' });
    assert.deepEqual([late.status, late.headers.get("etag"), (await late.json()).revision], [412, '"1"', 1]);
    for (const match of ["0", '"x"', 'W/"1"', '"1", "2"', "*", '"-1"', '"99999999999999999"']) {
      assert.equal((await raise(site, "a", '{"by":1}', { "if-match": match })).status, 400, match);
    }
    assert.equal((await raise(site, "a", '{"by":1}', { "if-match": '"1"', "if-none-match": "*" })).status, 400);
  }));

Deno.test("POST /commands keeps what made the caller ask, and refuses what cannot be an id", () =>
  withSite(async (site) => {
    const why = { "ce-causationid": "e7", "ce-correlationid": "c1" };
    const done = await raise(site, "a", '{"by":1}', why);
    const { facts: [fact] } = await done.json();
    assert.deepEqual([fact.causationid, fact.correlationid], ["e7", "c1"]);
    for (const wrong of ["a b", "é", "x".repeat(1_025)]) {
      const refused = await raise(site, "a", '{"by":1}', { "ce-causationid": wrong });
      assert.deepEqual([refused.status, (await refused.json()).type], [400, "urn:daybook:problem:invalid_header"]);
    }
  }));

Deno.test("POST /commands says why it was not done and when to come again", () =>
  withSite(async (site) => {
    for (
      const [reason, code] of [["mailbox_full", "overloaded"], ["deadline", "deadline"], ["contention", "overloaded"], [
        "log",
        "unwritable",
      ], ["stopping", "stopping"]] as const
    ) {
      site.faults.ask = () => Promise.resolve({ is: "unavailable", reason, retryAfterMs: 1_500 });
      const response = await raise(site, "a", '{"by":1}');
      assert.deepEqual([response.status, response.headers.get("retry-after")], [503, "2"]);
      const body = await response.json();
      assert.deepEqual([body.type, body.reason], [`urn:daybook:problem:${code}`, reason]);
      const unknown = reason === "deadline" || reason === "log";
      assert.equal(body.detail.startsWith("It was not done"), !unknown, "what may be done is not said to be not");
    }
  }));

Deno.test("GET /views lists them with how far they have come", () =>
  withSite(async (site) => {
    await sendData(site, "a", { name: "lamp" });
    assert.deepEqual(
      (await get(site, "/views")).body,
      {
        size: 1,
        views: [{
          name: "things.seen",
          version: 3,
          about: "What was seen, and how often.",
          indexes: ["name", "times"],
          search: true,
          history: "all",
          state: "live",
          size: 1,
          lag: 0,
        }],
      } as unknown as typeof Object,
    );
  }));

Deno.test("GET /views/{name} filters, sorts, searches and pages", () =>
  withSite(async (site) => {
    for (const [i, name] of ["lamp", "chair", "lamp", "table", "lamp shade"].entries()) {
      await sendData(site, `e${i}`, { name });
    }
    const keys = async (query: string) =>
      (await get(site, `/views/things.seen${query}`)).body.rows.map(({ key }) => key);
    assert.deepEqual(await keys(""), ["chair", "lamp", "lamp shade", "table"]);
    assert.deepEqual(await keys("?times=2"), ["lamp"]);
    assert.deepEqual(await keys("?where.times=1&name=table"), ["table"]);
    assert.deepEqual(await keys("?prefix=lamp"), ["lamp", "lamp shade"]);
    assert.deepEqual(await keys("?q=lamp"), ["lamp", "lamp shade"]);
    assert.deepEqual(await keys("?sort=times&order=desc&limit=1"), ["lamp"]);
    assert.deepEqual(await keys("?sort=-name"), ["table", "lamp shade", "lamp", "chair"]);
    assert.deepEqual(await keys("?from=3"), ["lamp shade", "table"]);
    const first = (await get(site, "/views/things.seen?limit=3")).body;
    assert.deepEqual([first.size, first.name, first.version], [5, "things.seen", 3]);
    assert.deepEqual(await keys(`?limit=3&after=${encodeURIComponent(first.next as string)}`), ["table"]);
  }));

Deno.test("GET /views/{name} refuses questions that do not fit, by parameter", () =>
  withSite(async (site) => {
    await sendData(site, "a", { name: "lamp" });
    for (
      const [query, path] of [
        ["colour=red", "?colour"],
        ["where.colour=red", "?where.colour"],
        ["sort=colour", "?sort"],
        ["after=nonsense", "?after"],
        ["limit=1001", "?limit"],
        ["limit=-1", "?limit"],
        ["at=yesterday", "?at"],
        ["at=-1", "?at"],
        ["at=7", "?at"],
        ["wait=x", "?wait"],
        ["order=up", "?order"],
        ["q=", "?q"],
        ["times=1&times=2", "?times"],
      ] as const
    ) {
      const { status, body } = await get(site, `/views/things.seen?${query}`);
      assert.deepEqual(
        [status, body.type, body.errors[0]!.path],
        [400, "urn:daybook:problem:invalid_query", path],
        query,
      );
    }
    const { body } = await get(site, "/views/things.seen?where.colour=red");
    assert.match(
      (body.errors[0] as { message?: string }).message!,
      /^things\.seen has no indexed field "colour"; it has: /,
    );
    assert.equal((await get(site, "/views/things.unseen")).status, 404);
    assert.equal((await get(site, "/views/things.seen/lamp?limit=1")).status, 400);
    assert.equal((await get(site, "/views/things.unseen/lamp")).status, 404);
    assert.equal((await get(site, "/views?x=1")).status, 400);
  }));

Deno.test("GET /views answers as of a position or a time", () =>
  withSite(async (site) => {
    await sendData(site, "a", { name: "lamp" });
    await new Promise((resolve) => setTimeout(resolve, 5));
    await sendData(site, "b", { name: "lamp" });
    const times = async (at: string) => {
      const { status, body } = await get(site, `/views/things.seen/lamp?at=${encodeURIComponent(at)}`);
      return status === 200
        ? [(body.row as unknown as { times: number }).times, body.size, body.position]
        : [status, body.size];
    };
    assert.deepEqual(await times("0"), [1, 1, 0]);
    assert.deepEqual(await times("1"), [2, 2, 1]);
    const [first, second] = [...site.log.read({})].flat().map(({ recordedat }) => recordedat);
    assert.deepEqual(await times(first!), [1, 1, 0]);
    assert.deepEqual(await times(second!), [2, 2, 1]);
    assert.deepEqual(await times(new Date(Date.parse(second!) - 1).toISOString()), [1, 1, 0]);
    assert.deepEqual(await times("2020-01-01T00:00:00+02:00"), [404, 0]);
    assert.deepEqual(await times("2999-01-01T00:00:00Z"), [2, 2, 1]);
    assert.deepEqual((await get(site, "/views/things.seen?at=2020-01-01T00:00:00Z")).body.rows, []);
    assert.deepEqual((await get(site, "/views/things.seen?at=0")).body.rows.length, 1);
  }));

Deno.test("GET /views names the newest checkpoint that covers the answer, and waits for one who is asked to", () =>
  withSite(async (site) => {
    await sendData(site, "a", { name: "lamp" });
    await sendData(site, "b", { name: "lamp" });
    const paths = ["/views/things.seen", "/views/things.seen/lamp", "/views/things.seen/nothing"];
    const told = async (path: string, prefer?: string) => {
      const response = await site.send(path, prefer === undefined ? {} : { headers: { prefer } });
      return [(await response.json()).checkpoint, response.headers.get("preference-applied")];
    };
    // Nothing was signed yet.
    for (const path of paths) assert.deepEqual(await told(path), [null, null], path);
    const signed = (size: number) => ({ origin: "test", size, root: "AAAA", note: `test\n${size}\nAAAA\n` });
    const { origin: _, ...first } = signed(1);
    const { origin: __, ...second } = signed(2);
    const asked: (number | undefined)[] = [];
    (site.daybook as { checkpoint: unknown }).checkpoint = (atLeast?: number) => {
      asked.push(atLeast);
      return Promise.resolve(signed(atLeast ?? 1));
    };
    for (const path of paths) {
      assert.deepEqual(await told(path), [null, null], `${path}: it covers one event and the answer two`);
      assert.deepEqual(await told(`${path}?at=0`), [first, null], path);
      assert.deepEqual(await told(path, "checkpoint"), [second, "checkpoint"], path);
      assert.deepEqual(asked.splice(0), [undefined, undefined, 2]);
    }
  }));

Deno.test("GET /views hands wait on and says 503 when the view has not come so far", () =>
  withSite(async (site) => {
    await sendData(site, "a", { name: "lamp" });
    const { ViewQuestion } = await import("../projections/views.ts");
    let waited: unknown;
    (site.daybook as { row: unknown }).row = (_: string, __: string, options: unknown) => {
      waited = options;
      return Promise.reject(new ViewQuestion("not_yet", "not yet"));
    };
    const response = await site.send("/views/things.seen/lamp?wait=5");
    assert.deepEqual([response.status, response.headers.get("retry-after")], [503, "1"]);
    assert.equal((await response.json()).type, "urn:daybook:problem:view_behind");
    assert.deepEqual(waited, { wait: 5, deadline: 10_000 });
    (site.daybook as { view: unknown }).view = () =>
      Promise.reject(new ViewQuestion("no_history", "It keeps the newest only."));
    assert.deepEqual((await get(site, "/views/things.seen?at=0")).status, 422);
  }));

Deno.test("GET /views says 503 with a retry hint while views cannot be read or are built again, and nothing of the inside", () =>
  withSite(async (site) => {
    const { ViewQuestion, ViewsFault } = await import("../projections/views.ts");
    const cause = "views.db: database disk image is malformed";
    for (
      const [error, type] of [
        [new ViewsFault("damaged", cause), "views_unavailable"],
        [new ViewsFault("unwritable", cause), "views_unavailable"],
        [new ViewQuestion("rebuilding", cause), "view_behind"],
      ] as const
    ) {
      (site.daybook as { view: unknown }).view = () => Promise.reject(error);
      (site.daybook as { row: unknown }).row = () => Promise.reject(error);
      for (const path of ["/views/things.seen", "/views/things.seen/lamp"]) {
        const response = await site.send(path);
        assert.deepEqual([response.status, response.headers.get("retry-after")], [503, "1"]);
        assert.equal(response.headers.get("content-type"), "application/problem+json");
        const body = await response.text();
        assert.equal(JSON.parse(body).type, `urn:daybook:problem:${type}`);
        assert.doesNotMatch(body, /malformed|views\.db/);
      }
    }
  }));

Deno.test("GET /readyz names the projections that stand still; without any view it is not ready", () =>
  withSite(async (site) => {
    const status = site.daybook.status();
    const probe = async (projections: readonly unknown[]) => {
      (site.daybook as { status: unknown }).status = () => ({ ...status, projections });
      const response = await site.send("/readyz");
      const { status: said, stopped } = await response.json();
      return [response.status, said, stopped];
    };
    const live = { name: "things.seen", version: 1, state: "live", size: 9, lag: 0 };
    const poisoned = {
      ...live,
      name: "things.poisoned",
      state: "stopped",
      stoppedAt: { position: 4, cause: "cannot take lamp", of: "event" },
    };
    const cause = "views.db: database or disk is full";
    const full = { ...live, state: "stopped", stoppedAt: { position: 9, cause, of: "views" } };
    assert.deepEqual(await probe([live]), [200, "ready", []]);
    // Whoever asks is nobody in particular: what an event made a fold throw is not for them.
    assert.deepEqual(await probe([live, poisoned]), [200, "ready", [{ name: "things.poisoned", position: 4 }]]);
    assert.deepEqual(await probe([full, poisoned]), [503, "views_stopped", [
      { name: "things.seen", position: 9, cause },
      { name: "things.poisoned", position: 4 },
    ]]);
  }));

Deno.test("GET /views/{name}/{key} decodes the key and says 404 with the size it reflects", () =>
  withSite(async (site) => {
    await sendData(site, "a", { name: "a/b c?d" });
    const { body } = await get(site, `/views/things.seen/${encodeURIComponent("a/b c?d")}`);
    assert.deepEqual([body.key, body.position, body.size], ["a/b c?d", 0, 1]);
    assert.equal((await get(site, "/views/things.seen/a/b%20c%3Fd")).status, 200);
    const none = await get(site, "/views/things.seen/nothing");
    assert.deepEqual([none.status, none.body.type, none.body.size], [404, "urn:daybook:problem:no_row", 1]);
  }));

Deno.test("probes answer from memory, whatever the log is able to", () =>
  withSite(async (site) => {
    const probe = async (path: string) => {
      const response = await site.send(path, { as: null });
      return [response.status, (await response.json()).status];
    };
    assert.deepEqual([await probe("/livez"), await probe("/readyz")], [[200, "alive"], [200, "ready"]]);
    for (const state of ["starting", "unwritable", "stopping"] as const) {
      site.faults.status = { state };
      assert.deepEqual([await probe("/livez"), await probe("/readyz")], [[200, "alive"], [503, state]]);
    }
  }));

Deno.test("GET /checkpoint gives the signed note as it is, or says that there is none", () =>
  withSite(async (site) => {
    assert.equal((await get(site, "/checkpoint")).body.type, "urn:daybook:problem:no_checkpoint");
    site.faults.note = "daybook.example/log\n5\nAAAA\n\n— daybook.example/log xyz\n";
    const response = await site.send("/checkpoint");
    assert.equal(response.headers.get("content-type"), "text/plain; charset=utf-8");
    assert.equal(await response.text(), site.faults.note);
  }));

Deno.test("GET / is the status as JSON for programs", () =>
  withSite(async (site) => {
    const { status, body } = await get(site, "/");
    assert.deepEqual([status, body], [200, JSON.parse(JSON.stringify(site.daybook.status()))]);
    assert.equal((await site.send("/", { headers: { accept: "image/png" } })).status, 406);
  }));

Deno.test("GET /metrics counts what was done, and says nothing of who or what", () =>
  withSite(async (site) => {
    await sendData(site, "secret-id", { name: "secretlamp" });
    await (await raise(site, "secretentity", '{"by":1}')).body?.cancel();
    await (await site.send("/views/things.seen/secretlamp")).body?.cancel();
    await (await site.send("/secretpath")).body?.cancel();
    const response = await site.send("/metrics");
    assert.match(response.headers.get("content-type")!, /^text\/plain; version=0\.0\.4/);
    const text = await response.text();
    assert.doesNotMatch(text, /secret|t_ingest/);
    const value = (series: string) =>
      Number(text.split("\n").find((line) => line.startsWith(series + " "))?.split(" ")[1]);
    assert.equal(value("daybook_events_accepted_total"), 1);
    assert.equal(value("daybook_log_events"), 2);
    assert.equal(value("daybook_append_duration_seconds_count"), 1);
    assert.equal(value('daybook_append_duration_seconds_bucket{le="+Inf"}'), 1);
    assert.equal(value('daybook_http_request_duration_seconds_count{method="POST",route="/events",status="201"}'), 1);
    assert.equal(value('daybook_projection_lag_events{projection="things.seen"}'), 0);
    assert.equal(value("daybook_restarts_total"), 9);
    assert.equal(value('daybook_children{state="backoff"}'), 1);
    assert.equal(value("daybook_group_events"), 12);
    for (const line of text.trimEnd().split("\n")) {
      assert.match(line, /^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? [0-9.e+-]+|)$/);
    }
  }, {
    measures: [{
      name: "daybook_group_events",
      help: "Events of the last commit.",
      kind: "gauge",
      samples: () => [{ labels: {}, value: 12 }],
    }],
  }));

const countsOf = async (site: Site): Promise<string[]> =>
  (await (await site.send("/metrics")).text()).split("\n")
    .flatMap((line) => line.startsWith(COUNT) ? [line.slice(COUNT.length)] : []).sort();
const COUNT = "daybook_http_request_duration_seconds_count{";

Deno.test("GET /metrics counts a request that is refused once, wherever that is found", () =>
  withSite(async (site) => {
    const answers = [
      await raise(site, "a", '{"by":"x"}'), // once its body is read
      await site.send("/views/nobody.has"),
      await site.send("/events", { headers: { authorization: "Bearer wrong" } }), // before its route
    ];
    for (const answer of answers) await answer.body?.cancel();
    assert.deepEqual(answers.map(({ status }) => status), [400, 404, 401]);
    assert.deepEqual(await countsOf(site), [
      'method="GET",route="/events",status="401"} 1',
      'method="GET",route="/views/:name",status="404"} 1',
      'method="POST",route="/commands/:type/:id{.+}",status="400"} 1',
    ]);
  }));

Deno.test("GET /metrics counts requests for what no route has, by nothing that their sender chose", () =>
  withSite(async (site) => {
    const answers = [
      await site.send("/secretpath"),
      await site.send("/other/secretpath", { method: "SECRET" }),
      await site.send("/events", { method: "SECRET" }),
      await site.send("/events", { method: "OPTIONS" }),
    ];
    for (const answer of answers) await answer.body?.cancel();
    assert.deepEqual(answers.map(({ status }) => status), [404, 404, 405, 204]);
    assert.deepEqual(await countsOf(site), [
      'method="*",route="*",status="204"} 1',
      'method="*",route="*",status="404"} 2',
      'method="*",route="*",status="405"} 1',
    ]);
  }));
