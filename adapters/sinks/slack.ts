/**
 * An incoming webhook as Slack has it (https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks), which others take as
 * well. There is nothing to tell a repeat by: a message that was taken and not answered is there twice.
 */
import type { Transport } from "../../actors/kernel/transport.ts";
import type { Event } from "../../events/event.ts";
import { restOf, type Spoken, spokenOf } from "./notification.ts";
import { postTransport } from "./post.ts";

/** Of Slack's blocks, in characters (https://docs.slack.dev/reference/block-kit/blocks). */
const HEADER_MAX = 150;
const SECTION_MAX = 3_000;
/** Of one alert: with what is put before it, all of it escaped, and how many are left out it fits a section. */
const LINE_MAX = 550;
/** Of a section, for how many are left out. */
const REST_CHARS = 100;

export const slackTransport = ({ url, ca }: { readonly url: string; readonly ca?: string }): Transport =>
  postTransport({ url, ca, parallel: 1, request: ({ text }) => ({ body: text }) });

/** Message text is mrkdwn, where these three are written so. */
const escaped = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

const cut = (text: string, max: number): string =>
  text.length <= max ? text : `${text.slice(0, max - 1).toWellFormed()}…`;

export const slackText = (event: Event): string => {
  const spoken = spokenOf(event);
  const lines = linesOf(spoken).join("\n");
  return JSON.stringify({
    text: escaped(spoken.headline),
    blocks: [
      { type: "header", text: { type: "plain_text", text: cut(spoken.headline, HEADER_MAX), emoji: false } },
      ...(lines === "" ? [] : [{ type: "section", text: { type: "mrkdwn", text: lines } }]),
      { type: "context", elements: [{ type: "mrkdwn", text: escaped(`${spoken.rule} · ${spoken.time}`) }] },
    ],
  });
};

/** Whole lines, as many as fit; of the others it is told how many they are. */
const linesOf = ({ raisedLines, resolvedLines, more }: Spoken): readonly string[] => {
  const all = [
    ...raisedLines.map((line) => `• ${escaped(cut(line, LINE_MAX))}`),
    ...resolvedLines.map((line) => `• over: ${escaped(cut(line, LINE_MAX))}`),
  ];
  let [fitting, chars] = [0, REST_CHARS];
  for (const line of all) {
    chars += line.length + 1;
    if (chars > SECTION_MAX) break;
    fitting++;
  }
  return [...all.slice(0, fitting), ...restOf(more + all.length - fitting)];
};
