/** By what it is decided who may do what: policies, roles and tenants, those of the program or of a folder that the configuration names. */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { parseRoles, type Roles } from "../../../config/access.ts";
import shippedPolicies from "../../../config/access/policies.cedar" with { type: "text" };
import shippedRoles from "../../../config/access/roles.json" with { type: "text" };
import { firstOf } from "../../../config/first_of.ts";
import type { Config } from "../../../config/config.ts";
import { ACCESS_LIMITS } from "../../../events/access.ts";
import { canonical } from "../../../events/canonical.ts";
import type { Belongings } from "../../../events/tenants.ts";
import type { PolicyFile } from "../../cedar/policies.ts";
import { Usage } from "../../cli/call.ts";
import { fileText } from "../../cli/terminal.ts";

export interface Model {
  readonly policies: string;
  readonly roles: Roles;
  readonly tenants: Readonly<Record<string, Belongings>>;
  /** The policies as they lie, so that mistakes are told with their places. */
  readonly files?: readonly PolicyFile[];
}

/** Of the program's own, by name. */
const ROLES_FILE = "roles.json";

const rolesOf = (file: string, text: string): Roles => {
  const read = parseRoles(file, text);
  if (read.ok) return read.roles;
  throw new Usage(firstOf(read.problems));
};

/** What belongs to whom, as the configuration says it. */
export const tenantsOf = ({ tenants }: Config["identity"]): Model["tenants"] =>
  Object.fromEntries(
    Object.entries(tenants).map(([name, { streams, sources }]) => [name, { streams, sources }]),
  );

export const shippedModel = (tenants: Model["tenants"] = {}): Model => ({
  policies: shippedPolicies,
  roles: rolesOf(`config/access/${ROLES_FILE}`, shippedRoles),
  tenants,
});

/** Every `.cedar` file of the folder, in the order of their names, and `roles.json`. Throws `Usage` for what cannot be read. */
export const modelIn = async (folder: string, tenants: Model["tenants"]): Promise<Model> => {
  const names = await namesIn(folder);
  const read = (name: string) => fileText(join(folder, name));
  if (names.length === 0) throw new Usage(`there are no policies in ${folder}: it has no .cedar file`);
  const files = await Promise.all(
    names.map(async (name) => ({ file: join(folder, name), text: await read(name) })),
  );
  const roles = await read(ROLES_FILE).catch((error) => {
    if (error instanceof Deno.errors.NotFound) throw new Usage(`there is no ${ROLES_FILE} in ${folder}`);
    throw error;
  });
  const policies = files.map(({ text }) => text).join("\n");
  return { policies, roles: rolesOf(join(folder, ROLES_FILE), roles), tenants, files };
};

const namesIn = async (folder: string): Promise<readonly string[]> => {
  const names: string[] = [];
  try {
    for await (const { name, isDirectory } of Deno.readDir(folder)) {
      // A link leads to one as well: what is mounted often is nothing else.
      if (!isDirectory && name.endsWith(".cedar")) names.push(name);
    }
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) throw new Usage(`there are no policies: ${folder} is not there`);
    throw error;
  }
  return names.sort();
};

/** Throws `Usage` where it is more than one event has room for. */
export const digestOf = (model: Model): string => {
  const { policies, roles, tenants } = model;
  if (policies.length > ACCESS_LIMITS.policies_chars_max) {
    throw new Usage(`policies have at most ${ACCESS_LIMITS.policies_chars_max} characters together`);
  }
  if (canonical({ roles, tenants }).length > ACCESS_LIMITS.others_chars_max) {
    throw new Usage(`roles and tenants have at most ${ACCESS_LIMITS.others_chars_max} characters together, as JSON`);
  }
  const text = canonical({ policies, roles, tenants });
  if (Buffer.byteLength(text) > ACCESS_LIMITS.bytes_max) {
    throw new Usage(`policies, roles and tenants have at most ${ACCESS_LIMITS.bytes_max} bytes together, as JSON`);
  }
  return createHash("sha256").update(text).digest("hex");
};
