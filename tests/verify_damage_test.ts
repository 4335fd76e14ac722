/** What chance does to a file, and a file of which nothing is right: the verifier finds it, never throws, and its report stays bounded. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { DatabaseSync } from "node:sqlite";
import { encodeKey } from "../adapters/kv/key_encoding.ts";
import { FAILURES_MAX } from "../adapters/verify/failures.ts";
import { Rows } from "../adapters/verify/rows.ts";
import { verifyLog } from "../adapters/verify/verify.ts";
import { chance, makeLog, ones, signer, Tampered } from "./verify_given.ts";

const PAGE_BYTES = 4_096;

/** All that the log's file says, its index apart. */
const rows = (path: string) => {
  const db = new DatabaseSync(path, { readOnly: true });
  try {
    return db.prepare("select hex(k) as k, hex(v) as v, v_encoding, expiration_ms from kv order by 1").all();
  } finally {
    db.close();
  }
};

Deno.test("bytes changed anywhere in the file are found or touch nothing that counts, and never a reason to throw", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const made = await makeLog(`${dir}/log.db`, { appends: [9, 40, ...ones(6)] });
    const bytes = Deno.readFileSync(made.path);
    const random = chance(11);
    const path = `${dir}/damaged.db`;
    let found = 0;
    for (let round = 0; round < 120; round++) {
      const damaged = bytes.slice();
      let from: number;
      do from = Math.floor(random() * bytes.length); while (bytes[from] === 0); // most zeros are free space
      const length = round % 2 === 0 ? 1 : 64;
      for (let i = from; i < Math.min(bytes.length, from + length); i++) damaged[i] = Math.floor(random() * 256);
      Deno.writeFileSync(path, round % 10 === 9 ? damaged.subarray(0, from) : damaged);
      const report = await verifyLog({ path, key: signer.vkey });
      if (!report.ok) found++;
      else assert.deepEqual(rows(path), rows(made.path), `round ${round}`);
    }
    assert.ok(found >= 18, `${found} of 120 were found; the others hit free space or what SQLite ignores`);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("a page that cannot be read is never taken for the log's end, in one thread or in several", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const { path, size } = await makeLog(`${dir}/log.db`, { appends: new Array<number>(12).fill(60), signed: false });
    const file = new Tampered(path);
    // Nothing but the blocks says how far they go.
    file.forget();
    file.delete("manifest");
    file.run("delete from kv where k >= ? and k < ?", encodeKey(["index", 0]), encodeKey(["index", 2 ** 52]));
    file.close();
    assert.equal((await verifyLog({ path })).size, size);
    const bytes = Deno.readFileSync(path);
    const damaged = `${dir}/damaged.db`;
    const sizes = new Set<number>();
    for (let page = 1; page < bytes.length / PAGE_BYTES; page++) {
      Deno.writeFileSync(damaged, bytes.slice().fill(255, page * PAGE_BYTES, (page + 1) * PAGE_BYTES));
      const report = await verifyLog({ path: damaged, threads: 1 });
      if (report.ok) {
        assert.deepEqual(rows(damaged), rows(path), `page ${page}`);
        continue;
      }
      if (report.failures[0]!.kind !== "unreadable" || sizes.has(report.size)) continue;
      sizes.add(report.size);
      // Another position than of all that is looked at beside the blocks.
      if (report.size < size) assert.equal(report.failures.at(-1)!.position, report.size, `page ${page}`);
      const several = await verifyLog({ path: damaged, threads: 2, rangeEvents: 100 });
      assert.deepEqual(several, report, `page ${page}`);
    }
    assert.ok(sizes.size >= 4, `it broke at ${[...sizes]}`);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("a page behind a blob's row that cannot be read is found", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const { path } = await makeLog(`${dir}/log.db`, { appends: [3] });
    const file = new Tampered(path);
    const put = (blob: Uint8Array) => {
      const hex = createHash("sha256").update(blob).digest("hex");
      file.put(JSON.stringify({ bytes: blob.length, chunks: 1 }), "blob", hex);
      file.put(blob, "blob", hex, 0);
    };
    put(new Uint8Array(60_000).fill(0xab));
    // Beside so many others nobody who looks for another row comes by it.
    for (let n = 0; n < 400; n++) put(Uint8Array.of(n >> 8, n));
    file.close();
    assert.equal((await verifyLog({ path, key: signer.vkey })).blobs, 401);
    const bytes = Deno.readFileSync(path);
    const page_bytes = new DataView(bytes.buffer).getUint16(16);
    const page = Array.from({ length: bytes.length / page_bytes }, (_, i) => i * page_bytes)
      .find((at) => bytes.subarray(at + 4, at + page_bytes).every((byte) => byte === 0xab))!;
    // Its first four bytes say where it goes on.
    Deno.writeFileSync(path, bytes.fill(0x7f, page, page + 4));
    const { failures } = await verifyLog({ path, key: signer.vkey });
    assert.deepEqual(failures.map(({ kind, expected }) => [kind, expected]), [[
      "unreadable",
      "pages that SQLite can read",
    ]]);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("a last block that says to lie far behind makes neither memory nor passes of it", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const { path, size } = await makeLog(`${dir}/log.db`, { appends: [9, 40, ...ones(6)] });
    const file = new Tampered(path);
    const block = file.get("log", size - 1).slice();
    const most = Deno.statSync(path).size;
    // Names of so many would take none but one pass over the log, and 67 million.
    for (const first of [2 ** 22, 2 ** 50]) {
      new DataView(block.buffer).setBigUint64(40, BigInt(first));
      file.put(block, "log", size - 1);
      let total = 0;
      const progress = (said: { readonly total?: number }) => void (total = Math.max(total, said.total ?? 0));
      const { failures } = await verifyLog({ path, key: signer.vkey, progress });
      assert.ok(total >= size && total < most, `${total} of ${most}`);
      assert.deepEqual([failures[0]!.kind, failures[0]!.position], ["order", size - 1]);
    }
    file.close();
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("keys that go back are no reason to read them for ever", () => {
  const key = (name: string, byte: number) => Uint8Array.of(0x02, ...new TextEncoder().encode(name), 0x00, 0x02, byte);
  // A page of the file in the place of another: what follows the last row is the first one again.
  const all = () => Array.from({ length: 32 }, (_, i) => ({ k: key("blob", 33 - i), v: new Uint8Array(1), bytes: 1 }));
  const rows = new Rows({ prepare: () => ({ all }) } as unknown as DatabaseSync);
  for (const read of [() => rows.tiles(), () => rows.named("blob")]) {
    let count = 0;
    assert.throws(() => {
      for (const _ of read()) assert.ok(count++ < 100);
    }, /out of order/);
  }
});

Deno.test("a file that was cut is named as such, also where what is missing was free space", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const { path, size } = await makeLog(`${dir}/log.db`, { appends: [9, 40, ...ones(6)] });
    const bytes = Deno.readFileSync(path);
    const cut = `${dir}/cut.db`;
    for (const less of [1, 3, 100]) {
      Deno.writeFileSync(cut, bytes.subarray(0, bytes.length - less));
      const { failures } = await verifyLog({ path: cut, key: signer.vkey });
      assert.deepEqual(failures.at(-1)?.kind, "unreadable", `${less}`);
      assert.match(failures.at(-1)!.found, new RegExp(`^${bytes.length - less} bytes$`));
      if (less === 3) assert.deepEqual(failures.map(({ position }) => position), [size]);
    }
    for (const less of [4_096, bytes.length >> 1, bytes.length - 60]) {
      Deno.writeFileSync(cut, bytes.subarray(0, bytes.length - less));
      assert.equal((await verifyLog({ path: cut, key: signer.vkey })).ok, false, `${less}`);
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("a log that is wrong everywhere gives a bounded report that begins at the beginning", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const { path } = await makeLog(`${dir}/log.db`, { appends: ones(130) });
    const file = new Tampered(path);
    for (const first of file.blocks()) {
      file.write(first, file.entries(first).map((entry) => ({ ...entry, position: (entry.position as number) + 1 })));
    }
    file.close();
    const { failures, failed } = await verifyLog({ path });
    assert.equal(failures.length, FAILURES_MAX);
    assert.ok(failed > FAILURES_MAX);
    assert.equal(failures[0]!.position, 0);
    for (const [i, failure] of failures.slice(1).entries()) assert.ok(failures[i]!.position <= failure.position);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("an index that cannot be read is found", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const { path } = await makeLog(`${dir}/log.db`, { appends: [3] });
    const db = new DatabaseSync(path, { readOnly: true });
    const { rootpage } = db.prepare("select rootpage from sqlite_master where name = 'kv_expiration_ms_idx'").get()!;
    db.close();
    const bytes = Deno.readFileSync(path);
    const page_bytes = new DataView(bytes.buffer).getUint16(16);
    Deno.writeFileSync(path, bytes.fill(255, (Number(rootpage) - 1) * page_bytes, Number(rootpage) * page_bytes));
    const { size, failures } = await verifyLog({ path, key: signer.vkey });
    assert.deepEqual([size, failures.map(({ expected }) => expected)], [3, ["pages that SQLite can read"]]);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
