/**
 * An event in ArcSight's Common Event Format, version 0
 * (https://www.microfocus.com/documentation/arcsight/arcsight-smartconnectors-8.4/pdfdoc/cef-implementation-standard/cef-implementation-standard.pdf).
 * What is mapped is what OCSF's mapping found, so that there is one table.
 */
import { isIPv4, isIPv6 } from "node:net";
import type { Event } from "../../events/event.ts";
import { millis } from "../../events/event.ts";
import type { Emitter } from "./emitter.ts";
import { isElsewhere, type OcsfEvent } from "./ocsf.ts";

/** CEF's 0 to 10 by OCSF's severity. */
const SEVERITIES: Readonly<Record<number, number>> = { 1: 1, 2: 4, 3: 6, 4: 8 };

/** One line, without its end. */
export const cefOf = (event: Event, ocsf: OcsfEvent, { product }: Emitter): string => {
  const { user, actor, src_endpoint: source } = ocsf as {
    readonly user?: { readonly uid?: string; readonly name?: string };
    readonly actor?: { readonly user?: { readonly uid?: string; readonly name?: string } };
    readonly src_endpoint?: { readonly ip?: string; readonly name?: string };
  };
  const who = actor?.user;
  const status = ocsf.status_id === 1 ? "success" : ocsf.status_id === 2 ? "failure" : undefined;
  const extension: Readonly<Record<string, string | undefined>> = {
    rt: String(millis(event.time)),
    externalId: String(event.position),
    act: event.type,
    outcome: status,
    reason: ocsf.status_detail as string | undefined,
    suid: who?.uid ?? (isElsewhere(event.type) ? undefined : event.authid),
    suser: who?.name,
    duid: user?.uid,
    duser: user?.name,
    src: source?.ip !== undefined && isIPv4(source.ip) ? source.ip : undefined,
    shost: source?.name,
    ...(source?.ip !== undefined && isIPv6(source.ip) ? { c6a2: source.ip, c6a2Label: "Source IPv6 Address" } : {}),
    cs1: event.stream,
    cs1Label: "stream",
    cs2: event.source,
    cs2Label: "source",
    cs3: event.id,
    cs3Label: "id",
    msg: event.data === undefined ? event.data_base64 : JSON.stringify(event.data),
  };
  const header = ["CEF:0", product.vendor_name, product.name, product.version, event.type, event.type]
    .map((field, i) => i === 0 ? field : inHeader(field));
  const severity = SEVERITIES[ocsf.severity_id as number] ?? 1;
  const pairs = Object.entries(extension).filter(([, value]) => value !== undefined).map(([key, value]) =>
    `${key}=${inExtension(value!)}`
  );
  return `${header.join("|")}|${severity}|${pairs.join(" ")}`;
};

/** In the header a pipe and a backslash are escaped, an equals sign is not, and a line end cannot be. */
const inHeader = (text: string): string => text.replace(/[\\|]/g, "\\$&").replace(/[\r\n]+/g, " ");

/** In the extension a backslash, an equals sign and line ends are, a pipe is not. */
const inExtension = (text: string): string =>
  text.replace(/[\\=]/g, "\\$&").replaceAll("\r", "\\r").replaceAll("\n", "\\n");
