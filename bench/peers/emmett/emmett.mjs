/**
 * emmett's event store on SQLite (https://event-driven-io.github.io/emmett/), as its documentation shows it, under Node, for its
 * SQLite is a native module: `append N` one event at a time, `batches N M` M events at a time, `replay` everything there is. See
 * `../peer.ts`; `npm ci` in this folder makes it runnable.
 */
import { createInterface } from "node:readline";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import process from "node:process";

// By name and not by an import, which would make it a dependency of the program.
const PACKAGE = "@event-driven-io/emmett-sqlite";
const { getSQLiteEventStore, readMessagesBatch, sqliteConnection } = await import(PACKAGE);
const PAGE = 1_000;
const TRIES = 10;

const folder = mkdtempSync(`${tmpdir()}/daybook-bench-`);
const fileName = `${folder}/events.db`;
const store = getSQLiteEventStore({ fileName, schema: { autoMigration: "CreateOrUpdate" } });

let made = 0;
const reading = () => {
  const n = made++;
  const metadata = {
    source: "urn:bench",
    authtype: "system",
    authid: "bench",
    time: "2026-01-01T00:00:00Z",
    version: 1,
  };
  return { type: "bench.reading.taken", data: { n, unit: "celsius", value: n / 8 }, metadata };
};

/** Appends, again where its own connection was still busy with the statement before. */
const append = async (stream, events) => {
  for (let tried = 1;; tried++) {
    try {
      return await store.appendToStream(stream, events);
    } catch (error) {
      if (tried === TRIES || !String(error).includes("SQLITE_BUSY")) throw error;
    }
  }
};

const replay = async () => {
  const connection = sqliteConnection({ fileName });
  const sums = new Map();
  let after = 0n;
  for (;;) {
    const { messages, currentGlobalPosition } = await readMessagesBatch(connection, { after, batchSize: PAGE });
    if (messages.length === 0) break;
    for (const { type } of messages) sums.set(type, (sums.get(type) ?? 0) + 1);
    after = currentGlobalPosition;
  }
  connection.close();
  return [...sums.values()].reduce((sum, n) => sum + n, 0);
};

const work = {
  async append(events) {
    for (let i = 0; i < events; i++) await append("bench-0", [reading()]);
    return events;
  },
  async batches(batches, events) {
    for (let b = 0; b < batches; b++) {
      await append(`bench-${b % 8}`, Array.from({ length: events }, reading));
    }
    return batches * events;
  },
  replay,
};

// What it says of its troubles is no answer of ours.
const answer = (line) => void process.stdout.write(`${line}\n`);
console.log = console.error = () => {};
answer("ready");
for await (const line of createInterface({ input: process.stdin })) {
  const [what, ...numbers] = line.split(" ");
  const began = performance.now();
  const units = await work[what](...numbers.map(Number));
  answer(JSON.stringify({ units, ms: performance.now() - began }));
}
rmSync(folder, { recursive: true });
