/** Times as they are given on the command line. */
import assert from "node:assert/strict";

Deno.test("a time without a zone, like a day alone, is in UTC, wherever the machine is", async () => {
  const file = new URL("../adapters/cli/call.ts", import.meta.url).href;
  const given = [
    "2026-11-20",
    "2026-11-20 09:00",
    "2026-11-20T09:00:00.5",
    "2026-11-20t09:00z",
    "2026-11-20T09:00+01:00",
  ];
  const none = ["2026-02-30", "2026-11-20T24:01", "2026-11-20T09", "20.11.2026", ""];
  const program = `const { timeFrom } = await import(${JSON.stringify(file)});
console.log(JSON.stringify(${JSON.stringify([...given, ...none])}.map((text) => timeFrom(text) ?? null)));`;
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-check", program],
    env: { TZ: "Asia/Tokyo" },
  }).output();
  assert.deepEqual(JSON.parse(new TextDecoder().decode(stdout)), [
    Date.UTC(2026, 10, 20),
    Date.UTC(2026, 10, 20, 9),
    Date.UTC(2026, 10, 20, 9, 0, 0, 500),
    Date.UTC(2026, 10, 20, 9),
    Date.UTC(2026, 10, 20, 8),
    ...none.map(() => null),
  ]);
});
