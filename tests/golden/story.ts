/**
 * What happens in a golden log: every fact type that is shipped, in every form that readers tell apart. Given by hand and
 * in full, so that the log does not change because something else in the program does.
 */
import { createHash } from "node:crypto";
import { commits } from "../../actors/commits.ts";
import type { Branches, BranchFact, CommitCommand } from "../../actors/commits.ts";
import { cloudtrailSource } from "../../events/cloudtrail.ts";
import type { Millis, StreamId } from "../../events/event.ts";
import type { KernelFact } from "../../events/kernel.ts";
import type { NewEvent } from "../../events/log.ts";
import { accessStory } from "./access_story.ts";
import { alertsStory } from "./alerts_story.ts";
import { identityStory } from "./identity_story.ts";
import { privacyStory } from "./privacy_story.ts";
import { retentionStory } from "./retention_story.ts";
import { certificatesStory } from "./certificates_story.ts";
import { servicesStory } from "./services_story.ts";
import { doorStory } from "./door_story.ts";
import { threatsStory } from "./threats_story.ts";
import { controlsStory } from "./controls_story.ts";

/** Some events that are appended together, not sealed yet. */
export interface Step {
  readonly at: Millis;
  readonly events: readonly NewEvent[];
}

const BEGIN = Date.UTC(2026, 0, 1, 8);
const MINUTE = 60_000;

export const GARDEN = "https://example.org/garden";
const stream: StreamId = "commits/example.org:garden";
const TELLER = { authtype: "api_key", authid: "t_golden" } as const;
const ASKER = { authtype: "user", authid: "u_golden" } as const;

const sha = (n: number): string => createHash("sha1").update(`commit ${n}`).digest("hex");
const instant = (at: Millis): string => new Date(at).toISOString();

const PEOPLE = [
  { name: "Ada Lovelace", email: "ada@example.com" },
  { name: "Grace Hopper", email: "grace@example.com" },
  { name: "José Müller 🌻", email: "jose@example.com" },
];

class Story {
  readonly steps: Step[] = [];
  private at = BEGIN;
  private state: Branches = commits.initial;
  private commands = 0;
  private facts = 0;

  step(...events: readonly ((at: Millis) => NewEvent)[]): void {
    this.at += MINUTE;
    const at = this.at;
    this.steps.push({ at, events: events.map((event) => event(at)) });
  }

  /** A decision, as the kernel records it: the caller's command names the facts. */
  decided(command: CommitCommand): (at: Millis) => NewEvent {
    const key = `${ASKER.authid}:golden-${this.commands++}`;
    const decision = commits.decide(this.state, command, { at: this.at, by: ASKER.authid, fresh: key, id: "golden" });
    if (!decision.ok || decision.facts.length !== 1) throw new Error(`${command.type} came to nothing`);
    const fact = decision.facts[0] as BranchFact;
    this.state = commits.evolve(this.state, fact);
    const commanddigest = createHash("sha256").update(key).digest("base64url");
    return (at) => ({
      ...fact,
      ...ASKER,
      id: `${key}/0`,
      source: stream,
      stream,
      time: instant(at),
      version: 1,
      correlationid: "golden-push",
      traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
      extensions: { commanddigest },
    });
  }

  kernel(fact: KernelFact, of: StreamId, more: Partial<NewEvent> = {}): (at: Millis) => NewEvent {
    const id = `kernel-${this.facts++}`;
    const by = { authtype: "system", authid: "kernel", source: of.startsWith("kernel/") ? "kernel" : of };
    return (at) => ({ ...fact, ...by, id, stream: of, time: instant(at), version: 1, ...more });
  }
}

const observed = (type: string, id: string, data: unknown, more: Partial<NewEvent> = {}) => (at: Millis): NewEvent => ({
  type,
  id,
  source: GARDEN,
  stream,
  time: instant(at - 30_000),
  version: 1,
  ...TELLER,
  data,
  ...more,
});

/** An event of a type that nobody knows, kept as sent. */
const inbox = (n: number, data: unknown, more: Partial<NewEvent> = {}) =>
  observed("sensors.reading.taken", `reading-${n}`, data, {
    source: "urn:golden:sensor",
    stream: "inbox/urn:golden:sensor",
    subject: `bed-${n % 3}`,
    ...more,
  });

const listed = (n: number, part: number, files: readonly unknown[], merge?: true) =>
  observed("commits.changes.listed", `${sha(n)}/${part}`, { sha: sha(n), part, ...(merge && { merge }), files });

interface Commit {
  readonly parents?: readonly number[];
  readonly parts?: number;
  readonly files?: number;
  readonly more?: Readonly<Record<string, unknown>>;
}

const recorded = (n: number, { parents = n > 0 ? [n - 1] : [], parts = 1, files = 1, more = {} }: Commit = {}) =>
  observed("commits.commit.recorded", sha(n), {
    sha: sha(n),
    parts,
    parents: parents.map(sha),
    ...(parents.length > 1 ? { merge: true } : { added: n + 1, deleted: n % 4 }),
    author: {
      ...PEOPLE[n % PEOPLE.length],
      ...(n % 5 === 0 ? { message: `Plant row ${n}\n\nMore of it below the first line.\n` } : {}),
    },
    ...(n % 7 === 3 ? { committer: PEOPLE[(n + 1) % PEOPLE.length] } : {}),
    times: {
      authored: `2025-${String(1 + (n % 12)).padStart(2, "0")}-0${1 + (n % 9)}T10:00:00+02:00`,
      committed: `2025-${String(1 + (n % 12)).padStart(2, "0")}-0${1 + (n % 9)}T09:05:00Z`,
    },
    subject: `Plant row ${n}`,
    files,
    ...more,
  });

const file = (path: string, more: Readonly<Record<string, unknown>> = {}) => ({ path, status: "M", ...more });
const plain = (
  n: number,
) => [file(`beds/bed_${n % 6}.txt`, { status: n < 6 ? "A" : "M", added: n + 1, deleted: n % 4 })];

const ODD_FILES = [
  file("beds/roses.txt", { status: "R", old_path: "beds/bed_1.txt", similarity: 87, added: 2, deleted: 1 }),
  file("beds/roses_too.txt", { status: "C", old_path: "beds/roses.txt", similarity: 100, added: 0, deleted: 0 }),
  file("photo.png", { status: "A", binary: true }),
  file("latest", { status: "T", kind: "symlink", added: 1, deleted: 1 }),
  file("tools", { status: "A", kind: "submodule", added: 1, deleted: 0 }),
  file("caf\\303\\251.txt", { status: "A", quoted: true, added: 1, deleted: 0 }),
  file(`${"deep/".repeat(20)}~${"0".repeat(64)}`, { status: "A", cut: true, added: 1, deleted: 0 }),
  file("line\nbreak \u{1f33b}.txt", { status: "D", added: 0, deleted: 9 }),
];

/** Two parts that do not fit one block with the commits before them, so that the append becomes a commit of several. */
const LARGE = [470, 180].map((length, part) =>
  Array.from(
    { length },
    (_, i) => file(`seeds/${part}/packet_${String(i).padStart(4, "0")}.txt`, { status: "A", added: 1, deleted: 0 }),
  )
);

const EDGES = {
  empty: {},
  zero: -0,
  small: 5e-324,
  large: 1.7976931348623157e308,
  text: 'é\u2028"\\',
  list: [[], null, true],
};

const CHILD = "daybook:projections:audit.trail";
const start = (story: Story, clean: boolean): void => {
  const { process, child } = STREAMS;
  story.step(
    story.kernel({ type: "kernel.process.started", data: { version: "0.1.0", root: "daybook", clean } }, process),
    story.kernel(
      { type: "kernel.child.started", data: { child: "daybook", kind: "supervisor", order: 0 } },
      child("daybook"),
    ),
    story.kernel({ type: "kernel.child.started", data: { child: CHILD, kind: "worker", order: 1 } }, child(CHILD)),
  );
};
const STREAMS = {
  process: "kernel/process",
  letters: "kernel/dead_letters",
  child: (path: string): StreamId => `kernel/${path}`,
} as const;

const history = (story: Story): void => {
  const rows = Array.from({ length: 12 }, (_, n) => n);
  story.step(
    ...rows.flatMap((n) => [listed(n, 0, plain(n)), recorded(n)]),
    listed(12, 0, LARGE[0]!),
    listed(12, 1, LARGE[1]!),
    recorded(12, { parts: 2, files: LARGE.flat().length }),
  );
  story.step(
    listed(13, 0, plain(13), true),
    recorded(13, { parents: [12, 7], more: { parents_left_out: 1 } }),
    listed(14, 0, ODD_FILES),
    recorded(14, { parents: [13], files: ODD_FILES.length, more: { latin1: true, message_cut: 12 } }),
  );
  story.step(recorded(15, { parents: [], parts: 0, files: 0, more: { added: 0, deleted: 0, incomplete: "boundary" } }));
  story.step(
    recorded(16, { parents: [], parts: 0, files: 0, more: { added: 0, deleted: 0, incomplete: "webhook", times: {} } }),
  );
  story.step(
    listed(16, 0, plain(16)),
    observed("commits.commit.completed", `${sha(16)}/completed`, {
      sha: sha(16),
      parts: 1,
      parents: [sha(15)],
      committed: "2025-05-06T07:08:09+05:30",
      files: 1,
      added: 17,
      deleted: 0,
    }),
  );
  story.step(
    observed("commits.history.imported", `imported-${sha(16)}`, {
      tips: [sha(16), sha(14)],
      commits: 17,
      shallow: true,
    }),
    listed(17, 0, plain(17)), // an import that was cut off: it does not count
  );
};

const branches = (story: Story): void => {
  const moved = (branch: string, to: number, more: object = {}): CommitCommand => ({
    type: "commits.branch.move",
    data: { branch, to: sha(to), ...more },
  });
  story.step(story.decided(moved("main", 14)));
  story.step(story.decided(moved("gr\\303\\274n/beet", 9)));
  story.step(story.decided(moved("main", 16, { from: sha(14), at: "2026-01-01T09:00:00Z" })));
  story.step(story.decided(moved("main", 12, { forced: true, at: "2026-01-01T09:30:00Z" })));
  story.step(story.decided({ type: "commits.branch.delete", data: { branch: "gr\\303\\274n/beet", from: sha(9) } }));
};

/** Two runs: one in two parts with its samples, one without the median, in which a benchmark failed. */
const benchmarks = (story: Story): void => {
  const ran = (run: string, part: number, data: object) =>
    observed("benchmarks.run.measured", `${run}/${part}`, { run, part, ...data }, {
      stream: "benchmarks/example.org:garden",
    });
  const machine = { runtime: "Deno/2.9.6 x86_64-unknown-linux-gnu", cpu: "AMD EPYC", cores: 2, kernel: "Linux 6.1.0" };
  const dig = { file: "dig_bench.ts", group: "dig", name: "spade" };
  const sow = { file: "sow_bench.ts", name: "by hand", baseline: true };
  const figures = { n: 3, min_ns: 1_000, max_ns: 3_000.5, avg_ns: 2_000.25, p75_ns: 3_000.5, p99_ns: 3_000.5 };
  const first = { parts: 2, environment: { ...machine, commit: sha(14), dirty: true } };
  story.step(
    ran("run-1", 0, { ...first, series: [{ ...dig, figures: { ...figures, p50_ns: 2_000 }, samples_ns: [1e3, 2e3] }] }),
    ran("run-1", 1, {
      ...first,
      series: [{ ...dig, samples_ns: [3_000.5], samples_before: 2 }, { ...sow, figures }],
    }),
  );
  const second = { parts: 1, environment: { runtime: "Deno/2.9.7" } };
  story.step(ran("run-2", 0, { ...second, series: [{ ...dig, figures }, { ...sow, failed: true }] }));
};

const timers = (story: Story): void => {
  const command = { type: "commits.branch.delete", data: { branch: "old" } };
  const of = (fact: KernelFact) => story.kernel(fact, stream, { correlationid: "golden-timers" });
  const at = "2026-02-01T00:00:00.000Z";
  story.step(
    of({ type: "kernel.timer.set", data: { name: "tidy", at, command } }),
    of({ type: "kernel.timer.set", data: { name: "remind", at, command } }),
  );
  story.step(of({ type: "kernel.timer.cancelled", data: { name: "remind" } }));
  story.step(
    of({ type: "kernel.timer.fired", data: { name: "tidy", set: 0, outcome: "rejected", code: "branch_elsewhere" } }),
  );
};

const troubles = (story: Story): void => {
  const { letters, child, process } = STREAMS;
  const of = (fact: KernelFact) => story.kernel(fact, child(CHILD));
  const cause = "TypeError: a broken fold";
  const poison = { projection: "audit.trail", version: 1, position: 7, cause };
  // True of every view: nothing is in it before the first event.
  const empty = { size: 0, rows: 0, digest: "5aAKqZkayKXuMQmETYSlVYO9IFcq0//NQnkvPDaxg60=" };
  const attested = { projection: "audit.trail", version: 1, ...empty, method: "lthash16/sha256+chacha20" };
  const limit = { child: "daybook:projections", because: CHILD, cause, max: 3, within_ms: 5_000 };
  const letter = { letter: "letter-1", target: "timer:commits/example.org:garden", cause: "no answer", bytes: 42 };
  const [first, last] = ["2026-01-01T08:00:00.000Z", "2026-01-01T08:00:59.999Z"];
  story.step(of({ type: "kernel.child.crashed", data: { child: CHILD, cause, ran_ms: 12 } }));
  story.step(
    of({
      type: "kernel.child.restarted",
      data: { child: CHILD, kind: "worker", order: 1, because: CHILD, restarts: 1 },
    }),
  );
  story.step(story.kernel({ type: "kernel.child.gave_up", data: limit }, child("daybook:projections")));
  story.step(of({ type: "kernel.child.stopped", data: { child: CHILD, reason: "sibling", cause } }));
  story.step(of({ type: "kernel.child.abandoned", data: { child: CHILD, grace_ms: 5_000 } }));
  story.step(of({ type: "kernel.facts.suppressed", data: { child: CHILD, cause, count: 9, first, last } }));
  story.step(
    story.kernel({ type: "kernel.projection.stopped", data: poison }, "kernel/projection:audit.trail"),
    story.kernel({ type: "kernel.projection.skipped", data: poison }, "kernel/projection:audit.trail"),
    story.kernel({ type: "kernel.projection.attested", data: attested }, "kernel/projection:audit.trail"),
  );
  story.step(
    story.kernel({ type: "kernel.message.dead_lettered", data: { ...letter, message: { wish: "x" } } }, letters),
    story.kernel({ type: "kernel.message.redriven", data: { letter: "letter-1", target: letter.target } }, letters),
  );
  story.step(story.kernel({ type: "kernel.process.stopped", data: { abandoned: [CHILD] } }, process));
};

/** What CloudTrail tells, in full and as little as it may, and a sink that failed. */
const abroad = (story: Story): void => {
  const account = "111122223333";
  const call = {
    event_version: "1.09",
    service: "iam.amazonaws.com",
    action: "CreateUser",
    region: "us-east-1",
    account,
  };
  const event = (id: string, data: unknown) =>
    observed("cloudtrail.event.observed", id, data, {
      source: cloudtrailSource(account),
      stream: `cloudtrail/${account}`,
    });
  story.step(
    event("call-1", {
      ...call,
      category: "Management",
      kind: "AwsApiCall",
      outcome: "failure",
      error_code: "AccessDenied",
      error_message: "not authorized",
      read_only: false,
      request_id: "request-1",
      identity: "AssumedRole",
      role: `arn:aws:iam::${account}:role/Gardener`,
      mfa: true,
      session_started: "2025-12-31T08:00:00Z",
      actor: `arn:aws:sts::${account}:assumed-role/Gardener/ada@example.com`,
      principal: "AROAEXAMPLE:ada@example.com",
      access_key: "ASIAEXAMPLE",
      address: "192.0.2.7",
      user_agent: "aws-cli/2.13.5",
      resources: [`arn:aws:iam::${account}:user/grace`],
      request: '{"password":"[not taken]","userName":"grace"}',
      left_out: { response: 40_000 },
      not_taken: 1,
    }),
    event("call-2", { ...call, outcome: "success", actor: "autoscaling.amazonaws.com" }),
  );
  const sink = "siem";
  const of = (fact: KernelFact) => story.kernel(fact, `kernel/sink:${sink}`);
  story.step(of({ type: "kernel.sink.added", data: { sink, from: 0 } }));
  story.step(of({ type: "kernel.sink.failed", data: { sink, cause: "connection refused", size: 12 } }));
  story.step(of({ type: "kernel.sink.recovered", data: { sink, failed_ms: 61_000, attempts: 7, size: 20 } }));
};

/** Small events, one between several of others, so that a stream is thin in many blocks. */
const readings = (story: Story): void => {
  story.step(
    inbox(0, EDGES),
    inbox(1, undefined, { data_base64: "AAEC/w==", datacontenttype: "application/octet-stream" }),
  );
  story.step(
    inbox(2, undefined),
    inbox(3, "a text alone", { extensions: { calibrated: true, sensor: "s-3", weight: 12 } }),
  );
  for (let n = 4; n < 17; n++) {
    story.step(inbox(n, { celsius: n / 8 }), listed(20 + n, 0, plain(n)), recorded(20 + n));
  }
};

/**
 * The first part ends before the readings begin, so that the index can be made in small segments before and in one large
 * after. Every step stands a minute after the one before.
 */
export const story = (): {
  readonly first: readonly Step[];
  readonly second: readonly Step[];
  readonly tail: readonly Step[];
} => {
  const told = new Story();
  start(told, true);
  history(told);
  branches(told);
  benchmarks(told);
  timers(told);
  troubles(told);
  abroad(told);
  for (const step of controlsStory()) told.step(...step);
  for (const step of identityStory()) told.step(...step);
  for (const step of privacyStory()) told.step(...step);
  for (const step of retentionStory()) told.step(...step);
  for (const step of servicesStory()) told.step(...step);
  for (const step of alertsStory()) told.step(...step);
  for (const step of certificatesStory()) told.step(...step);
  for (const step of accessStory()) told.step(...step);
  for (const step of doorStory()) told.step(...step);
  for (const step of threatsStory()) told.step(...step);
  start(told, false);
  const first = told.steps.length;
  readings(told);
  const second = told.steps.length;
  told.step(inbox(100, { celsius: 21 }));
  told.step(listed(99, 0, plain(99)), recorded(99));
  return { first: told.steps.slice(0, first), second: told.steps.slice(first, second), tail: told.steps.slice(second) };
};
