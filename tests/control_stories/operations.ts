/** Lives of the controls over the log and what runs beside it, and the ways in which they are broken. */
import { BEGAN, DAY, ENDS, HOUR, MINUTE, type Sowing, type Story } from "../controls_given.ts";
import { lately, MS, ROOT } from "./told.ts";

const verified = (story: Story, at: number, ok = true) =>
  story.say(at, "kernel.log.verified", {
    size: 1,
    root: ROOT,
    ok,
    failures: ok ? 0 : 1,
    anchored: 0,
    because: "schedule",
  }, { authid: "kernel", source: "kernel" });

/** Something again and again, each time after a span. */
const everySo = (span: () => number, say: (at: number) => void) => {
  let at = BEGAN;
  for (;;) {
    const next = at + span();
    if (next > ENDS) break;
    say(at = next);
  }
  // The end is no gap either.
  if (ENDS - at > HOUR) say(ENDS - MINUTE);
};

/** A day on which no one verifies; kept by both stories of verification. */
const pair = (story: Story, first: string, second: string, { at, after, data, data2 = data }: {
  readonly at: number;
  readonly after?: number;
  readonly data: object;
  readonly data2?: object;
}) => {
  story.say(at, first, data);
  if (after !== undefined) story.say(at + after, second, data2);
};

const archived = (story: Story, at: number) =>
  story.say(at, "kernel.log.archived", { until: 1, kept: 0, link: ROOT, root: ROOT });

const unwell = (story: Story, at: number, service: string, replica = 0) =>
  story.say(at, "services.health.lost", { service, replica, nonce: "n", probe: "liveness", because: "timeout" });
const wellAgain = (story: Story, at: number, service: string, replica = 0) =>
  story.say(at, "services.health.confirmed", { service, replica, nonce: "n", probed: true, at_ms: at });

const sinkFailed = (sink: string) => ({ sink, cause: "refused", size: 1 });
const sinkBack = (sink: string) => ({ sink, failed_ms: 1, attempts: 1, size: 1 });
const letter = (name: string) => ({ letter: name, target: "t", cause: "c", bytes: 1 });
const started = (story: Story, at: number, clean = true) =>
  story.say(at, "kernel.process.started", { version: "1", root: "daybook", clean });
const suppressed = (story: Story, at: number) =>
  story.say(at, "kernel.facts.suppressed", {
    child: "daybook:http",
    cause: "c",
    count: 3,
    first: new Date(at).toISOString(),
    last: new Date(at).toISOString(),
  });
const exception = (story: Story, at: number, days: number, approvedby?: string) =>
  story.say(at, "controls.exception.granted", {
    until: new Date(Math.round(at + days * DAY)).toISOString(),
    why: "A migration",
    ...(approvedby === undefined ? {} : { approvedby }),
  }, { stream: "controls/of-nothing" });

const counting = (story: Story, at: number, number: number, source: string) =>
  story.say(at, "releases.gate.passed", { commit: "d".repeat(40), gate: "lint" }, {
    source,
    ...{ sequence: String(number), sequencetype: "Integer" },
  });

const GAVE_UP = { child: "daybook", because: "daybook:http", cause: "c", max: 5, within_ms: 60_000 };

export const OPERATIONS: Readonly<Record<string, Sowing>> = {
  "log-verified-daily": {
    clean(story) {
      everySo(() => story.random.pick([24 * HOUR, 26 * HOUR]), (at) => verified(story, at));
    },
    broken: [],
  },
  "log-verifications-hold": {
    clean() {},
    broken: [(story) => verified(story, lately(story), false)],
  },
  // These logs are shorter than a year; what lies on both sides of it is in `controls_rules_test.ts`.
  "log-kept-12-months": { clean() {}, broken: [(story) => archived(story, lately(story))] },
  "views-attested": {
    clean(story) {
      everySo(() => story.random.pick([7 * DAY, 8 * DAY]), (at) =>
        story.say(at, "kernel.projection.attested", {
          projection: "audit.trail",
          version: 1,
          size: 1,
          rows: 1,
          digest: ROOT,
          method: "lthash",
        }, { source: "kernel" }));
    },
    broken: [],
  },
  "sources-complete": {
    clean(story) {
      // Out of order, one of them nearly a day late; then a source that says when it lives.
      const [source, at] = [story.name("urn:counting:"), lately(story, 4)];
      for (const [number, hours] of [[1, 0], [2, 1], [4, 2], [6, 3], [5, 4], [7, 5]] as const) {
        counting(story, at + hours * HOUR, number, source);
      }
      counting(story, at + 26 * HOUR, 3, source);
      const beating = { source: story.name("urn:beating:") };
      story.say(ENDS - 10 * HOUR, "sources.source.declared", { heartbeat_s: 3_600 }, beating);
      for (let hour = 9; hour > 0; hour -= 2) {
        story.say(ENDS - hour * HOUR, "sources.heartbeat.sent", {}, beating);
      }
    },
    broken: [
      (story) => {
        const [source, at] = [story.name("urn:counting:"), lately(story)];
        story.sowing = false;
        counting(story, at, 1, source);
        story.sowing = true;
        counting(story, at + HOUR, 3, source);
      },
      (story) => {
        // It comes, a moment too late.
        const [source, at] = [story.name("urn:counting:"), lately(story)];
        story.sowing = false;
        counting(story, at, 1, source);
        counting(story, at + HOUR, 3, source);
        story.sowing = true;
        counting(story, at + 25 * HOUR + MS, 2, source);
      },
      (story) => {
        const [beating, at] = [{ source: story.name("urn:beating:") }, lately(story)];
        story.sowing = false;
        story.say(at, "sources.source.declared", { heartbeat_s: 3_600 }, beating);
        story.sowing = true;
        story.say(at + HOUR, "sources.heartbeat.sent", {}, beating);
      },
      (story) => {
        const [beating, at] = [{ source: story.name("urn:beating:") }, lately(story)];
        story.sowing = false;
        story.say(ENDS - 3 * HOUR - MS, "sources.source.declared", { heartbeat_s: 3_600 }, beating);
        story.sowing = true;
        story.say(ENDS - HOUR, "sources.heartbeat.sent", { last: at % 7 }, beating);
      },
      (story) => {
        // The tail is lost: only its own word tells.
        const [source, at] = [story.name("urn:counting:"), lately(story)];
        story.sowing = false;
        counting(story, at, 1, source);
        story.sowing = true;
        story.say(at + HOUR, "sources.heartbeat.sent", { last: 2 }, { source });
      },
    ],
  },
  "sinks-recover": {
    clean(story) {
      story.say(BEGAN + DAY, "kernel.sink.added", { sink: "siem", from: 0 });
      const at = lately(story);
      pair(story, "kernel.sink.failed", "kernel.sink.recovered", {
        at,
        after: HOUR,
        data: sinkFailed("siem"),
        data2: sinkBack("siem"),
      });
      story.say(ENDS - HOUR + MINUTE, "kernel.sink.failed", sinkFailed(story.name("late")));
    },
    broken: [
      (story) => {
        const [at, sink] = [lately(story), story.name("sink")];
        story.say(at, "kernel.sink.failed", sinkFailed(sink));
        story.sowing = false;
        story.say(at + HOUR + MS, "kernel.sink.recovered", sinkBack(sink));
      },
      (story) => {
        const [at, sink] = [lately(story), story.name("sink")];
        story.say(at, "kernel.sink.failed", sinkFailed(sink));
        story.sowing = false;
        story.say(at + MINUTE, "kernel.sink.recovered", sinkBack("another"));
      },
    ],
  },
  "dead-letters-redriven": {
    clean(story) {
      const name = story.name("l");
      const data2 = { letter: name, target: "t" };
      pair(story, "kernel.message.dead_lettered", "kernel.message.redriven", {
        at: lately(story),
        after: DAY,
        data: letter(name),
        data2,
      });
    },
    broken: [
      (story) => story.say(lately(story), "kernel.message.dead_lettered", letter(story.name("l"))),
      (story) => {
        const [at, name] = [lately(story), story.name("l")];
        story.say(at, "kernel.message.dead_lettered", letter(name));
        story.sowing = false;
        story.say(at + DAY + MS, "kernel.message.redriven", { letter: name, target: "t" });
      },
    ],
  },
  "given-up-is-restarted": {
    clean(story) {
      const at = story.when(190, 195);
      story.say(at, "kernel.child.gave_up", GAVE_UP);
      started(story, at + HOUR);
    },
    broken: [
      (story) => story.say(story.when(196, 198), "kernel.child.gave_up", GAVE_UP),
      (story) => {
        const at = story.when(196, 198);
        story.say(at, "kernel.child.gave_up", GAVE_UP);
        story.sowing = false;
        started(story, at + HOUR + MS);
      },
    ],
  },
  "services-recover": {
    clean(story) {
      const [at, service] = [lately(story), story.name("s")];
      wellAgain(story, at, service);
      unwell(story, at + HOUR, service);
      wellAgain(story, at + HOUR + 15 * MINUTE, service);
      unwell(story, at + 2 * HOUR, service, 1);
      story.say(at + 2 * HOUR + MINUTE, "services.instance.stopped", { service, replica: 1 });
      unwell(story, ENDS - 15 * MINUTE, service);
    },
    broken: [
      (story) => unwell(story, lately(story), story.name("s")),
      (story) => {
        const [at, service] = [lately(story), story.name("s")];
        unwell(story, at, service);
        story.sowing = false;
        wellAgain(story, at + 15 * MINUTE + MS, service);
      },
      (story) => {
        const [at, service] = [lately(story), story.name("s")];
        unwell(story, at, service);
        story.sowing = false;
        wellAgain(story, at + MINUTE, service, 1);
      },
    ],
  },
  "clean-stops": {
    clean(story) {
      const at = BEGAN + 175 * DAY;
      for (const hours of [0, 8, 16]) started(story, at + hours * HOUR, false);
      started(story, at + 24 * HOUR + MS, false);
      for (let i = 0; i < 9; i++) started(story, at + i * HOUR);
    },
    broken: [
      (story) => {
        const at = ENDS - 10 * DAY;
        story.sowing = false;
        for (const hours of [0, 8, 16]) started(story, at + hours * HOUR, false);
        story.sowing = true;
        started(story, at + 24 * HOUR, false);
      },
    ],
  },
  "history-not-suppressed": {
    clean(story) {
      const at = story.when(188, 190);
      for (let i = 0; i < 10; i++) suppressed(story, at + i * HOUR);
      suppressed(story, at + 24 * HOUR + MS);
    },
    broken: [
      (story) => {
        const at = BEGAN + 175 * DAY;
        story.sowing = false;
        for (let i = 0; i < 10; i++) suppressed(story, at + i);
        story.sowing = true;
        suppressed(story, at + DAY);
      },
    ],
  },
  "exceptions-approved": {
    clean(story) {
      exception(story, lately(story), 90, "u_second");
      exception(story, story.when(), 1, "u_second");
    },
    broken: [
      (story) => exception(story, lately(story), 10),
      (story) => exception(story, lately(story), 10, "u_operator"),
      (story) => exception(story, lately(story), 90 + MS / DAY, "u_second"),
    ],
  },
};
