/** `who-could`: who could do something to something, at a time. */
import type { Could } from "../access.ts";
import { type Call, justAfter, moment, type Run, text, Usage } from "../call.ts";
import { table } from "../columns.ts";
import { palette, safe } from "../print.ts";
import type { Runtime } from "../runtime.ts";

export const whoCould: Run = async (call, runtime) => {
  const [action, resource] = call.args as [string, string];
  const { io } = runtime;
  const answer = await runtime.whoCould(call.data, { action, resource, ...await momentOf(call, runtime) });
  if (call.json) {
    io.out(`${JSON.stringify(answer)}\n`);
    return 0;
  }
  const { principals, at, policies, size } = answer;
  const c = palette(io);
  io.err(
    `${action} on ${safe(answer.resource.id)} (tenant ${
      safe(answer.resource.tenant)
    }) at ${at}, after ${size} events, by ${
      policies === null ? "the program's own policies, as none were on record" : `policies ${policies.slice(0, 12)}`
    }\n`,
  );
  if (principals.length === 0) io.out("nobody\n");
  else {
    const columns = ["principal", "tenant", "how", "as", "policies", "since"].map((title) => ({ title }));
    const rows = principals.map((one) => {
      const { id, tenant, roles, scopes, policies, since } = one;
      const as = (roles ?? scopes ?? []).join(" ");
      return [safe(id), tenant, howOf(one), as, policies.join(" "), since?.time ?? "always"];
    });
    io.out(table(columns, rows, c));
  }
  return 0;
};

const howOf = ({ type, second_factor, account }: Could): string => {
  if (type === "User") return second_factor ? "session with a second factor" : "session";
  return account === undefined ? "token" : `key of ${account}`;
};

/** What is asked of a time is answered as of that time; of a position, as of when it was recorded. */
const momentOf = async (call: Call, runtime: Runtime): Promise<{ readonly size?: number; readonly at?: number }> => {
  const asked = text(call, "at");
  if (asked === undefined) return { at: runtime.clock.now() };
  const at = moment(asked, "--at");
  const reader = await runtime.reader(call.data);
  try {
    if ("time" in at) return { size: reader.positionAt(justAfter(at.time)), at: Date.parse(at.time) };
    if (at.position < reader.size) return { size: at.position + 1 };
    throw new Usage(`there is no event ${at.position}; the log has ${reader.size}`);
  } finally {
    await reader.close();
  }
};
