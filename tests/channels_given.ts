/** Receivers of alerts: HTTP that answers as it is told to, and a mail server that speaks real SMTP. */
import type { Buffer } from "node:buffer";
import { SMTPServer, type SMTPServerOptions } from "smtp-server";
import { createHash } from "node:crypto";
import type { AlertFact, Notification } from "../events/alerts.ts";
import type { Event } from "../events/event.ts";
import { eventOf } from "./siem_given.ts";

const digest = (text: string) => createHash("sha256").update(text).digest("hex").slice(0, 12);

/** A notification as the log has it. */
export const notificationOf = (position: number, more: Partial<Notification> = {}): Event => {
  const told = {
    alert: digest("api"),
    labels: [{ name: "service", value: "api" }, { name: "replica", value: "0" }],
    because: "readiness: answered 500 <b>&",
    since: "2026-11-20T08:59:00.000Z",
  };
  const type: AlertFact["type"] = "alerts.group.notified";
  return eventOf(type, {
    group: digest("all"),
    status: "raised",
    title: "A service is not healthy",
    severity: "error",
    standing: 1,
    raised: [told],
    resolved: [],
    more: 0,
    ...more,
  }, { position, stream: "alerts/service-unhealthy" });
};

export interface Post {
  readonly headers: Headers;
  // deno-lint-ignore no-explicit-any
  readonly body: any;
}

export interface HttpReceiver {
  readonly url: string;
  readonly host: string;
  readonly posts: readonly Post[];
  /** What is answered from here on. */
  answer: (n: number) => Response | Promise<Response>;
  stop(): Promise<void>;
}

/** `port` 0: any that is free. */
export const httpReceiver = (port = 0): HttpReceiver => {
  const posts: Post[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port, onListen: () => {} }, async (request) => {
    try {
      posts.push({ headers: request.headers, body: await request.json() });
    } catch {
      return new Response(null, { status: 400 }); // who sent it has died meanwhile
    }
    return await receiver.answer(posts.length);
  });
  const host = `127.0.0.1:${server.addr.port}`;
  const receiver: HttpReceiver = {
    url: `http://${host}/services/T0/B0/hidden`,
    host,
    posts,
    answer: () => new Response("ok"),
    stop: () => server.shutdown(),
  };
  return receiver;
};

export interface Mail {
  readonly from: string;
  readonly to: readonly string[];
  readonly secure: boolean;
  readonly user: string | undefined;
  /** Header names in lower case; folded lines put together. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

export interface MailServer {
  readonly port: number;
  readonly mails: readonly Mail[];
  stop(): Promise<void>;
}

/** By default without TLS and without a login. */
export const mailServer = async (options: SMTPServerOptions = {}, port = 0): Promise<MailServer> => {
  const mails: Mail[] = [];
  const server = new SMTPServer({
    authOptional: true,
    // A connection whose client was killed is not waited for.
    closeTimeout: 1_000,
    disabledCommands: options.key ? [] : ["STARTTLS", "AUTH"],
    disableReverseLookup: true,
    onData(stream, session, done) {
      const parts: Buffer[] = [];
      stream.on("data", (part: Buffer) => parts.push(part));
      stream.on("end", () => {
        const text = parts.map((part) => part.toString("utf8")).join("");
        const cut = text.indexOf("\r\n\r\n");
        const lines = text.slice(0, cut).replaceAll(/\r\n[ \t]+/g, " ").split("\r\n");
        const { mailFrom, rcptTo } = session.envelope;
        mails.push({
          from: mailFrom ? mailFrom.address : "",
          to: rcptTo.map(({ address }) => address),
          secure: session.secure,
          user: typeof session.user === "string" ? session.user : undefined,
          headers: new Map(lines.map((line) => {
            const colon = line.indexOf(":");
            return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
          })),
          body: text.slice(cut + 4).trimEnd(),
        });
        done();
      });
    },
    ...options,
  });
  server.on("error", () => {}); // connections that are cut off
  const listening = await new Promise<number>((resolve) => {
    const net = server.listen(port, "127.0.0.1", () => resolve((net.address() as { port: number }).port));
  });
  return { port: listening, mails, stop: () => new Promise((resolve) => server.close(() => resolve())) };
};
