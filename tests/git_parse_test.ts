import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { DiffParser, GitOutputError, MARK, type RawCommit, type RawFile } from "../adapters/git/parse.ts";
import { cQuoted } from "../adapters/git/text.ts";
import { timeOf } from "../adapters/git/translate.ts";

const bytes = (text: string) => new Uint8Array(Buffer.from(text, "latin1"));

/** Bytes that a path or a message may hold: anything but NUL, nasty ones more often. */
const held = (min: number) =>
  fc.array(
    fc.oneof(
      fc.constantFrom(...'\n\t":.c-0123R\\ \xff\xc3\xa9'),
      fc.integer({ min: 1, max: 255 }).map((code) => String.fromCharCode(code)),
    ),
    {
      minLength: min,
      maxLength: 12,
    },
  ).map((chars) => chars.join(""));

const object = (length: number) =>
  fc.integer({ min: 1, max: 2 ** 31 }).map((n) => n.toString(16).padStart(length, "0"));

const file: fc.Arbitrary<RawFile> = fc.record({
  status: fc.constantFrom("A", "M", "D", "T", "R", "C"),
  score: fc.integer({ min: 50, max: 100 }),
  mode: fc.constantFrom("100644", "100755", "120000", "160000"),
  path: held(1),
  oldPath: held(1),
  lines: fc.option(fc.tuple(fc.nat(), fc.nat())),
}).map(({ status, score, mode, path, oldPath, lines }) => {
  const renamed = status === "R" || status === "C";
  return {
    status,
    similarity: renamed ? score : undefined,
    mode,
    path,
    oldPath: renamed ? oldPath : undefined,
    added: lines?.[0],
    deleted: lines?.[1],
  };
});

const PLAIN = { noNullPrototype: true } as const;
const person = fc.record({ name: held(0), email: held(0), date: held(0) }, PLAIN);
const commitOf = (length: number): fc.Arbitrary<RawCommit> =>
  fc.record({
    sha: object(length),
    author: person,
    committer: person,
    message: held(0),
    files: fc.uniqueArray(file, { maxLength: 6, selector: ({ path }) => path }),
  }, PLAIN);

const written = ({ sha, author, committer, message, files }: RawCommit): string => {
  const head = [
    `c${sha}`,
    author.name,
    author.email,
    author.date,
    committer.name,
    committer.email,
    committer.date,
    message,
  ];
  const object = "1".repeat(sha.length);
  const raw = files.map(({ status, similarity = "", mode, path, oldPath }) => {
    const modes = status === "D" ? `${mode} 000000` : `100644 ${mode}`;
    return `:${modes} ${object} ${object} ${status}${similarity}\0${
      oldPath === undefined ? "" : `${oldPath}\0`
    }${path}\0`;
  });
  const counts = files.map(({ path, oldPath, added = "-", deleted = "-" }) =>
    oldPath === undefined ? `${added}\t${deleted}\t${path}\0` : `${added}\t${deleted}\t\0${oldPath}\0${path}\0`
  );
  return `${head.join("\0")}\0${files.length > 0 ? "\n" : ""}${raw.join("")}${counts.join("")}`;
};

const parsed = (
  text: string,
  cuts: readonly number[],
): { readonly commits: readonly RawCommit[]; readonly marks: readonly number[] } => {
  const commits: RawCommit[] = [];
  const marks: number[] = [];
  const parser = new DiffParser({ commit: (commit) => commits.push(commit), mark: () => marks.push(commits.length) });
  const places = [...new Set(cuts.map((cut) => cut % (text.length + 1)))].sort((a, b) => a - b);
  for (const [i, place] of places.entries()) parser.push(bytes(text.slice(i === 0 ? 0 : places[i - 1], place)));
  parser.push(bytes(text.slice(places.at(-1) ?? 0)));
  parser.end();
  return { commits, marks };
};

Deno.test("git's output comes back as the commits that made it, wherever it is cut and whatever names hold", () => {
  const batches = fc.constantFrom(40, 64).chain((length) =>
    fc.array(fc.array(commitOf(length), { maxLength: 4 }), { maxLength: 4 })
  );
  fc.assert(
    fc.property(batches, fc.array(fc.nat(), { maxLength: 20 }), (model, cuts) => {
      const { commits, marks } = parsed(model.map((batch) => batch.map(written).join("") + MARK).join(""), cuts);
      assert.deepEqual(commits, model.flat());
      let sum = 0;
      assert.deepEqual(marks, model.map((batch) => sum += batch.length));
    }),
    { numRuns: 500 },
  );
});

Deno.test("a batch is through as soon as its mark is there, not when more comes", () => {
  const commits: string[] = [];
  let marks = 0;
  const parser = new DiffParser({ commit: ({ sha }) => commits.push(sha), mark: () => marks++ });
  const one: RawCommit = {
    sha: "a".repeat(40),
    author: { name: "", email: "", date: "" },
    committer: { name: "", email: "", date: "" },
    message: "",
    files: [],
  };
  parser.push(bytes(written(one)));
  assert.deepEqual([commits.length, marks], [0, 0]);
  parser.push(bytes("."));
  parser.push(bytes("\n"));
  assert.deepEqual([commits.length, marks], [1, 1]);
});

Deno.test("output that is not what git writes is a fault, not a guess", () => {
  const good = `c${"a".repeat(40)}\0n\0e\0d\0n\0e\0d\0m\0`;
  for (
    const bad of [
      "x\0",
      "cabc\0",
      `${good}:nonsense\0`,
      `${good}1\t2\tnot listed\0`,
      `${good}\n:100644 100644 1 1 M\0a\0what\0`,
    ]
  ) {
    assert.throws(() => parsed(bad, []), GitOutputError, JSON.stringify(bad));
  }
  for (const half of [`c${"a".repeat(40)}\0n`, `${good}:100644 100644 1 1 M\0`, `${good}1`]) {
    assert.throws(() => parsed(half, []), GitOutputError, JSON.stringify(half));
  }
});

Deno.test("a path in C form gives its bytes back", () => {
  const back = (text: string): string =>
    text.replace(
      /\\(?:([0-7]{3})|(.))/g,
      (_, octal, letter) =>
        octal
          ? String.fromCharCode(parseInt(octal, 8))
          : ({ a: "\x07", b: "\b", t: "\t", n: "\n", v: "\v", f: "\f", r: "\r" } as Record<string, string>)[letter] ??
            letter,
    );
  fc.assert(fc.property(held(0), (path) => {
    assert.match(cQuoted(path), /^[\x20-\x7e]*$/);
    assert.equal(back(cQuoted(path)), path);
  }));
});

Deno.test("git's times keep their offset, and ones that are none are left out", () => {
  assert.equal(timeOf("1237714218 +0100"), "2009-03-22T10:30:18+01:00");
  assert.equal(timeOf("1237714218 -0330"), "2009-03-22T06:00:18-03:30");
  assert.equal(timeOf("0 +0000"), "1970-01-01T00:00:00Z");
  assert.equal(timeOf("253402300799 +0000"), "9999-12-31T23:59:59Z");
  assert.equal(timeOf("253402300800 +0000"), undefined);
  assert.equal(timeOf("253402300799 +0100"), undefined);
  assert.equal(timeOf("0 -1200"), "1969-12-31T12:00:00-12:00");
  assert.equal(timeOf("1237714218 +5130"), "2009-03-22T09:30:18Z");
  for (const none of ["", "yesterday", "-1 +0000", "1237714218", "99999999999999999999 +0000"]) {
    assert.equal(timeOf(none), undefined);
  }
});
