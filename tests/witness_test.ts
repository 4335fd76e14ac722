/** The tiny witness: what it cosigns, and all that it must not. */
import assert from "node:assert/strict";
import { cosigner, noteSigner } from "../adapters/keys/note.ts";
import { anchor } from "../adapters/program/anchor.ts";
import { addCheckpoint, type Seen, WITNESS_LIMITS, witnessHandler } from "../adapters/program/witness.ts";
import { openWitness, openWitnessFolder } from "../adapters/program/witness_folder.ts";
import { NotProven, parseCheckpoint, verifyNote } from "../main.ts";
import { inFolder } from "./folder_given.ts";
import { consistency, leaf, mth } from "./proofs_given.ts";
import { within } from "./until.ts";

const log = noteSigner("log.example/orders", new Uint8Array(32).fill(1));
const stranger = noteSigner("log.example/orders", new Uint8Array(32).fill(2));
const unknown = noteSigner("log.example/other", new Uint8Array(32).fill(3));
const w1 = cosigner("witness.example/w1", new Uint8Array(32).fill(4));
const leaves = Array.from({ length: 20 }, (_, i) => leaf(new TextEncoder().encode(String(i))));
const rootOf = (size: number, of = leaves) => mth(of.slice(0, size)).toBase64();
const checkpoint = (size: number, signer = log) => signer.checkpoint(size, rootOf(size));
const NOW = 1_763_600_000;

Deno.test("a checkpoint of a public log with cosignatures of public witnesses is read by the witness's key and by both", () => {
  const note = [
    "arche2025h1.staging.ct.transparency.dev",
    "1432088532",
    "U7WM79jrzyhGZ5/GUBTpM7NzwdyfFx61t3RovgcC4Ro=",
    "",
    "— arche2025h1.staging.ct.transparency.dev zTM8sQAAAZ5W0WdjBAMARjBEAiBjW5IQf9pvsYLfQFX6hoGREPMHbdQ3urbllzalApkptQIgIpwtEroeW2BXaHAI4kJXFbon5Ch9MNL5zRNZ55lvGt0=",
    "— arche2025h1.staging.ct.transparency.dev ui8GwCF1+kWqZrxGdhj4aX3gcw7XUlXQQabg/27lefwhUkzbC3NygNI75MdhL1bfTW9g8Ei59RA23oHP7Ry1k3ZFWwQ=",
    "— transparency.dev/DEV:witness-little-garden 2AQqhwAAAABqEiEgzgFIqqhbUoDwjMWE6UP8nd8/KYTzwZ2rhIgcqoXHAwVkjZr4AscylP3v7sEodkRAErumC2q44vdgJY096st5BQ==",
    "— witness1.smartit.nu/witness1 pIyCDwAAAABqEiEghIp82KWebrw7/oHQwlTAm3g2RKS4+eebl8eO0WH+/iEcxZ75W3u5hNI7TOQtmJbqmNWVuE0tgh0XwzdZsDsUAQ==",
    "— remora.n621.de 2net5wAAAABqEiEgPlfF3V06o0Y+fHM+J5J9s27wgxxcOVSpZ/2g/KSiXCg9DEZI+aVCIobWX9sXTynk5XeU/zZ0WBxtqB0DrAWfBw==",
    "— witness.stagemole.eu Z/euoAAAAABqEiEgw0i+7g2ENfDAWHmtRzCfKTHSDwYDJA2NmKeGi9Y8FtEyOUvVr+AJmIY/2TUFucgKi7lI7cUiOvKFYe/TmN9DAg==",
    "",
  ].join("\n");
  const keys = [
    "arche2025h1.staging.ct.transparency.dev+ba2f06c0+AU0vHmlGCS/PdN8b2OaGmKprLI8HKM+dJ472xgFYh15f",
    "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2",
  ] as const;
  assert.deepEqual(verifyNote(note, [keys[1]]).names, ["remora.n621.de"]);
  assert.deepEqual(verifyNote(note, keys).names, ["arche2025h1.staging.ct.transparency.dev", "remora.n621.de"]);
  assert.throws(() => verifyNote(note.replace("1432088532", "1432088533"), [keys[1]]), NotProven);
});

const given = () => {
  const seen = new Map<string, Seen>();
  const memory = { get: (origin: string) => seen.get(origin), set: (o: string, s: Seen) => void seen.set(o, s) };
  const options = { logs: [log.vkey], cosigner: w1, memory, now: () => NOW };
  const bodyOf = (old: number, note: string, proof: readonly string[] = []) =>
    `old ${old}\n${proof.map((hash) => `${hash}\n`).join("")}\n${note}`;
  const post = (old: number, note: string, proof: readonly string[] = []) =>
    addCheckpoint(bodyOf(old, note, proof), options);
  const grow = (from: number, to: number) => post(from, checkpoint(to), proofOf(from, to));
  return { seen, options, post, grow, raw: (body: string) => addCheckpoint(body, options) };
};
const proofOf = (from: number, to: number) =>
  from === 0 ? [] : consistency(from, leaves.slice(0, to)).map((hash) => hash.toBase64());

Deno.test("a witness cosigns what extends what it has seen, and its line is a cosignature of the whole text", () => {
  const { seen, grow } = given();
  for (const [from, to] of [[0, 3], [3, 8], [8, 8], [8, 20]] as const) {
    const { status, body } = grow(from, to);
    assert.equal(status, 200, `${from} to ${to}: ${body}`);
    const note = checkpoint(to) + body;
    assert.deepEqual(verifyNote(note, [w1.vkey, log.vkey]).names, [log.name, w1.name]);
    assert.deepEqual(parseCheckpoint(verifyNote(note, [w1.vkey]).text).size, to);
    // The time is signed, too.
    const [dash, name, encoded] = body.trimEnd().split(" ");
    const bytes = Uint8Array.fromBase64(encoded!);
    assert.equal(new DataView(bytes.buffer).getBigUint64(4), BigInt(NOW));
    bytes[11]! ^= 1;
    const later = `${checkpoint(to)}${dash} ${name} ${bytes.toBase64()}\n`;
    assert.throws(() => verifyNote(later, [w1.vkey]), NotProven);
    assert.deepEqual(seen.get(log.name), { size: to, root: rootOf(to) });
  }
});

Deno.test("a witness cosigns no other past, and remembers what it has seen", () => {
  const { seen, post, grow } = given();
  grow(0, 8);
  const before = { ...seen.get(log.name) };
  const forked = [leaf(new Uint8Array(1)), ...leaves.slice(1)];
  const fork = (size: number) => log.checkpoint(size, rootOf(size, forked));
  const forkedProof = consistency(8, forked.slice(0, 12)).map((hash) => hash.toBase64());
  const refused: Record<string, readonly [number, ReturnType<typeof post>]> = {
    "another root of the same size": [409, post(8, fork(8))],
    "another history": [422, post(8, fork(12), forkedProof)],
    "no proof": [422, post(8, checkpoint(12))],
    "a truncated proof": [422, post(8, checkpoint(12), proofOf(8, 12).slice(1))],
    "a padded proof": [422, post(8, checkpoint(12), [...proofOf(8, 12), rootOf(3)])],
    "the same size and a proof": [422, post(8, checkpoint(8), [rootOf(3)])],
    "a smaller tree": [400, post(8, checkpoint(5))],
    "an old size that is not the newest": [409, post(5, checkpoint(12), proofOf(5, 12))],
    "as if nothing had been seen": [409, post(0, checkpoint(12))],
    "a key of somebody else with this name": [403, post(8, checkpoint(12, stranger), proofOf(8, 12))],
    "a log that is not known": [404, post(0, checkpoint(12, unknown))],
  };
  for (const [name, [status, answer]] of Object.entries(refused)) {
    assert.equal(answer.status, status, name);
    assert.ok(!answer.body.includes("—"), `${name}: nothing is signed`);
  }
  assert.deepEqual(seen.get(log.name), before);
  const conflict = post(0, checkpoint(12));
  assert.deepEqual([conflict.body, conflict.type], ["8\n", "text/x.tlog.size"]);
  assert.equal(grow(8, 12).status, 200);
});

Deno.test("a first checkpoint needs no proof and brings none; before it the newest size is 0", () => {
  const { post } = given();
  assert.equal(post(3, checkpoint(8), proofOf(3, 8)).body, "0\n");
  assert.equal(post(0, checkpoint(8), [rootOf(1)]).status, 422);
  assert.equal(post(0, log.checkpoint(0, rootOf(3))).status, 422);
  assert.equal(post(0, log.checkpoint(0, rootOf(0))).status, 200);
  assert.equal(post(0, checkpoint(8)).status, 200);
});

Deno.test("what is not formed as a request is 400", () => {
  const { raw } = given();
  const note = checkpoint(8);
  const bad = [
    "",
    note,
    `\n${note}`,
    `old\n\n${note}`,
    `old 00\n\n${note}`,
    `old -1\n\n${note}`,
    `old 9007199254740993\n\n${note}`,
    `OLD 0\n\n${note}`,
    `old 0\n${note}`,
    `old 0\nAAAA\n\n${note}`,
    `old 0\n${`${rootOf(1)}\n`.repeat(WITNESS_LIMITS.proof_lines_max + 1)}\n${note}`,
    `old 0\n\n${note.slice(0, -1)}`,
    `old 0\n\n${log.note("not a checkpoint\n")}`,
    `old 0\n\n${note.split("\n\n")[0]}\n`,
  ];
  for (const body of bad) assert.equal(raw(body).status, 400, JSON.stringify(body));
});

Deno.test("over HTTP there is one thing to post, of a bounded size", async () => {
  const { options } = given();
  const handle = witnessHandler(options);
  const ask = (path: string, init?: RequestInit) => handle(new Request(`http://w.example${path}`, init));
  const posted = await ask("/add-checkpoint", { method: "POST", body: `old 0\n\n${checkpoint(8)}` });
  assert.deepEqual([posted.status, (await posted.text()).startsWith(`— ${w1.name} `)], [200, true]);
  const again = await ask("/add-checkpoint", { method: "POST", body: `old 0\n\n${checkpoint(8)}` });
  assert.deepEqual([again.status, again.headers.get("content-type"), await again.text()], [
    409,
    "text/x.tlog.size",
    "8\n",
  ]);
  const asked = await ask("/add-checkpoint");
  // RFC 9110 section 15.5.6.
  assert.deepEqual([asked.status, asked.headers.get("allow")], [405, "POST"]);
  assert.equal((await ask("/", { method: "POST" })).status, 404);
  const large = "x".repeat(WITNESS_LIMITS.body_bytes_max + 1);
  assert.equal((await ask("/add-checkpoint", { method: "POST", body: large })).status, 413);
});

Deno.test("of a witness that never ends its answer the beginning is read, and one that breaks off is said to", async () => {
  const signed = { origin: log.name, size: 3, root: rootOf(3), note: checkpoint(3) };
  const asked = (pull: UnderlyingSource<Uint8Array>["pull"]) =>
    anchor({
      checkpoint: signed,
      tree: { consistency: () => undefined },
      key: w1.vkey,
      post: () => Promise.resolve(new Response(new ReadableStream({ pull }))),
    });
  let pieces = 0;
  const endless: UnderlyingSource<Uint8Array>["pull"] = (to) => {
    if (++pieces > 100) throw new Error("too many");
    to.enqueue(new Uint8Array(10_000).fill(65));
  };
  await assert.rejects(asked(endless), { kind: "io", message: /without a cosignature/ });
  assert.ok(pieces < 20, `${pieces} pieces`);
  const broken: UnderlyingSource<Uint8Array>["pull"] = (to) => to.error(new TypeError("connection reset"));
  await assert.rejects(asked(broken), { kind: "io", message: "Cannot ask the witness: connection reset" });
});

Deno.test("who cannot be anchored is told where the witness was asked, and what it has against the log", async () => {
  const signed = { origin: log.name, size: 3, root: rootOf(3), note: checkpoint(3) };
  const asked = (post: () => Promise<Response>) =>
    anchor({ checkpoint: signed, tree: { consistency: () => undefined }, key: w1.vkey, post });
  const gone = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  gone.close();
  const nowhere = asked(() => fetch(`http://127.0.0.1:${gone.addr.port}/add-checkpoint`, { method: "POST" }));
  const where = new RegExp(`^Cannot ask the witness: .*127\\.0\\.0\\.1:${gone.addr.port}/.*refused`);
  await assert.rejects(nowhere, { kind: "io", message: where });
  const refusing = (status: number) => asked(() => Promise.resolve(new Response("", { status })));
  await assert.rejects(refusing(404), { kind: "io", message: /with 404: it does not know this log/ });
  await assert.rejects(refusing(403), { kind: "io", message: /with 403: no signature of it is by a key/ });
  await assert.rejects(refusing(500), { kind: "io", message: "The witness refused the checkpoint with 500" });
});

Deno.test("a witness that is told to stop ends though somebody never ends what they ask, and cosigns nothing after that", () =>
  inFolder(async (dir) => {
    const options = { dir, name: "w", logs: [log.vkey], host: "127.0.0.1", port: 0 };
    const witness = await openWitness(options);
    const port = Number(new URL(witness.url).port);
    const body = `old 0\n\n${checkpoint(3)}`;
    using slow = await Deno.connect({ hostname: "127.0.0.1", port });
    const say = (text: string) => slow.write(new TextEncoder().encode(text));
    await say(`POST /add-checkpoint HTTP/1.1\r\nhost: w\r\ncontent-length: ${body.length}\r\n\r\n`);
    await say(body.slice(0, 9));
    await (await fetch(witness.url)).body?.cancel(); // it has come by now
    await within("it has stopped", witness.stop(), { seconds: 20 });
    await say(body.slice(9));
    const answer = new Uint8Array(1_000);
    const text = new TextDecoder().decode(answer.subarray(0, await slow.read(answer) ?? 0));
    assert.ok(!text.startsWith("HTTP/1.1 200"), text);
    const { memory, close } = await openWitnessFolder(dir, "w");
    assert.equal(memory.get("log.example/orders"), undefined);
    close();
  }));

Deno.test("a witness that was cut off while it made its key makes it the next time, and keeps it", () =>
  inFolder(async (dir) => {
    const { writeSync } = Deno.FsFile.prototype;
    Deno.FsFile.prototype.writeSync = () => {
      throw new Error("cut off");
    };
    try {
      await assert.rejects(openWitnessFolder(dir, "w"), /cut off/);
    } finally {
      Deno.FsFile.prototype.writeSync = writeSync;
    }
    const vkeys: string[] = [];
    for (let i = 0; i < 2; i++) {
      const { cosigner, close } = await openWitnessFolder(dir, "w");
      vkeys.push(cosigner.vkey);
      close();
    }
    assert.equal(vkeys[0], vkeys[1]);
    assert.equal(Deno.statSync(`${dir}/witness.key`).mode! & 0o777, 0o600);
  }));

Deno.test("a witness that has lost what it has seen does not begin anew with the same key", () =>
  inFolder(async (dir) => {
    const { memory, close } = await openWitnessFolder(dir, "w");
    memory.set("log.example/orders", { size: 20, root: rootOf(20) });
    close();
    await Deno.remove(`${dir}/witness.json`);
    await assert.rejects(openWitnessFolder(dir, "w"), /witness\.json is missing beside witness\.key; put back a copy/);
    await Deno.remove(`${dir}/witness.key`);
    const anew = await openWitnessFolder(dir, "w");
    anew.close();
    (await openWitnessFolder(dir, "w")).close();
  }));
