/**
 * Baseline of `verify`: reads every block of a log's file and parses its entries, and looks at nothing else. Run as
 * `decode.ts FILE THREADS`; prints `{ "units", "ms" }`. Blocks are shared out evenly, a worker for each thread; one thread needs
 * none.
 */
import { DatabaseSync } from "node:sqlite";
import { decode, type Share } from "./decode_blocks.ts";

// Deno KV's key of ["log", number]: 0x02, "log", 0x00, then 0x21 and the number as a double.
const FROM = new Uint8Array([0x02, 0x6c, 0x6f, 0x67, 0x00]);
const UNTIL = new Uint8Array([...FROM, 0x22]);

const shares = (path: string, threads: number): readonly Share[] => {
  const db = new DatabaseSync(path, { readOnly: true });
  const keys = db.prepare("select k from kv where k > ? and k < ? order by k").all(FROM, UNTIL).map(({ k }) =>
    k as Uint8Array
  );
  db.close();
  const each = Math.ceil(keys.length / threads);
  return Array.from({ length: threads }, (_, i) => i * each).filter((at) => at < keys.length).map((at) => ({
    path,
    from: keys[at]!,
    until: keys[at + each] ?? UNTIL,
  }));
};

const inWorker = (share: Share): Promise<number> =>
  new Promise((resolve, reject) => {
    const worker = new Worker(new URL("./decode_worker.ts", import.meta.url), { type: "module" });
    worker.onmessage = ({ data }) => {
      worker.terminate();
      resolve(data);
    };
    worker.onerror = (error) => {
      error.preventDefault();
      reject(new Error(error.message));
    };
    worker.postMessage(share);
  });

const [path, threads] = Deno.args as [string, string];
const began = performance.now();
const work = shares(path, Number(threads));
const counts = await Promise.all(work.length === 1 ? [decode(work[0]!)] : work.map(inWorker));
console.log(JSON.stringify({ units: counts.reduce((sum, n) => sum + n, 0), ms: performance.now() - began }));
