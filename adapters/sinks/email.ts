/**
 * E-mail (SMTP, RFC 5321) as the receiver of a sink: one message a notification, plain text. A repeat has the same `Message-ID`, and all
 * messages about one group refer to the same, so that they lie together.
 */
import { connect, type Socket } from "node:net";
import { type Connection, type Parcel, type Refusal, type Transport } from "../../actors/kernel/transport.ts";
import type { Event } from "../../events/event.ts";
import { prefixOf } from "./ids.ts";
import { plainText, spokenOf } from "./notification.ts";

export interface EmailOptions {
  readonly host: string;
  readonly port: number;
  /** `starttls` never goes on without. */
  readonly tls: "starttls" | "implicit" | "none";
  readonly login?: { readonly username: string; readonly password: string };
  readonly sender: string;
  readonly recipients: readonly string[];
  /** Certificates of authorities to trust, PEM. Default: the platform's. */
  readonly ca?: string;
  /** Name of the log. */
  readonly origin: string;
  /** How long the server may leave us waiting for any answer. */
  readonly answerMs: number;
}

interface Letter {
  readonly subject: string;
  readonly text: string;
  readonly thread: string;
}

export const emailText = (event: Event): string => {
  const spoken = spokenOf(event);
  const letter: Letter = {
    subject: spoken.headline,
    text: plainText(spoken),
    thread: `${spoken.rule}.${spoken.group}`,
  };
  return JSON.stringify(letter);
};

/** What is wrong with the mail itself; of anything else, who we are or how we came, something may be mended. */
const OF_THE_MAIL: readonly (string | undefined)[] = ["EENVELOPE", "EMESSAGE"];
/** From here on for good (RFC 5321 section 4.2.1). */
const FOR_GOOD = 500;

interface SmtpError extends Error {
  readonly code?: string;
  readonly responseCode?: number;
}

export const emailTransport = (options: EmailOptions): Transport => {
  const { host, port, tls, login, sender, recipients, ca, origin, answerMs } = options;
  const id = (what: string) => `<${prefixOf(origin)}.${what}@${sender.slice(sender.lastIndexOf("@") + 1)}>`;
  return {
    async connect() {
      const { createTransport } = await import("nodemailer");
      let present: Socket | undefined;
      const mailer = createTransport({
        host,
        port,
        secure: tls === "implicit",
        requireTLS: tls === "starttls",
        ignoreTLS: tls === "none",
        // The default looks up the machine's name, which nobody is to learn.
        name: "[127.0.0.1]",
        ...(login ? { auth: { user: login.username, pass: login.password } } : {}),
        tls: { minVersion: "TLSv1.2", ...(ca === undefined ? {} : { ca }) },
        disableFileAccess: true,
        disableUrlAccess: true,
        getSocket: (_, callback) => {
          present = connected({ host, port, answerMs }, callback);
        },
        connectionTimeout: answerMs,
        greetingTimeout: answerMs,
        socketTimeout: answerMs,
      });
      const post = async ({ position, part, text }: Parcel): Promise<Refusal | undefined> => {
        const { subject, text: body, thread } = JSON.parse(text) as Letter;
        try {
          const { rejected } = await mailer.sendMail({
            from: sender,
            to: [...recipients],
            subject,
            text: body,
            messageId: id(part === 0 ? String(position) : `${position}.${part}`),
            references: id(thread),
            headers: { "Auto-Submitted": "auto-generated" }, // RFC 3834 section 5
          });
          return rejected.length === 0
            ? undefined
            : { position, because: `the server refused ${rejected.length} of ${recipients.length} recipients` };
        } catch (error) {
          // `nodemailer` ends its side and reads on for as long as the server writes.
          present?.destroy();
          const { code, responseCode = 0 } = error as SmtpError;
          if (responseCode >= FOR_GOOD && OF_THE_MAIL.includes(code)) {
            return { position, because: `the server answered ${responseCode}` };
          }
          throw new Error(said(error as SmtpError));
        }
      };
      const connection: Connection = {
        settleMs: 0,
        stays: true,
        async send(parcels, signal) {
          const refused: Refusal[] = [];
          // A server that answers each word slowly would take the mail at last, and the next attempt's as well, and so on.
          const stop = () => void present?.destroy(new Error("given up"));
          signal.addEventListener("abort", stop, { once: true });
          try {
            for (const parcel of parcels) {
              signal.throwIfAborted();
              const refusal = await post(parcel);
              if (refusal) refused.push(refusal);
            }
          } finally {
            signal.removeEventListener("abort", stop);
          }
          return refused;
        },
        settle: () => Promise.resolve(),
        close: () => mailer.close(),
      };
      return connection;
    },
  };
};

/** By the name that was permitted: left to itself `nodemailer` asks name servers, which nothing here may. */
const connected = (
  { host, port, answerMs }: Pick<EmailOptions, "host" | "port" | "answerMs">,
  callback: (error: Error | null, options?: { readonly connection: Socket }) => void,
): Socket => {
  const connection = connect({ host, port });
  const failed = (error: Error) => callback(error);
  connection.on("error", () => {}); // whoever has it by then is told as well
  connection.once("error", failed);
  connection.setTimeout(answerMs, () => connection.destroy(new Error("no answer")));
  connection.once("connect", () => {
    connection.off("error", failed);
    connection.setTimeout(0);
    callback(null, { connection });
  });
  return connection;
};

/** What a server says may repeat addresses; its code and what kind of trouble it is say enough. */
const said = ({ code, responseCode }: SmtpError): string =>
  responseCode ? `the server answered ${responseCode}` : `the server cannot be reached (${code ?? "no answer"})`;
