/** A notification of alerts (`alerts.group.notified`) in words, for channels that people read. */
import type { Notification } from "../../events/alerts.ts";
import type { Event } from "../../events/event.ts";

export interface Spoken extends Notification {
  readonly rule: string;
  /** One line: how it stands, how bad, what. */
  readonly headline: string;
  /** A line each. */
  readonly raisedLines: readonly string[];
  readonly resolvedLines: readonly string[];
  readonly time: string;
}

/** A line that says how many are not named; none where none is left out. */
export const restOf = (count: number): readonly string[] =>
  count > 0 ? [`and ${count} more, as \`daybook alerts\` lists them`] : [];

/** Throws for another event: a sink that hears one is not for it. */
export const spokenOf = (event: Event): Spoken => {
  if (event.type !== "alerts.group.notified") throw new TypeError(`"${event.type}" is no notification of alerts`);
  const data = event.data as Notification;
  const rule = event.stream.slice(event.stream.indexOf("/") + 1);
  const { status, severity, title, standing } = data;
  const state = status === "raised" ? severity.toUpperCase() : status;
  const count = standing > 1 ? ` (${standing})` : "";
  return {
    ...data,
    rule,
    headline: `[${state}] ${title}${count}`,
    raisedLines: data.raised.map(lineOf),
    resolvedLines: data.resolved.map(lineOf),
    time: event.time,
  };
};

const lineOf = ({ labels, because, since }: Notification["raised"][number]): string => {
  const about = labels.map(({ name, value }) => `${name}=${value}`).join(" ");
  return `${about === "" ? "" : `${about}: `}${because} (since ${since})`;
};

/** All of it as plain text. */
export const plainText = ({ headline, raisedLines, resolvedLines, more, rule, standing }: Spoken): string =>
  [
    headline,
    "",
    ...raisedLines.map((line) => `- ${line}`),
    ...(resolvedLines.length > 0 ? ["Over:", ...resolvedLines.map((line) => `- ${line}`)] : []),
    ...restOf(more),
    "",
    `Rule ${rule}; ${standing} standing.`,
  ].join("\n");
