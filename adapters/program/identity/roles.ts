/** What each role may do, as scopes of the routes. */
import type { Scope } from "../../http/access.ts";

interface RoleSpec {
  readonly scopes: readonly Scope[];
  /** Whether who holds it can change other people's access, or what is recorded. */
  readonly privileged: boolean;
}

export const ROLES: Readonly<Record<string, RoleSpec>> = {
  viewer: { scopes: ["read"], privileged: false },
  operator: { scopes: ["read", "command", "ingest"], privileged: false },
  auditor: { scopes: ["read", "personal"], privileged: true },
  administrator: { scopes: ["read", "command", "ingest", "personal", "admin"], privileged: true },
};

/** A role that is not known (any more) gives nothing. */
export const scopesOf = (roles: readonly string[]): readonly Scope[] => [
  ...new Set(roles.flatMap((role) => Object.hasOwn(ROLES, role) ? ROLES[role]!.scopes : [])),
];
