/** A person's data is handed out: in which order it is written, recorded and named, and what is left where that is cut off. */
import assert from "node:assert/strict";
import type { Persons } from "../adapters/cli/persons.ts";
import { terminal } from "../adapters/cli/terminal.ts";
import { givenStage } from "./cli_given.ts";

const SUBJECT = "s_0123456789abcdef";
const BLOB = new Uint8Array(32).fill(7);

/** Says what happens, in order; `fails` does not. */
const given = (fails?: string) => {
  const stage = givenStage();
  const happened: string[] = [];
  const happens = (what: string) => {
    if (what === fails) throw new Error(`${what}: no space left on device`);
    happened.push(what);
    return Promise.resolve();
  };
  const persons: Partial<Persons> = {
    find: () => Promise.resolve({ subject: SUBJECT, erased: false }),
    trace: () => Promise.resolve({ size: 9, events: 1, values: 1, types: [], blobs: 1, texts: undefined }),
    async *tell() {},
    async *blobs() {
      yield { sha256: BLOB.toBase64(), bytes: 3, read: () => Promise.resolve(new Uint8Array(3)) };
    },
  };
  stage.runtime.persons = () => persons as Persons;
  stage.runtime.operate = async (_, operation) => (await happens(operation), { position: 7 });
  stage.io.draft = async (path) => {
    const name = path.slice("/here/".length, 12);
    await happens(`open ${name}`);
    return {
      write: () => void (name === fails?.split(" ")[1] && fails.startsWith("write") && happens(`write ${name}`)),
      settle: () => happens(`settle ${name}`),
      name: () => happens(`name ${name}`),
      drop: () => happens(`drop ${name}`),
    };
  };
  return { stage, happened };
};

const ASKED = ["subject", "ann", "--export", "--out", "ann.js", "--blobs", "blob"] as const;

Deno.test("an export is durable before it is recorded, and gets its name behind that", async () => {
  const { stage, happened } = given();
  const { exit, recorded, file } = await stage.json<{ recorded: number; file: string }>(...ASKED);
  assert.deepEqual([exit, recorded, file], [0, 7, "/here/ann.js"]);
  assert.deepEqual(happened, [
    "open ann.js",
    "open blob/0",
    "settle blob/0",
    "settle ann.js",
    "export-subject",
    "name ann.js",
    "name blob/0",
  ]);
});

Deno.test("what cannot be written, or recorded, is not given and not on record as given", async () => {
  for (
    const fails of ["open ann.js", "write ann.js", "open blob/0", "settle blob/0", "settle ann.js", "export-subject"]
  ) {
    const { stage, happened } = given(fails);
    const { code, err } = await stage.type(...ASKED);
    assert.equal(code, 3, fails);
    assert.match(err, /no space left on device\n$/);
    const opened = happened.filter((what) => what.startsWith("open")).map((what) => what.replace("open", "drop"));
    assert.deepEqual(happened.filter((what) => /^(drop|name|export)/.test(what)), opened, fails);
  }
});

Deno.test("what is on record as given is not taken away", async () => {
  const { stage, happened } = given("name ann.js");
  assert.equal((await stage.type(...ASKED)).code, 3);
  assert.ok(!happened.some((what) => what.startsWith("drop")), happened.join());
});

Deno.test("what goes to standard output is recorded first", async () => {
  const { stage, happened } = given();
  const { out } = await stage.type("subject", "ann", "--export");
  assert.deepEqual([happened, JSON.parse(out).recorded], [["export-subject"], 7]);
  const failing = given("export-subject");
  assert.deepEqual([(await failing.stage.type("subject", "ann", "--export")).out, failing.happened], ["", []]);
});

Deno.test("files of blobs are held open one at a time, however many there are, and lie there whole", async () => {
  const folder = await Deno.makeTempDir();
  const { open } = Deno;
  let [held, most] = [0, 0];
  Deno.open = async (...args) => {
    const file = await open(...args);
    const close = file.close.bind(file);
    most = Math.max(most, ++held);
    file.close = file[Symbol.dispose] = () => (held--, close());
    return file;
  };
  try {
    const { stage } = given();
    const blob = (n: number) => Uint8Array.of(n >> 8, n);
    const persons = stage.runtime.persons!(undefined as never) as unknown as Record<string, unknown>;
    persons.blobs = async function* () {
      for (let n = 0; n < 300; n++) {
        yield {
          sha256: blob(n).toBase64(),
          bytes: 2,
          read: () => Promise.resolve(blob(n)),
        };
      }
    };
    const { draft, folder: made } = terminal(() => undefined);
    Object.assign(stage.io, { draft, folder: made });
    const { code } = await stage.type(
      "subject",
      "ann",
      "--export",
      "--out",
      `${folder}/a`,
      "--blobs",
      `${folder}/blobs`,
    );
    assert.equal(code, 0);
    assert.equal(most, 2);
    const names = [...Deno.readDirSync(`${folder}/blobs`)].map(({ name }) => name);
    assert.deepEqual(names.sort(), Array.from({ length: 300 }, (_, n) => blob(n).toHex()));
    assert.deepEqual(await Deno.readFile(`${folder}/blobs/012b`), blob(299));
  } finally {
    Deno.open = open;
    await Deno.remove(folder, { recursive: true });
  }
});
