/** Whom a command means that is given a name or an address: who an identifier leads to, or the holder of an account. */
import assert from "node:assert/strict";
import { Usage } from "../adapters/cli/call.ts";
import { type KnownPerson, type Persons, tellAccounts } from "../adapters/cli/persons.ts";
import type { Reader } from "../adapters/cli/reader.ts";
import type { Keys } from "../adapters/keys/keys.ts";
import { personsOf } from "../adapters/program/privacy/persons.ts";
import { LogFault } from "../events/log.ts";
import { givenStage } from "./cli_given.ts";
import { commit } from "./end_to_end/privacy_given.ts";
import { type House, withHouse } from "./identity_given.ts";

/** What a command finds beside the house, which keeps its log and keys. */
const finding = ({ log, keys }: House, read: Reader["read"] = log.read.bind(log)) => {
  const reader = { read, close: () => Promise.resolve() } as unknown as Reader;
  const borrowed = { known: keys.known.bind(keys), sealer: keys.sealer, close() {} } as unknown as Keys;
  const of = { data: "", log: () => Promise.resolve(reader), keys: () => Promise.resolve(borrowed) };
  return (who: string) => personsOf({ ...of, verify: () => Promise.reject(new Error("not asked")) }).find(who);
};

const made = async (house: House, name: string, email: string): Promise<string> => {
  const { status, body } = await house.send("/accounts", { as: house.token, body: { name, email } });
  assert.equal(status, 201);
  return body.account;
};

Deno.test("the holder of an account is found by its name and its address, however they are spelt, and by nothing once erased", () =>
  withHouse(async (house) => {
    const find = finding(house);
    const account = await made(house, "ada", "Ada@example.com");
    for (const who of [account, "ada", "ADA ", "ada@EXAMPLE.com"]) {
      assert.deepEqual(await find(who), { subject: account, erased: false }, who);
    }
    assert.equal(await find("ad"), undefined);
    house.keys.eraseKeys([account]);
    assert.equal(await find("ada@example.com"), undefined);
    assert.deepEqual(await find(account), { subject: account, erased: true });
  }));

Deno.test("an address of several accounts means none of them, and one that is known otherwise is told with its accounts", () =>
  withHouse(async (house) => {
    const find = finding(house);
    const [ada, eve] = [await made(house, "ada", "team@example.com"), await made(house, "eve", "team@example.com")];
    await assert.rejects(
      find("team@example.com"),
      (error: Error) =>
        error instanceof Usage && error.message === `${ada} and ${eve} are called so: name one by its id`,
    );
    const body = { specversion: "1.0", ...commit(1, { name: "Team", email: "team@example.com" }) };
    const headers = { "content-type": "application/cloudevents+json" };
    assert.equal((await house.send("/events", { as: house.token, headers, body: JSON.stringify(body) })).status, 201);
    const found = await find("team@example.com") as KnownPerson;
    assert.match(found.subject, /^s_/);
    assert.deepEqual(found.accounts, [ada, eve]);
    const lines: string[] = [];
    tellAccounts(found, { err: (line) => void lines.push(line) });
    assert.deepEqual(
      lines,
      [ada, eve].map((account) =>
        `${account} is an account of that name or address; ${found.subject} is another subject\n`
      ),
    );
    // Where accounts lie in an archive that is elsewhere, who is known is known, and of others nobody can say.
    const archived = finding(house, () => {
      throw new LogFault("archived", "it was archived");
    });
    assert.equal((await archived("team@example.com"))?.subject, found.subject);
    await assert.rejects(archived("nobody@example.com"), /it was archived/);
  }));

Deno.test("a hold of one person tells of the accounts with that address, which it does not hold", async () => {
  const stage = givenStage();
  const find = () => Promise.resolve({ subject: "s_0123456789abcdef", erased: false, accounts: ["u_1"] });
  stage.runtime.persons = () => ({ find }) as Partial<Persons> as Persons;
  stage.runtime.operate = () => Promise.resolve({ position: 7 });
  const { code, out, err } = await stage.type("hold", "place", "c", "--reason", "x", "--subject", "team@example.com");
  assert.deepEqual([code, err], [
    0,
    "u_1 is an account of that name or address; s_0123456789abcdef is another subject\n",
  ]);
  assert.match(out, /^held: s_0123456789abcdef;/);
});

Deno.test("whoever erases an account names it by its id: an address that was erased may be that of an account, too", async () => {
  const stage = givenStage();
  const traced: string[] = [];
  stage.runtime.persons = () =>
    ({
      find: () => Promise.resolve({ subject: "u_1", erased: false }),
      trace: (subject) => Promise.reject(new Error(`${traced.push(subject)} was read`)),
    }) as Partial<Persons> as Persons;
  const { code, err } = await stage.type("erase", "ada@example.com", "--reason", "x");
  assert.deepEqual([code, err, traced], [
    2,
    'daybook: "ada@example.com" is the account u_1; to erase its holder name it by that id\n',
    [],
  ]);
  assert.match((await stage.type("erase", "u_1", "--reason", "x")).err, /1 was read/);
  assert.deepEqual(traced, ["u_1"]);
});
