/** Roles, as a JSON file says them: which include which, and which are privileged. */
import { z } from "zod";

const ROLES_MAX = 50;
const slug = z.string().max(64).regex(/^[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?$/);
const shape = z.record(
  slug,
  z.strictObject({
    /** Roles whose rights this one has as well. */
    includes: z.array(slug).max(ROLES_MAX).default([]),
    /** Who holds it can change other people's access, or what is recorded: it counts only with a second factor. */
    privileged: z.boolean().default(false),
  }),
);

export type Roles = Readonly<Record<string, { readonly includes: readonly string[]; readonly privileged: boolean }>>;

export type RolesRead =
  | { readonly ok: true; readonly roles: Roles }
  /** One line each, with file and path. */
  | { readonly ok: false; readonly problems: readonly string[] };

export const parseRoles = (file: string, text: string): RolesRead => {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return { ok: false, problems: [`${file}: not JSON: ${(error as Error).message.split("\n")[0]}`] };
  }
  const parsed = shape.safeParse(value);
  if (!parsed.success) {
    return {
      ok: false,
      problems: parsed.error.issues.map(({ path, message }) => `${file}: /${path.join("/")}: ${message}`),
    };
  }
  const problems = faultsOf(parsed.data).map((fault) => `${file}: ${fault}`);
  return problems.length > 0 ? { ok: false, problems } : { ok: true, roles: parsed.data };
};

const faultsOf = (roles: Roles): readonly string[] => {
  const names = Object.keys(roles);
  const faults = names.length > ROLES_MAX ? [`there are at most ${ROLES_MAX} roles`] : [];
  for (const [role, { includes, privileged }] of Object.entries(roles)) {
    for (const other of includes) {
      if (!Object.hasOwn(roles, other)) faults.push(`/${role}/includes: there is no role ${other}`);
      else if (roles[other]!.privileged && !privileged) {
        faults.push(`/${role}: it includes ${other}, which is privileged, and so must be privileged itself`);
      }
    }
    if (includedIn(roles, role).has(role)) faults.push(`/${role}/includes: it includes itself`);
  }
  return faults;
};

/** All roles that one has the rights of, beside its own. */
const includedIn = (roles: Roles, role: string): ReadonlySet<string> => {
  const found = new Set<string>();
  const look = (name: string): void => {
    for (const other of roles[name]?.includes ?? []) {
      if (found.has(other)) continue;
      found.add(other);
      look(other);
    }
  };
  look(role);
  return found;
};
