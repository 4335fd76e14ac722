/**
 * Secrets that are handed out and nowhere kept: ids, and an HMAC-SHA-256 over them under a key of the key database. Whether one still
 * counts is for the account's history to say; that it is ours is told by the HMAC.
 */
import { Buffer } from "node:buffer";
import { createHmac, timingSafeEqual } from "node:crypto";

/** Refresh tokens, cookies of pages, codes of invitations, what goes with a form, what goes with a second factor, challenges of passkeys, sign-ins elsewhere. */
export type TicketKind = "refresh" | "session" | "invitation" | "csrf" | "second" | "device" | "passkey" | "flow";

const PREFIX: Readonly<Record<TicketKind, string>> = {
  refresh: "dbr_",
  session: "dbc_",
  invitation: "dbi_",
  csrf: "dbx_",
  second: "dbt_",
  device: "dbd_",
  passkey: "dbp_",
  flow: "dbf_",
};
const SHAPE = /^(db[rcixtdpf]_)([\w-]+(?:\.[\w-]+)*)\.([\w-]{43})$/;
const TICKET_CHARS_MAX = 256;

export class Tickets {
  private key: Uint8Array | undefined;

  constructor(private readonly secret: () => Uint8Array) {}

  /** Parts are letters, digits, `_` and `-`. */
  make(kind: TicketKind, parts: readonly string[]): string {
    const said = parts.join(".");
    return `${PREFIX[kind]}${said}.${this.mac(kind, said).toString("base64url")}`;
  }

  /** The parts of a ticket that is ours, so many and no other number; else `undefined`. */
  read(kind: TicketKind, text: string, count: number): readonly string[] | undefined {
    const shape = text.length > TICKET_CHARS_MAX ? null : SHAPE.exec(text);
    if (!shape || shape[1] !== PREFIX[kind]) return undefined;
    const given = Buffer.from(shape[3]!, "base64url");
    const made = this.mac(kind, shape[2]!);
    if (given.length !== made.length || !timingSafeEqual(given, made)) return undefined;
    const parts = shape[2]!.split(".");
    return parts.length === count ? parts : undefined;
  }

  private mac(kind: TicketKind, said: string): Buffer {
    this.key ??= this.secret();
    return createHmac("sha256", this.key).update(`${kind}\n${said}`).digest();
  }
}

/** Whether a text looks like the value of a page's cookie. */
export const isSessionTicket = (text: string): boolean => text.startsWith(PREFIX.session);
