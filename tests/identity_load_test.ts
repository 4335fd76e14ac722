/** Many people at once, a few of them here; `deno task soak --only signins` has 500. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { signins } from "./soak/signins.ts";

Deno.test("people who sign in, refresh and sign out at the same time lose no session, get none twice and none of each other's", async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(1_000_000), async (seed) => {
      const { users, sessions, refreshes, refused } = await signins({ users: 12, steps: 25, seed });
      assert.ok(
        sessions >= users && refreshes > users && refused > 0,
        JSON.stringify({ sessions, refreshes, refused }),
      );
    }),
    { numRuns: 3 },
  );
});
