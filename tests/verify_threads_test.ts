/** One thread and several say the same of every log: sound ones, and those that were tampered with anywhere. */
import assert from "node:assert/strict";
import { type LogReport, verifyLog } from "../adapters/verify/verify.ts";
import { encodeKey } from "../adapters/kv/key_encoding.ts";
import { shareOut, type Task } from "../adapters/verify/share_out.ts";
import { THREADS, Threads, threadsFor } from "../adapters/verify/threads.ts";
import { catalogue } from "../events/catalogue.ts";
import { LogFault } from "../events/log.ts";
import { sampling } from "./sampled.ts";
import { chance, type Made, makeLog, ones, signer, Tampered } from "./verify_given.ts";

type Entry = Record<string, unknown>;
interface Scene {
  readonly file: Tampered;
  readonly made: Made;
  below(n: number): number;
}
type Tampering = (scene: Scene) => void;

const anyBlock = ({ file, below }: Scene): number => {
  const blocks = file.blocks();
  return blocks[below(blocks.length)]!;
};
const edit = (change: (entry: Entry, scene: Scene) => Entry | string): Tampering => (scene) => {
  const { file, below } = scene;
  const first = anyBlock(scene);
  const entries: (Entry | string)[] = file.entries(first);
  const at = below(entries.length);
  entries[at] = change(entries[at] as Entry, scene);
  file.write(first, entries);
};
const chainedAgain = (change: Tampering): Tampering => (scene) => {
  change(scene);
  scene.file.rechain();
  if (scene.below(2) === 0) scene.file.forget();
};
const edits: readonly Tampering[] = [
  edit((entry) => ({ ...entry, data: { changed: true } })),
  edit((entry) => ({ ...entry, revision: (entry.revision as number) + 1 })),
  edit((entry) => ({ ...entry, position: (entry.position as number) + 1 })),
  edit((entry) => ({ ...entry, stream: "tests/new" })),
  edit((entry, { file, below }) => {
    const { source, id } = file.entries(0)[below(file.entries(0).length)]!;
    return { ...entry, source, id };
  }),
  edit((entry) => ({ ...entry, recordedat: "2001-01-01T00:00:00.000Z" })),
  edit((entry) => ({ ...entry, recordedat: "2101-01-01T00:00:00.000Z" })),
  edit((entry) => ({ ...entry, recordedat: "yesterday" })),
  edit(({ authid: _, ...entry }) => entry),
  edit((entry) => JSON.stringify(entry).replace('"version":1', '"version":1,"version":1')),
  edit((entry) => JSON.stringify(entry).replace('"authid":"test"', '"authid":"\\ud800"')),
];

const TAMPERINGS: readonly Tampering[] = [
  ...edits,
  ...edits.map(chainedAgain),
  (scene) => scene.file.delete("log", anyBlock(scene)),
  (scene) => {
    const [a, b] = [anyBlock(scene), anyBlock(scene)];
    const kept = scene.file.get("log", a).slice();
    scene.file.put(scene.file.get("log", b), "log", a);
    scene.file.put(kept, "log", b);
  },
  (scene) => scene.file.put(scene.file.get("log", anyBlock(scene)), "log", scene.made.size),
  (scene) => scene.file.put(scene.file.get("log", anyBlock(scene)), "log", anyBlock(scene) + 1),
  (scene) => scene.file.put(scene.file.get("log", 0), "log", anyBlock(scene) + 0.5),
  (scene) => scene.file.put(scene.file.get("log", 0), "log", 2 ** 52),
  (scene) => {
    const first = anyBlock(scene);
    const bytes = scene.file.get("log", first).slice();
    bytes[scene.below(bytes.length)]! ^= 1 << scene.below(8);
    scene.file.put(bytes, "log", first);
  },
  (scene) => scene.file.run("update kv set v_encoding = 2 where k = ?", encodeKey(["log", anyBlock(scene)])),
  ({ file, made, below }) => {
    file.run(
      "delete from kv where k >= ? and k < ?",
      encodeKey(["log", below(made.size)]),
      encodeKey(["log", 2 ** 52]),
    );
  },
];

const inFolder = async (run: (dir: string) => Promise<void>) => {
  const dir = await Deno.makeTempDir();
  try {
    await run(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
};

const options = { key: signer.vkey, catalogue: catalogue() };

Deno.test("several threads find what one finds, whatever the ranges, in seeded tamperings of all kinds", async () => {
  await inFolder(async (dir) => {
    const shapes = [
      { appends: [7, 9, 5, 13, 1, 6, ...ones(20)], streams: 3 },
      { appends: new Array<number>(30).fill(40), streams: 5, segmentEvents: 100 },
    ];
    let found = 0;
    const some = sampling(3);
    for (const [s, shape] of shapes.entries()) {
      const made = await makeLog(`${dir}/${s}.db`, shape);
      const threaded = new Set(some(TAMPERINGS));
      for (const [t, tampering] of TAMPERINGS.entries()) {
        const random = chance(1_000 * s + t);
        const below = (n: number) => Math.floor(random() * n);
        const path = `${dir}/tampered.db`;
        await Deno.copyFile(made.path, path);
        const file = new Tampered(path);
        // Two at once, so that what one hides from the other is hidden alike.
        tampering({ file, made, below });
        if (t % 2 === 1) TAMPERINGS[below(TAMPERINGS.length)]!({ file, made, below });
        file.close();
        const one = await verifyLog({ path, ...options, threads: 1 });
        const ranges = await verifyLog({ path, ...options, threads: 1, rangeEvents: 1 + below(50) });
        assert.deepEqual(ranges, one, `ranges, shape ${s}, tampering ${t}`);
        if (threaded.has(tampering)) {
          const several = await verifyLog({ path, ...options, threads: 2, rangeEvents: 1 + below(50) });
          assert.deepEqual(several, one, `threads, shape ${s}, tampering ${t}`);
        }
        if (!one.ok) found++;
      }
    }
    assert.ok(found >= 55, `${found} of ${shapes.length * TAMPERINGS.length} were found`);
  });
});

Deno.test("several threads find a log sound, and tell how far they are", async () => {
  await inFolder(async (dir) => {
    const { path, size, root } = await makeLog(`${dir}/log.db`, {
      appends: new Array<number>(40).fill(150),
      streams: 50,
      segmentEvents: 500,
    });
    const seen: number[] = [];
    const report = (threads: number, more = {}): Promise<LogReport> =>
      verifyLog({ path, ...options, threads, rangeEvents: 300, ...more });
    const several = await report(3, { progress: ({ done }: { readonly done: number }) => seen.push(done) });
    assert.deepEqual([several.failures, several.size, several.root], [[], size, root]);
    assert.deepEqual(several, await report(1));
    assert.equal(seen.at(-1), size);
    for (const [i, done] of seen.slice(1).entries()) assert.ok(done >= seen[i]!);
  });
});

Deno.test("threads end when they are told to", async () => {
  await inFolder(async (dir) => {
    const { path } = await makeLog(`${dir}/log.db`, { appends: new Array<number>(20).fill(100) });
    const abort = new AbortController();
    const reason = new Error("enough");
    const progress = () => abort.abort(reason);
    const running = verifyLog({ path, ...options, threads: 2, rangeEvents: 10, signal: abort.signal, progress });
    abort.abort(reason);
    await assert.rejects(running, reason);
  });
});

const rules = {
  names: { from: 0, passes: 1 },
  index: { secret: new Int32Array(6), manifest: undefined, segments: [], left: new Uint8Array(0) },
};

Deno.test("a thread that dies or says nothing is a fault, whoever waits for it", async () => {
  await inFolder(async (dir) => {
    const { path } = await makeLog(`${dir}/log.db`, { appends: [5] });
    const isFault = (error: unknown) =>
      error instanceof LogFault && error.kind === "io" && /thread/.test(error.message);
    const dead = new Threads(`${dir}/none.db`, rules, 2);
    try {
      await assert.rejects(dead.walk({ from: 0 }, true), isFault);
      await assert.rejects(dead.walk({ from: 0 }, true), isFault);
    } finally {
      await dead.close();
    }
    const mute = new Threads(path, rules, 1, 0);
    try {
      // Blocks what answers, not what watches.
      const answers = Array.from({ length: 50_000 }, () => mute.walk({ from: 0 }, true));
      await assert.rejects(Promise.all(answers), isFault);
    } finally {
      await mute.close();
    }
  });
});

Deno.test("who was stopped while a thread read takes it for no silence of the thread", () =>
  inFolder(async (dir) => {
    const { path } = await makeLog(`${dir}/log.db`, { appends: [5] });
    // As long as a busy machine may need to begin a thread.
    const within_ms = 60_000;
    const threads = new Threads(path, rules, 1, within_ms);
    const { now } = performance;
    try {
      await threads.walk({ from: 0 }, true);
      const answer = threads.walk({ from: 0 }, true);
      // Nothing is heard meanwhile, and the next look is due before anything is.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_500);
      performance.now = () => now.call(performance) + 2 * within_ms;
      assert.ok(await answer);
    } finally {
      performance.now = now;
      await threads.close();
    }
  }));

Deno.test("a thread that comes when blocks were let go of says nothing of them", () =>
  inFolder(async (dir) => {
    const { path } = await makeLog(`${dir}/log.db`, { appends: [5, 5, 5] });
    const file = new Tampered(path);
    file.delete("log", 0);
    file.close();
    const found = async (begins: number) => {
      const threads = new Threads(path, { ...rules, begins }, 1);
      try {
        return (await threads.walk({ from: 5 }, true))?.blocks;
      } finally {
        await threads.close();
      }
    };
    assert.deepEqual([await found(0), await found(5)], [undefined, 2]);
  }));

Deno.test("what is shared out is taken in order, whoever did it; the first that fails ends it, and so does what says so", async () => {
  const random = chance(3);
  const below = (n: number) => Math.floor(random() * n);
  const share = async (end: { readonly dies?: number; readonly last?: number; readonly told?: number }) => {
    const taken: number[] = [];
    const done = { asked: 0, here: 0, held: 0 };
    const fault = new Error("dead");
    const answers: Promise<unknown>[] = [];
    const tasks = function* (): Iterable<Task> {
      for (let n = 0; n < 60; n++) {
        const turns = below(6);
        yield {
          asked: () => {
            done.asked++;
            const answer = (async () => {
              for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setTimeout(resolve, 0));
              // From then on nobody answers, as it is with threads.
              if (n >= (end.dies ?? Infinity)) throw fault;
              return n;
            })();
            answers.push(answer);
            return answer;
          },
          here: () => {
            done.here++;
            return n;
          },
          take: (found) => {
            assert.equal(found, n);
            taken.push(n);
            return n !== end.last;
          },
        };
        done.held = Math.max(done.held, n + 1 - taken.length);
      }
    };
    let rests = 0;
    const rest = () => rests++ === end.told ? Promise.reject(fault) : Promise.resolve();
    const answer = await shareOut(2, tasks(), rest).catch((error) => error);
    await Promise.allSettled(answers);
    assert.deepEqual(taken, [...taken.keys()], "in order");
    return { taken: taken.length, done, ended: answer === fault };
  };
  for (let round = 0; round < 8; round++) {
    const all = await share({});
    assert.deepEqual([all.taken, all.ended], [60, false]);
    assert.equal(all.done.asked + all.done.here, 60);
    assert.ok(all.done.held <= 3 * 2 * THREADS.ahead && all.done.asked > 0 && all.done.here > 0);
    assert.equal((await share({ last: 17 })).taken, 18);
    const dead = await share({ dies: 20 });
    assert.ok(dead.ended && dead.taken >= 1 && dead.taken < 60, JSON.stringify(dead));
    assert.ok((await share({ told: 5 })).ended);
  }
});

Deno.test("a small log has one thread, and no log more than the bound", () => {
  assert.equal(threadsFor(THREADS.events_min - 1), 1);
  const many = threadsFor(THREADS.events_min);
  assert.ok(many >= 1 && many <= THREADS.max && many <= navigator.hardwareConcurrency);
});
