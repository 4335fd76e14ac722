/** Many people at once, a few of them here; `deno task soak --only signins` has 500. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { signins } from "./soak/signins.ts";

Deno.test("people who sign in, refresh and sign out at the same time lose no session, get none twice and none of each other's", async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(1_000_000), async (seed) => {
      const load = await signins({ users: 12, steps: 25, seed });
      const { users, sessions, refreshes, refused, signin, refresh, alone_ms } = load;
      console.log(
        `${users} people at once, ${sessions} sessions, ${refreshes} refreshes: p99 of a sign-in ${signin.p99} ms ` +
          `(one alone, a hash and little else, ${alone_ms} ms), of a refresh ${refresh.p99} ms`,
      );
      assert.ok(
        sessions >= users && refreshes > users && refused > 0,
        JSON.stringify({ sessions, refreshes, refused }),
      );
    }),
    { numRuns: 1 },
  );
});
