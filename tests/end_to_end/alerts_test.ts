/** Alerts from an event to the people who are told, through the real program: over restarts, deaths, and receivers in trouble. */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import { stringify } from "yaml";
import { httpReceiver, mailServer } from "../channels_given.ts";
import { inFolder } from "../folder_given.ts";
import { type Server, started } from "../recipes/recipe.ts";
import { freePort } from "../recipes/siem_recipe.ts";
import { until } from "../until.ts";
import { Program, run } from "./program.ts";
import { Stand, tracing } from "./stack_given.ts";

type Asked = Pick<Server, "url" | "token">;

const RULES = {
  job: {
    title: "A job has failed",
    severity: "critical",
    when: { type: "ci.job.failed" },
    until: { type: "ci.job.passed" },
    per: ["data.job"],
  },
  hung: {
    title: "A job hangs",
    when: { type: "ci.job.begun" },
    until: { type: "ci.job.ended" },
    per: ["data.job"],
    for: "3s",
  },
  note: { title: "A job was late", severity: "info", when: { type: "ci.job.delayed" }, per: ["data.job"] },
};
const RETRY = { first_ms: 20, max_ms: 200 };

const get = async <T>({ url, token }: Asked, path: string): Promise<T> => {
  const answer = await fetch(`${url.replace(/\/$/, "")}${path}`, { headers: { authorization: `Bearer ${token}` } });
  assert.equal(answer.status, 200, path);
  return await answer.json() as T;
};

interface Told {
  readonly position: number;
  readonly recordedat: string;
  // deno-lint-ignore no-explicit-any
  readonly data: any;
}
const eventsOf = async (server: Asked, type: string): Promise<readonly Told[]> =>
  (await get<{ events: readonly Told[] }>(server, `/events?type=${type}&limit=1000`)).events;

/** An event of each of the jobs, all at once. */
const say = async (
  { url, token }: Asked,
  id: string,
  type: string,
  ...jobs: readonly [string, ...string[]]
): Promise<void> => {
  const answer = await fetch(`${url.replace(/\/$/, "")}/events`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/cloudevents-batch+json" },
    body: JSON.stringify(
      jobs.map((job) => ({ specversion: "1.0", id: `${id}-${job}`, source: "/ci", type, data: { job } })),
    ),
  });
  assert.equal(answer.status, 201, await answer.text());
};

/** A configuration with secrets beside it. */
const configured = async (
  folder: string,
  { group_ms, sinks }: { readonly group_ms: number; readonly sinks: readonly Record<string, unknown>[] },
): Promise<string> => {
  await Deno.writeTextFile(`${folder}/routing`, "R".repeat(32));
  await Deno.writeTextFile(`${folder}/hook`, `whsec_${btoa("a secret of 24 bytes or more")}`);
  const config = { alerting: { defaults: false, every_ms: 100, group_ms, rules: RULES }, sinks };
  await Deno.writeTextFile(`${folder}/daybook.yaml`, stringify(config));
  return `${folder}/daybook.yaml`;
};

Deno.test("an alert is told to every channel from its beginning to its end, with no more permissions than that takes", () =>
  inFolder(async (folder) => {
    const [chat, pager, hook, mail] = [httpReceiver(), httpReceiver(), httpReceiver(), await mailServer()];
    pager.answer = () => new Response("{}", { status: 202 });
    // The first time there is too much going on.
    chat.answer = (n) =>
      n === 1 ? new Response(null, { status: 429, headers: { "retry-after": "1" } }) : new Response("ok");
    await Deno.writeTextFile(`${folder}/chat`, chat.url);
    const config = await configured(folder, {
      group_ms: 100,
      sinks: [
        {
          name: "chat",
          kind: "slack",
          host: chat.host,
          webhook_url: { file: "chat" },
          retry: { first_ms: 20, max_ms: 1_500 },
        },
        {
          name: "pager",
          kind: "pagerduty",
          url: pager.url,
          routing_key: { file: "routing" },
          severities: ["critical"],
        },
        {
          name: "hook",
          kind: "webhook",
          url: hook.url,
          secret: { file: "hook" },
          types: ["alerts.group.notified"],
          rules: ["job"],
        },
        {
          name: "mail",
          kind: "email",
          // A name, for which nothing may be asked but the address itself.
          host: "localhost",
          port: mail.port,
          tls: "none",
          sender: "daybook@example.com",
          recipients: ["ops@example.com"],
        },
      ],
    });
    const data = `${folder}/data`;
    const server = await started(data, {
      command: ["task", "start", "--data", data, "--port", "0", "--config", config],
    });
    const at = (...args: readonly string[]) => run("alerts", ...args, "--data", data);
    try {
      await say(server, "1", "ci.job.failed", "build");
      const all = (n: number) => () => pager.posts.length >= n && hook.posts.length >= n && mail.mails.length >= n;
      await until("all are told that it is so", all(1));
      const listed = await at("list", "--json");
      const { alerts: [alert] } = JSON.parse(listed.out) as {
        alerts: { rule: string; alert: string; state: string }[];
      };
      assert.deepEqual([listed.code, alert!.rule, alert!.state], [1, "job", "raised"]);
      const acknowledged = await at("acknowledge", `job/${alert!.alert}`, "--note", "on it");
      assert.equal(acknowledged.code, 0, acknowledged.err);
      await until("all are told that somebody has it", all(2));
      assert.match((await at("list")).out, /job\/\S+ +critical +acknowledged .*A job has failed +job=build/);
      await say(server, "2", "ci.job.passed", "build");
      await until("all are told that it is over", all(3));
      await say(server, "3", "ci.job.delayed", "build");
      await until("a note goes where notes go", () => mail.mails.length === 4 && chat.posts.length === 5);
      assert.deepEqual(pager.posts.map(({ body }) => body.event_action), ["trigger", "acknowledge", "resolve"]);
      assert.equal(new Set(pager.posts.map(({ body }) => body.dedup_key)).size, 1);
      assert.equal(pager.posts[0]!.body.routing_key, "R".repeat(32));
      assert.deepEqual(hook.posts.map(({ body }) => [body.type, body.data.data.status]), [
        ["alerts.group.notified", "raised"],
        ["alerts.group.notified", "acknowledged"],
        ["alerts.group.notified", "resolved"],
      ]);
      assert.deepEqual(mail.mails.map(({ headers }) => headers.get("subject")), [
        "[CRITICAL] A job has failed",
        "[acknowledged] A job has failed",
        "[resolved] A job has failed",
        "[INFO] A job was late",
      ]);
      assert.deepEqual(
        new Set(chat.posts.map(({ body }) => body.text)),
        new Set(mail.mails.map(({ headers }) => headers.get("subject"))),
      );
      const metrics = await (await server.get("/metrics")).text();
      assert.match(metrics, /^daybook_alerts_standing\{rule="note",severity="info"\} 1$/m);
      for (
        const wrong of [["resolve", "no such"], ["silence", "job"], [
          "silence",
          "job",
          "--until",
          "soon",
          "--reason",
          "x",
        ]]
      ) {
        assert.equal((await at(...wrong)).code, 2, wrong.join(" "));
      }
      assert.equal((await at("resolve", "job")).code, 1);
    } finally {
      assert.equal(await server.stop(), 0);
      await Promise.all([chat.stop(), pager.stop(), hook.stop(), mail.stop()]);
    }
  }));

Deno.test("killed before its window was over and again before anybody was told, it tells once what it has to; nobody misses anything", () =>
  inFolder(async (folder) => {
    const data = `${folder}/data`;
    const [port, chat, hook] = [freePort(), httpReceiver(), httpReceiver()];
    let mail = await mailServer({
      onMailFrom: (_, __, done) => done(Object.assign(new Error("later"), { responseCode: 451 })),
    });
    const mailPort = mail.port;
    chat.answer = () => new Response("no", { status: 500 });
    const never = new AbortController();
    const stuck = () =>
      new Promise<Response>((resolve) => never.signal.addEventListener("abort", () => resolve(new Response("late"))));
    hook.answer = stuck;
    await Deno.writeTextFile(`${folder}/chat`, chat.url);
    const config = await configured(folder, {
      group_ms: 2_000,
      sinks: [
        { name: "chat", kind: "slack", host: chat.host, webhook_url: { file: "chat" }, retry: RETRY },
        {
          name: "pager",
          kind: "pagerduty",
          url: `http://127.0.0.1:${port}/enqueue`,
          routing_key: { file: "routing" },
          retry: RETRY,
        },
        {
          name: "hook",
          kind: "webhook",
          url: hook.url,
          secret: { file: "hook" },
          types: ["alerts.group.notified"],
          deliver_ms: 200,
          retry: RETRY,
        },
        {
          name: "mail",
          kind: "email",
          host: "127.0.0.1",
          port: mailPort,
          tls: "none",
          sender: "daybook@example.com",
          recipients: ["ops@example.com"],
          retry: RETRY,
        },
      ],
    });
    const start = () => Program.start(data, {}, { more: ["--config", config] });
    let program = await start();
    await say(program, "1", "ci.job.failed", "build", "test");
    await until("both are raised", async () => (await eventsOf(program, "alerts.alert.raised")).length === 2);
    await program.end("SIGKILL");
    program = await start();
    await until("they are to be told", async () => (await eventsOf(program, "alerts.group.notified")).length === 1);
    await until("it is tried", () => chat.posts.length > 0 && hook.posts.length > 0);
    await program.end("SIGKILL");
    program = await start();
    const tried = chat.posts.length;
    await until("it is tried again", () => chat.posts.length > tried + 2);
    await say(program, "2", "ci.job.passed", "build", "test");
    const notified = async () => await eventsOf(program, "alerts.group.notified");
    await until("it is over", async () => (await notified()).at(-1)!.data.status === "resolved");
    // Now they come back, one after the other.
    await mail.stop();
    mail = await mailServer({}, mailPort);
    const pager = httpReceiver(port);
    chat.answer = () => new Response("ok");
    hook.answer = () => new Response("ok");
    never.abort();
    try {
      const all = (await notified()).map(({ position, data }) => ({ position, status: data.status as string }));
      assert.deepEqual([all[0]!.status, all.at(-1)!.status], ["raised", "resolved"]);
      const last = all.at(-1)!.position;
      await until("the pager has all", () => pager.posts.some(({ body }) => body.event_action === "resolve"));
      await until("the mails are there", () => mail.mails.length >= all.length);
      const delivered = (name: string) => async () => {
        const metrics = await (await fetch(`${program.url.replace(/\/$/, "")}/metrics`, {
          headers: { authorization: `Bearer ${program.token}` },
        })).text();
        return new RegExp(`^daybook_sink_lag_events\\{sink="${name}"\\} 0$`, "m").test(metrics);
      };
      for (const name of ["chat", "hook", "pager", "mail"]) await until(`${name} has all`, delivered(name));
      const first = (await notified())[0]!;
      assert.deepEqual(first.data.raised.length, 2, "one word for both");
      assert.deepEqual(
        pager.posts.map(({ body }) => body.event_action),
        all.map(({ status }) => ({ raised: "trigger", resolved: "resolve" })[status]),
      );
      assert.equal(new Set(pager.posts.map(({ body }) => body.dedup_key)).size, 1);
      assert.deepEqual(
        mail.mails.map(({ headers }) => /\.(\d+)@/.exec(headers.get("message-id")!)![1]),
        all.map(({ position }) => String(position)),
      );
      // The stuck one was posted to more than once: always as the same message.
      const ids = hook.posts.map(({ headers }) => headers.get("webhook-id")!);
      assert.ok(ids.length > all.length && new Set(ids).size === all.length && ids.at(-1)!.endsWith(`_${last}`));
      assert.equal((await eventsOf(program, "kernel.message.dead_lettered")).length, 0);
      assert.equal((await eventsOf(program, "alerts.alert.raised")).length, 2, "looking again finds nothing new");
    } finally {
      await program.end("SIGTERM");
      await Promise.all([chat.stop(), hook.stop(), pager.stop(), mail.stop()]);
    }
  }));

Deno.test("a silence holds over a death, and so does the time that something must last; what stands when it is over is told then", () =>
  inFolder(async (folder) => {
    const data = `${folder}/data`;
    const chat = httpReceiver();
    await Deno.writeTextFile(`${folder}/chat`, chat.url);
    const config = await configured(folder, {
      group_ms: 0,
      sinks: [{ name: "chat", kind: "slack", host: chat.host, webhook_url: { file: "chat" }, retry: RETRY }],
    });
    const start = () => Program.start(data, {}, { more: ["--config", config] });
    let program = await start();
    try {
      const over = new Date(Date.now() + 6_000).toISOString();
      const silenced = await fetch(`${program.url.replace(/\/$/, "")}/commands/alerts.silence.begin/job`, {
        method: "POST",
        headers: { authorization: `Bearer ${program.token}`, "content-type": "application/json" },
        body: JSON.stringify({ until: over, why: "We know" }),
      });
      assert.equal(silenced.status, 200, await silenced.text());
      await say(program, "1", "ci.job.failed", "build");
      await say(program, "2", "ci.job.begun", "build");
      await until("it is raised", async () => (await eventsOf(program, "alerts.alert.raised")).length >= 1);
      await until("it may hang", async () => (await eventsOf(program, "alerts.condition.begun")).length === 1);
      await program.end("SIGKILL");
      program = await start();
      await until("it hangs", async () => (await eventsOf(program, "alerts.alert.raised")).length === 2);
      const hangs = (await eventsOf(program, "alerts.alert.raised")).find(({ data }) => data.title === "A job hangs");
      const [began] = await eventsOf(program, "alerts.condition.begun");
      assert.deepEqual([hangs!.data.labels, hangs!.data.since], [[{ name: "job", value: "build" }], began!.data.since]);
      assert.ok(hangs!.recordedat >= began!.data.until);
      await until("both are told", () => chat.posts.length === 2);
      const [ended] = await eventsOf(program, "alerts.silence.ended");
      const told = (await eventsOf(program, "alerts.group.notified")).filter(({ data }) =>
        data.title === "A job has failed"
      );
      assert.deepEqual([ended!.data.because, told.length], ["over", 1]);
      assert.ok(ended!.recordedat >= over && told[0]!.position > ended!.position);
    } finally {
      await program.end("SIGTERM");
      await chat.stop();
    }
  }));

Deno.test("a service that fails is an alert without any rule of one's own, and is over when it is well", () =>
  Stand.with((traces) => `
alerting: { every_ms: 100, group_ms: 0 }
services:
  job:
    ${tracing(traces, "job", "test -e fine && exec sleep 1000; exit 3")}
    restart: { policy: no }
`, async (stand) => {
    await stand.start({}, ["--config", stand.file]);
    await stand.until((rows) => rows.some(({ state }) => state === "failed"));
    const list = async (...args: readonly string[]) => {
      const { code, out, err } = await run("alerts", "list", "--json", ...args, "--data", stand.data);
      assert.ok(code < 2, err);
      const { alerts } = JSON.parse(out) as {
        alerts: { rule: string; state: string; severity: string; about: string }[];
      };
      return { code, alerts: alerts.filter(({ rule }) => rule === "service-failed") };
    };
    await until("it is an alert", async () => (await list()).alerts.length === 1);
    const { code, alerts: [alert] } = await list();
    assert.deepEqual([code, alert!.state, alert!.severity], [1, "raised", "critical"]);
    assert.match(alert!.about, /service=job replica=0$/);
    await Deno.writeTextFile(`${dirname(stand.file)}/fine`, "");
    await stand.send("services.stack.up");
    await until("it is over", async () => (await list()).alerts.length === 0);
    assert.equal((await list("--all")).alerts[0]!.state, "resolved");
    await stand.down();
  }));

Deno.test("a rule or a channel that cannot be is refused before anything starts", () =>
  inFolder(async (folder) => {
    const refused = async (text: string) => {
      await Deno.writeTextFile(`${folder}/daybook.yaml`, text);
      const { code, out, err } = await run(
        "start",
        "--data",
        `${folder}/data`,
        "--port",
        "0",
        "--config",
        `${folder}/daybook.yaml`,
      );
      assert.deepEqual([code, out], [2, ""], err);
      await Deno.remove(`${folder}/data`, { recursive: true }).catch(() => {});
      return err;
    };
    const rule = (more: string) => `alerting:\n  rules:\n    it: { title: It is so, ${more} }\n`;
    assert.match(
      await refused(rule("when: { type: services.instance.faild }")),
      /^daybook: .+daybook\.yaml:3:\d+ alerting\.rules\.it\.when\.type: expected a type of events that there is, found "services\.instance\.faild"\n$/,
    );
    assert.match(
      await refused(rule("view: no.view, where: { a: 1 }")),
      /:3:\d+ alerting\.rules\.it\.view: expected one of/,
    );
    await Deno.writeTextFile(`${folder}/url`, "https://hooks.slack.com.example/services/hidden");
    const elsewhere = await refused(`sinks: [{ name: chat, kind: slack, webhook_url: { file: url } }]\n`);
    assert.match(elsewhere, /^daybook: sink chat: its webhook_url is none of HTTP at hooks\.slack\.com/);
    assert.doesNotMatch(elsewhere, /hidden/);
    assert.match(
      await refused(`sinks: [{ name: pager, kind: pagerduty, routing_key: { env: NO_SUCH_KEY } }]\n`),
      /sink pager: its routing_key is not there/,
    );
  }));
