import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHmac } from "node:crypto";
import fc from "fast-check";
import { KeyDatabase } from "../adapters/keys/database.ts";
import { type KeysFault, openKeys } from "../adapters/keys/keys.ts";
import { POINTER_CHARS_MAX } from "../adapters/keys/plan.ts";
import { PERIODS_CACHED_MAX, Pseudonyms, PSEUDONYMS_CACHED_MAX } from "../adapters/keys/pseudonyms.ts";
import { Ciphers } from "../adapters/keys/gcm.ts";
import { open, parts, sealFields } from "../adapters/keys/seal.ts";
import { type Subject, Subjects, SUBJECTS_CACHED_MAX } from "../adapters/keys/subjects.ts";
import { canonical } from "../events/canonical.ts";
import { isPseudonym, isSealed, subjectOf } from "../events/personal.ts";
import { ADA, change, event, type Given, GRACE, inMemory, MAY, onDisk, people, sealed } from "./keys_given.ts";

interface Sealed {
  readonly author: { readonly name: string; readonly email: string; readonly account: string };
}
const dataOf = (given: Given): Sealed => given.data as Sealed;

Deno.test("sealing hides personal fields, keeps the others and is undone by unsealing", () =>
  inMemory((keys) => {
    const given = event("people.change.made", { sha: "c0ffee", author: ADA, committer: GRACE });
    const before = canonical(given);
    const [event1] = sealed(keys, given);
    const text = canonical(event1);
    for (const word of ["Ada", "Lovelace", "ada@", "Grace", 'example.com"']) assert.ok(!text.includes(word), word);
    const { author } = dataOf(event1!);
    assert.ok(isSealed(author.name) && isSealed(author.email) && isPseudonym(author.account));
    const { account, ...plain } = keys.sealer.unseal(author);
    assert.deepEqual(plain, ADA);
    assert.equal(account, author.account);
    assert.equal(canonical(given), before, "the input is unharmed");
  }));

Deno.test("an event without personal fields is handed through untouched", () =>
  inMemory((keys) => {
    const events = [event("people.door.opened", { door: "front" }), event("unknown.thing.seen", { name: "Ada" })];
    assert.equal(sealed(keys, ...events)[0], events[0]);
    assert.equal(sealed(keys, ...events)[1], events[1]);
  }));

Deno.test("the same event seals to the same bytes, in any batch; another event to others", () =>
  inMemory((keys) => {
    const [alone] = sealed(keys, change(ADA));
    const [, among] = sealed(keys, change(GRACE, { id: "1" }), change(ADA), change(ADA, { id: "2" }));
    assert.equal(canonical(among), canonical(alone));
    const texts = new Set([
      dataOf(alone!).author.name,
      ...[{ id: "2" }, { stream: "people/other" } as const].map((over) =>
        dataOf(sealed(keys, change(ADA, over))[0]!).author.name
      ),
      dataOf(sealed(keys, change({ ...ADA, name: "Ada Byron" }))[0]!).author.name,
    ]);
    assert.equal(texts.size, 4);
  }));

Deno.test("no nonce is used twice under one key", () =>
  inMemory((keys) => {
    const nonces = new Set<string>();
    let count = 0;
    fc.assert(fc.property(fc.string({ minLength: 1 }), fc.string(), (name, id) => {
      // A repeat would seal to the same bytes, rightly.
      const [{ data }] = sealed(keys, change({ name, email: ADA.email }, { id: `${count}/${id}` })) as [Given];
      for (const text of [(data as Sealed).author.name, (data as Sealed).author.email]) {
        nonces.add(Buffer.from(parts(text)!.nonce).toString("hex"));
        count++;
      }
    }));
    assert.equal(nonces.size, count);
  }));

Deno.test("the nonce is HMAC-SHA-256 as RFC 2104 has it", () => {
  const db = new KeyDatabase({ path: ":memory:", clock: { now: () => MAY } });
  const subjects = new Subjects(db);
  const subject = subjects.keep(subjects.create(["ada@example.com"])).get("ada@example.com")!;
  const [text] = sealFields("people/house", "1", [{ subject, text: "Ada", pointer: "/name" }], new Ciphers(db));
  const { nonce, aad } = parts(text!)!;
  const message = Buffer.concat([
    Buffer.from([0, 0, 0, 3]),
    Buffer.alloc(8),
    aad,
    Buffer.from("Ada"),
    Buffer.alloc(16),
  ]);
  const expected = createHmac("sha256", subject.keys!.nonce).update(message).digest().subarray(0, 12);
  assert.deepEqual(Buffer.from(nonce), expected);
  subjects.forget();
  db.close();
});

Deno.test("the nonce of a field tells nothing to who has only another person's key", () => {
  const db = new KeyDatabase({ path: ":memory:", clock: { now: () => MAY } });
  const subjects = new Subjects(db);
  const [ada, grace, eda] = [...subjects.keep(subjects.create(["ada", "grace", "eda"])).values()] as [
    Subject,
    Subject,
    Subject,
  ];
  const ciphers = new Ciphers(db);
  const nonce = (second: Subject) => {
    const fields = [{ subject: ada, text: "Ada", pointer: "/a" }, { subject: second, text: "Grace", pointer: "/b" }];
    return Buffer.from(parts(sealFields("people/house", "1", fields, ciphers)[0]!)!.nonce).toString("hex");
  };
  // Same id, place and texts: only the key of the second person differs, so it must be in the nonce.
  assert.notEqual(nonce(grace), nonce({ id: grace.id, keys: eda.keys }));
  subjects.forget();
  db.close();
});

Deno.test("fields of any text, number and subjects open to what they were", () => {
  const db = new KeyDatabase({ path: ":memory:", clock: { now: () => MAY } });
  const known = new Subjects(db);
  const subjects = [...known.keep(known.create(["a", "b", "c"])).values()];
  const ciphers = new Ciphers(db);
  const field = fc.record({
    subject: fc.constantFrom(...subjects),
    text: fc.oneof(fc.string({ unit: "binary" }), fc.string({ unit: "grapheme", maxLength: 300 })),
    pointer: fc.string().map((name) => `/${name.toWellFormed()}`),
  });
  fc.assert(fc.property(fc.array(field, { minLength: 1, maxLength: 9 }), (fields) => {
    const texts = sealFields("people/house", "1", fields, ciphers);
    texts.forEach((text, i) => {
      const opened = parts(text)!;
      assert.ok(isSealed(text));
      assert.equal(opened.subject, fields[i]!.subject.id);
      assert.equal(opened.pointer, fields[i]!.pointer);
      assert.equal(open(fields[i]!.subject.keys!.key, opened), fields[i]!.text.toWellFormed());
    });
  }));
  // Longer than the reused buffer.
  const large = { subject: subjects[0]!, text: "é".repeat(50_000), pointer: "/a" };
  const [long] = sealFields("people/house", "1", [large], ciphers);
  assert.equal(open(subjects[0]!.keys!.key, parts(long!)!), "é".repeat(50_000));
  known.forget();
  db.close();
});

Deno.test("one address is one person, however it is written; two are two", () =>
  inMemory((keys) => {
    const who = (email: string) => subjectOf(dataOf(sealed(keys, change({ name: "Ada", email }))[0]!).author.name);
    assert.equal(who("ada@example.com"), who(" Ada@Example.com "));
    assert.notEqual(who("ada@example.com"), who("eda@example.com"));
    assert.match(who("ada@example.com")!, /^s_[\w-]{16}$/);
    assert.equal(keys.subject("ADA@example.com"), who("ada@example.com"));
    assert.equal(keys.subject("nobody@example.com"), undefined);
  }));

Deno.test("an opaque id is its own subject; a short one that looks like it is an account name", () =>
  inMemory((keys) => {
    const kept = (owner: string) => event("people.list.kept", { owner, members: [], aliases: { nick: "Countess" } });
    const alias = (given: Given) => subjectOf((given.data as { aliases: { nick: string } }).aliases.nick);
    assert.equal(alias(sealed(keys, kept("u_0123456789abcdef"))[0]!), "u_0123456789abcdef");
    assert.match(alias(sealed(keys, kept("u_ada"))[0]!)!, /^s_/);
  }));

Deno.test("fields in arrays and records are sealed each for itself, siblings looked up around them", () =>
  inMemory((keys) => {
    const data = {
      owner: "ada@example.com",
      members: [{ name: "Ada" }, { name: "Grace", note: "Ada" }],
      aliases: { "a/b~c": "Countess", other: "Enchantress" },
    };
    const [given] = sealed(keys, event("people.list.kept", data));
    const { owner, members, aliases } = given!.data as typeof data;
    assert.equal(owner, data.owner);
    assert.deepEqual(members.map(({ name }) => isSealed(name)), [true, true]);
    assert.equal(members[1]!.note, "Ada");
    assert.equal(subjectOf(aliases["a/b~c"]), keys.subject("ada@example.com"));
    assert.ok(keys.sealer.isAt(aliases["a/b~c"], "people/house", "c0ffee", "/aliases/a~1b~0c"));
    assert.ok(keys.sealer.isAt(members[1]!.name, "people/house", "c0ffee", "/members/1/name"));
    assert.deepEqual(keys.sealer.unseal(given!.data), data);
  }));

Deno.test("a sealed text is bound to its stream, event and field", () =>
  inMemory((keys) => {
    const { name } = dataOf(sealed(keys, change(ADA))[0]!).author;
    const at = (stream: string, id: string, pointer: string) => keys.sealer.isAt(name, stream, id, pointer);
    assert.equal(at("people/house", "c0ffee", "/author/name"), true);
    assert.equal(at("people/other", "c0ffee", "/author/name"), false);
    assert.equal(at("people/house", "decaf0", "/author/name"), false);
    assert.equal(at("people/house", "c0ffee", "/author/email"), false);
    assert.equal(at("people/housec", "0ffee", "/author/name"), false);
    assert.equal(keys.sealer.isAt("Ada", "people/house", "c0ffee", "/author/name"), false);
  }));

Deno.test("a sealed text with any bit changed reads [sealed], and nothing throws", () =>
  inMemory((keys) => {
    const { name } = dataOf(sealed(keys, change(ADA))[0]!).author;
    const [, , , box] = name.split(":");
    const bytes = Buffer.from(box!, "base64url");
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const altered = Buffer.from(bytes);
      altered[bit >> 3]! ^= 1 << (bit & 7);
      assert.equal(keys.sealer.unseal(name.replace(box!, altered.toString("base64url"))), "[sealed]");
    }
    for (let end = 1; end < box!.length; end++) {
      assert.equal(keys.sealer.unseal(name.replace(box!, box!.slice(0, end))), "[sealed]");
    }
    const garbage = [
      "sealed:1:s_nobody:AAAA",
      "sealed:2:s_nobody:AAAA",
      "sealed:999999999999:a:b",
      `sealed:1:s_nobody:${"A".repeat(200)}`,
    ];
    for (const text of garbage) assert.equal(keys.sealer.unseal(text), "[sealed]");
  }));

Deno.test("text that is not sealed is left alone at the edge, even when it begins with the word", () =>
  inMemory((keys) => {
    const value = { subject: "sealed: the envelope", list: [1, null, true, { deep: "sealed:" }] };
    assert.equal(keys.sealer.unseal(value), value);
    assert.equal(keys.sealer.redact(value), value);
    const [given] = sealed(keys, change({ ...ADA, name: "sealed: by Ada" }));
    assert.equal(keys.sealer.unseal(dataOf(given!)).author.name, "sealed: by Ada");
  }));

Deno.test("without the scope everything personal reads [sealed], in rows too", () =>
  inMemory((keys) => {
    const { author } = dataOf(sealed(keys, change(ADA))[0]!);
    const row = { top: [author.name], count: 3, by: { [author.account]: author.email } };
    assert.deepEqual(keys.sealer.redact(row), { top: ["[sealed]"], count: 3, by: { [author.account]: "[sealed]" } });
    assert.deepEqual(keys.sealer.unseal(row), { top: [ADA.name], count: 3, by: { [author.account]: ADA.email } });
  }));

Deno.test("what looks sealed, and a pseudonym, are refused from outside with their path", () =>
  inMemory((keys) => {
    const { author } = dataOf(sealed(keys, change(ADA))[0]!);
    const outcome = keys.sealer.seal([change(GRACE), change({ ...GRACE, name: author.name, account: author.account })]);
    assert.deepEqual(outcome, {
      ok: false,
      index: 1,
      issues: [
        { path: "/author/name", message: "expected plain text, found a sealed one" },
        { path: "/author/account", message: "a pseudonym is filled in here; leave it out" },
      ],
    });
    assert.equal(keys.subject(GRACE.email), undefined, "a refused batch makes no key");
  }));

Deno.test("from inside, what is sealed is handed on as it is and keeps its subject", () =>
  inMemory((keys) => {
    const { author } = dataOf(sealed(keys, change(ADA))[0]!);
    const copied = change({ ...author }, { id: "2" });
    const outcome = keys.sealer.seal([copied], { inside: true });
    assert.deepEqual(outcome, { ok: true, events: [copied] });
    const mixed = keys.sealer.seal([change({ name: "Countess", email: author.email }, { id: "3" })], { inside: true });
    assert.ok(mixed.ok);
    const { name, account } = dataOf(mixed.events[0]!).author;
    assert.equal(subjectOf(name), subjectOf(author.name));
    assert.equal(account, undefined, "nothing to derive it from");
    const odd = keys.sealer.seal([change({ ...author, account: "ada" })], { inside: true });
    assert.equal(odd.ok, false);
  }));

Deno.test("an empty text is kept; a blank subject leaves a value its own subject", () =>
  inMemory((keys) => {
    const { author } = dataOf(sealed(keys, change({ name: "Ada", email: "" }))[0]!);
    assert.equal(author.email, "");
    assert.equal(author.account, undefined);
    assert.equal(subjectOf(author.name), keys.subject("Ada"));
    const [absent] = sealed(keys, event("people.change.made", { sha: "1", author: { name: "Ada" } }));
    assert.equal(subjectOf(dataOf(absent!).author.name), keys.subject("ada"));
  }));

Deno.test("data of another shape than its schema passes, for validation to refuse", () =>
  inMemory((keys) => {
    for (
      const data of [
        null,
        7,
        "text",
        [],
        { author: null },
        { author: [1] },
        { author: { name: 3, email: {} } },
        undefined,
      ]
    ) {
      assert.deepEqual(sealed(keys, event("people.change.made", data))[0]!.data, data);
    }
  }));

Deno.test("a field name too long to be carried, or one that would reach the prototype, is refused", () =>
  inMemory((keys) => {
    const kept = (aliases: unknown) => event("people.list.kept", { owner: "ada", members: [], aliases });
    const longest = "k".repeat(POINTER_CHARS_MAX - "/aliases/".length);
    assert.equal(keys.sealer.seal([kept({ [longest]: "Ada" })]).ok, true);
    assert.equal(keys.sealer.seal([kept({ [`${longest}k`]: "Ada" })]).ok, false);
    assert.equal(keys.sealer.seal([kept(JSON.parse('{"__proto__":"Ada"}'))]).ok, false);
  }));

Deno.test("pseudonyms are equal within a month of the event's time, and unlinkable between months", () =>
  inMemory((keys) => {
    const account = (email: string, time: string) =>
      dataOf(sealed(keys, change({ name: "Ada", email }, { time }))[0]!).author.account;
    const may = account("ada@example.com", "2024-05-01T00:00:00Z");
    assert.equal(account("ADA@example.com", "2024-05-31T23:59:59.999Z"), may);
    assert.equal(account("ada@example.com", "2024-06-01T01:00:00+02:00"), may, "a month of UTC");
    const june = account("ada@example.com", "2024-06-01T00:00:00Z");
    assert.notEqual(june.slice(9), may.slice(9));
    assert.notEqual(account("grace@example.com", "2024-05-01T00:00:00Z"), may);
    assert.match(may, /^p_202405_/);
    const july = () => account("ada@example.com", "2024-07-01T00:00:00Z");
    assert.equal(july(), july(), "also in a month in which nobody is new");
    const outcome = keys.sealer.seal([change(ADA, { time: "once upon a time" })]);
    assert.deepEqual(outcome, {
      ok: false,
      index: 0,
      issues: [{ path: "/time", message: "expected an RFC 3339 time" }],
    });
  }));

Deno.test("after erasure everything of the person reads [erased], the rest is untouched, and it stays so", () =>
  onDisk((options) => {
    let keys = openKeys(options);
    const [given] = sealed(keys, event("people.change.made", { sha: "1", author: ADA, committer: GRACE }));
    const subject = subjectOf(dataOf(given!).author.name)!;
    assert.equal(keys.isErased(subject), false);
    assert.equal(keys.eraseKey(subject), true);
    assert.equal(keys.eraseKey(subject), false, "may be repeated");
    for (let opened = 0; opened < 2; opened++) {
      assert.equal(keys.isErased(subject), true);
      assert.deepEqual(keys.erased(), [subject]);
      assert.equal(keys.subject(ADA.email), undefined);
      for (const read of [keys.sealer.unseal(given!.data), keys.sealer.redact(given!.data)] as Sealed[]) {
        assert.equal(read.author.name, "[erased]");
        assert.equal(read.author.email, "[erased]");
      }
      assert.equal((keys.sealer.unseal(given!.data) as { committer: typeof GRACE }).committer.name, GRACE.name);
      assert.equal((keys.sealer.redact(given!.data) as { committer: typeof GRACE }).committer.name, "[sealed]");
      keys.close();
      keys = openKeys(options);
    }
    keys.close();
  }));

Deno.test("nothing more is kept of an erased opaque id, and an erased person who comes again is somebody new", () =>
  inMemory((keys) => {
    const owner = "u_0123456789abcdef";
    const kept = (id: string) =>
      event("people.list.kept", { owner, members: [], aliases: { nick: "Countess" } }, { id });
    const nick = (given: Given) => (given.data as { aliases: { nick: string } }).aliases.nick;
    assert.equal(keys.eraseKey(owner), false, "an id never seen is remembered as erased");
    assert.equal(nick(sealed(keys, kept("1"))[0]!), `sealed:1:${owner}:erased`);
    assert.equal(keys.sealer.unseal(nick(sealed(keys, kept("1"))[0]!)), "[erased]");
    const first = subjectOf(dataOf(sealed(keys, change(ADA))[0]!).author.name)!;
    keys.eraseKey(first);
    const again = sealed(keys, change(ADA, { id: "2" }))[0]!;
    assert.notEqual(subjectOf(dataOf(again).author.name), first);
    assert.equal(keys.sealer.unseal(dataOf(again)).author.name, ADA.name);
  }));

Deno.test("a repeat compares equal by what it says: also after erasure, also when a pseudonym changed, else not", () =>
  inMemory((keys) => {
    const both = (name: string) =>
      event("people.change.made", { sha: "1", author: { ...ADA, name }, committer: GRACE });
    const stored = sealed(keys, both("Ada"))[0]!.data;
    const same = (given: Given) => keys.sealer.sameData(sealed(keys, given)[0]!.data, stored);
    assert.equal(same(both("Ada")), true);
    assert.equal(same(both("Eda")), false);
    assert.equal(same({ ...both("Ada"), time: "2030-01-01T00:00:00Z" }), true, "pseudonyms are ours");
    assert.equal(same({ ...both("Ada"), stream: "people/other" }), true, "another place, the same words");
    assert.equal(same(event("people.change.made", { sha: "2", author: ADA, committer: GRACE })), false);
    assert.equal(same(event("people.change.made", { sha: "1", author: ADA })), false);
    assert.equal(keys.sealer.sameData(stored, { ...(stored as object), more: 1 }), false);
    assert.equal(keys.sealer.sameData([1, "a", null], [1, "a", null]), true);
    assert.equal(keys.sealer.sameData([1], { 0: 1 }), false);
    assert.equal(keys.sealer.sameData(0, false), false);
    for (const [a, b] of [[null, {}], [{}, null], [0, {}], [{}, ""]]) assert.ok(!keys.sealer.sameData(a, b));
    assert.equal(keys.sealer.sameData({ n: -0 }, { n: 0 }), true, "as it is written");
    keys.eraseKey(keys.subject(ADA.email)!);
    assert.equal(same(both("Eda")), true, "the first receipt stands");
    assert.equal(
      same({ ...both("Ada"), data: { sha: "1", author: ADA, committer: { ...GRACE, name: "Eda" } } }),
      false,
    );
  }));

Deno.test("an unknown type is sealed whole when its source is configured so", () =>
  inMemory((keys) => {
    const data = { who: "Ada", at: [1, 2] };
    const [whole, other, binary, none] = sealed(
      keys,
      event("odd.thing.seen", data, { source: "urn:secret" }),
      event("odd.thing.seen", data),
      event("odd.thing.seen", undefined, { source: "urn:secret", id: "2", data_base64: "QWRh" }),
      event("odd.thing.seen", undefined, { source: "urn:secret", id: "3" }),
    );
    assert.ok(isSealed(whole!.data as string));
    assert.deepEqual(keys.sealer.unseal(whole!.data), data);
    assert.equal(keys.sealer.redact(whole!.data), "[sealed]");
    assert.equal(other!.data, data);
    assert.equal(binary!.data_base64, undefined);
    assert.deepEqual(keys.sealer.unseal(binary!.data), { data_base64: "QWRh" });
    assert.equal(none!.data, undefined);
    const declared = event("people.door.opened", { door: "front" }, { source: "urn:secret", id: "5" });
    assert.equal(sealed(keys, declared)[0], declared);
    const plain = event("odd.thing.seen", data, { id: "4" });
    assert.equal(keys.sealer.sameEvent(plain, whole!.data, data), false, "sealed for another event, it tells nothing");
    assert.equal(keys.sealer.sameEvent(plain, data, whole!.data), false);
    const text = sealed(keys, event("people.change.made", { sha: "1", author: ADA, committer: GRACE }))[0]!;
    assert.equal(keys.sealer.sameEvent(plain, dataOf(text).author.name, ADA.name), false);
  }, { whole: (source) => source === "urn:secret" }));

Deno.test("more people than fit in memory are sealed and read all the same, in one batch or many", () => {
  const db = new KeyDatabase({ path: ":memory:", clock: { now: () => MAY } });
  const subjects = new Subjects(db);
  const emails = Array.from({ length: SUBJECTS_CACHED_MAX + 50 }, (_, i) => `${i}@example.com`);
  const made = subjects.keep(db.write("create subject keys", () => subjects.create(emails)));
  assert.equal(subjects.cached, SUBJECTS_CACHED_MAX);
  // The first were dropped again by the later ones, and seal still.
  const first = made.get(emails[0]!)!;
  const field = { subject: first, text: "Ada", pointer: "/a" };
  const [text] = sealFields("people/house", "1", [field], new Ciphers(db));
  assert.equal(open(subjects.find(emails[0]!)!.keys!.key, parts(text!)!), "Ada");
  assert.equal(subjects.cached, SUBJECTS_CACHED_MAX);
  subjects.forget();
  db.close();
});

Deno.test("new people of a batch get their keys in one transaction, durable before sealing returns", () =>
  onDisk((options) => {
    const keys = openKeys(options);
    const events = Array.from(
      { length: 500 },
      (_, i) => change({ name: `Person ${i}`, email: `${i}@example.com` }, { id: String(i) }),
    );
    const version = () => Deno.readFileSync(options.path).slice(24, 28).join();
    const before = version();
    const all = sealed(keys, ...events);
    // SQLite counts transactions at offset 24 of the file (https://sqlite.org/fileformat.html#file_change_counter).
    assert.equal(Number(version().split(",").pop()) - Number(before.split(",").pop()), 1);
    const other = openKeys({ ...options, readOnly: true });
    assert.deepEqual(other.sealer.unseal(dataOf(all[499]!)).author.name, "Person 499");
    other.close();
    keys.close();
  }));

Deno.test("a batch whose keys cannot be kept is a fault, and nobody is half known", () =>
  onDisk((options) => {
    openKeys(options).close();
    const reader = openKeys({ ...options, readOnly: true });
    assert.throws(() => reader.sealer.seal([change(ADA)]), (fault: KeysFault) => fault.kind === "read_only");
    assert.equal(reader.subject(ADA.email), undefined);
    reader.close();
  }));

Deno.test("neither names nor addresses nor keys lie in the file in clear, and an erased key is gone from it", () =>
  onDisk((options) => {
    const secrets: Uint8Array[] = [];
    const random = (bytes: number) => {
      const drawn = crypto.getRandomValues(new Uint8Array(bytes));
      if (bytes === 32) secrets.push(drawn);
      return drawn;
    };
    const keys = openKeys({ ...options, random });
    const [given] = sealed(keys, change(ADA));
    const token = keys.tokens.create("ci", ["read"]).token;
    const subject = subjectOf(dataOf(given!).author.name)!;
    const db = new KeyDatabase(options);
    const wrapped = Buffer.from(db.get("SELECT key FROM subjects WHERE subject = ?", subject)!.key as Uint8Array);
    const lookup = Buffer.from(
      db.get("SELECT lookup FROM identifiers WHERE subject = ?", subject)!.lookup as Uint8Array,
    );
    db.close();
    const file = () => Buffer.from(Deno.readFileSync(options.path));
    assert.ok(file().includes(wrapped) && file().includes(lookup));
    keys.eraseKey(subject);
    assert.ok(!file().includes(wrapped) && !file().includes(lookup));
    assert.equal(Deno.statSync(`${options.path}-journal`).size, 0);
    for (const text of ["Ada", "ada@example.com", token, token.split("_")[2]!]) assert.ok(!file().includes(text), text);
    assert.ok(secrets.length >= 4);
    for (const secret of secrets) assert.ok(!file().includes(Buffer.from(secret)));
    keys.close();
  }));

Deno.test("pseudonyms of more values and months than fit in memory stay the same", () => {
  const db = new KeyDatabase({ path: ":memory:", clock: { now: () => MAY } });
  const pseudonyms = new Pseudonyms(db);
  const periods = Array.from({ length: PERIODS_CACHED_MAX + 5 }, (_, i) => String(190_001 + i));
  db.write("create keys of periods", () => pseudonyms.create(periods));
  const before = periods.map((period) => pseudonyms.of(period, "ada"));
  for (let i = 0; i < PSEUDONYMS_CACHED_MAX; i++) pseudonyms.of(periods[0]!, String(i));
  assert.deepEqual(pseudonyms.cached, { texts: PSEUDONYMS_CACHED_MAX, periods: PERIODS_CACHED_MAX });
  assert.deepEqual(periods.map((period) => pseudonyms.of(period, "ada")), before);
  db.close();
});

Deno.test("every type of the catalogue under test is told apart once", () => {
  let asked = 0;
  const counting = { spec: (type: string) => (asked++, people.spec(type)) };
  inMemory((keys) => {
    for (let i = 0; i < 10; i++) {
      sealed(keys, change(ADA, { id: String(i) }), event("people.door.opened", { door: "front" }));
    }
    assert.equal(asked, 2);
  }, { catalogue: counting });
});
