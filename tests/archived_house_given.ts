/** A served Daybook whose log begins in an archive. */
import assert from "node:assert/strict";
import type { House } from "./identity_given.ts";

/** 600 events of one type, covered by a checkpoint. */
export const fill = async (house: House): Promise<void> => {
  const events = Array.from(
    { length: 600 },
    (_, i) => ({ specversion: "1.0", id: `${i}`, source: "urn:test", type: "meter.reading.taken", data: i }),
  );
  const sent = await house.send("/events", {
    as: house.token,
    body: events,
    headers: { "content-type": "application/cloudevents-batch+json", prefer: "checkpoint" },
  });
  assert.equal(sent.status, 201, JSON.stringify(sent.body));
};

/** What is before a position is let go of, as after it was copied to an archive. */
export const letGo = async (house: House, position: number): Promise<void> => {
  const ran = async (name: string, body: unknown) => {
    const { status, body: lines } = await house.send(`/operations/${name}`, { as: house.token, body });
    assert.equal(status, 200, JSON.stringify(lines));
    return (JSON.parse(String(lines).trim().split("\n").at(-1)!) as { result: Record<string, unknown> }).result;
  };
  const { until, root } = await ran("begin-archive", { before: { position } });
  assert.equal(until, position);
  await ran("end-archive", { until, root });
  assert.equal((await house.send("/events/0", { as: house.token })).status, 410);
};
