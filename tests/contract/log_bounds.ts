/** What every log promises of its bounds, each at its edge. */
import assert from "node:assert/strict";
import type { StreamId } from "../../events/event.ts";
import { LIMITS, type LogFault, type NewEvent } from "../../events/log.ts";
import { appended, event, fault, type Start, testsOf } from "./log_contract.ts";

export const logBounds = (name: string, start: Start): void => {
  const test = testsOf(name, start);

  test("bounds: number of events, bytes of an entry, of an append, of attributes; depth", async ({ log }) => {
    await assert.rejects(log.append({ events: [] }), fault("too_large"));
    await assert.rejects(
      log.append({ events: Array.from({ length: LIMITS.append_events_max + 1 }, (_, i) => event(i)) }),
      fault("too_large"),
    );
    await appended(log, ...Array.from({ length: LIMITS.append_events_max }, (_, i) => event(i)));
    const sized = (n: number | string, bytes: number) => event(n, { data: "x".repeat(bytes) });
    await appended(log, sized("measure", 1));
    const overhead = log.entry(log.size - 1)!.length - 1;
    await appended(log, sized("largest", LIMITS.entry_bytes_max - overhead));
    assert.equal(log.entry(log.size - 1)!.length, LIMITS.entry_bytes_max);
    const size = log.size;
    await assert.rejects(log.append({ events: [sized("larger!", LIMITS.entry_bytes_max)] }), fault("too_large"));
    await assert.rejects(
      log.append({ events: Array.from({ length: 13 }, (_, i) => sized(`big${i}`, 58_000)) }),
      fault("too_large"),
    );
    await assert.rejects(
      log.append({ events: [event("x".repeat(LIMITS.attribute_bytes_max + 1))] }),
      fault("too_large"),
    );
    await assert.rejects(
      log.append({ events: [event(1, { stream: `tests/${"é".repeat(300)}` })] }),
      fault("too_large"),
    );
    const deep = (levels: number): unknown => levels === 0 ? 1 : [deep(levels - 1)];
    await assert.rejects(
      log.append({ events: [event("deep", { data: deep(LIMITS.data_depth_max + 1) })] }),
      fault("invalid"),
    );
    await assert.rejects(log.append({ events: [event("lone", { data: "\ud800" })] }), fault("invalid"));
    await assert.rejects(log.append({ events: [event("nan", { data: NaN })] }), fault("invalid"));
    for (const name of ["id", "source", "stream", "type", "time", "authid", "authtype"]) {
      // Not by the types, but whoever embeds the log may be wrong.
      for (const value of ["", undefined, null, 5]) {
        const wrong = event("wrong", { [name]: value });
        await assert.rejects(log.append({ events: [event("right"), wrong] }), fault("invalid"), `${name} ${value}`);
        await assert.rejects(log.append({ events: [{ ...wrong, extensions: { zone: "z" } }] }), fault("invalid"));
      }
    }
    const texts = [5, null, true, {}, ["a"], { toJSON: () => "a" }, () => 1];
    const wrongs: readonly (readonly [string, readonly unknown[]])[] = [
      ["version", [undefined, null, "1", 0, -1, 1.5, NaN, 2 ** 53]],
      ["stream", ["tests", "/1"]],
      ...["causationid", "correlationid", "data_base64", "datacontenttype", "dataschema", "subject", "traceparent"]
        .map((name) => [name, texts] as const),
      ["tracestate", texts],
    ];
    for (const [name, values] of wrongs) {
      for (const value of values) {
        const wrong = event("wrong", { [name]: value });
        for (const one of [wrong, { ...wrong, extensions: { zone: "z" } }]) {
          await assert.rejects(log.append({ events: [one] }), fault("invalid"), `${name} ${Deno.inspect(value)}`);
        }
      }
    }
    for (const value of [undefined, null, {}, [1], NaN, () => 1]) {
      const wrong = event("wrong", { extensions: { zone: value } } as unknown as Partial<NewEvent>);
      await assert.rejects(log.append({ events: [wrong] }), fault("invalid"), `extension ${Deno.inspect(value)}`);
    }
    assert.equal(log.size, size);
  });

  test("an entry of exactly the bound is taken, of a byte more it is refused, however many digits its place has", async ({ log }) => {
    const filled = (what: string, letters: number) => event(what.padEnd(12), { data: "x".repeat(letters) });
    for (const size of [0, 20, 120]) {
      if (log.size < size) {
        await appended(
          log,
          ...Array.from({ length: size - log.size }, (_, i) => event(log.size + i)),
        );
      }
      const measured = await appended(log, filled(`measure ${size}`, 0));
      const { position } = measured.receipts[0]!;
      const letters = LIMITS.entry_bytes_max - log.entry(position)!.length;
      for (const over of [1, 2, 3, 4, 5, 6, 7]) {
        await assert.rejects(log.append({ events: [filled(`over ${size}`, letters + over)] }), fault("too_large"));
        const beside = [event(`beside ${size}`), filled(`over ${size}`, letters + over)];
        const which = { kind: "too_large", message: new RegExp(`"over ${size} *" has more`) };
        await assert.rejects(log.append({ events: beside }), which);
      }
      assert.equal(log.size, position + 1);
      await appended(log, filled(`edge ${size}`, letters));
      assert.equal(log.entry(position + 1)!.length, LIMITS.entry_bytes_max);
    }
  });

  test("an append, a name, an attribute and a depth of exactly the bound are taken, one more is refused", async ({ log }) => {
    const refused = async (kind: LogFault["kind"], ...events: NewEvent[]) => {
      const { size } = log;
      await assert.rejects(log.append({ events }), fault(kind));
      assert.equal(log.size, size);
    };
    const filled = (i: number, letters: number) => event(`filled ${i}`.padEnd(12), { data: "x".repeat(letters) });
    // Positions from 100 to 999, so that all places have as many digits.
    await appended(log, ...Array.from({ length: 100 }, (_, i) => event(`before ${i}`)));
    await appended(log, filled(0, 0));
    const overhead = log.entry(100)!.length;
    const letters = LIMITS.append_bytes_max / 15 - overhead;
    const full = (more: number) => Array.from({ length: 15 }, (_, i) => filled(i + 1, letters + (i === 7 ? more : 0)));
    await refused("too_large", ...full(1));
    const { receipts } = await appended(log, ...full(0));
    const bytes = receipts.reduce((sum, { position }) => sum + log.entry(position)!.length, 0);
    assert.equal(bytes, LIMITS.append_bytes_max);

    const stream = (more: string) => `tests/${"é".repeat((LIMITS.stream_bytes_max - 6) / 2)}${more}` as StreamId;
    await appended(log, event("longest stream", { stream: stream("") }));
    await refused("too_large", event("longer stream", { stream: stream("s") }));
    const most = LIMITS.attribute_bytes_max;
    for (const name of ["id", "source", "subject", "correlationid", "type"] as const) {
      await appended(log, event(`longest ${name}`, { [name]: "é".repeat(most / 2) }));
      await refused("too_large", event(`longer ${name}`, { [name]: "é".repeat(most / 2) + "s" }));
    }
    const named = (letters: number) => ({ extensions: { ["n".repeat(letters)]: true } });
    await appended(log, event("longest name", named(LIMITS.extension_name_max)));
    await refused("invalid", event("longer name", named(LIMITS.extension_name_max + 1)));
    await appended(log, event("longest extension", { extensions: { note: "s".repeat(most) } }));
    await refused("too_large", event("longer extension", { extensions: { note: "s".repeat(most + 1) } }));
    const deep = (levels: number): unknown => levels === 0 ? 1 : [deep(levels - 1)];
    await appended(log, event("deepest", { data: deep(LIMITS.data_depth_max) }));
    await refused("invalid", event("deeper", { data: deep(LIMITS.data_depth_max + 1) }));
    await appended(log, event("deepest beside", { data: deep(LIMITS.data_depth_max), extensions: { note: "s" } }));
    await refused(
      "invalid",
      event("deeper beside", { data: deep(LIMITS.data_depth_max + 1), extensions: { note: "s" } }),
    );
  });
};
