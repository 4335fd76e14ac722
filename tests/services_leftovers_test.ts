/** What services leave behind is taken away; nothing else is, wherever it lies and whatever points at it. */
import assert from "node:assert/strict";
import { mkdirSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { markStart, takeAway } from "../adapters/process/agent/leftovers.ts";
import { inFolder } from "./folder_given.ts";

const has = (path: string): boolean => {
  try {
    return Deno.lstatSync(path) !== undefined;
  } catch {
    return false;
  }
};

interface Place {
  /** The service's folder. */
  readonly folder: string;
  readonly outside: string;
  readonly mark: string;
  /** As if the service had been started before all that is there. */
  started(): void;
}

const inPlace = (body: (place: Place) => void): Promise<void> =>
  inFolder((dir) => {
    const [folder, outside, mark] = [`${dir}/service`, `${dir}/outside`, `${dir}/marks/db-0.mark`];
    for (const path of [folder, outside]) mkdirSync(path);
    writeFileSync(`${outside}/precious`, "1");
    const started = () => {
      markStart(mark);
      utimesSync(mark, 1, 1);
    };
    body({ folder, outside, mark, started });
    assert.ok(has(`${outside}/precious`), "what lies outside is there");
    return Promise.resolve();
  });

Deno.test("what came into being since the last start is taken away: files, sockets, folders with all in them", () =>
  inPlace(({ folder, mark, started, outside }) => {
    started();
    writeFileSync(`${folder}/db.pid`, "7");
    mkdirSync(`${folder}/tmp/deep/er`, { recursive: true });
    writeFileSync(`${folder}/tmp/deep/er/file`, "x");
    // A link inside is taken away, and what it points at is not.
    symlinkSync(outside, `${folder}/tmp/deep/link`);
    const socket = Deno.listen({ transport: "unix", path: `${folder}/db.sock` });
    writeFileSync(`${folder}/kept`, "x");
    const taken = takeAway({
      folder,
      mark,
      paths: ["db.pid", "./tmp", "db.sock", "missing", "missing/below", "kept/below"],
    });
    socket.close();
    assert.deepEqual(taken, { kept: [] });
    assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), ["kept"]);
  }));

Deno.test("what was there before the service was started is not its own, and is left alone with the reason why", () =>
  inPlace(({ folder, mark }) => {
    writeFileSync(`${folder}/db.pid`, "7");
    mkdirSync(`${folder}/tmp`);
    const paths = ["db.pid", "tmp"];
    const never = takeAway({ folder, mark, paths });
    assert.deepEqual(
      never,
      { kept: paths.map((path) => ({ path, because: "it was there before this service was first started" })) },
    );
    markStart(mark);
    const soon = Date.now() / 1_000 + 60;
    utimesSync(mark, soon, soon);
    const before = takeAway({ folder, mark, paths });
    assert.deepEqual(
      before,
      { kept: paths.map((path) => ({ path, because: "it was there before this service was started last" })) },
    );
    assert.ok(paths.every((path) => has(`${folder}/${path}`)));
  }));

Deno.test("a path that leads outside, and a symbolic link at its end or on its way, is refused, and nothing is taken away by it", () =>
  inPlace(({ folder, mark, started, outside }) => {
    started();
    symlinkSync(outside, `${folder}/link`);
    symlinkSync(`${outside}/precious`, `${folder}/db.pid`);
    for (
      const path of [
        "link",
        "link/precious",
        "db.pid",
        "link/../../outside/precious",
        "../outside",
        "../outside/precious",
        "..",
        ".",
      ]
    ) {
      const taken = takeAway({ folder, mark, paths: [path] });
      assert.ok("refused" in taken, path);
      assert.match(
        taken.refused,
        /^the leftover ".*" (is not below its folder|is a symbolic link, or lies behind one)$/,
      );
    }
    assert.ok(has(`${folder}/link`) && has(`${folder}/db.pid`));
  }));

Deno.test("the folder itself may be reached by a link: it is the service's own word", () =>
  inPlace(({ folder, mark, started }) => {
    started();
    writeFileSync(`${folder}/db.pid`, "7");
    symlinkSync(folder, `${folder}.link`);
    assert.deepEqual(takeAway({ folder: `${folder}.link`, mark, paths: ["db.pid"] }), { kept: [] });
    assert.ok(!has(`${folder}/db.pid`));
  }));
