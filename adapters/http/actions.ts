/**
 * What can be done here, by name: what policies permit and forbid (`config/access/policies.cedar`), what `who-could` asks about. Every
 * route names one. An action is in one group; a token's scopes are groups, and so is what roles are about.
 */
import type { Needs } from "./access.ts";

/** Each with its group; `nothing` is open to who has no token, `any` to everybody who has been let in. */
export const ACTIONS = {
  "probes.read": "nothing",
  /** Signing in, in every way, and what a code or a token of its own lets do: refreshing, choosing a password. */
  "signin.use": "nothing",
  /** Whoever sends signs what is sent. */
  "webhooks.send": "nothing",
  /** Where the configuration opens checkpoint and hashes to all. */
  "tree.read_open": "nothing",

  "docs.read": "any",
  /** One's own sessions, password, second factors, keys. */
  "account.use": "any",

  "events.ingest": "ingest",
  "blobs.store": "ingest",

  "commands.send": "command",

  "events.read": "read",
  "blobs.read": "read",
  "views.read": "read",
  "tree.read": "read",
  "metrics.read": "read",
  "status.read": "read",

  /** Seeing personal values, wherever they are answered. */
  "personal.read": "personal",

  "accounts.create": "admin",
  "accounts.disable": "admin",
  "accounts.enable": "admin",
  "accounts.offboard": "admin",
  "accounts.unlock": "admin",
  "accounts.invite": "admin",
  "accounts.sign_out": "admin",
  "accounts.reset_factors": "admin",
  "roles.grant": "admin",
  "roles.revoke": "admin",
  "keys.read": "admin",
  "keys.issue": "admin",
  "keys.rotate": "admin",
  "keys.revoke": "admin",
  "signing_keys.rotate": "admin",
  "dead_letters.read": "admin",
  "dead_letters.redrive": "admin",
  "operations.run": "admin",
  "access.explain": "admin",
} as const satisfies Record<string, Needs>;

export type Action = keyof typeof ACTIONS;

/** The group of an action as policies name it. */
export const groupOf = (needs: Needs): string => needs === "nothing" ? "public" : needs === "any" ? "own" : needs;

/** Those whose facts say which policies let them be done (`authpolicies`). */
export const isSensitive = (action: Action): boolean => {
  const needs = ACTIONS[action];
  return needs === "admin" || needs === "command" || action === "account.use";
};
