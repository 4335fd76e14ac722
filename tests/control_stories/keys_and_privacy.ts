/** Lives of the controls over keys and personal data, and the ways in which they are broken. */
import { BEGAN, DAY, DAYS, ENDS, HOUR, MINUTE, type Sowing, type Story } from "../controls_given.ts";
import { lately, MS, ROOT } from "./told.ts";

const issued = (story: Story, at: number) => {
  const key = story.name("k");
  story.say(at, "identity.key.issued", { key, kind: "api" });
  return key;
};
const revoked = (story: Story, at: number, key: string) =>
  story.say(at, "identity.key.revoked", { key, kind: "api", because: "asked" });
const rotated = (story: Story, at: number, key: string) => {
  const by = story.name("k");
  story.say(at, "identity.key.rotated", { key, kind: "api", by, until: new Date(at + DAY).toISOString() });
  return by;
};

const erasure = (story: Story, asked: number, erased?: number) => {
  const subject = story.name("s_");
  story.say(asked, "privacy.subject.erasure_requested", { subject });
  if (erased !== undefined) {
    story.say(erased, "privacy.subject.erased", { subject, key: "destroyed" });
    certified(story, erased + HOUR, subject);
  }
  return subject;
};
const destroyed = (story: Story, at: number, after_days: number, type = "identity.signin.failed") =>
  story.say(at, "privacy.period.destroyed", { type, period: "202412", after_days });

const certified = (story: Story, at: number, subject: string, found = 0) =>
  story.say(at, "privacy.erasure.certified", {
    subject,
    certificate: "b".repeat(64),
    size: 1,
    root: ROOT,
    unreadable: 1,
    files: 9,
    found,
  });

const ROTATED = { from: 1, to: 2, keys: { tenants: 1, subjects: 1, periods: 1, secrets: 1 } };

export const KEYS_AND_PRIVACY: Readonly<Record<string, Sowing>> = {
  "keys-replaced-in-time": {
    clean(story) {
      const at = story.when(90, 100);
      revoked(story, at + 90 * DAY, issued(story, at));
      issued(story, ENDS - 90 * DAY + MINUTE);
      issued(story, story.when(DAYS - 80));
    },
    broken: [
      (story) => issued(story, ENDS - 90 * DAY - MINUTE),
      (story) => {
        const at = ENDS - 100 * DAY;
        const key = issued(story, at);
        story.sowing = false;
        revoked(story, at + 90 * DAY + MS, key);
      },
    ],
  },
  "replacing-keys-replaced-in-time": {
    clean(story) {
      const at = ENDS - 100 * DAY;
      const second = rotated(story, at, issued(story, at - 50 * DAY));
      revoked(story, at + 90 * DAY, second);
    },
    broken: [
      (story) => {
        const at = ENDS - 100 * DAY;
        story.sowing = false;
        const key = issued(story, at - DAY);
        story.sowing = true;
        const by = rotated(story, at, key);
        story.sowing = false;
        revoked(story, at + 90 * DAY + MS, by);
      },
      (story) => {
        const at = ENDS - 95 * DAY;
        story.sowing = false;
        const key = issued(story, at - DAY);
        story.sowing = true;
        rotated(story, at, key);
      },
    ],
  },
  "erasure-within-30-days": {
    clean(story) {
      const at = story.when(150, 160);
      erasure(story, at, at + 30 * DAY);
      erasure(story, ENDS - 30 * DAY + MINUTE);
    },
    broken: [
      (story) => erasure(story, ENDS - 30 * DAY - MINUTE),
      (story) => {
        const subject = erasure(story, ENDS - 40 * DAY);
        story.sowing = false;
        story.say(ENDS - 10 * DAY + MS, "privacy.subject.erased", { subject, key: "destroyed" });
        certified(story, ENDS - 10 * DAY + HOUR, subject);
      },
    ],
  },
  "erasure-within-45-days": {
    clean: (story) => void erasure(story, ENDS - 10 * DAY),
    // Later than 45 days is later than 30.
    broken: [(story) => erasure(story, ENDS - 45 * DAY - MS)],
  },
  "erasures-certified": {
    clean(story) {
      const [subject, at] = [story.name("s_"), lately(story)];
      story.say(at - HOUR, "privacy.subject.erasure_requested", { subject });
      story.say(at, "privacy.subject.erased", { subject, key: "destroyed" });
      certified(story, at + 24 * HOUR, subject);
    },
    broken: [
      (story) => story.say(lately(story), "privacy.subject.erased", { subject: story.name("s_"), key: "none" }),
      (story) => {
        const [subject, at] = [story.name("s_"), lately(story)];
        story.say(at, "privacy.subject.erased", { subject, key: "destroyed" });
        story.sowing = false;
        certified(story, at + 24 * HOUR + MS, subject);
      },
    ],
  },
  "erasures-leave-nothing": {
    clean: (story) => certified(story, story.when(), story.name("s_")),
    broken: [(story) => certified(story, lately(story), story.name("s_"), 1)],
  },
  "access-records-readable-12-months": {
    clean(story) {
      destroyed(story, lately(story), 365);
      destroyed(story, lately(story), 0, "meter.reading.taken");
    },
    broken: [(story) => destroyed(story, lately(story), 364)],
  },
  "root-key-rotated-yearly": {
    clean: (story) => story.say(BEGAN + 150 * DAY, "privacy.root_key.rotated", ROTATED),
    broken: [],
  },
};
