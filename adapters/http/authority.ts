/** The port of whoever decides who may do what, and what it is asked about. */
import type { StreamId } from "../../events/event.ts";
import { HOUSE, type Owners } from "../../events/tenants.ts";
import type { Grant } from "./access.ts";
import type { Action } from "./actions.ts";

/** What something is done to. It belongs to a tenant; `id` is as people know it. */
export interface Resource {
  readonly type: "Log" | "Tenant" | "Stream" | "View" | "Account" | "Operation";
  readonly id: string;
  readonly tenant: string;
}

export interface Decision {
  readonly allowed: boolean;
  /** Ids of the policies that decided, in order of name; none where nothing permits it. */
  readonly policies: readonly string[];
}

/** Whoever has been let in, as far as deciding goes; absent: a request without any. */
export type Asker = Pick<Grant, "id" | "scopes" | "roles" | "account" | "tenant" | "own" | "principal">;

/** Synchronous once it is ready: it stands on the way of every request. */
export interface Authority {
  readonly owners: Owners;
  /** Whether it makes a difference to the installation's own which stream it is; to those of a tenant it does. */
  readonly byStream: boolean;
  /** What must be waited for before `decide`; absent when nothing must. */
  ready(): Promise<void> | undefined;
  decide(asker: Asker | undefined, action: Action, resource: Resource): Decision;
}

/** All of the log, and the installation itself. */
export const LOG: Resource = { type: "Log", id: "log", tenant: HOUSE };

export const streamOf = (stream: StreamId, { ofStream }: Owners): Resource => ({
  type: "Stream",
  id: stream,
  tenant: ofStream(stream),
});

export const tenantOf = (tenant: string): Resource => ({ type: "Tenant", id: tenant, tenant });
