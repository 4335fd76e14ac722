/** Dates that somebody stated, behind a clock that was far ahead as they were stated: they come when they come. */
import assert from "node:assert/strict";
import { openSystem } from "../adapters/program/daybook.ts";
import type { Opened } from "../adapters/program/opened.ts";
import { clockAhead } from "./clock_given.ts";
import { inFolder } from "./folder_given.ts";
import { until } from "./until.ts";

const DAY = 86_400_000;
const BY = { authtype: "system", authid: "test" } as const;

/** A process of so much later, until `body` is through; answers how often timers have fired. */
const later = async (data: string, ahead: number, body: (opened: Opened) => Promise<unknown>): Promise<number> => {
  using _ = clockAhead(ahead);
  const opened = await openSystem({ data });
  try {
    await body(opened);
    return fired(opened);
  } finally {
    await opened.daybook.close();
  }
};
const fired = ({ log }: Opened): number => [...log.read({ types: ["kernel.timer.fired"] })].flat().length;
const none = () => Promise.resolve();
const aWhile = () => new Promise((resolve) => setTimeout(resolve, 500));

Deno.test("who leaves at a date, stated while the clock was a month ahead, loses nothing before it", () =>
  inFolder(async (folder) => {
    const account = { id: "u_0123456789abcdef", by: BY } as const;
    const left = new Date(Date.now() + 31 * DAY).toISOString();
    await later(folder, 30 * DAY, async (opened) => {
      const data = { tenant: "default", name: "ann", kind: "person" };
      assert.equal((await opened.entities.ask({ ...account, type: "identity.account.create", data })).is, "accepted");
      assert.equal(
        (await opened.entities.ask({ ...account, type: "identity.account.offboard", data: { left } })).is,
        "accepted",
      );
    });
    await later(folder, 0, none);
    assert.equal(await later(folder, 1.1 * DAY, aWhile), 0);
    const gone = (opened: Opened) => until("the account is disabled", () => fired(opened) === 1);
    assert.equal(await later(folder, 31.1 * DAY, gone), 1);
  }));

Deno.test("of a certificate that was found while the clock was a month ahead it is told when it ends, and not only that it soon does", () =>
  inFolder(async (folder) => {
    const [id, not_after_ms] = ["listener", Date.now() + 35 * DAY];
    const data = {
      serial: "0a",
      fingerprint: "0".repeat(64),
      not_before_ms: Date.now() - DAY,
      not_after_ms,
      soon_ms: 20 * DAY,
      names: ["a.example"],
    };
    await later(folder, 30 * DAY, async (opened) => {
      const noted = await opened.entities.ask({ id, by: BY, type: "certificates.certificate.note", data });
      assert.equal(noted.is, "accepted", JSON.stringify(noted));
      await until("it is told that it soon does", () => fired(opened) === 1);
    });
    await later(folder, 0, none);
    await later(folder, 6 * DAY, aWhile);
    await later(folder, 35.1 * DAY, async (opened) => {
      const types = ["certificates.certificate.expired"];
      await until("its end is told", () => [...opened.log.read({ types })].flat().length === 1, Boolean, {
        seconds: 30,
      });
    });
  }));
