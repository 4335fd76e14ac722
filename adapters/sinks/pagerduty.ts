/**
 * The Events API v2 of PagerDuty (https://developer.pagerduty.com/docs/send-alert-event), which others take as well: one event a
 * notification, with the group as its `dedup_key`, so that a repeat is the same incident.
 */
import type { Transport } from "../../actors/kernel/transport.ts";
import type { Event } from "../../events/event.ts";
import { prefixOf } from "./ids.ts";
import { spokenOf } from "./notification.ts";
import { postTransport } from "./post.ts";

const SUMMARY_MAX = 1_024;
const ACTIONS = { raised: "trigger", acknowledged: "acknowledge", resolved: "resolve" } as const;

export const pagerdutyTransport = (
  { url, ca, routingKey }: { readonly url: string; readonly ca?: string; readonly routingKey: string },
): Transport =>
  postTransport({
    url,
    ca,
    parallel: 1,
    // In front of what is there already; so nothing else ever holds it.
    request: ({ text }) => ({ body: `{"routing_key":${JSON.stringify(routingKey)},${text.slice(1)}` }),
  });

/** Without the routing key. */
export const pagerdutyText = (event: Event, origin: string): string => {
  const { rule, group, status, severity, headline, standing, raised, resolved, more, time } = spokenOf(event);
  return JSON.stringify({
    event_action: ACTIONS[status],
    dedup_key: `${prefixOf(origin)}/${rule}/${group}`,
    payload: {
      summary: headline.slice(0, SUMMARY_MAX).toWellFormed(),
      source: origin,
      severity,
      timestamp: time,
      component: rule,
      custom_details: { standing, raised, resolved, more },
    },
    client: "Daybook",
  });
};
