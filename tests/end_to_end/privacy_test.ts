/** A person is told what the log holds of them, and erased; the root key is replaced: by commands, with and without a server, wherever they are cut off. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { fileURLToPath } from "node:url";
import { V8_FLAGS } from "../../adapters/process/reexec.ts";
import { openKeys } from "../../adapters/keys/keys.ts";
import type { CrashPoint } from "../../adapters/process/crash.ts";
import { systemClock } from "../../adapters/system/world.ts";
import { verifyLog } from "../../adapters/verify/verify.ts";
import { events } from "../../events/mod.ts";
import { onSmallDisk } from "../small_disk_given.ts";
import { document, fingerprint, repository, run, start, withPlace } from "./cli_given.ts";
import {
  ANN,
  authors,
  BOB,
  BY,
  commit,
  EMAIL,
  filled,
  NAME,
  opened,
  recorded,
  SECRET,
  until,
} from "./privacy_given.ts";

/** Files below a folder that hold a text, byte by byte. */
const holding = (folder: string, text: string): readonly string[] =>
  [...Deno.readDirSync(folder)].flatMap(({ name, isDirectory, isFile }) => {
    const path = `${folder}/${name}`;
    if (isDirectory) return holding(path, text);
    return isFile && Buffer.from(Deno.readFileSync(path)).includes(text) ? [path] : [];
  });

const keysOf = (data: string) =>
  openKeys({ path: `${data}/keys.db`, clock: systemClock, catalogue: events, readOnly: true });

interface Report {
  readonly ok: boolean;
  readonly subject: string;
  readonly file: string;
  readonly unreadable: { readonly events: number; readonly values: number };
  readonly scan: {
    readonly files: number;
    readonly looked_for: number;
    readonly found: number;
    readonly short: number;
    readonly left: number;
  };
}

Deno.test("an erased person is in no file of the folder, every proof still holds, and a certificate says so", () =>
  withPlace(async ({ dir, data }) => {
    await filled(data);
    const key = await document<{ key: string }>(["status", "--data", data]);
    const about = await document<{ subject: string; values: number; events: number; blobs: number }>([
      "subject",
      EMAIL,
      "--data",
      data,
    ]);
    assert.deepEqual([about.exit, about.events, about.values, about.blobs], [0, 2, 6, 1]);

    const blobs = `${dir}/blobs`;
    const told = await run(["subject", EMAIL, "--export", "--blobs", blobs, "--data", data]);
    const { told: mentions, blobs: listed } = JSON.parse(told.out);
    assert.deepEqual(mentions.map(({ values }: { values: object }) => Object.keys(values).length), [3, 3]);
    assert.equal(await Deno.readTextFile(`${blobs}/${listed[0].file}`), SECRET);

    const out = `${dir}/certificate.json`;
    const erased = await document<Report>([
      "erase",
      EMAIL,
      "--reason",
      "asked for",
      "--due",
      "30d",
      "--look-for",
      "Ann",
      "--out",
      out,
      "--data",
      data,
    ]);
    assert.deepEqual([erased.exit, erased.ok, erased.subject], [0, true, about.subject]);
    assert.deepEqual(erased.unreadable, { events: 2, values: 6 });
    assert.deepEqual([erased.scan.found, erased.scan.looked_for > 3, erased.scan.files > 4], [0, true, true]);
    assert.deepEqual([erased.scan.short, erased.scan.left], [1, 0], "three letters are in every file");

    for (const text of [NAME, EMAIL, "Reviewed by", SECRET]) assert.deepEqual(holding(data, text), [], text);
    const certificate = JSON.parse(await Deno.readTextFile(out)).certificate;
    const { before, after, requested, unreadable, verified } = certificate;
    assert.ok(verified && before.size > 0 && before.size <= requested.position && after.size > requested.position);
    assert.deepEqual(unreadable.types, { "commits.commit.recorded": 2 });
    assert.equal(unreadable.blobs.length, 1);
    // The log as it was before is the beginning of what it is now.
    const report = await verifyLog({
      path: `${data}/log.db`,
      key: key.key,
      against: [{ name: "before", text: `${certificate.origin}\n${before.size}\n${before.root}\n`, elsewhere: true }],
    });
    assert.deepEqual(report.failures, []);

    assert.equal(certificate.scan.short, 1);
    const checked = await run(["erase", "--check", out, "--key", key.key]);
    assert.equal(checked.code, 0);
    assert.match(checked.out, new RegExp(`^the certificate holds: .* ${about.subject} was erased .* found 0 times\n`));
    assert.match(checked.out, /\nscan {6}1 text not looked for: too short to tell from anything else\n$/);
    await Deno.writeTextFile(out, (await Deno.readTextFile(out)).replace('"readable": 0', '"readable": 1'));
    const forged = await document(["erase", "--check", out, "--key", key.key]);
    assert.deepEqual([forged.exit, forged.ok], [1, false]);

    const replayed = await document(["replay", "--check", "--data", data]);
    assert.deepEqual([replayed.exit, replayed.ok], [0, true]);
    const view = await run(["view", "commits.history", "--personal", "--json", "--data", data]);
    assert.match(view.out, /\[erased\]/);
    assert.match(view.out, /Bob Example/);
    const old = await run([
      "view",
      "commits.history",
      "--personal",
      "--at",
      String(requested.position),
      "--json",
      "--data",
      data,
    ]);
    assert.match(old.out, /\[erased\]/);
    assert.doesNotMatch(old.out, /Ann/);

    // What was sent before is known, and answered as it was.
    await opened(data, async (daybook) => {
      const again = await daybook.ingest([commit(1, ANN)], BY);
      assert.ok(again.ok && again.duplicates === 1 && again.accepted === 0, JSON.stringify(again));
      assert.deepEqual(
        recorded(daybook, "privacy.erasure.certified").map(({ found, unreadable }) => [found, unreadable]),
        [[0, 2]],
      );
    });
  }));

Deno.test("beside a running server a person of an imported repository is told of and erased through its socket", () =>
  withPlace(async ({ dir, data }) => {
    const repo = await repository(`${dir}/repo`);
    if (!repo) return;
    const server = await start(data);
    const asked = async (path: string) => {
      const answer = await fetch(`${server.url}${path}`, { headers: { authorization: `Bearer ${server.token}` } });
      return await answer.text();
    };
    try {
      assert.equal((await run(["import", "git", repo, "--data", data])).code, 0);
      const told = `${dir}/told.json`;
      const handed = await document<{ recorded: number }>([
        "subject",
        EMAIL,
        "--export",
        "--out",
        told,
        "--data",
        data,
      ]);
      assert.equal(handed.exit, 0);
      const { told: told_, subject } = JSON.parse(await Deno.readTextFile(told));
      assert.deepEqual(
        told_.map(({ values }: { values: object }) => values),
        Array(2).fill({ "/author/email": EMAIL, "/author/name": NAME }),
      );
      const exported = JSON.parse(await asked(`/events/${handed.recorded}`));
      assert.deepEqual([exported.type, exported.data.subject, exported.data.values], [
        "privacy.subject.exported",
        subject,
        4,
      ]);
      const text = await run(["subject", EMAIL, "--export", "--text", "--data", data]);
      assert.match(
        text.out,
        /commits\.commit\.recorded in commits\/repo, position \d+\n {2}\/author\/email {2}ann@example\.org\n/,
      );

      assert.match(await asked("/views/commits.history"), /Ann Example/);
      const erased = await document<Report>(["erase", subject, "--data", data]);
      assert.deepEqual([erased.exit, erased.ok, erased.scan.found], [0, true, 0]);
      assert.equal(erased.file, `${data}/erasure-${subject}.json`);
      const shown = await asked("/views/commits.history");
      assert.match(shown, /\[erased\]/);
      assert.doesNotMatch(shown, /Ann|ann@/);
      assert.doesNotMatch(await asked("/events?limit=1000"), /Ann Example|ann@example/);
      // Nobody else can say so, or ask for it.
      for (
        const [path, body] of [["/commands/privacy.subject.finish_erasure/register", {
          subject,
          key: "destroyed",
        }]] as const
      ) {
        const answer = await fetch(`${server.url}${path}`, {
          method: "POST",
          headers: { authorization: `Bearer ${server.token}`, "content-type": "application/json" },
          body: JSON.stringify(body),
        });
        assert.equal(answer.status, 404, await answer.text());
      }
      const rotated = await document<{ to: number }>(["keys", "rotate", "--data", data]);
      assert.deepEqual([rotated.exit, rotated.to], [0, 2]);
      // The server goes on under the new root key.
      const more = await fetch(`${server.url}/events`, {
        method: "POST",
        headers: { authorization: `Bearer ${server.token}`, "content-type": "application/cloudevents+json" },
        body: JSON.stringify({ specversion: "1.0", ...commit(9, BOB) }),
      });
      assert.equal(more.status, 201, await more.text());
    } finally {
      assert.equal((await server.stop()).code, 0);
    }
    const verified = await document(["verify", "--data", data]);
    assert.equal(verified.exit, 0);
    for (const text of [NAME, EMAIL]) assert.deepEqual(holding(data, text), []);
  }));

/** Dies at a point, as by `kill -9`. */
const dying = async (point: CrashPoint, args: readonly string[]): Promise<void> => {
  const main = fileURLToPath(new URL("../../main.ts", import.meta.url));
  const { signal, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-q", V8_FLAGS, "-A", main, ...args],
    env: { DAYBOOK_CRASH_AT: point, NO_COLOR: "1" },
    stdout: "null",
  }).output();
  assert.equal(signal, "SIGKILL", `${point}: ${new TextDecoder().decode(stderr)}`);
};

Deno.test("an erasure that is cut off anywhere is ended by the next opening, and nothing else is lost", () =>
  withPlace(async ({ dir, data }) => {
    await filled(data);
    for (const point of ["erasure.requested", "erasure.destroyed", "erasure.recorded"] as const) {
      const copy = `${dir}/${point}`;
      await Deno.mkdir(copy, { mode: 0o700 });
      for (const { name, isFile } of Deno.readDirSync(data)) {
        if (isFile) Deno.copyFileSync(`${data}/${name}`, `${copy}/${name}`);
      }
      await dying(point, ["erase", EMAIL, "--out", `${dir}/none.json`, "--data", copy]);
      await opened(copy, async (daybook) => {
        // Nobody reads it any more before anything is served.
        assert.equal(authors(daybook)[0], "[erased]", point);
        await until(daybook, "privacy.subject.erased", 1);
        const [erased, ...more] = recorded(daybook, "privacy.subject.erased");
        assert.deepEqual([erased?.subject, more], [
          recorded(daybook, "privacy.subject.erasure_requested")[0]!.subject,
          [],
        ], point);
        const again = await daybook.ingest([commit(1, ANN), commit(2, BOB)], BY);
        assert.ok(again.ok && again.duplicates === 2, point);
      });
      const report = await verifyLog({ path: `${copy}/log.db` });
      assert.deepEqual(report.failures, [], point);
      for (const text of [NAME, EMAIL, SECRET]) assert.deepEqual(holding(copy, text), [], point);
    }
    // It can still be certified.
    const copy = `${dir}/erasure.destroyed`;
    const subject = await opened(copy, (daybook) => String(recorded(daybook, "privacy.subject.erased")[0]!.subject));
    const out = `${dir}/late.json`;
    const late = await document<Report>([
      "erase",
      subject,
      "--certify",
      "--look-for",
      EMAIL,
      "--out",
      out,
      "--data",
      copy,
    ]);
    assert.deepEqual([late.exit, late.ok, late.scan.looked_for], [0, true, 1]);
  }));

Deno.test("a rotation that is cut off anywhere leaves one root key that opens everything, and is ended by the next opening", () =>
  withPlace(async ({ data }) => {
    await filled(data);
    let version = 1;
    const points = ["waiting", "wrapped", "replaced", "batch", "rewrapped", "recorded"] as const;
    for (const step of points) {
      await dying(`root_key.${step}`, ["keys", "rotate", "--data", data]);
      const keys = keysOf(data);
      assert.match(keys.subject(EMAIL)!, /^s_/, step);
      keys.close();
      if (step !== "waiting") version++;
      await opened(data, async (daybook) => {
        assert.equal(authors(daybook)[0], NAME, step);
        await until(daybook, "privacy.root_key.rotated", version - 1);
        assert.deepEqual(
          recorded(daybook, "privacy.root_key.rotated").map(({ to }) => to),
          Array.from({ length: version - 1 }, (_, i) => i + 2),
          step,
        );
      });
      assert.equal(keysVersion(data), version, step);
    }
  }));

const keysVersion = (data: string): number => {
  const keys = keysOf(data);
  const { rootVersion, unfinishedRotation } = keys;
  keys.close();
  assert.equal(unfinishedRotation, undefined);
  return rootVersion;
};

Deno.test("no key is destroyed where the certificate's name leads to what cannot be written", (t) =>
  withPlace(({ dir, data }) =>
    onSmallDisk(t, "64k", async (disk, shell) => {
      await filled(data);
      await Deno.writeTextFile(`${disk}/c.json`, "before");
      await Deno.symlink(`${disk}/c.json`, `${dir}/c.json`);
      await shell("mount", "-o", "remount,ro", disk);
      const { code, err } = await run(["erase", EMAIL, "--out", `${dir}/c.json`, "--data", data]);
      assert.deepEqual([code, err.split("\n").length], [3, 2], err);
      assert.match(err, /c\.json: Read-only file system/);
      assert.equal((await run(["subject", EMAIL, "--data", data])).code, 0);
      await shell("mount", "-o", "remount,rw", disk);
      const written = await run(["erase", EMAIL, "--out", `${dir}/c.json`, "--data", data]);
      assert.equal(written.code, 0, written.err);
      assert.match(await Deno.readTextFile(`${disk}/c.json`), /certificate/);
    })
  ));

Deno.test("what cannot be is said in one line, and nothing is written", () =>
  withPlace(async ({ dir, data }) => {
    await filled(data);
    const out = `${dir}/c.json`;
    await run(["erase", EMAIL, "--out", out, "--data", data]);
    const subject: string = JSON.parse(await Deno.readTextFile(out)).certificate.subject;
    const before = await fingerprint(data);
    await Deno.writeTextFile(`${dir}/short`, "too short\n");
    await Deno.writeTextFile(`${dir}/text`, "no root key\n");
    const says = async (code: number, message: RegExp, ...args: readonly string[]) => {
      const ran = await run([...args, "--data", data]);
      assert.equal(ran.code, code, `${args.join(" ")}: ${ran.out}${ran.err}`);
      assert.match(ran.err, message);
      assert.equal(ran.err.trim().split("\n").length, 1, ran.err);
      assert.doesNotMatch(ran.err, /\n\s+at /);
    };
    await says(2, /nothing is known of "nobody@example\.org" here/, "erase", "nobody@example.org");
    await says(2, /nothing is known of "ann@example\.org" here/, "erase", EMAIL);
    await says(1, /was erased already; --certify makes/, "erase", subject);
    await says(1, /was erased: what the log holds of them can be read by nobody/, "subject", subject, "--export");
    await says(2, /lies in the data folder/, "subject", BOB.email, "--export", "--out", `${data}/bob.json`);
    await says(2, /is no file/, "subject", BOB.email, "--export", "--out", dir);
    await says(3, /none\/bob\.json/, "subject", BOB.email, "--export", "--out", `${dir}/none/bob.json`);
    await says(2, /is no file/, "erase", BOB.email, "--out", dir);
    await says(3, /none\/bob\.json/, "erase", BOB.email, "--out", `${dir}/none/bob.json`);
    await says(2, /one of --to-file/, "keys", "rotate", "--to-env", "X", "--to-file", `${dir}/x`);
    await says(2, /NO_SUCH holds no root key/, "keys", "rotate", "--to-env", "NO_SUCH");
    await says(2, /at least 12 characters/, "keys", "rotate", "--to-passphrase-file", `${dir}/short`);
    await says(1, /does not hold a root key/, "keys", "rotate", "--to-file", `${dir}/text`);
    assert.deepEqual(await fingerprint(data), before);
  }));
