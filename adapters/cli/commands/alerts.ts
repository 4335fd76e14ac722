/** `alerts list`, `acknowledge`, `resolve`, `silence` and `unsilence`: what somebody should look at, and what is done about it. */
import type { Outcome } from "../../../actors/kernel/daybook.ts";
import type { CommandType } from "../../../actors/types.ts";
import { type Call, flag, moment, type Run, spanOf, text, Usage } from "../call.ts";
import { table } from "../columns.ts";
import { notDone } from "../not_done.ts";
import { duration, type Palette, palette, safe } from "../print.ts";
import type { Runtime } from "../runtime.ts";
import type { Reader } from "../reader.ts";
import type { ExitCode } from "../io.ts";
import { Standing } from "../standing.ts";
import { withWriter } from "../writer.ts";
import { OPERATOR } from "./send.ts";

/** Of `alerts.inbox`. */
interface Inbox {
  readonly rule: string;
  readonly alert: string;
  readonly state: "pending" | "raised" | "acknowledged" | "resolved";
  readonly severity: string;
  readonly title: string;
  readonly about: string;
  readonly because: string;
  readonly since: string;
  readonly times: number;
  readonly by?: string;
}

/** Of `alerts.silences`. */
interface Silence {
  readonly rule: string;
  readonly alert?: string;
  readonly until: string;
  readonly why: string;
  readonly by: string;
}

export const listAll: Run = async (call, runtime) => {
  const { io, clock } = runtime;
  const reader = await runtime.reader(call.data);
  try {
    const [inbox, silences] = await stated(reader, call, runtime);
    const all = flag(call, "all");
    const silenced = ({ rule, alert }: Inbox) =>
      silences.find((one) => one.rule === rule && (one.alert === undefined || one.alert === alert));
    const alerts = inbox.filter(({ state }) => all || state === "raised" || state === "acknowledged")
      .map((row) => ({ ...row, silenced: silenced(row)?.until })).sort(worstFirst);
    if (call.json) io.out(`${JSON.stringify({ size: reader.size, alerts, silences })}\n`);
    else io.out(drawn(alerts, silences, { c: palette(io), now: clock.now() }));
    return alerts.some(({ state, silenced }) => state === "raised" && silenced === undefined) ? 1 : 0;
  } finally {
    await reader.close();
  }
};

const VIEWS = ["alerts.inbox", "alerts.silences"] as const;

/** Rows of both views. */
const stated = async (
  reader: Reader,
  call: Call,
  runtime: Runtime,
): Promise<readonly [readonly Inbox[], readonly Silence[]]> => {
  const standing = await Standing.of(VIEWS, { reader, call, runtime });
  standing.catchUp();
  return VIEWS.map((name) => [...standing.rows(name).values()]) as unknown as readonly [
    readonly Inbox[],
    readonly Silence[],
  ];
};

const SEVERITIES = ["critical", "error", "warning", "info"];
const worstFirst = (a: Inbox, b: Inbox): number =>
  SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity) || (a.since < b.since ? -1 : 1);

const COLOURS: Readonly<Record<string, keyof Palette>> = { critical: "red", error: "red", warning: "yellow" };

const drawn = (
  alerts: readonly (Inbox & { readonly silenced: string | undefined })[],
  silences: readonly Silence[],
  { c, now }: { readonly c: Palette; readonly now: number },
): string => {
  const rows = alerts.map((row) => [
    `${safe(row.rule)}/${safe(row.alert)}`,
    c[COLOURS[row.severity] ?? "dim"](row.severity),
    row.silenced === undefined ? row.state : `${row.state} ${c.dim("(silenced)")}`,
    duration(Math.max(0, now - Date.parse(row.since))),
    safe(row.title),
    safe(row.about),
    safe(row.because),
  ]);
  const titles = ["alert", "severity", "state", "since", "title", "about", "because"].map((title) => ({ title }));
  const board = rows.length === 0 ? "no alerts\n" : table(titles, rows, c);
  if (silences.length === 0) return board;
  const quiet = silences.map(({ rule, alert, until, why, by }) => [
    alert === undefined ? safe(rule) : `${safe(rule)}/${safe(alert)}`,
    until,
    safe(why),
    safe(by),
  ]);
  return `${board}\n${table(["silenced", "until", "why", "by"].map((title) => ({ title })), quiet, c)}`;
};

export const acknowledge: Run = (call, runtime) =>
  asked(call, runtime, { type: "alerts.alert.acknowledge", data: noteOf(call), done: "acknowledged" });

export const resolve: Run = (call, runtime) =>
  asked(call, runtime, { type: "alerts.alert.resolve", data: noteOf(call), done: "resolved" });

export const silence: Run = (call, runtime) => {
  const why = text(call, "reason")?.trim();
  if (!why) throw new Usage(`${call.command} needs --reason; nothing personal, for it is recorded as it is`);
  const data = { until: untilOf(call, runtime), why };
  return asked(call, runtime, { type: "alerts.silence.begin", data, done: `silenced until ${data.until}` });
};

export const unsilence: Run = (call, runtime) =>
  asked(call, runtime, { type: "alerts.silence.end", data: {}, done: "told again" });

const noteOf = (call: Call): object => {
  const note = text(call, "note");
  return note === undefined ? {} : { note };
};

const untilOf = (call: Call, { clock }: Runtime): string => {
  const until = text(call, "until");
  if (until === undefined) throw new Usage(`${call.command} needs --until: 2h, 30m, 7d or an RFC 3339 time`);
  const span = spanOf(until);
  if (span !== undefined) return new Date(clock.now() + span).toISOString();
  const at = moment(until, "--until");
  if ("time" in at) return at.time;
  throw new Usage(`--until takes 2h, 30m, 7d or an RFC 3339 time, not ${JSON.stringify(until)}`);
};

const NAME = /^([a-z0-9][a-z0-9_-]{0,62})(?:\/([0-9a-f]{12}))?$/;

const asked = async (
  call: Call,
  runtime: Runtime,
  { type, data, done }: { readonly type: CommandType; readonly data: object; readonly done: string },
): Promise<ExitCode> => {
  const { io } = runtime;
  const [named] = call.args as readonly [string];
  const [, rule, alert] = NAME.exec(named) ?? [];
  if (rule === undefined) {
    throw new Usage(`an alert is RULE/ALERT as alerts list has it, or RULE, not ${JSON.stringify(named)}`);
  }
  const ask = { type, id: rule, data: { ...data, ...(alert === undefined ? {} : { alert }) }, by: OPERATOR };
  const outcome: Outcome = await withWriter(
    call,
    runtime,
    (writer) => writer.is === "local" ? writer.daybook.ask(ask) : writer.remote.ask(ask),
  );
  if (outcome.is === "accepted") {
    const { position, facts } = outcome;
    // Which rules there are only a server knows; a silence may come before the first alert, and may be a slip of the pen.
    if (facts[0]?.revision === 0) {
      io.err(`daybook: nothing is on record of a rule "${rule}" yet; alerts list --all has the others\n`);
    }
    if (call.json) {
      io.out(`${JSON.stringify({ ok: true, rule, ...(alert ? { alert } : {}), position, facts: facts.length })}\n`);
    } else {io.out(
        facts.length === 0 ? `${safe(named)} was so already\n` : `${safe(named)} ${palette(io).green(done)}\n`,
      );}
    return 0;
  }
  if (outcome.is === "invalid") {
    throw new Usage(outcome.issues.map(({ path, message }) => `${path || "/"}: ${message}`).join("; "));
  }
  if (outcome.is === "unavailable") throw notDone(outcome);
  const [exit, because]: [ExitCode, string] = outcome.is === "rejected"
    ? [1, outcome.because]
    : [3, `not done: ${outcome.is}`];
  if (call.json) io.out(`${JSON.stringify({ ok: false, because })}\n`);
  else io.err(`daybook: ${safe(because)}\n`);
  return exit;
};
