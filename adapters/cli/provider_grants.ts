/** What providers of sign-ins may be asked at: the hosts that the configuration names, and no other. */
import type { Grants } from "./call.ts";
import { address, hostOf } from "./grants.ts";
import type { Settings } from "./settings.ts";

const TLS_PORT = 443;

export const providerGrants = ({ config: { identity } }: Settings): Pick<Grants, "net"> => {
  const net = identity.providers.flatMap((provider) => {
    // What is said over SAML goes through the browser.
    if (provider.kind === "saml") return [];
    const others = provider.hosts.map((host) => {
      const [name, port = TLS_PORT] = host.split(":");
      return address(name!, port);
    });
    return [hostOf(provider.issuer), ...others];
  });
  return { net: [...new Set(net)] };
};
