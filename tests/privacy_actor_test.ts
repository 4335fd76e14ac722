import assert from "node:assert/strict";
import { ERASURES_MAX, heldBy, type Hold, HOLDS_MAX, privacy, type PrivacyCommand } from "../actors/privacy.ts";
import type { PrivacyFact } from "../events/privacy.ts";
import { given } from "./given.ts";

const ADA = "s_adaadaadaadaadaa";
const GRACE = "s_gracegracegracega";
const AT = Date.UTC(2026, 0, 5, 9);

const requested = (subject = ADA): PrivacyFact => ({ type: "privacy.subject.erasure_requested", data: { subject } });
const erased: PrivacyFact = { type: "privacy.subject.erased", data: { subject: ADA, key: "destroyed" } };
const placed = (over: Partial<Hold> = {}): PrivacyFact => ({
  type: "privacy.hold.placed",
  data: { hold: "case-7", reason: "a lawsuit", ...over },
});
const lifted = (reason: string, hold = "case-7"): PrivacyFact => ({
  type: "privacy.hold.lifted",
  data: { hold, reason },
});
const erase = (more: object = {}): PrivacyCommand => ({
  type: "privacy.subject.erase",
  data: { subject: ADA, ...more },
});
const finish: PrivacyCommand = { type: "privacy.subject.finish_erasure", data: { subject: ADA, key: "destroyed" } };
const place = (over: Partial<Hold> = {}): PrivacyCommand => ({
  type: "privacy.hold.place",
  data: { hold: "case-7", reason: "a lawsuit", ...over },
});

Deno.test("privacy.subject.erase is asked for once, and once more when it was done", () => {
  given(privacy).when(erase()).accepted(requested());
  given(privacy, requested()).when(erase()).accepted();
  given(privacy, requested(), erased).when(erase()).accepted(requested());
});

Deno.test("privacy.subject.erase keeps when it is due and what the log was before, and not which types it looked at", () => {
  const data = { due: "2026-02-04T09:00:00Z", before: { size: 9, root: `${"A".repeat(43)}=` } };
  given(privacy).when(erase({ ...data, types: ["commits.commit.recorded"] })).accepted({
    type: "privacy.subject.erasure_requested",
    data: { subject: ADA, ...data },
  });
});

Deno.test("a hold forbids erasure of whom it names, of what it names, or of all, until it is lifted or over", () => {
  const types = ["commits.commit.recorded"];
  given(privacy, placed()).when(erase()).rejected("held");
  given(privacy, placed({ subjects: [ADA] })).when(erase()).rejected("held");
  given(privacy, placed({ subjects: [GRACE] })).when(erase()).accepted(requested());
  given(privacy, placed({ types })).when(erase({ types })).rejected("held");
  given(privacy, placed({ types })).when(erase()).rejected("held");
  given(privacy, placed({ types })).when(erase({ types: ["identity.account.created"] })).accepted(requested());
  given(privacy, placed(), lifted("settled")).when(erase()).accepted(requested());
  const until = "2026-01-05T09:00:00Z";
  given(privacy, placed({ until })).when(erase()).accepted(requested());
  given(privacy, placed({ until })).when(erase(), { at: AT - 1 }).rejected("held");
});

Deno.test("what concerns nobody in particular is held by a hold on anybody", () => {
  const [hold] = given(privacy, placed({ subjects: [ADA] })).state.holds;
  assert.equal(heldBy([hold!], {}, AT), hold);
  assert.equal(heldBy([hold!], { subject: GRACE }, AT), undefined);
  assert.equal(heldBy([], {}, AT), undefined);
});

Deno.test("a hold comes too late for an erasure that was begun", () => {
  given(privacy, requested(), placed()).when(finish).accepted(erased);
});

Deno.test("privacy.subject.finish_erasure needs a request, or a copy that was restored", () => {
  given(privacy).when(finish).rejected("not_requested");
  given(privacy, requested(), erased).when(finish).rejected("not_requested");
  const again = { subject: ADA, key: "none", because: "restore" } as const;
  given(privacy).when({ type: "privacy.subject.finish_erasure", data: again }).accepted({
    type: "privacy.subject.erased",
    data: again,
  });
});

Deno.test("at most ERASURES_MAX erasures are under way", () => {
  const many = Array.from({ length: ERASURES_MAX }, (_, i) => requested(`s_${String(i).padStart(16, "0")}`));
  given(privacy, ...many).when(erase()).rejected("too_many_erasures");
  given(privacy, ...many.slice(1)).when(erase()).accepted(requested());
});

Deno.test("a hold has its name alone, an end to come, and at most HOLDS_MAX beside it", () => {
  given(privacy, placed()).when(place()).rejected("hold_exists");
  given(privacy).when(place({ until: "2026-01-05T09:00:00Z" })).rejected("hold_over");
  const many = Array.from({ length: HOLDS_MAX }, (_, i) => placed({ hold: `h${i}`, until: "2026-01-05T09:00:00Z" }));
  given(privacy, ...many).when(place(), { at: AT - 1 }).rejected("too_many_holds");
  given(privacy, ...many.slice(-1)).when(place()).accepted(
    lifted("its time is over", `h${HOLDS_MAX - 1}`),
    placed(),
  );
});

Deno.test("privacy.hold.lift needs the hold", () => {
  const lift: PrivacyCommand = { type: "privacy.hold.lift", data: { hold: "case-7", reason: "settled" } };
  given(privacy).when(lift).rejected("no_such_hold");
  given(privacy, placed()).when(lift).accepted(lifted("settled"));
  given(privacy, placed(), lifted("settled")).when(lift).rejected("no_such_hold");
});

Deno.test("a person is named by an opaque id, a hold by a plain name", () => {
  given(privacy).when({ type: "privacy.subject.erase", data: { subject: "ada@example.com" } }).invalid("/subject");
  given(privacy).when(place({ hold: "case 7" })).invalid("/hold");
  given(privacy).when(place({ reason: "" })).invalid("/reason");
});
