/** Rules see what they are about, at the moment when it is enough, with what shows it; and the actor decides what follows. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { threatResponses } from "../actors/threats/responses.ts";
import { countingRules, threatRules, type Thresholds } from "../actors/threats/rules.ts";
import { type ThreatCommand, threats } from "../actors/threats/threat.ts";
import { isImpossible, kilometres, pointOf, sightingOf } from "../adapters/program/threats/journeys.ts";
import type { Event } from "../events/event.ts";
import { threatFacts, type ThreatRule } from "../events/threats.ts";
import type { ProcessManager } from "../actors/types.ts";
import { given } from "./given.ts";
import { effectsOf, eventOf, THRESHOLDS } from "./threats_given.ts";
import { type Hit, slid } from "../actors/threats/window.ts";

const ruleOf = (rule: ThreatRule, thresholds: Thresholds = THRESHOLDS) =>
  threatRules(thresholds).find(({ name }) => name === `threats.${rule}`)!;
const ADA = "u_aaaaaaaaaaaaaaaa";
const P = (name: string): string => `p_202611_${name.padEnd(22, "x")}`;
const failed = (data: Record<string, unknown>, more: Partial<Event> = {}): Event =>
  eventOf("identity.signin.failed", { method: "password", reason: "wrong_secret", ...data }, more);
const observed = (data: Record<string, unknown>, more: Partial<Event> = {}): Event =>
  eventOf("identity.signin.observed", { service: "sshd", outcome: "failed", method: "password", ...data }, more);

/** What rules say, by the positions at which they said it. */
interface Seen {
  readonly position: number;
  readonly stream: string;
  readonly rule: string;
  readonly count: number;
  readonly score: number;
  readonly evidence: readonly number[];
  readonly first: string;
  readonly last: string;
  readonly response?: { readonly is: string };
}
const seen = (rule: ThreatRule, events: readonly Event[], thresholds = THRESHOLDS): readonly Seen[] =>
  effectsOf(ruleOf(rule, thresholds), events).map(({ position, effect }) => {
    assert.equal(effect.type, "command");
    const { stream, command } = effect as Extract<typeof effect, { type: "command" }>;
    const parsed = threats.commands["threats.threat.detect"]!.safeParse(command.data);
    assert.ok(parsed.success, parsed.error?.message);
    return { position, stream, ...command.data as Omit<Seen, "position" | "stream"> };
  });

Deno.test("brute force is five failures on one account within ten minutes, named by their positions, and then a new count", () => {
  const events = Array.from({ length: 11 }, () => failed({ account: ADA, failures: 1 }));
  const [first, second, ...more] = seen("brute_force", [...events, failed({ account: "u_bbbbbbbbbbbbbbbb" })]);
  assert.deepEqual(more, []);
  assert.deepEqual([first!.position, second!.position], [events[4]!.position, events[9]!.position]);
  assert.equal(first!.stream, `threats/account:${ADA}`);
  assert.deepEqual([first!.rule, first!.count, first!.score, first!.evidence, first!.first, first!.last], [
    "brute_force",
    5,
    60,
    events.slice(0, 5).map(({ position }) => position),
    events[0]!.time,
    events[4]!.time,
  ]);
  assert.deepEqual(first!.response, { is: "lockout", first_ms: 600_000, most_ms: 3_600_000 });
  // A name elsewhere has no account here to lock.
  const elsewhere = seen("brute_force", Array.from({ length: 5 }, () => observed({ name_pseudonym: P("root") })));
  assert.deepEqual([elsewhere[0]!.stream, elsewhere[0]!.response], [`threats/name:${P("root")}`, undefined]);
  // A passkey that was refused feeds no lock of a password.
  const passkeys = Array.from({ length: 9 }, () => failed({ account: ADA, method: "passkey", reason: "wrong_secret" }));
  assert.deepEqual(seen("brute_force", passkeys), []);
  // What was refused for reasons of our own is no guess.
  assert.deepEqual(
    seen("brute_force", events.map((event) => ({ ...event, data: { ...event.data as object, reason: "expired" } }))),
    [],
  );
});

Deno.test("nobody is locked out by what nobody could have guessed: passkeys, and what providers say", () => {
  for (const method of ["passkey", "oidc", "saml"]) {
    const events = Array.from({ length: 30 }, () => failed({ account: ADA, method, address_pseudonym: P("here") }));
    assert.deepEqual(seen("brute_force", events), [], method);
    assert.equal(
      seen("guessing", events)[0]!.stream,
      `threats/address:${P("here")}`,
      "whence it comes counts all the same",
    );
  }
});

Deno.test("failures spread thin are no attack: the window slides, however late an event comes", () => {
  const at = (minutes: number): Partial<Event> => ({
    time: new Date(1_790_000_000_000 + minutes * 60_000).toISOString(),
  });
  const thin = Array.from({ length: 40 }, (_, i) => failed({ account: ADA }, at(i * 2.6)));
  assert.deepEqual(seen("brute_force", thin), []);
  const late = [0, 1, 2, 30, 31, 3, 4].map((minutes) => failed({ account: ADA }, at(minutes)));
  assert.deepEqual(seen("brute_force", late), []);
});

Deno.test("of the hits within a window the newest are remembered, as many as a rule may be told to wait for", () => {
  let hits: readonly Hit[] = [];
  for (let n = 0; n <= 1_000; n++) hits = slid(hits, [n, n, 1, ""], 1_000_000);
  assert.deepEqual([hits.length, hits[0], hits.at(-1)], [1_000, [1, 1, 1, ""], [1_000, 1_000, 1, ""]]);
});

Deno.test("however much a rule counts it remembers a bounded number, and a detection names the newest positions", () => {
  const many = { ...THRESHOLDS, account_failures: 1_000, window_ms: 86_400_000 };
  const events = Array.from({ length: 1_500 }, () => failed({ account: ADA }));
  const [first, ...more] = seen("brute_force", events, many);
  assert.deepEqual([first!.position, first!.count, more.length], [events[999]!.position, 1_000, 0]);
  assert.deepEqual(first!.evidence, events.slice(950, 1_000).map(({ position }) => position));
  const manager = ruleOf("brute_force", { ...many, account_failures: 5_000 }) as unknown as ProcessManager<
    readonly unknown[]
  >;
  const state = events.reduce((hits, event) => manager.react(hits, event as never).state, manager.initial);
  assert.equal(state.length, 1_000);
  const agents = Array.from(
    { length: 60 },
    (_, n) => eventOf("identity.signin.succeeded", { account: ADA, agent_pseudonym: P(`a${n}`) }),
  );
  const devices = ruleOf("new_device") as unknown as ProcessManager<readonly unknown[]>;
  assert.equal(agents.reduce((known, event) => devices.react(known, event as never).state, devices.initial).length, 50);
});

Deno.test("guessing counts failures of an address, as many as a line says; a key that was not taken only where nobody has the name", () => {
  const address_pseudonym = P("bad");
  assert.equal(
    seen("guessing", [observed({ address_pseudonym }), observed({ address_pseudonym, times: 4 })]).length,
    1,
  );
  const keys = (more: object) =>
    Array.from({ length: 9 }, () => observed({ address_pseudonym, method: "publickey", ...more }));
  assert.deepEqual(seen("guessing", keys({})), []);
  assert.equal(seen("guessing", keys({ unknown_name: true }))[0]!.stream, `threats/address:${address_pseudonym}`);
  assert.deepEqual(
    seen("guessing", [1, 2, 3, 4, 5, 6].map(() => observed({ address_pseudonym, outcome: "accepted" }))),
    [],
  );
});

Deno.test("spraying counts names of one address, stuffing accounts of one password, however often each", () => {
  const names = ["a", "a", "a", "b", "b", "c"].map((name) =>
    failed({ name_pseudonym: P(name), address_pseudonym: P("bad"), tried: "beef" })
  );
  const [spray, ...more] = seen("spraying", names);
  assert.deepEqual([spray!.position, spray!.count, more.length], [names[5]!.position, 3, 0]);
  assert.equal(spray!.response?.is, "block");
  const [stuffed] = seen("stuffing", names);
  assert.deepEqual([stuffed!.stream, stuffed!.count, stuffed!.response], ["threats/credential:beef", 3, undefined]);
  assert.deepEqual(seen("stuffing", names.slice(0, 5)), []);
});

Deno.test("a token that came twice, a device that is new this month and a chain of privileges are seen at once", () => {
  const [reuse] = seen("token_reuse", [
    eventOf("identity.refresh.reused", { account: ADA, session: "s", generation: 0, current: 1 }),
  ]);
  assert.deepEqual([reuse!.score, reuse!.response?.is], [90, "step_up"]);
  const by = (agent: string) => eventOf("identity.signin.succeeded", { account: ADA, agent_pseudonym: agent });
  const next = `p_202612_${"z".repeat(22)}`;
  const devices = seen("new_device", [by(P("one")), by(P("one")), by(P("two")), by(next), by(P("two"))]);
  assert.deepEqual(devices.map(({ response, score }) => [response, score]), [[undefined, 20]]);
  const grant = (account: string, authid: string, privileged = true) =>
    eventOf("identity.role.granted", {
      account,
      tenant: "default",
      role: "administrator",
      privileged,
      before: [],
      after: [],
    }, { authid });
  const [B, C] = ["u_bbbbbbbbbbbbbbbb", "u_cccccccccccccccc"] as const;
  const grants = [grant(ADA, "t_admin"), grant(B, ADA), grant(C, "t_admin"), grant(B, C, false)];
  const [chain, ...more] = seen("privilege_chain", grants);
  assert.deepEqual([chain!.stream, chain!.evidence, more.length], [
    `threats/account:${B}`,
    [grants[0]!.position, grants[1]!.position],
    0,
  ]);
  assert.equal(seen("privilege_chain", [grant(ADA, ADA)])[0]!.stream, `threats/account:${ADA}`);
  // Within a day, and not when it is over.
  const first = grants[0]!;
  const after = (ms: number) => ({ ...grants[1]!, time: iso(Date.parse(first.time) + ms) });
  assert.equal(seen("privilege_chain", [first, after(86_399_999)]).length, 1);
  assert.equal(seen("privilege_chain", [first, after(86_400_000)]).length, 0);
  // Of so many that are given a role in a day the newest count.
  const many = Array.from({ length: 501 }, (_, i) => grant(`u_${String(i).padStart(16, "0")}`, "t_admin"));
  const chains = (giver: number) =>
    seen("privilege_chain", [...many, grant(B, (many[giver]!.data as { readonly account: string }).account)]).length;
  assert.deepEqual([0, 1, 500].map(chains), [0, 1, 1]);
});

Deno.test("who gives a privileged role with a key gives it as the account whose key it is, also with one that took its place", () => {
  const [B, C] = ["u_bbbbbbbbbbbbbbbb", "u_cccccccccccccccc"] as const;
  const [K, L] = ["k_aaaaaaaaaaaaaaaa", "k_bbbbbbbbbbbbbbbb"] as const;
  const grant = (account: string, authid: string) =>
    eventOf("identity.role.granted", {
      account,
      tenant: "default",
      role: "administrator",
      privileged: true,
      before: [],
      after: [],
    }, { authid });
  const key = (what: string, data: Record<string, unknown>) =>
    eventOf(`identity.key.${what}`, { kind: "api", account: ADA, ...data });
  const issued = key("issued", { key: K });
  const rotated = key("rotated", { key: K, by: L, until: issued.time });
  const first = grant(ADA, "t_admin");
  const said = (...events: readonly Event[]) => seen("privilege_chain", events).map(({ evidence }) => evidence);
  const [byKey, byNext] = [grant(B, K), grant(C, L)];
  assert.deepEqual(said(issued, first, byKey), [[first.position, byKey.position]]);
  assert.deepEqual(said(first, issued, rotated, byKey, byNext), [
    [first.position, byKey.position],
    [first.position, byNext.position],
  ]);
  const own = grant(ADA, K);
  assert.deepEqual(said(issued, own), [[own.position]], "to themselves");
  assert.deepEqual(said(first, byKey), [], "a key that nobody knows is nobody's");
  assert.deepEqual(said(issued, first, key("revoked", { key: K, because: "asked" }), byKey), []);
  assert.deepEqual(said(eventOf("identity.key.issued", { key: K, kind: "access_token" }), first, byKey), []);
});

Deno.test("nobody flies from Munich to New York in an hour; walking across a town, and a place nobody can read, are no wonder", () => {
  const [munich, newYork, dachau] = ["48.1374,11.5755", "40.7128,-74.0060", "48.2629,11.4339"] as const;
  const km = kilometres(pointOf(munich)!, pointOf(newYork)!);
  assert.ok(Math.abs(km - 6_490) < 20, String(km));
  const at = 1_790_000_000_000;
  const trip = (from: string, to: string, hours: number) =>
    sightingOf({
      name: P("ada"),
      score: 60,
      from: { place: from, at, position: 3 },
      to: { place: to, at: at + hours * 3_600_000, position: 9 },
    }, (text) => text);
  assert.deepEqual(trip(munich, newYork, 1), {
    rule: "impossible_travel",
    score: 60,
    evidence: [3, 9],
    count: Math.round(km),
    first: new Date(at).toISOString(),
    last: new Date(at + 3_600_000).toISOString(),
  });
  assert.equal(trip(munich, newYork, 8), undefined);
  assert.equal(trip(munich, dachau, 0.001), undefined);
  for (const none of ["[erased]", "91,0", "0,181", "48.1", "NaN,0", "1e3,4", ""]) {
    assert.equal(trip(munich, none, 1), undefined, none);
  }
  // At 900 km/h, and at 50 km, it is impossible; a little less is not. Clocks that go backwards do not help.
  assert.deepEqual([
    isImpossible(900, 3_600_000),
    isImpossible(899.9, 3_600_000),
    isImpossible(50, 0),
    isImpossible(49.9, 0),
  ], [
    true,
    false,
    true,
    false,
  ]);
  assert.equal(isImpossible(6_490, -3_600_000), true);
  const places = [munich, newYork].map((place) => observed({ outcome: "accepted", name_pseudonym: P("ada"), place }));
  const [{ effect } = { effect: undefined }] = effectsOf(ruleOf("impossible_travel"), places);
  assert.equal(effect?.type, "threats.journey.measure");
  // Who is refused is nowhere, and so is who has no name or no place.
  for (const change of [{ outcome: "failed" }, { place: undefined }, { name_pseudonym: undefined }]) {
    const odd = { ...places[0]!, data: { ...places[0]!.data as object, ...change } };
    assert.deepEqual(effectsOf(ruleOf("impossible_travel"), [odd, places[1]!, odd]), [], JSON.stringify(change));
  }
});

Deno.test("whatever order failures come in, a rule fires exactly as a count over the last ten minutes would", () => {
  const rule = countingRules(THRESHOLDS)[0]!;
  fc.assert(fc.property(fc.array(fc.tuple(fc.nat(400_000), fc.constantFrom("a", "b")), { maxLength: 60 }), (steps) => {
    let at = 1_790_000_000_000;
    const events = steps.map(([step, who]) =>
      failed({ account: `u_${who.repeat(16)}` }, { time: new Date(at += step).toISOString() })
    );
    const counts = new Map<string, number[]>();
    const expected = events.filter(({ data, time }) => {
      const who = (data as { account: string }).account;
      const now = Date.parse(time);
      const times = [...(counts.get(who) ?? []), now].filter((each) => each > now - THRESHOLDS.window_ms);
      counts.set(who, times.length >= THRESHOLDS.account_failures ? [] : times);
      return times.length >= THRESHOLDS.account_failures;
    });
    assert.deepEqual(effectsOf(rule, events).map(({ position }) => position), expected.map(({ position }) => position));
  }));
});

const NOW = Date.UTC(2026, 10, 20, 12);
const iso = (at: number): string => new Date(at).toISOString();
const subject = { kind: "account", id: ADA } as const;
const RULE = { by: "manager.threats.brute_force", id: `account:${ADA}`, at: NOW } as const;
const sighting = {
  rule: "brute_force" as const,
  evidence: [1, 2] as number[],
  count: 5,
  first: iso(NOW - 60_000),
  last: iso(NOW),
};
const detect = (more: object = {}): ThreatCommand =>
  ({
    type: "threats.threat.detect",
    data: { ...sighting, score: 60, response: { is: "lockout", first_ms: 600_000, most_ms: 3_600_000 }, ...more },
  }) as ThreatCommand;
const detected = (score = 60) => ({ type: "threats.threat.detected", data: { ...sighting, subject, score } }) as const;
const taken = (until: number, step = 0) =>
  ({
    type: "threats.response.taken",
    data: { response: "lockout", subject, rule: "brute_force", until: iso(until), step },
  }) as const;

Deno.test("a detection is recorded with its response, which lasts twice as long each time within a day, up to a bound", () => {
  given(threats).when(detect(), RULE).accepted(detected(), taken(NOW + 600_000));
  const history = [detected(), taken(NOW - 1), detected(70), taken(NOW - 1, 1)] as const;
  given(threats, ...history).when(detect(), RULE).accepted(detected(80), taken(NOW + 2_400_000, 2));
  given(threats, detected(), taken(NOW - 1, 7)).when(detect(), RULE).accepted(detected(70), taken(NOW + 3_600_000, 8));
  given(threats, detected(), taken(NOW - 90_000_000, 7)).when(detect(), RULE).accepted(
    detected(70),
    taken(NOW + 600_000),
  );
});

Deno.test("of what was long ago nothing is done, nor twice at a time, nor at anybody's word but a rule's", () => {
  const old = { first: iso(NOW - 9e8), last: iso(NOW - 8e8) };
  given(threats).when(detect(old), RULE).accepted({
    type: "threats.threat.detected",
    data: { ...sighting, ...old, subject, score: 60 },
  });
  given(threats, detected(), taken(NOW + 3_600_000)).when(detect(), RULE).accepted(detected(70));
  given(threats).when(detect(), { ...RULE, by: "u_tester" }).rejected("not_a_rule");
  given(threats).when(detect(), { ...RULE, id: "somebody" }).rejected("no_subject");
  given(threats).when(detect({ evidence: [] }), RULE).invalid("/evidence");
});

Deno.test("a response is taken back by a command, once; where none stands nothing is recorded", () => {
  const lift = { type: "threats.response.lift", data: { response: "lockout" } } as const;
  const context = { id: RULE.id, at: NOW };
  given(threats, detected(), taken(NOW + 1)).when(lift, context).accepted({
    type: "threats.response.lifted",
    data: { response: "lockout", subject },
  });
  given(threats, detected(), taken(NOW)).when(lift, context).accepted();
  given(threats).when(lift, context).accepted();
});

Deno.test("a lockout locks its account, taking it back unlocks it, and unlocking the account takes it back", () => {
  const effects = (type: keyof typeof threatFacts | "identity.account.unlocked", data: unknown) =>
    effectsOf(threatResponses, [eventOf(type, data)]).map(({ effect }) => effect);
  assert.deepEqual(effects("threats.response.taken", taken(NOW).data), [{
    type: "command",
    stream: `identity/${ADA}`,
    command: { type: "identity.account.lock", data: { because: "threat", until: iso(NOW) } },
  }]);
  assert.deepEqual(effects("threats.response.lifted", { response: "lockout", subject }), [{
    type: "command",
    stream: `identity/${ADA}`,
    command: { type: "identity.account.unlock", data: { because: "threat" } },
  }]);
  assert.deepEqual(effects("identity.account.unlocked", { account: ADA, because: "asked" }), [{
    type: "command",
    stream: `threats/account:${ADA}`,
    command: { type: "threats.response.lift", data: { response: "lockout" } },
  }]);
  const block = { ...taken(NOW).data, response: "block", subject: { kind: "address", id: P("bad") } };
  assert.deepEqual(effects("threats.response.taken", block), []);
  assert.deepEqual(effects("threats.response.taken", { ...taken(NOW).data, response: "step_up" }), [{
    type: "threats.session.challenge",
    data: { account: ADA },
  }]);
});
