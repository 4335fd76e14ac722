/** Cedar's schema (https://docs.cedarpolicy.com/schema/human-readable-schema.html) of what is asked here; policies are held against it. */

/** What policies are about: each action with its group. */
export type Actions = Readonly<Record<string, string>>;

export const RESOURCES = ["Log", "Tenant", "Stream", "View", "Account", "Operation"] as const;

const ENTITIES = `
entity Tenant in [Tenant];
entity Role in [Role];
entity Nobody;
entity User in [Role, Tenant] { tenant: Tenant };
entity Key in [Role, Tenant] { tenant: Tenant, account: User, scopes: Set<String> };
entity Token in [Tenant] { tenant: Tenant, scopes: Set<String> };
entity Log, View, Account, Operation in [Tenant] { tenant: Tenant };
entity Stream in [Tenant] { tenant: Tenant, domain: String };
`;

export const schemaText = (actions: Actions): string => {
  const groups = [...new Set(Object.values(actions))];
  // A group is an action, too: who may do all of it can be asked at once.
  const applies = (group: string) =>
    `appliesTo { principal: [${group === "public" ? "Nobody, " : ""}User, Key, Token], resource: [${
      RESOURCES.join(", ")
    }] }`;
  return [
    ENTITIES.trim(),
    ...groups.map((group) => `action ${JSON.stringify(group)} ${applies(group)};`),
    ...Object.entries(actions).map(([action, group]) =>
      `action ${JSON.stringify(action)} in [${JSON.stringify(group)}] ${applies(group)};`
    ),
  ].join("\n");
};
