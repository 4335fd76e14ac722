/** What goes out says what may be read, which the key database knows: while that is held by somebody else, events wait. */
import assert from "node:assert/strict";
import { KeysFault } from "../adapters/keys/fault.ts";
import { openSystem } from "../adapters/program/daybook.ts";
import { sinksOf } from "../adapters/program/sinks.ts";
import { parseConfig } from "../config/config.ts";
import type { Event } from "../events/event.ts";
import { inFolder } from "./folder_given.ts";
import { until } from "./until.ts";

Deno.test("events that cannot be read while somebody holds the key database go out later, and none is a dead letter", () =>
  inFolder(async (folder) => {
    const [data, path] = [`${folder}/data`, `${folder}/out.ndjson`];
    const parsed = parseConfig(
      `sinks: [{ name: out, kind: file, path: ${path}, retry: { first_ms: 10, max_ms: 20 } }]`,
      "daybook.yaml",
      {},
    );
    assert.ok(parsed.ok, JSON.stringify(parsed));
    const { config } = parsed;
    const opened = await openSystem({ data, config });
    try {
      let held = 3;
      const redact = (event: Event) => {
        if (held-- > 0) throw new KeysFault("locked", "Cannot read a subject key: another process holds it");
        return opened.daybook.redact(event);
      };
      const daybook = Object.create(opened.daybook, { redact: { value: redact } });
      const options = { data, settings: { config, file: `${folder}/daybook.yaml` } };
      const sinks = await sinksOf(
        { ...opened, daybook } as typeof opened,
        options as Parameters<typeof sinksOf>[1],
        {} as Parameters<typeof sinksOf>[2],
      );
      await opened.tree.add(sinks.supervisor);
      const event = { id: "1", source: "urn:tests", type: "tests.thing.happened", data: {} };
      const done = await opened.daybook.ingest([event], { authtype: "system", authid: "tests" });
      assert.ok(done.ok);
      const { position } = done.receipts[0]!;
      const out = () => Deno.readTextFile(path).catch(() => "");
      const text = await until("the event is out", out, (text) => text.includes(`"position":${position},`));
      const positions = text.trim().split("\n").map((line) => (JSON.parse(line) as Event).position);
      assert.deepEqual([...new Set(positions)].slice(0, position + 1), [...Array(position + 1).keys()]);
      assert.deepEqual(opened.daybook.deadLetters(), []);
    } finally {
      await opened.daybook.close();
    }
  }));
