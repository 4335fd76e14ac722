/** Decides who may do what, by policies in Cedar. What was decided is kept: the same question has the same answer as long as the policies do. */
import { LRUCache } from "lru-cache";
import { firstOf } from "../../../config/first_of.ts";
import { HOUSE, type Owners, ownersOf } from "../../../events/tenants.ts";
import { type Entity, type Policies, readPolicies, type Uid } from "../../cedar/policies.ts";
import { RESOURCES } from "../../cedar/schema.ts";
import { SCOPES } from "../../../events/scopes.ts";
import { type Action, ACTIONS, groupOf } from "../../http/actions.ts";
import { type Asker, type Authority, type Decision, type Resource, tenantOf } from "../../http/authority.ts";
import { Usage } from "../../cli/call.ts";
import type { Model } from "./model.ts";

/** Decisions that are kept; one more and the one that was not asked for longest is decided anew. */
export const DECISIONS_HELD_MAX = 10_000;

/** Each action with its group, as policies are held against them. */
const ACTION_GROUPS: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(ACTIONS).map(([action, needs]) => [action, groupOf(needs)]),
);

const uid = (type: string, id: string): Uid => ({ type, id });
const reference = (type: string, id: string) => ({ __entity: uid(type, id) });
const tenant = (id: string): Entity => ({
  uid: uid("Tenant", id),
  attrs: {},
  parents: id === HOUSE ? [] : [uid("Tenant", HOUSE)],
});

export class CedarAuthority implements Authority {
  readonly owners: Owners;
  byStream = false;
  private readonly decisions = new LRUCache<string, Decision>({
    maxSize: DECISIONS_HELD_MAX,
    sizeCalculation: () => 1,
  });
  private readonly roleEntities: readonly Entity[];
  private readonly actionEntities: ReadonlyMap<string, Entity>;
  private policies: Policies | undefined;
  // Most requests ask what the one before asked.
  private last: Asked | undefined;
  private reading: Promise<void> | undefined;

  /** `file`: what mistakes are told under; absent for the program's own, which a test holds against the schema. */
  constructor(private readonly model: Model, private readonly file?: string) {
    this.owners = ownersOf(model.tenants);
    this.roleEntities = Object.entries(model.roles).map(([role, { includes }]) => ({
      uid: uid("Role", role),
      attrs: {},
      parents: includes.map((other) => uid("Role", other)),
    }));
    this.actionEntities = new Map(
      Object.entries(ACTION_GROUPS).map(([action, group]) => [action, {
        uid: uid("Action", action),
        attrs: {},
        parents: [uid("Action", group)],
      }]),
    );
  }

  /** Rejects with `Usage` where policies do not hold. */
  ready(): Promise<void> | undefined {
    return this.policies === undefined ? this.reading ??= this.read() : undefined;
  }

  private async read(): Promise<void> {
    const { model: { policies: text, roles, files }, file = "policies" } = this;
    const names = { actions: ACTION_GROUPS, roles: Object.keys(roles) };
    const read = await readPolicies(files ?? [{ file, text }], names, { held: this.file === undefined });
    if (!read.ok) {
      throw new Usage(
        firstOf(read.problems.map(({ file, line, column, message }) => `${file}:${line}:${column}: ${message}`)),
      );
    }
    this.byStream = this.owners.divided || RESOURCES.some((type) => read.policies.kinds.has(type));
    this.policies = read.policies;
  }

  decide(asker: Asker | undefined, action: Action, resource: Resource): Decision {
    const { last } = this;
    if (last && last.asker === asker && last.action === action && sameResource(last.resource, resource)) {
      return last.decision;
    }
    const decision = this.decided(asker, action, resource);
    this.last = { asker, action, resource, decision };
    return decision;
  }

  /** Groups of actions that policies permit within the tenant: what an access token tells others as its scope. */
  scopesOf(asker: Asker): readonly string[] {
    return SCOPES.filter((scope) => this.decided(asker, scope, tenantOf(asker.tenant)).allowed);
  }

  /** Decisions that are kept. */
  get held(): number {
    return this.decisions.size;
  }

  private decided(asker: Asker | undefined, action: string, resource: Resource): Decision {
    const { named } = this.policies!;
    // Who and what it is counts only where a policy names one of its kind.
    const type = typeOf(asker);
    const who = asker === undefined ? type : [
      type,
      asker.tenant,
      (asker.roles ?? asker.scopes).join(" "),
      type === "Key" ? `${asker.scopes.join(" ")} ${named.has("User") ? asker.account : ""}` : "",
      named.has(type) ? asker.id : "",
    ].join("|");
    const what = `${resource.type}|${resource.tenant}|${this.namedOf(resource)}`;
    const key = `${who}\n${action}\n${what}`;
    let decision = this.decisions.get(key);
    if (!decision) this.decisions.set(key, decision = this.ask(asker, action, resource));
    return decision;
  }

  private namedOf({ type, id }: Resource): string {
    return this.policies!.named.has(type) ? id : "";
  }

  private ask(asker: Asker | undefined, action: string, resource: Resource): Decision {
    const entities: Entity[] = [...this.roleEntities, ...this.entitiesOf(resource)];
    const principal = askerEntity(asker, this.model);
    entities.push(principal);
    // Of a key policies may ask what its account is, too.
    if (asker?.account !== undefined) {
      const { attrs: { tenant }, parents } = principal;
      entities.push({ uid: uid("User", asker.account), attrs: { tenant }, parents });
    }
    if (asker) entities.push(tenant(asker.tenant));
    const actionEntity = this.actionEntities.get(action);
    if (actionEntity) entities.push(actionEntity);
    const unique = new Map(entities.map((entity) => [`${entity.uid.type} ${entity.uid.id}`, entity]));
    return this.policies!.decide({
      principal: principal.uid,
      action,
      resource: uid(resource.type, resource.id),
      entities: [...unique.values(), ...(unique.has(`Tenant ${HOUSE}`) ? [] : [tenant(HOUSE)])],
    });
  }

  private entitiesOf({ type, id, tenant: of }: Resource): readonly Entity[] {
    if (type === "Tenant") return [tenant(id)];
    const domain = type === "Stream" ? { domain: id.split("/", 1)[0]! } : {};
    const entity = {
      uid: uid(type, id),
      attrs: { tenant: reference("Tenant", of), ...domain },
      parents: [uid("Tenant", of)],
    };
    return [entity, tenant(of)];
  }
}

/** A question, and its answer as long as who asked is as they were: nobody changes an asker. */
interface Asked {
  readonly asker: Asker | undefined;
  readonly action: Action;
  readonly resource: Resource;
  readonly decision: Decision;
}

const sameResource = (a: Resource, b: Resource): boolean => a.id === b.id && a.type === b.type && a.tenant === b.tenant;

type PrincipalType = "Nobody" | "User" | "Key" | "Token";

const typeOf = (asker: Asker | undefined): PrincipalType => {
  if (asker === undefined) return "Nobody";
  if (asker.account !== undefined) return "Key";
  return asker.own !== undefined ? "User" : "Token";
};

/** A role that is not known (any more) gives nothing. */
const askerEntity = (asker: Asker | undefined, { roles }: Model): Entity => {
  if (asker === undefined) return { uid: uid("Nobody", "nobody"), attrs: {}, parents: [] };
  const type = typeOf(asker);
  const held = (asker.roles ?? []).filter((role) => Object.hasOwn(roles, role)).map((role) => uid("Role", role));
  return {
    uid: uid(type, asker.id),
    attrs: {
      tenant: reference("Tenant", asker.tenant),
      ...(type === "User" ? {} : { scopes: asker.scopes }),
      ...(type === "Key" ? { account: reference("User", asker.account!) } : {}),
    },
    parents: [...(type === "Token" ? [] : held), uid("Tenant", asker.tenant)],
  };
};
