/** A folder that tells of two people, and what is asked of it. */
import assert from "node:assert/strict";
import type { Daybook } from "../../actors/kernel/daybook.ts";
import { openDaybook } from "../../main.ts";
import { until as eventually } from "../until.ts";

export const NAME = "Ann Example", EMAIL = "ann@example.org", SECRET = "Ann's own report, nobody else's";
export const BY = { authtype: "system", authid: "tests" } as const;

export const commit = (
  n: number,
  author: { readonly name: string; readonly email: string; readonly message?: string },
) => ({
  id: n.toString(16).padStart(40, "1"),
  source: "garden",
  type: "commits.commit.recorded",
  time: "2026-01-02T03:04:05Z",
  data: {
    sha: n.toString(16).padStart(40, "1"),
    parts: 0,
    parents: [],
    author,
    times: { committed: "2026-01-02T03:04:05Z" },
    subject: `Row ${n}`,
    files: 0,
  },
});

export const ANN = { name: NAME, email: EMAIL, message: "Row\n\nReviewed by Ann Example herself.\n" };
export const BOB = { name: "Bob Example", email: "bob@example.org" };

/** A folder with commits of two people and a blob about one. */
export const filled = async (data: string): Promise<void> => {
  const daybook = await openDaybook({ data });
  const taken = await daybook.ingest([commit(1, ANN), commit(2, BOB), commit(3, ANN)], BY);
  assert.ok(taken.ok);
  await daybook.putBlob(new TextEncoder().encode(SECRET), { subject: EMAIL });
  await daybook.view("commits.history", { wait: daybook.status().size - 1, deadline: 120_000 });
  await daybook.close();
};

export const opened = async <T>(data: string, use: (daybook: Daybook) => Promise<T> | T): Promise<T> => {
  const daybook = await openDaybook({ data });
  try {
    return await use(daybook);
  } finally {
    await daybook.close();
  }
};

/** Data of every event of a type. */
export const recorded = (daybook: Daybook, type: string): readonly Record<string, unknown>[] =>
  [...daybook.log.read({ types: [type] })].flat().map(({ data }) => data as Record<string, unknown>);

/** The names of authors as the edge has them. */
export const authors = (daybook: Daybook): readonly string[] =>
  recorded(daybook, "commits.commit.recorded").map(({ author }) => daybook.unseal(author as { name: string }).name);

/** Waits for so many facts of a type. */
export const until = async (daybook: Daybook, type: string, count: number): Promise<void> => {
  await eventually(`${count} of ${type}`, () => recorded(daybook, type).length, (seen) => seen >= count);
};
