/** The comparison with supervisord, once: both bring the reference stack up whole and in order. How long each takes is told. */
import assert from "node:assert/strict";
import { compare, comparedText } from "../../bench/stack/compare.ts";
import { missing, type Name, NEEDS, SERVICES } from "../../bench/stack/reference.ts";

/** Each once, and none before what it needs. */
const inOrder = (begun: readonly Name[]): void => {
  assert.deepEqual(begun.toSorted(), SERVICES.toSorted());
  for (const [name, needs] of Object.entries(NEEDS) as [Name, readonly Name[]][]) {
    for (const need of needs) assert.ok(begun.indexOf(need) < begun.indexOf(name), `${name} before ${need}: ${begun}`);
  }
};

Deno.test("the task of Daybook and supervisord with a wait script bring the reference stack up whole and in order", async (t) => {
  const absent = missing();
  if (absent.length > 0) {
    assert.notEqual(Deno.env.get("CI"), "true", `not installed: ${absent.join(", ")}`);
    return console.log(`skipped, not installed: ${absent.join(", ")} (${t.name})`);
  }
  const rounds = await compare(1);
  inOrder(rounds[0]!.begun.daybook);
  inOrder(rounds[0]!.begun.supervisord);
  console.log(comparedText(rounds));
});
