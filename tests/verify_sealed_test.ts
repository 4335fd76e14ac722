/** A log that lies sealed is verified with its key alone, and what was changed in it is named without a false alarm. */
import assert from "node:assert/strict";
import { FolderReader } from "../adapters/kv/folder_reader.ts";
import { verifyLog } from "../adapters/verify/verify.ts";
import { catalogue } from "../events/catalogue.ts";
import { LogFault } from "../events/log.ts";
import { KEY, OTHER_KEY, sealing } from "./at_rest_given.ts";
import { inFolder } from "./folder_given.ts";
import { chance, makeLog, signer, Tampered } from "./verify_given.ts";

const options = { key: signer.vkey, sealedUnder: KEY };
const appends = [...Array(20).fill(1), ...Array(20).fill(9), 400];
const sealedLog = (path: string) => makeLog(path, { appends, segmentEvents: 64, sealing: sealing() });
const kinds = (found: { readonly failures: readonly { readonly position: number; readonly kind: string }[] }) =>
  found.failures.map(({ position, kind }) => [position, kind]);
const saysSealed = (text: RegExp) => (error: unknown) =>
  error instanceof LogFault && error.kind === "sealed" && text.test(error.message);

Deno.test("a sealed log verifies with its key as a clear one does, in one thread and in several", () =>
  inFolder(async (dir) => {
    const clear = await makeLog(`${dir}/clear.db`, { appends, segmentEvents: 64 });
    const { path } = await sealedLog(`${dir}/log.db`);
    for (const threads of [1, 2]) {
      const report = await verifyLog({ path, ...options, threads, rangeEvents: 100 });
      assert.deepEqual(report.failures, []);
      assert.deepEqual([report.size, report.authenticated, report.signed], [clear.size, true, clear.size]);
      assert.equal(report.sealed, true);
    }
    // Of a clear log the key is of no account.
    const { ok, sealed } = await verifyLog({ path: clear.path, ...options });
    assert.deepEqual([ok, sealed], [true, undefined]);
  }));

Deno.test("without its key, and under another, a sealed log is neither read nor called fine", () =>
  inFolder(async (dir) => {
    const { path } = await sealedLog(`${dir}/log.db`);
    await assert.rejects(verifyLog({ path, key: signer.vkey }), saysSealed(/neither entries, links, index nor blobs/));
    await assert.rejects(verifyLog({ path, ...options, sealedUnder: OTHER_KEY }), saysSealed(/under another key/));
    assert.throws(() => new FolderReader(path, { catalogue: catalogue() }), saysSealed(/its key/));
    const other = { catalogue: catalogue(), sealing: sealing(OTHER_KEY) };
    assert.throws(() => new FolderReader(path, other), saysSealed(/under another key/));
    const reader = new FolderReader(path, { catalogue: catalogue(), sealing: sealing() });
    assert.equal([...reader.read({})].flat().length, reader.size);
    await reader.close();
  }));

const SEEDS = 6;

type Tampering = (scene: {
  readonly file: Tampered;
  readonly blocks: readonly number[];
  readonly below: (n: number) => number;
}) => { readonly kind: string; readonly at: number };

const pick = <T>(from: readonly T[], below: (n: number) => number): T => from[below(from.length)]!;

const TAMPERINGS: Readonly<Record<string, Tampering>> = {
  "a bit of what is sealed flipped": ({ file, blocks, below }) => {
    const at = pick(blocks, below);
    const bytes = file.get("log", at).slice();
    bytes[8 + below(bytes.length - 8)]! ^= 1 << below(8);
    file.put(bytes, "log", at);
    return { kind: "unreadable", at };
  },
  "a tag cut short": ({ file, blocks, below }) => {
    const at = pick(blocks, below);
    file.put(file.get("log", at).slice(0, -1 - below(60)), "log", at);
    return { kind: "unreadable", at };
  },
  "bytes behind the tag": ({ file, blocks, below }) => {
    const at = pick(blocks, below);
    file.put(Uint8Array.of(...file.get("log", at), below(256)), "log", at);
    return { kind: "unreadable", at };
  },
  "two sealed blocks swapped": ({ file, blocks, below }) => {
    const one = below(blocks.length - 1);
    const other = one + 1 + below(blocks.length - one - 1);
    const [a, b] = [blocks[one]!, blocks[other]!];
    const kept = file.get("log", a).slice();
    file.put(file.get("log", b), "log", a);
    file.put(kept, "log", b);
    return { kind: "unreadable", at: a };
  },
  "a sealed block once more at the end": ({ file, blocks, below }) => {
    const end = appends.reduce((sum, each) => sum + each);
    file.put(file.get("log", pick(blocks, below)), "log", end);
    return { kind: "unreadable", at: end };
  },
  "the clear bytes before it changed": ({ file, blocks, below }) => {
    const at = pick(blocks, below);
    const bytes = file.get("log", at).slice();
    bytes[5 + below(3)]! ^= 1 << below(8);
    file.put(bytes, "log", at);
    return { kind: "unreadable", at };
  },
  "a block called clear": ({ file, blocks, below }) => {
    const at = pick(blocks, below);
    const bytes = file.get("log", at).slice();
    bytes[4] = 0;
    file.put(bytes, "log", at);
    return { kind: "unreadable", at };
  },
  "a block of a codec that is not known": ({ file, blocks, below }) => {
    const at = pick(blocks, below);
    const bytes = file.get("log", at).slice();
    bytes[4] = 2 + below(250);
    file.put(bytes, "log", at);
    return { kind: "newer", at };
  },
  "a block deleted": ({ file, blocks, below }) => {
    const at = pick(blocks.slice(0, -1), below);
    file.delete("log", at);
    return { kind: "missing_block", at };
  },
  "a page of the index flipped": ({ file, below }) => {
    const page = below(6);
    const bytes = file.get("index", page).slice();
    bytes[below(bytes.length)]! ^= 1 << below(8);
    file.put(bytes, "index", page);
    return { kind: "index", at: 0 };
  },
  "two pages of the index swapped": ({ file }) => {
    const kept = file.get("index", 0).slice();
    file.put(file.get("index", 1), "index", 0);
    file.put(kept, "index", 1);
    return { kind: "index", at: 0 };
  },
  "a format that calls the log clear": ({ file }) => {
    file.put('{"format":1}', "format");
    return { kind: "newer", at: 0 };
  },
  "a format that names another key": ({ file }) => {
    file.put(`{"format":1,"seal":"${sealing(OTHER_KEY).check}"}`, "format");
    return { kind: "foreign", at: 0 };
  },
};

Deno.test("what somebody without the key does to a sealed log is found, and its first position and kind are named", () =>
  inFolder(async (dir) => {
    const made = await sealedLog(`${dir}/log.db`);
    assert.deepEqual((await verifyLog({ path: made.path, ...options })).failures, [], "a false alarm");
    for (const [name, tamper] of Object.entries(TAMPERINGS)) {
      for (let seed = 1; seed <= SEEDS; seed++) {
        const path = `${dir}/changed.db`;
        await Deno.copyFile(made.path, path);
        const next = chance(seed);
        const file = new Tampered(path);
        const { kind, at } = tamper({ file, blocks: file.blocks(), below: (n) => Math.floor(next() * n) });
        file.close();
        const found = await verifyLog({ path, ...options });
        assert.equal(found.ok, false, `${name}, seed ${seed}`);
        const [first] = kinds(found);
        assert.deepEqual(first, [at, kind], `${name}, seed ${seed}: ${JSON.stringify(found.failures.slice(0, 3))}`);
      }
    }
  }));

Deno.test("why a sealed block does not open is told", () =>
  inFolder(async (dir) => {
    const { path } = await sealedLog(`${dir}/log.db`);
    const changed = `${dir}/changed.db`;
    const cases = [
      [(block: Uint8Array) => block.slice(0, 51), "51 bytes, too few for what is sealed"],
      [(block: Uint8Array) => block.with(4, 0), "a block that is not sealed, in a log that is"],
      [
        (block: Uint8Array) => block.slice(0, 52),
        "sealed bytes that do not open: changed, cut short, or from another place",
      ],
    ] as const;
    for (const [change, found] of cases) {
      await Deno.copyFile(path, changed);
      const file = new Tampered(changed);
      const at = file.blocks()[1]!;
      file.put(change(file.get("log", at)), "log", at);
      file.close();
      const { failures: [first] } = await verifyLog({ path: changed, ...options });
      assert.deepEqual(first, { position: at, kind: "unreadable", expected: "a block", found });
    }
  }));
