import assert from "node:assert/strict";
import { Accounts, idOf, VAULT_ROWS_MAX } from "../adapters/keys/accounts.ts";
import { KeyDatabase } from "../adapters/keys/database.ts";
import { openKeys } from "../adapters/keys/keys.ts";
import { events } from "../events/mod.ts";
import { systemClock } from "../adapters/system/world.ts";

const open = (path = ":memory:") => openKeys({ path, clock: systemClock, catalogue: events });
const bytes = (text: string) => new TextEncoder().encode(text);
const text = (found: Uint8Array | undefined) => found && new TextDecoder().decode(found);

Deno.test("a name leads to one account for good, and a name that was never reserved to none", () => {
  using keys = disposable(open());
  const { accounts } = keys.it;
  assert.equal(accounts.find("alice"), undefined);
  const alice = accounts.reserve("alice");
  assert.match(alice, /^u_[\w-]{20}$/);
  assert.equal(accounts.reserve("alice"), alice);
  assert.equal(accounts.find("alice"), alice);
  assert.notEqual(accounts.reserve("bob"), alice);
});

Deno.test("another name leads to an account until it is taken from it, or the account is erased, and to no second one", () => {
  using keys = disposable(open());
  const { accounts } = keys.it;
  const [alice, bob] = [accounts.reserve("alice"), accounts.reserve("bob")];
  const elsewhere = "oidc\ncorp\n0001";
  assert.equal(accounts.find(elsewhere), undefined);
  assert.deepEqual([accounts.lead(elsewhere, alice), accounts.lead(elsewhere, alice), accounts.lead(elsewhere, bob)], [
    true,
    true,
    false,
  ]);
  assert.equal(accounts.find(elsewhere), alice);
  assert.deepEqual([...accounts.all()].sort(), [alice, bob].sort(), "each once");
  accounts.unlead(elsewhere, bob);
  assert.equal(accounts.find(elsewhere), alice);
  accounts.unlead(elsewhere, alice);
  assert.equal(accounts.find(elsewhere), undefined);
  accounts.lead(elsewhere, bob);
  accounts.erase([bob]);
  assert.equal(accounts.find(elsewhere), undefined);
});

Deno.test("what was kept is read back by its owner and id alone, until it is dropped", () => {
  using keys = disposable(open());
  const { accounts } = keys.it;
  const id = accounts.keep("u_aaaaaaaaaaaaaaaa", bytes("hash"));
  assert.equal(text(accounts.read("u_aaaaaaaaaaaaaaaa", id)), "hash");
  assert.equal(accounts.read("u_bbbbbbbbbbbbbbbb", id), undefined);
  accounts.drop("u_bbbbbbbbbbbbbbbb", [id]);
  assert.equal(text(accounts.read("u_aaaaaaaaaaaaaaaa", id)), "hash");
  accounts.drop("u_aaaaaaaaaaaaaaaa", [id]);
  assert.equal(accounts.read("u_aaaaaaaaaaaaaaaa", id), undefined);
});

Deno.test("ids begin with a letter, whatever chance says, so that a command takes none for an option", () => {
  const ids = Array.from({ length: 256 }, (_, first) => idOf(Uint8Array.of(first, 255, 255)));
  for (const id of ids) assert.match(id, /^[A-Za-z]/);
  assert.equal(new Set(ids).size, 128, "one bit is given up for it");
});

Deno.test("of rows that no fact names the newest stay, for another call may be about to name one", () => {
  let now = 1_790_000_000_000;
  using keys = disposable(
    openKeys({ path: ":memory:", clock: { ...systemClock, now: () => now++ }, catalogue: events }),
  );
  const { accounts } = keys.it;
  const owner = "u_aaaaaaaaaaaaaaaa";
  const ids = Array.from({ length: VAULT_ROWS_MAX + 3 }, (_, i) => accounts.keep(owner, bytes(String(i))));
  const other = accounts.keep("u_bbbbbbbbbbbbbbbb", bytes("other"));
  accounts.keepOnly(owner, [ids[0]!], [ids[1]!]);
  assert.equal(text(accounts.read(owner, ids[0]!)), "0");
  assert.equal(accounts.read(owner, ids[1]!), undefined);
  const left = () => ids.filter((id) => accounts.read(owner, id) !== undefined);
  assert.deepEqual(left(), [ids[0], ...ids.slice(3)], "what counts, and the newest");
  accounts.keepOnly(owner, [ids[0]!, ids.at(-1)!], [ids[0]!]);
  assert.deepEqual(left(), [ids[0], ...ids.slice(3)], "what counts does not go, also where it was replaced");
  assert.equal(text(accounts.read("u_bbbbbbbbbbbbbbbb", other)), "other");
});

Deno.test("where there was never an account nobody is found, and there is nothing to destroy", () => {
  using keys = disposable(open());
  const { accounts } = keys.it;
  const owner = "u_aaaaaaaaaaaaaaaa";
  assert.deepEqual([accounts.all(), accounts.find("alice"), accounts.read(owner, owner)], [[], undefined, undefined]);
  accounts.keepOnly(owner, [], []);
  accounts.erase([owner]);
});

Deno.test("neither a name nor a secret lies in the file in clear, and after a restart both are there", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/keys.db`;
    let account = "", id = "";
    {
      using keys = disposable(open(path));
      account = keys.it.accounts.reserve("alice-of-the-hill");
      id = keys.it.accounts.keep(account, bytes("a-hash-that-is-secret"));
    }
    const file = new TextDecoder("latin1").decode(await Deno.readFile(path));
    assert.ok(!file.includes("alice-of-the-hill") && !file.includes("a-hash-that-is-secret"));
    using keys = disposable(open(path));
    assert.equal(keys.it.accounts.find("alice-of-the-hill"), account);
    assert.equal(text(keys.it.accounts.read(account, id)), "a-hash-that-is-secret");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a row that was moved to another owner or id does not open", () => {
  const db = new KeyDatabase({ path: ":memory:", clock: systemClock });
  try {
    const key = new Uint8Array(32);
    const accounts = new Accounts(db, () => key);
    const id = accounts.keep("u_aaaaaaaaaaaaaaaa", bytes("hash"));
    db.run("UPDATE vault SET owner = 'u_bbbbbbbbbbbbbbbb' WHERE id = ?", id);
    assert.throws(() => accounts.read("u_bbbbbbbbbbbbbbbb", id), { name: "KeysFault", kind: "truncated" });
  } finally {
    db.close();
  }
});

Deno.test("erasing a person takes the name and the secrets of their account along", () => {
  using keys = disposable(open());
  const { accounts } = keys.it;
  const account = accounts.reserve("alice");
  const id = accounts.keep(account, bytes("hash"));
  keys.it.eraseKey(account);
  assert.equal(accounts.find("alice"), undefined);
  assert.equal(accounts.read(account, id), undefined);
  assert.notEqual(accounts.reserve("alice"), account, "who comes again is somebody else");
});

const disposable = <T extends { close(): void }>(it: T) => ({ it, [Symbol.dispose]: () => it.close() });
