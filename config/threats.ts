/** What the configuration says about attacks: from when on something is one, and what is done about it. */
import { z } from "zod";
import { count, section } from "./section.ts";

const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;

/** An IPv4 or IPv6 address, and how many of its bits make the network. */
export const network = z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()], {
  error: "an address or network, as 192.0.2.0/24 or 2001:db8::/32",
}).meta({ expected: "an address or network, as 192.0.2.0/24 or 2001:db8::/32" });

export const threatsSection = section("Attacks that are looked for in sign-ins, and what is done (docs/threats.md)", {
  window_ms: count(1_000, DAY_MS, 10 * MINUTE_MS, "Within which failures count together"),
  account_failures: count(1, 1_000, 15, "Failures on one account, or one name elsewhere: brute force"),
  address_failures: count(1, 1_000, 20, "Failures from one address: guessing"),
  address_names: count(2, 1_000, 10, "Names that failed from one address: spraying"),
  credential_accounts: count(2, 1_000, 10, "Accounts that one password failed on: stuffing"),
  respond: z.boolean().default(true).meta({ description: "Whether something is done, or it is only told" }),
  first_ms: count(1_000, 31 * DAY_MS, 10 * MINUTE_MS, "How long something is done, doubled each time within a day"),
  most_ms: count(1_000, 366 * DAY_MS, DAY_MS, "At most"),
  never: z.array(network).max(1_000).default(["127.0.0.0/8", "::1"]).meta({
    description: "Addresses and networks that are never blocked",
  }),
});
