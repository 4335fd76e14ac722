/** Who is asked before what cannot be undone: in a folder, and in a backup before it is brought back. */
import assert from "node:assert/strict";
import { type Account, nobody } from "../actors/identity/account.ts";
import { askingOf } from "../adapters/program/identity/asking.ts";
import { proveInCopy } from "../adapters/program/identity/copied.ts";
import { openSystem } from "../adapters/program/daybook.ts";
import { operate } from "../adapters/program/operations.ts";
import { shippedModel } from "../adapters/program/access/model.ts";
import { type EventLog, LogFault } from "../events/log.ts";

type Log = Pick<EventLog, "read">;
const empty: Log = { read: () => [] };
const archived: Log = {
  read() {
    throw new LogFault("archived", "what lies before was archived");
  },
};

const password: Account["password"] = {
  credential: "c".repeat(20),
  scheme: { algorithm: "argon2id", memory_kib: 19_456, passes: 2, lanes: 1 },
};
const totp: Account["factors"] = [{ factor: "f".repeat(20), kind: "totp", counter: -1, used: [] }];
const role = (name: string, privileged = true) => [{ role: name, privileged }];
const person = (more: Partial<Account>): Account => ({ ...nobody, is: "active", tenant: "default", password, ...more });
const root = person({ roles: role("administrator") });

const asked = async (accounts: Record<string, Account>, log = empty) => {
  const { wanted, accounts: who } = await askingOf(Object.entries(accounts), log);
  return [wanted, ...[...who.keys()].sort()];
};

Deno.test("accounts that may do it are asked: for a code once one of them has a second factor, before that for the password", async () => {
  assert.deepEqual(await asked({}), ["nothing"]);
  assert.deepEqual(await asked({ root }), ["password", "root"]);
  assert.deepEqual(await asked({ root, other: { ...root, factors: totp } }), ["second_factor", "other", "root"]);
  const others = {
    viewer: person({ roles: role("viewer", false) }),
    auditor: person({ roles: role("auditor"), factors: totp }),
    elsewhere: person({ roles: role("administrator"), tenant: "acme", factors: totp }),
    invited: person({ roles: role("administrator"), password: null }),
    disabled: { ...root, is: "disabled" as const, factors: totp },
    service: person({ roles: role("administrator"), kind: "service", password: null }),
  };
  assert.deepEqual(await asked(others), ["nothing"], "who may not, or has nothing to show");
  assert.deepEqual(await asked({ ...others, root }), ["password", "root"]);
});

Deno.test("policies of the log say who may; where they were archived it is who has privileges", async () => {
  const forbid = `@id("nobody") forbid (principal is User, action == Action::"operations.run", resource);`;
  const { policies, ...model } = shippedModel();
  const activated = { data: { ...model, policies: `${policies}\n${forbid}` } };
  const log: Log = { read: ({ types }) => types?.includes("access.policies.activated") ? [[activated]] as never : [] };
  assert.deepEqual(await asked({ root }, log), ["nothing"]);
  const auditor = person({ roles: role("auditor") });
  assert.deepEqual(await asked({ root, auditor }, archived), ["password", "auditor", "root"]);
});

Deno.test("a backup whose accounts cannot be known is not brought back unasked; one without accounts asks nobody", async () => {
  const keys = (accounts: readonly string[]) =>
    ({
      accounts: { all: () => accounts, find: () => undefined },
      isErased: () => false,
      secret: () => new Uint8Array(),
    }) as never;
  await proveInCopy({ keys: keys([]), log: archived }, {}, 0);
  await assert.rejects(
    proveInCopy({ keys: keys(["u_aaaaaaaaaaaaaaaa"]), log: archived }, { account: "ada" }, 0),
    { code: "archive_wanted" },
  );
  await proveInCopy({ keys: keys(["u_aaaaaaaaaaaaaaaa"]), log: empty }, {}, 0);
});

Deno.test("while it is looked who of many accounts is to be asked, a server answers others", async () => {
  const opened = await openSystem({ data: ":memory:" });
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  try {
    const ids = Array.from({ length: 20_000 }, (_, i) => `u_${String(i).padStart(16, "0")}`);
    Object.assign(opened.keys.accounts, { all: () => ids });
    const before = turns;
    const signal = new AbortController().signal;
    const asked = await operate(opened, "show-factor", { input: {}, progress: () => {}, signal });
    assert.deepEqual(asked, { wanted: false });
    assert.ok(turns - before > 5, `${turns - before} turns`);
  } finally {
    clearInterval(timer);
    await opened.daybook.close();
  }
});
