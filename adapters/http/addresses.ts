/** Who may speak to the server at all, by address: those on the list, if there is one, and none that is blocked. */
import { BlockList, isIP } from "node:net";
import type { Millis } from "../../events/event.ts";
import { Problem } from "./problem.ts";
import { retryAfter } from "./rate.ts";

export interface AddressOptions {
  /** Addresses and networks, IPv4 and IPv6, as `192.0.2.0/24`. None: everybody may. */
  readonly allow: readonly string[];
  /** Whether an address is blocked right now: by which rule, and for how long. */
  readonly blocked?: (address: string) => { readonly rule: string; readonly ms: Millis } | undefined;
  /** Whether any address is blocked at all; asked first, because it costs nothing. */
  readonly blocking?: () => boolean;
  /** Told of every refusal. */
  readonly refused?: (rule: string, address: string) => void;
}

const NOT_LISTED = "not_listed";

export class Addresses {
  private readonly list: BlockList | undefined;

  constructor(private readonly options: AddressOptions) {
    if (options.allow.length > 0) this.list = listOf(options.allow);
  }

  /** Whether it matters at all who asks. */
  get matters(): boolean {
    return this.list !== undefined || this.options.blocking?.() === true;
  }

  /** Throws `address_refused`. Where a proxy hides who asks, nobody is on a list. Who asks is looked at only if it matters. */
  check(client: () => string): void {
    if (!this.matters) return;
    const plain = addressOf(client());
    if (this.list !== undefined && !(isIP(plain) !== 0 && this.list.check(plain, familyOf(plain)))) {
      this.options.refused?.(NOT_LISTED, plain);
      throw new Problem("address_refused", "This address is not among those that may ask here.");
    }
    const block = this.options.blocked?.(plain);
    if (block === undefined) return;
    this.options.refused?.(block.rule, plain);
    throw new Problem("address_refused", "This address is blocked for a while.", { headers: retryAfter(block.ms) });
  }
}

/** As it is compared: without brackets, port and zone; an IPv4 address that IPv6 has wrapped as itself. */
export const addressOf = (text: string): string => {
  const [, bracketed] = /^\[([^\]]*)\](?::\d+)?$/.exec(text) ?? [];
  const [, dotted] = /^(\d+(?:\.\d+){3})(?::\d+)?$/.exec(text) ?? [];
  return (bracketed ?? dotted ?? text).toLowerCase().replace(/%.*$/, "").replace(/^::ffff:(?=\d+\.)/, "");
};

/**
 * Whom limits count an address as: of IPv6 its network of 64 bits, for one site has that many (RFC 6177 section 2) and could ask from
 * another each time, or fill the windows of all others.
 */
export const callerOf = (text: string): string => {
  const address = addressOf(text);
  if (isIP(address) !== 6) return address;
  const [before = [], after = []] = address.split("::").map((part) => part.split(":").filter((group) => group !== ""));
  const known = before.length + after.reduce((sum, group) => sum + (group.includes(".") ? 2 : 1), 0);
  const groups = [...before, ...Array(8 - known).fill("0"), ...after].slice(0, 4);
  return `${groups.map((group) => Number.parseInt(group, 16).toString(16)).join(":")}::/64`;
};

const familyOf = (address: string): "ipv4" | "ipv6" => isIP(address) === 6 ? "ipv6" : "ipv4";

/** As `BlockList` has them. */
export const listOf = (allow: readonly string[]): BlockList => {
  const list = new BlockList();
  for (const each of allow) {
    const [address = "", bits] = each.split("/");
    if (bits === undefined) list.addAddress(address, familyOf(address));
    else list.addSubnet(address, Number(bits), familyOf(address));
  }
  return list;
};
