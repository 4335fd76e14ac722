/** What OpenSSH's server writes becomes events: every message about a sign-in, each line once, sealed where it tells of people. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { Calendar } from "../adapters/sshd/calendar.ts";
import { checkLogs, importLogs, SSHD_IMPORT } from "../adapters/sshd/import.ts";
import { LINE_CHARS_MAX, lineOf } from "../adapters/sshd/line.ts";
import { eachOf, Unreadable } from "../adapters/sshd/lines.ts";
import { saidIn } from "../adapters/sshd/message.ts";
import { systemClock } from "../adapters/system/world.ts";
import { isSealed } from "../events/personal.ts";
import { opened } from "./daybook_given.ts";
import { gzip } from "./cloudtrail_given.ts";
import { run } from "./end_to_end/program.ts";
import { inFolder } from "./folder_given.ts";
import { AUTH_LOG, importedLogs, observedIn } from "./sshd_given.ts";

const read = async (bytes: Uint8Array<ArrayBuffer>, piece: number): Promise<readonly unknown[]> => {
  const taken: unknown[] = [];
  let at = 0;
  const stream = new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull(controller) {
      if (at >= bytes.length) return controller.close();
      controller.enqueue(bytes.slice(at, at += piece));
    },
  });
  await eachOf(stream, {
    line: (text, number) => void taken.push([number, text]),
    entry: (entry, number) => void taken.push([number, entry]),
  });
  return taken;
};

Deno.test("lines and entries are found wherever the pieces of a file end; what is not ended yet is left", async () => {
  const text = new TextEncoder().encode("one\r\ntwö\n\nfour\nnot ended");
  const packed = await gzip("one\r\ntwö\n\nfour\nnot ended");
  // As `cat auth.log.2.gz auth.log.1.gz` makes it.
  const joined = new Uint8Array([...await gzip("one\r\ntw"), ...await gzip("ö\n\nfour\nnot"), ...await gzip(" ended")]);
  const length = new Uint8Array(new BigUint64Array([9n]).buffer);
  const entries = new Uint8Array([
    ...new TextEncoder().encode("__CURSOR=a\nMESSAGE=b\n\n__CURSOR=c\nMESSAGE\n"),
    ...length,
    ...new TextEncoder().encode("d\ne=\n\nfg\n\n\n__CURSOR=not ended"),
  ]);
  for (const piece of [1, 2, 3, 7, 1 << 16]) {
    for (const bytes of [text, packed, joined]) {
      assert.deepEqual(await read(bytes, piece), [[1, "one"], [2, "twö"], [3, ""], [4, "four"]], `pieces of ${piece}`);
    }
    assert.deepEqual(await read(entries, piece), [
      [1, { __CURSOR: "a", MESSAGE: "b" }],
      [4, { __CURSOR: "c", MESSAGE: "d\ne=\n\nfg\n".slice(0, 9) }],
    ], `pieces of ${piece}`);
  }
});

Deno.test("whatever a file holds, its lines come out or it is said to be unreadable", async () => {
  const plain = Deno.readFileSync(AUTH_LOG).slice(0, 4_000);
  const entries = new TextEncoder().encode("__CURSOR=a\nMESSAGE=b\n_PID\n\u0001\0\0\0\0\0\0\0x\n\n");
  const calendar = new Calendar(2026, "UTC");
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(plain, entries),
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 6 }),
      fc.integer({ min: 1, max: 999 }),
      async (whole, changes, piece) => {
        const bytes = whole.slice();
        for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
        try {
          for (const [, line] of await read(bytes, piece) as readonly (readonly [number, unknown])[]) {
            const told = typeof line === "string" ? lineOf(line, calendar) : undefined;
            if (told?.is === "told") saidIn(told.message);
          }
        } catch (error) {
          assert.ok(error instanceof Unreadable, String(error));
        }
      },
    ),
    { numRuns: 200 },
  );
});

Deno.test("what a real server wrote comes in once, sealed, from whatever files it is in; its addresses can be counted", async () => {
  await inFolder(async (folder) => {
    const text = await Deno.readTextFile(AUTH_LOG);
    const lines = text.split("\n");
    const half = lines.findIndex((line) => line.includes("18:22:18"));
    // As logrotate leaves them, and one more copy of the first.
    await Deno.writeFile(`${folder}/auth.log.2.gz`, await gzip(`${lines.slice(0, half).join("\n")}\n`));
    await Deno.writeTextFile(`${folder}/auth.log`, lines.slice(half).join("\n"));
    await Deno.writeTextFile(`${folder}/copy.log`, text);
    await using daybook = await opened();
    const first = await importedLogs(daybook, `${folder}/auth.log.2.gz`, `${folder}/auth.log`);
    assert.deepEqual([first.found.refused, first.done.lines, first.done.signins, first.done.events], [
      0,
      285,
      260,
      260,
    ]);
    const again = await importedLogs(daybook, `${folder}/copy.log`, `${folder}/auth.log`);
    assert.equal(again.done.events, 0);

    const stored = observedIn(daybook);
    const said = new Map<string, number>();
    for (const { position, stream, source, version, data } of stored) {
      said.set(data.message!, (said.get(data.message!) ?? 0) + 1);
      assert.deepEqual([stream, source, version], ["identity/observed", "/hosts/vm/sshd", 2]);
      for (const text of [data.name, data.address]) assert.ok(text === undefined || isSealed(text));
      const entry = new TextDecoder().decode(daybook.log.entry(position)!);
      for (const plain of ["127.0.0.", "walker", "oracle"]) assert.ok(!entry.includes(plain), plain);
    }
    assert.deepEqual(Object.fromEntries(said), {
      accepted: 4,
      connection: 26,
      disconnected: 77,
      failed: 51,
      not_allowed: 6,
      pam: 59,
      partial: 1,
      reverse_mapping: 5,
      session: 10,
      too_many_failures: 1,
      unknown_name: 20,
    });
    // Seven connections, a failure each, of one address: equal pseudonyms, and the view can be asked for them.
    const brute = stored.filter(({ data }) =>
      data.address !== undefined && daybook.unseal(data.address) === "127.0.0.11"
    );
    const [pseudonym] = new Set(brute.map(({ data }) => data.address_pseudonym));
    const { rows } = await daybook.view("identity.signins", {
      where: { address_pseudonym: pseudonym!, outcome: "refused" },
      wait: daybook.log.size - 1,
    });
    assert.equal(rows.length, 7);
  });
});

Deno.test("a bad line leaves its file out, by name and number, and names that look sealed are not taken", async () => {
  await inFolder(async (folder) => {
    const good = "Nov 20 18:22:17 vm sshd[1]: Invalid user bob from 192.0.2.7 port 4711";
    const cases: Readonly<Record<string, readonly [string, string]>> = {
      words: [`${good}\nhello\n`, "line 2: expected a line of syslog or of journalctl"],
      zeros: [`\0\0\0\0${good}\n`, "line 1: expected a line of syslog or of journalctl"],
      day: [`${good.replace("20", "31")}\n`, "line 1: there is no such time"],
      long: [`${good}${"x".repeat(LINE_CHARS_MAX)}\n`, `line 1: a line has at most ${LINE_CHARS_MAX} characters`],
      json: ['{"a":1,"a":2}\n', "line 1: not an entry of journalctl -o json: "],
      nil: ["<38>1 - vm sshd 1 - - Invalid user bob from 192.0.2.7\n", "line 1: there is no such time"],
      time: ['{"MESSAGE":"x"}\n', "line 1: expected an entry of the journal with __REALTIME_TIMESTAMP"],
      small: ["null\n", "line 1: expected a line of syslog or of journalctl"],
      cut: [good, "no whole line of syslog or of journalctl is in it"],
      entry: ["__CURSOR=a\nMESSAGE=b\n", "no whole line of syslog or of journalctl is in it"],
      indented: ["\n  words\n", "no whole line of syslog or of journalctl is in it"],
    };
    const sealed = `sealed:1:s_abcdefghijklmnop:${"a".repeat(60)}`;
    const names = [sealed, "p_202611_abcdefghijklmnopqrstuv", "x".repeat(2_000), "constructor"];
    await Deno.writeTextFile(`${folder}/good`, names.map((name) => `${good.replace("bob", name)}\n`).join(""));
    for (const [name, [text]] of Object.entries(cases)) await Deno.writeTextFile(`${folder}/${name}`, text);
    await using daybook = await opened();
    const { found, done } = await importedLogs(
      daybook,
      `${folder}/good`,
      ...Object.keys(cases).map((name) => `${folder}/${name}`),
    );
    assert.equal(done.events, names.length);
    assert.deepEqual(
      observedIn(daybook).map(({ data }) => data.name === undefined ? undefined : daybook.unseal(data.name)),
      [undefined, undefined, "x".repeat(SSHD_IMPORT.name_chars_max), "constructor"],
    );
    for (const [i, [name, [, because]]] of Object.entries(cases).entries()) {
      assert.ok(found.problems[i]?.startsWith(`${folder}/${name}: ${because}`), found.problems[i]);
    }
  });
});

Deno.test("an entry of journalctl -o export has at most a MiB, in however many fields", async () => {
  const most = 1024 * 1024;
  const begin = "__CURSOR=a\n";
  const text = (name: string, length: number) => `${name}=${"x".repeat(length - name.length - 2)}\n`;
  const bytes = (name: string, length: number) => {
    const of = length - name.length - 10;
    return `${name}\n${String.fromCharCode(of & 255, of >> 8 & 255, of >> 16)}${"\0".repeat(5)}${"x".repeat(of)}\n`;
  };
  const halves = (field: typeof text, more: number) => {
    const half = (most - begin.length) / 2;
    return `${begin}${field("A", Math.floor(half))}${field("B", Math.ceil(half) + more)}\n`;
  };
  for (
    const made of [text, bytes].flatMap((field) => [
      (more: number) => `${begin}${field("A", most - begin.length + more)}\n`,
      (more: number) => halves(field, more),
    ])
  ) {
    const read = async (more: number) => {
      const stream = new Blob([Uint8Array.from(made(0) + made(more), (char) => char.charCodeAt(0))]).stream();
      let entries = 0;
      await eachOf(stream, { line: () => {}, entry: () => void entries++ });
      return entries;
    };
    assert.equal(await read(0), 2);
    await assert.rejects(() => read(1), /^Unreadable: line \d+: an entry has at most 1048576 bytes$/);
  }
});

Deno.test("whatever a line says, it keeps out none of the others", async () => {
  await inFolder(async (folder) => {
    const said = (message: string, host = "vm") => `2026-11-20T18:22:17Z ${host} sshd[1]: ${message}`;
    const address = "192.0.2.7 port 4711";
    const forged = `sealed:1:s_abcdefghijklmnop:${"a".repeat(SSHD_IMPORT.name_chars_max)}!`;
    const lines = [
      said(`Failed password for ada from ${address} ssh2`, "ü".repeat(2_000)),
      said(`Failed ${"x".repeat(65)} for ada from ${address} ssh2`),
      said("PAM 0 more authentication failures; logname= uid=0 rhost=192.0.2.7  user=ada"),
      said("PAM 99999999999999999999 more authentication failures; logname= uid=0 rhost=192.0.2.7  user=ada"),
      said(
        `message repeated 999999999 times: [ message repeated 999999999 times: [ Invalid user bob from ${address}]]`,
      ),
      said(`Invalid user ${forged} from ${address}`),
      said(`Accepted password for ada from ${address} ssh2`),
    ];
    await Deno.writeTextFile(`${folder}/auth.log`, `${lines.join("\n")}\n`);
    await Deno.writeTextFile(
      `${folder}/early`,
      `${said("x").replace("2026-11-20T18:22:17Z", "0000-01-01T00:00:00+12:00")}\n`,
    );
    await Deno.writeTextFile(`${folder}/never`, `${said("x").replace("11-20", "02-30")}\n`);
    await using daybook = await opened();
    const { found, done } = await importedLogs(
      daybook,
      ...["auth.log", "early", "never"].map((name) => `${folder}/${name}`),
    );
    assert.deepEqual([done.lines, done.signins, done.events, done.problems], [7, 5, 5, []]);
    assert.deepEqual(
      found.problems,
      ["early", "never"].map((name) => `${folder}/${name}: line 1: there is no such time`),
    );
    const [far, pam, repeated, sealed] = observedIn(daybook);
    assert.ok(far!.source.length < 1_024);
    assert.deepEqual([pam!.data.times, repeated!.data.times], [1_000_000_000, 1_000_000_000]);
    assert.equal(sealed!.data.name, undefined);
  });
});

Deno.test("bytes that are not UTF-8 keep out no line but one that is none, and its place is told", async () => {
  await inFolder(async (folder) => {
    const good = "Nov 20 18:22:17 vm sshd[1]: Invalid user bob from 192.0.2.7 port 4711";
    const latin1 = (text: string) => Uint8Array.from(text, (letter) => letter.charCodeAt(0));
    const [strange, utf16] = ["Nov 20 18:22:18 vm su[2]: FAILED su for J\xfcrgen", "\xff\xfeN\0o\0v\0\n\0"];
    // It is being written, and ends within a letter of two bytes.
    await Deno.writeFile(`${folder}/mixed`, latin1(`${good}\n${strange}\n${good.replace("bob", "\xff")}\n${good}\xc3`));
    await Deno.writeFile(`${folder}/words`, latin1(`${good}\n\xfc\n`));
    await Deno.writeFile(`${folder}/utf16`, latin1(utf16));
    await using daybook = await opened();
    const { found, done } = await importedLogs(
      daybook,
      ...["mixed", "words", "utf16"].map((name) => `${folder}/${name}`),
    );
    assert.deepEqual([done.lines, done.events, done.problems, done.unended], [3, 2, [], 1]);
    assert.deepEqual(observedIn(daybook).map(({ data }) => daybook.unseal(data.name!)), ["bob", "\ufffd"]);
    const none = "expected a line of syslog or of journalctl, and it is not UTF-8";
    assert.deepEqual(found.problems, [`${folder}/words: line 2: ${none}`, `${folder}/utf16: line 1: ${none}`]);
  });
});

Deno.test("a log that is rotated away between the two readings keeps out none of the others", async () => {
  await inFolder(async (folder) => {
    const paths = ["a", "b", "c"].map((name) => `${folder}/${name}`);
    for (const path of paths) {
      await Deno.writeTextFile(path, `Nov 20 18:22:17 vm sshd[1]: Invalid user ${path} from 192.0.2.7 port 4711\n`);
    }
    const found = await checkLogs(paths, { zone: "UTC", told: () => {} });
    await Deno.remove(paths[1]!);
    await using daybook = await opened();
    const by = { authtype: "user", authid: "operator" } as const;
    const done = await importLogs(daybook, found, { by, clock: systemClock, told: () => {} });
    assert.deepEqual([done.events, done.problems], [2, [`${paths[1]}: it is not there any more`]]);
  });
});

Deno.test("import sshd exits with 0, 1 or 2 by what could be read, and makes no folder for nothing", async () => {
  await inFolder(async (folder) => {
    const [bad, data, good] = [`${folder}/bad.log`, `${folder}/data`, fileURLToPath(AUTH_LOG)];
    await Deno.writeTextFile(bad, "Nov 20 18:22:17 vm sshd[1]: Invalid user bob from 192.0.2.7 port 4711\nhello\n");
    const nothing = await run("import", "sshd", bad, "--data", data);
    assert.deepEqual([nothing.code, nothing.out], [2, ""]);
    assert.equal(nothing.err, `daybook: ${bad}: line 2: expected a line of syslog or of journalctl\n`);
    const zone = await run("import", "sshd", good, "--zone", "Atlantis", "--data", data);
    assert.equal(zone.code, 2);
    assert.match(zone.err, /--zone takes a name such as Europe\/Berlin or UTC, not "Atlantis"/);
    await assert.rejects(Deno.stat(data), Deno.errors.NotFound);
    const empty = `${folder}/empty.log`;
    await Deno.writeTextFile(empty, "");
    const began = await run("import", "sshd", empty, "--data", data);
    assert.deepEqual([began.code, began.err], [2, `daybook: ${empty}: it is empty\n`]);
    await assert.rejects(Deno.stat(data), Deno.errors.NotFound);
    const some = await run("import", "sshd", bad, good, "--data", data, "--json", "--zone", "UTC");
    assert.equal(some.code, 1, some.err);
    assert.deepEqual(JSON.parse(some.out), {
      ok: false,
      files: 1,
      refused: 1,
      lines: 285,
      signins: 260,
      unended: 0,
      events: 260,
      known: 0,
      stopped: false,
      problems: [`${bad}: line 2: expected a line of syslog or of journalctl`],
    });
    const again = await run("import", "sshd", good, empty, "--data", data);
    assert.equal(again.code, 0, again.err);
    assert.match(
      again.out,
      /^0 new events of 260 messages about sign-ins in 285 lines of 2 files .*, 260 known already/,
    );
    const cut = `${folder}/cut.log`;
    await Deno.writeTextFile(cut, `${(await Deno.readTextFile(bad)).split("\n")[0]}\nNov 20`);
    const left = await run("import", "sshd", cut, "--data", data);
    assert.match(
      left.out,
      /^1 new event .*\n1 file without an end of the last line: it is left for the next import\n$/,
    );
  });
});
