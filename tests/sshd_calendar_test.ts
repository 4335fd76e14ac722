/** Lines of syslog say neither year nor zone; what they are told instead. */
import assert from "node:assert/strict";
import { Calendar } from "../adapters/sshd/calendar.ts";
import { opened } from "./daybook_given.ts";
import { inFolder } from "./folder_given.ts";
import { importedLogsOf, observedIn } from "./sshd_given.ts";

Deno.test("a time without a year and zone is told them: over the turn of a year, and where clocks are put back", () => {
  const calendar = new Calendar(2025, "Europe/Berlin");
  const times = [
    "Dec 31 23:59:59",
    "Jan  1 00:00:00",
    "Dec 31 23:59:59",
    "Mar 29 01:59:59",
    "Mar 29 03:00:00",
    "Jul  1 12:00:00",
  ]
    .map((time) => calendar.short(time, ""));
  assert.deepEqual(times, [
    "2025-12-31T22:59:59.000Z",
    "2025-12-31T23:00:00.000Z",
    "2025-12-31T22:59:59.000Z",
    "2026-03-29T00:59:59.000Z",
    "2026-03-29T01:00:00.000Z",
    "2026-07-01T10:00:00.000Z",
  ]);
  for (const none of ["Feb 30 00:00:00", "Foo  1 00:00:00", "Jan  0 00:00:00", "Jan  1 24:00:00", "Jan  1 00:00:61"]) {
    assert.equal(calendar.short(none, ""), undefined, none);
  }
});

Deno.test("the year of a file is one in which it has all its days, and none is younger than the file", async () => {
  const of = async (zone: string, changed: string, ...days: readonly string[]): Promise<readonly string[]> =>
    await inFolder(async (folder) => {
      const path = `${folder}/auth.log`;
      const lines = days.map((day, i) => `${day} vm sshd[${i}]: Invalid user bob from 192.0.2.7 port 4711\n`);
      await Deno.writeTextFile(path, lines.join(""));
      await Deno.utime(path, new Date(changed), new Date(changed));
      await using daybook = await opened();
      const { done } = await importedLogsOf(daybook, zone, [path]);
      assert.deepEqual(done.problems, []);
      return observedIn(daybook).map(({ time }) => time.slice(0, 10));
    });
  const leap = ["Feb 29 12:00:00", "Mar  1 12:00:00"];
  assert.deepEqual(await of("UTC", "2026-11-20T00:00:00Z", ...leap), ["2024-02-29", "2024-03-01"]);
  const long = ["Dec 31 12:00:00", "Jan  1 12:00:00", "Feb 29 12:00:00"];
  assert.deepEqual(await of("UTC", "2024-03-01T00:00:00Z", ...long), ["2023-12-31", "2024-01-01", "2024-02-29"]);
  const midnight = ["Dec 31 12:00:00", "Jan  1 00:30:00"];
  assert.deepEqual(await of("Europe/Berlin", "2025-12-31T23:40:00Z", ...midnight), ["2025-12-31", "2025-12-31"]);
  const late = ["Dec 31 23:59:58", "Jan  1 00:00:00", "Dec 31 23:59:59"];
  assert.deepEqual(await of("UTC", "2026-01-01T00:00:01Z", ...late), ["2025-12-31", "2026-01-01", "2025-12-31"]);
});
