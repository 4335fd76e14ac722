/** What the routes of the table are about (`Route.resource`). */
import type { StreamId } from "../../events/event.ts";
import { LOG, type Resource, streamOf, tenantOf } from "./authority.ts";
import { parameters, position, segment } from "./query.ts";
import type { Asked, Route } from "./route.ts";

type Of = NonNullable<Route["resource"]>;

export const ofOwnTenant: Of = ({ grant }) => grant ? tenantOf(grant.tenant) : LOG;

/** Of one stream, or of all. */
export const ofStreamAsked: Of = ({ query, site: { authority } }) => {
  if (!authority.byStream) return LOG;
  const { stream } = parameters(query);
  return stream === undefined ? LOG : streamOf(stream as StreamId, authority.owners);
};

export const ofEvent: Of = ({ path, site }) => {
  const at = site.authority.byStream ? position.safeParse(segment(path.slice("/events/".length))) : undefined;
  const stream = at?.success ? streamAt(site, at.data) : undefined;
  return stream === undefined ? LOG : streamOf(stream, site.authority.owners);
};

/** What cannot be read is looked for by the handler, for who may read all. */
const streamAt = ({ daybook: { log } }: Asked["site"], at: number): StreamId | undefined => {
  try {
    const entry = log.entry(at);
    return entry && (JSON.parse(new TextDecoder().decode(entry)) as { readonly stream: StreamId }).stream;
  } catch {
    return undefined;
  }
};

/** The stream of `/commands/{type}/{id}` begins with the type's domain. */
export const ofEntity: Of = ({ path, site: { authority } }): Resource => {
  const [, , type = "", ...id] = path.split("/");
  const stream = `${segment(type).split(".", 1)[0]}/${segment(id.join("/"))}` as const;
  return streamOf(stream, authority.owners);
};

export const ofView: Of = ({ path }): Resource => ({ ...LOG, type: "View", id: segment(path.split("/")[2]!) });
