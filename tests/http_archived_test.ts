/** What routes say of what was moved to an archive that is somewhere else. */
import assert from "node:assert/strict";
import { fill, letGo } from "./archived_house_given.ts";
import { inFolder } from "./folder_given.ts";
import { withHouse } from "./identity_given.ts";

Deno.test("whatever is asked for as a stream and begins in what was archived is refused before it begins", () =>
  inFolder((data) =>
    withHouse(async (house) => {
      await fill(house);
      await letGo(house, 512);
      const lines = { accept: "application/x-ndjson" };
      for (
        const [path, headers] of [
          ["/follow?from=0"],
          ["/follow?type=meter.reading.taken"],
          ["/follow?stream=inbox/urn:test"],
          ["/events", lines],
          ["/events?type=meter.reading.taken", lines],
        ] as const
      ) {
        const { status, body } = await house.send(path, { as: house.token, headers });
        assert.deepEqual([status, body.type], [410, "urn:daybook:problem:archived"], path);
      }
      const page = await house.send("/events/0", { as: house.token, headers: { accept: "text/html" } });
      assert.deepEqual([page.status, page.headers.get("content-type")], [410, "text/html; charset=utf-8"]);
      const kept = await house.send("/events?type=meter.reading.taken&from=560&limit=2", {
        as: house.token,
        headers: lines,
      });
      assert.deepEqual([kept.status, kept.body.trim().split("\n").length], [200, 2]);
    }, { data })
  ));
