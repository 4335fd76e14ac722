/**
 * The program is killed (SIGKILL) while requests are on their way, again and again on one folder. Whatever was answered must be
 * there, once and in its place; what was not may be repeated.
 */
import assert from "node:assert/strict";
import { type SeededRandom, seededRandom } from "../../adapters/simulation/random.ts";
import { Program, run } from "./program.ts";

/** Rounds that count; `deno task soak` runs more of the same. */
const ROUNDS = Number(Deno.env.get("DAYBOOK_KILL_ROUNDS") ?? 20);
const CLIENTS = 12;

interface Receipt {
  readonly id: string;
  readonly source: string;
  readonly stream: string;
  readonly revision: number;
  readonly position: number;
}
interface Answer {
  readonly accepted: number;
  readonly duplicates: number;
  readonly receipts: readonly Receipt[];
}

const eventsOf = (name: string, count: number) =>
  Array.from({ length: count }, (_, i) => ({
    specversion: "1.0",
    id: `${name}.${i}`,
    source: `urn:kill:${name.length % 3}`,
    type: "test.kill.sent",
    time: "2026-01-01T00:00:00Z",
    data: { name, i, pad: "x".repeat((name.length * 37 + i * 11) % 400) },
  }));

const post = async (
  program: Pick<Program, "url" | "token">,
  client: Deno.HttpClient,
  name: string,
  count: number,
): Promise<Answer> => {
  const response = await fetch(`${program.url}/events`, {
    method: "POST",
    client,
    headers: { authorization: `Bearer ${program.token}`, "content-type": "application/cloudevents-batch+json" },
    body: JSON.stringify(eventsOf(name, count)),
  });
  const body = await response.text();
  assert.ok(response.status === 200 || response.status === 201, `${response.status} ${body}`);
  return JSON.parse(body);
};

interface Load {
  /** Answered receipts by id. */
  readonly answered: Map<string, Receipt>;
  /** Sent and not answered: name to count. */
  readonly unanswered: Map<string, number>;
}

/** Sends until the process dies under it. */
const load = async (
  program: Program,
  round: number,
  { answered, unanswered }: Load,
  random: SeededRandom,
): Promise<number> => {
  const client = Deno.createHttpClient({});
  let dead = false;
  const clients = Array.from({ length: CLIENTS }, async (_, c) => {
    for (let i = 0; !dead; i++) {
      const name = `${round}.${c}.${i}`;
      const count = 1 + random.between(0, 4);
      unanswered.set(name, count);
      try {
        for (const receipt of (await post(program, client, name, count)).receipts) answered.set(receipt.id, receipt);
        unanswered.delete(name);
      } catch (error) {
        if (error instanceof assert.AssertionError) throw error;
        return; // the connection broke
      }
    }
  });
  const before = answered.size;
  await new Promise((resolve) => setTimeout(resolve, 30 + random.between(0, 250)));
  while (answered.size === before || unanswered.size === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  const atDeath = unanswered.size;
  const ended = program.end("SIGKILL");
  dead = true;
  await Promise.all(clients);
  await ended;
  client.close();
  return atDeath;
};

Deno.test("killed at any moment over HTTP, nothing that was answered is lost, doubled or moved", async () => {
  const data = await Deno.makeTempDir();
  const random = seededRandom(Number(Deno.env.get("DAYBOOK_SIM_SEED") ?? 1));
  const known: Load = { answered: new Map(), unanswered: new Map() };
  const told = { rounds: 0, unanswered: 0, durable: 0 };
  try {
    while (told.rounds < ROUNDS) {
      const program = await Program.start(data);
      const atDeath = await load(program, told.rounds, known, random);
      if (atDeath === 0) continue; // nobody was waiting: the round shows nothing
      told.rounds++;
      told.unanswered += atDeath;
      const after = await Program.start(data);
      const client = Deno.createHttpClient({});
      for (const [name, count] of known.unanswered) {
        const answer = await post(after, client, name, count);
        if (answer.duplicates > 0) {
          assert.equal(answer.duplicates, count, `half of request ${name} was there`);
          told.durable++;
        }
        for (const receipt of answer.receipts) known.answered.set(receipt.id, receipt);
      }
      known.unanswered.clear();
      await check(after, client, known.answered);
      client.close();
      const { code } = await after.end(told.rounds % 2 ? "SIGTERM" : "SIGKILL");
      if (told.rounds % 2) assert.equal(code, 0, "a clean stop ends with 0");
      if (told.rounds % 5 === 0) {
        const verified = await run("verify", "--data", data, "--json");
        assert.equal(verified.code, 0, verified.out + verified.err);
      }
    }
    const replayed = await run("replay", "--check", "--data", data, "--json");
    assert.equal(replayed.code, 0, replayed.out + replayed.err);
    console.log(
      `killed in ${told.rounds} rounds with ${told.unanswered} requests unanswered; ${told.durable} of them were durable all the same`,
    );
    assert.ok(told.unanswered >= told.rounds);
  } finally {
    await Deno.remove(data, { recursive: true });
  }
});

/** Everything answered is where its receipt says, and nothing is there twice. */
const check = async (
  program: Program,
  client: Deno.HttpClient,
  answered: ReadonlyMap<string, Receipt>,
): Promise<void> => {
  const response = await fetch(`${program.url}/events`, {
    client,
    headers: { authorization: `Bearer ${program.token}`, accept: "application/x-ndjson" },
  });
  const events = (await response.text()).trim().split("\n").map((line) => JSON.parse(line));
  const ids = new Set<string>();
  const heads = new Map<string, number>();
  for (const [i, event] of events.entries()) {
    assert.equal(event.position, i, "positions have a gap");
    assert.equal(event.revision, (heads.get(event.stream) ?? -1) + 1, `revisions of ${event.stream} have a gap`);
    heads.set(event.stream, event.revision);
    const id = `${event.source}\n${event.id}`;
    assert.ok(!ids.has(id), `event ${event.id} is there twice`);
    ids.add(id);
  }
  for (const { id, source, stream, revision, position } of answered.values()) {
    const event = events[position];
    assert.deepEqual(
      [event?.id, event?.source, event?.stream, event?.revision],
      [id, source, stream, revision],
      `answered event ${id} is not at ${position}`,
    );
  }
};
