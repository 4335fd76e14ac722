/** `audit` and `export --format tlog-tiles` as they are typed: what they ask of the world, what they print, how they end. */
import assert from "node:assert/strict";
import type { AuditAsked, AuditChecked, AuditEvaluated } from "../adapters/cli/audits.ts";
import type { Runtime } from "../adapters/cli/runtime.ts";
import type { Kept } from "../adapters/cli/reader.ts";
import { COMMANDS } from "../adapters/cli/table.ts";
import { LogFault } from "../events/log.ts";
import type { ControlResult, ControlStatus } from "../projections/controls/mod.ts";
import { givenStage, readerOf, type Stage } from "./cli_given.ts";

const ROOT = "A".repeat(43) + "=";
const CHECKPOINT = `daybook/a\n3\n${ROOT}\n\n— daybook/a AAAAAAAA\n`;

const resultOf = (id: string, status: ControlStatus): ControlResult => ({
  id,
  title: id,
  frameworks: [{ name: "SOC 2", ref: "CC6.1" }],
  mode: "watch",
  status,
  because: "It was seen",
  considered: 1,
  violations: 0,
  evidence: [{ position: 1, note: "as it must be" }],
});

interface Asking {
  readonly asked: AuditAsked[];
  readonly written: {
    readonly folder: string;
    readonly cosigned: readonly Kept[];
    readonly witnesses: readonly string[];
  }[];
  readonly checked: { readonly folder: string; readonly options: Parameters<Runtime["checkAudit"]>[1] }[];
}

const CHECKED: AuditChecked = {
  ok: true,
  origin: "daybook/a",
  size: 3,
  root: ROOT,
  anchored: 2,
  unanchored: 1,
  signed: 0,
  authenticated: false,
  checkpoints: [2, 3],
  manifest: "0".repeat(64),
  version: "1.2.3",
  files: 12,
  at: "2026-11-20T09:00:00.000Z",
  failures: [],
  failed: 0,
  controls: { results: [resultOf("one", "pass")], equal: true, others: [], missing: [] },
  rendered: true,
  state: {
    size: 3,
    views: [{ name: "audit.trail", version: 1, size: 3, rows: 3, digest: ROOT }],
    attested: 2,
    not_replayable: 0,
    differing: 0,
    last: { position: 2, projection: "audit.trail", version: 1, size: 2 },
  },
};

/** Three events, a checkpoint over the first two, and controls that come out like this. */
const sources: AuditEvaluated["sources"][number][] = [];
const givenAudit = async (
  ...statuses: readonly ControlStatus[]
): Promise<{ readonly stage: Stage; readonly asking: Asking }> => {
  const stage = givenStage();
  const incoming = ["a", "b", "c"].map((name, i) => ({
    id: String(i),
    source: "/tests",
    type: "things.thing.seen",
    time: "2026-01-01T00:00:00Z",
    data: { name },
  }));
  assert.ok((await stage.daybook.ingest(incoming, { authtype: "user", authid: "u_1" })).ok);
  const results = statuses.map((status, i) => resultOf(`control-${i}`, status));
  const asking: Asking = { asked: [], written: [], checked: [] };
  const at = "2026-11-20T09:00:00.000Z";
  Object.assign(
    stage.runtime,
    {
      reader: () =>
        Promise.resolve({
          ...readerOf(stage.log),
          size: 3,
          checkpoint: () => Promise.resolve({ origin: "daybook/a", size: 2, root: ROOT, note: CHECKPOINT }),
        }),
      controls: () => Promise.resolve(results.map((control) => ({ control: control as never, stated: {} }))),
      assess: (_log, asked) => {
        asking.asked.push(asked);
        return Promise.resolve({ at, results, sources, more_sources: sources.length });
      },
      writeAudit: (_from, folder, { asked, cosigned, witnesses }) => {
        asking.asked.push(asked);
        asking.written.push({ folder, cosigned, witnesses });
        const sum = { size: 2, root: ROOT, files: 12, bytes: 345, manifest: "0".repeat(64), cosigned: 0 };
        return Promise.resolve({ ok: true as const, at, results, ...sum });
      },
      checkAudit: (folder, options) => {
        asking.checked.push({ folder, options });
        return Promise.resolve(CHECKED);
      },
      exportTiles: (_from, folder) => {
        asking.written.push({ folder, cosigned: [], witnesses: [] });
        return Promise.resolve({ files: 4, bytes: 345 });
      },
    } satisfies Partial<Runtime>,
  );
  stage.files.set("/here/kept.txt", CHECKPOINT);
  stage.files.set("/here/other.txt", "nothing of the kind");
  stage.files.set("/here/full/file", "");
  stage.files.set("/here/made/file", "");
  return { stage, asking };
};

Deno.test("audit exits with 0 only where nothing is found wanting: silence is no pass", async () => {
  const cases: readonly (readonly [readonly ControlStatus[], number])[] = [
    [["pass", "pass"], 0],
    [["pass", "excepted", "not_applicable"], 0],
    [["pass", "fail"], 1],
    [["pass", "stale"], 1],
    [["pass", "no_evidence"], 1],
  ];
  for (const [statuses, exit] of cases) {
    for (const more of [[], ["--out", "new"]]) {
      const { stage } = await givenAudit(...statuses);
      assert.equal((await stage.type("audit", ...more)).code, exit, `${statuses} ${more}`);
      const document = await stage.json<{ ok: boolean; results: readonly { status: string }[] }>("audit", ...more);
      assert.deepEqual([document.exit, document.ok], [exit, exit === 0]);
      assert.deepEqual(document.results.map(({ status }) => status), statuses);
    }
  }
});

Deno.test("audit tells what each source can be vouched for, those that lack something first, and of the others that nothing can be said", async () => {
  const { stage } = await givenAudit("pass");
  sources.push(
    {
      source: "urn:meter:7",
      vouched: [
        { is: "complete", text: "numbered from 1 (a) to 9 (b), 1 of 9 missing", position: 9 },
        { is: "gap", text: "missing: 4, between a and b", position: 7 },
      ],
    },
    { source: "https://example.org/plain", vouched: [{ is: "nothing", text: "not numbered: nothing can be said" }] },
  );
  try {
    const { out } = await stage.type("audit");
    assert.match(
      out,
      /urn:meter:7 +numbered from 1 \(a\) to 9 \(b\), 1 of 9 missing +9\n +missing: 4, between a and b +7\n/,
    );
    assert.match(out, /\n3 sources without numbers: nothing can be said of what is missing\n\n1 control/);
    const { sources: told, more_sources } = await stage.json<AuditEvaluated>("audit");
    assert.deepEqual([told, more_sources], [sources, 2]);
  } finally {
    sources.length = 0;
  }
});

Deno.test("audit asks over a period by times; a position stands for when its event was recorded", async () => {
  const { stage, asking } = await givenAudit("pass");
  const { out } = await stage.type("audit", "--from", "1", "--to", "2026-12-31", "--framework", "soc2");
  const [{ from, to, framework, at }] = asking.asked as [AuditAsked];
  assert.equal(from, [...stage.log.read({ from: 1, until: 2 })].flat()[0]!.recordedat);
  assert.deepEqual([to, framework, at], ["2026-12-31T00:00:00.000Z", "soc2", undefined]);
  assert.match(out, /control-0 +pass +It was seen +1\n\n1 control: 1 pass over 3 events, as of 2026-11-20T09:00/);
  await stage.type("audit", "--at", "2099-01-01");
  assert.equal(asking.asked[1]!.at, "2099-01-01T00:00:00.000Z");
});

Deno.test("audit --out says what was written, what is anchored, and what no checkpoint covers yet", async () => {
  const { stage, asking } = await givenAudit("pass");
  const { out, err } = await stage.type("audit", "--out", "new", "--cosigned", "kept.txt", "--witness", "w+1+AA");
  assert.deepEqual(asking.written, [{
    folder: "/here/new",
    cosigned: [{ name: "kept.txt", text: CHECKPOINT }],
    witnesses: ["w+1+AA"],
  }]);
  assert.match(out, /2 events, 12 files, 345 B, verified, to \/here\/new in /);
  assert.match(out, /manifest {2}0{64} \(SHA-256\)\nunanchored, cosigned by no witness \(give --cosigned/);
  assert.match(err, /1 newer event that no checkpoint covers yet left out/);
});

Deno.test("a log that is not intact becomes no folder: exit 1, and the first bad position is named", async () => {
  const { stage } = await givenAudit("pass");
  const failures = [{ position: 7, kind: "entry", expected: "one", found: "another" }];
  stage.runtime.writeAudit = () => Promise.resolve({ ok: false, failures });
  const { code, out } = await stage.type("audit", "--out", "new");
  assert.deepEqual([code, out], [
    1,
    "the log is NOT intact, so nothing was written: position 7: entry: expected one, found another\n",
  ]);
  assert.deepEqual(await stage.json("audit", "--out", "new"), {
    ok: false,
    failures,
    written: false,
    folder: "/here/new",
    exit: 1,
  });
});

Deno.test("audit --check needs no log, and says what holds and by whom", async () => {
  const { stage, asking } = await givenAudit();
  stage.runtime.reader = () => Promise.reject(new Error("no log is needed"));
  const { code, out } = await stage.type("audit", "--check", "made", "--witness", "w+1+AA", "--against", "kept.txt");
  assert.equal(code, 0);
  assert.deepEqual(asking.checked, [{
    folder: "/here/made",
    options: { key: undefined, witnesses: ["w+1+AA"], against: [{ name: "kept.txt", text: CHECKPOINT }] },
  }]);
  assert.match(out, /^the folder is intact up to 2; 1 event unanchored behind\n/);
  assert.match(out, /\nanchored {2}up to 2 of 3 events; 1 unanchored behind\n/);
  assert.match(out, /key +of the folder itself, not authenticated \(give --key/);
  assert.match(
    out,
    /state equals the attested digest at position 2 \(audit\.trail after 2 events, and 1 attestation before/,
  );
  assert.deepEqual(await stage.json("audit", "--check", "made"), { ...CHECKED, exit: 0 });
});

Deno.test("audit --check names the first difference and exits with 1", async () => {
  const { stage } = await givenAudit();
  const failures = [{ path: "results.json", kind: "derived", expected: "control one fail: x", found: "pass: x" }];
  const wrong: AuditChecked = {
    ...CHECKED,
    ok: false,
    failures,
    failed: 1,
    controls: { results: [], equal: false, others: ["lax-control"], missing: ["left-out"] },
    rendered: null,
    state: { ...CHECKED.state!, differing: 1 },
  };
  stage.runtime.checkAudit = () => Promise.resolve(wrong);
  const { code, out } = await stage.type("audit", "--check", "made");
  assert.equal(code, 1);
  assert.match(out, /^the folder is NOT intact: 1 failure, the first: results\.json\n/);
  assert.match(out, /results\.json +derived +control one fail: x +pass: x/);
  assert.match(out, /NOT what the folder says\n +lax-control: not as in this program's own catalogue\n/);
  assert.match(out, /\n +left-out: in this program's own catalogue, and not in the folder\n/);
  assert.match(out, /pages +were NOT checked: by their own word they are of version 1\.2\.3, not this one/);
  assert.match(out, /state differs from 1 attested digest/);
});

Deno.test("what does not go together is wrong usage, and nothing is asked or written", async () => {
  const { stage, asking } = await givenAudit("pass");
  const wrong: readonly (readonly [readonly string[], RegExp])[] = [
    [["audit", "--check", "nowhere"], /there is nothing in \/here\/nowhere to check/],
    [["audit", "--key", "k"], /--key goes with --out or --check/],
    [["audit", "--against", "kept.txt"], /--against goes with --check/],
    [["audit", "--cosigned", "kept.txt"], /--cosigned goes with --out/],
    [["audit", "--witness", "w"], /--witness goes with --out or --check/],
    [["audit", "--check", "made", "--out", "other"], /--out does not go with --check/],
    [["audit", "--check", "made", "--framework", "SOC 2"], /--framework does not go with --check/],
    [["audit", "--check", "made", "--cosigned", "kept.txt"], /with --check it is --against/],
    [["audit", "--check", "made", "--against", "other.txt"], /--against other\.txt is not a checkpoint/],
    [["audit", "--out", "new", "--cosigned", "other.txt"], /--cosigned other\.txt is not a checkpoint/],
    [["audit", "--out", "full"], /\/here\/full is not empty/],
    [["audit", "--framework", "ISO 27001"], /no control is of the framework "ISO 27001"; there are: SOC 2/],
    [["audit", "--from", "9"], /--from 9 lies behind the end/],
    [["audit", "--from", "yesterday"], /--from takes a position or an RFC 3339 time/],
    [["audit", "--to", "2026-11-31"], /--to takes a position or an RFC 3339 time .*, not "2026-11-31"/],
    [["events", "--since", "2026-02-30T09:00:00Z"], /--since takes a position or an RFC 3339 time/],
    [["token", "create", "x", "--scopes", "read", "--expires", "2999-02-29"], /--expires takes .* an RFC 3339 time/],
    [["audit", "--from", "2026-02-01", "--to", "2026-01-01"], /--from lies behind --to/],
    [["audit", "--at", "2026-01-01"], /--at lies before the newest event, recorded at .*; --to asks about an earlier/],
    [["audit", "--at", "3"], /--at takes an RFC 3339 time/],
    [["export", "--format", "tlog-tiles"], /needs --out, a folder to make/],
    [["export", "--format", "tlog-tiles", "--out", "full"], /\/here\/full is not empty/],
    [["export", "--format", "tlog-tiles", "--out", "new", "--from", "1"], /--from does not go with/],
    [["export", "--format", "tlog-tiles", "--out", "new", "--type", "a.b.c"], /--type does not go with/],
    [["export", "--format", "tlog-tiles", "--out", "new", "--personal"], /--personal does not go with/],
    [["export", "--format", "tlog-tiles", "--out", "new", "--blobs", "b"], /--blobs does not go with/],
    [["export", "--format", "xml"], /--format is .* not "xml"/],
  ];
  for (const [args, because] of wrong) {
    const { code, err } = await stage.type(...args);
    assert.equal(code, 2, args.join(" "));
    assert.match(err, because, args.join(" "));
  }
  assert.deepEqual([asking.written, asking.checked], [[], []]);
  const none = await (await givenAudit()).stage.type("audit");
  assert.deepEqual([none.code, none.err], [2, "daybook: there are no controls to evaluate\n"]);
});

Deno.test("a log without a checkpoint, or without its keys, is no audit yet", async () => {
  const { stage } = await givenAudit("pass");
  const { reader } = stage.runtime;
  stage.runtime.reader = async (data) => ({ ...await reader!(data), checkpoint: () => Promise.resolve(undefined) });
  for (const args of [["audit", "--out", "new"], ["export", "--format", "tlog-tiles", "--out", "new"]]) {
    const { code, err } = await stage.type(...args);
    assert.equal(code, 3);
    assert.match(err, /signed no checkpoint yet/);
  }
  stage.runtime.reader = reader;
  stage.runtime.verifierKey = () => Promise.resolve(undefined);
  const { code, err } = await stage.type("audit", "--out", "new");
  assert.equal(code, 3);
  assert.match(err, /the keys of \/data are not there, .*; give --key/);
  const given: string[] = [];
  const { writeAudit } = stage.runtime;
  stage.runtime.writeAudit = (from, ...more) => (given.push(from.key), writeAudit!(from, ...more));
  assert.equal((await stage.type("audit", "--out", "new", "--key", "daybook+1+AA")).code, 0);
  assert.deepEqual(given, ["daybook+1+AA"]);
});

Deno.test("export --format tlog-tiles writes what the newest checkpoint covers", async () => {
  const { stage, asking } = await givenAudit();
  const { code, out, err } = await stage.type("export", "--format", "tlog-tiles", "--out", "tiles");
  assert.equal(code, 0);
  assert.equal(asking.written[0]!.folder, "/here/tiles");
  assert.match(out, /^2 events of daybook\/a, 4 files, 345 B, to \/here\/tiles in /);
  assert.match(err, /1 newer event that no checkpoint covers yet left out/);
  const { exit, ...document } = await stage.json("export", "--format", "tlog-tiles", "--out", "tiles");
  assert.deepEqual([exit, document], [0, {
    ok: true,
    folder: "/here/tiles",
    origin: "daybook/a",
    size: 2,
    root: ROOT,
    files: 4,
    bytes: 345,
  }]);
});

Deno.test("verify --tiles verifies a folder of tiles with nothing of a log, and tells no server of it", async () => {
  const { stage } = await givenAudit();
  const report = {
    ok: true,
    size: 3,
    root: ROOT,
    anchored: 3,
    unanchored: 0,
    signed: 3,
    authenticated: true,
    failures: [],
  };
  const asked: unknown[] = [];
  stage.runtime.verifyTiles = (folder, options) => (asked.push([folder, options]), Promise.resolve(report));
  stage.runtime.remote = () => Promise.reject(new Error("no server is asked"));
  assert.deepEqual(await stage.json("verify", "--tiles", "tiles", "--key", "k", "--against", "kept.txt"), {
    ...report,
    exit: 0,
  });
  assert.deepEqual(asked, [["/here/tiles", { key: "k", against: [{ name: "kept.txt", text: CHECKPOINT }] }]]);
  const spec = COMMANDS.find(({ name }) => name === "verify")!;
  const call = { command: "verify", args: [], data: "/data", dataGiven: true, json: false, cwd: "/here" };
  assert.deepEqual(spec.needs({ ...call, options: { tiles: "tiles" } }), { read: ["/here/tiles"] });
});

Deno.test("what was archived is read where --archive says, by whoever may read nothing else of it", async () => {
  const { stage } = await givenAudit("pass");
  const { reader } = stage.runtime;
  const asked: unknown[] = [];
  stage.runtime.reader = (data, archive) => (asked.push(archive), reader!(data, archive));
  const typed = [["audit"], ["audit", "--out", "new"], ["export", "--format", "tlog-tiles", "--out", "new"]];
  for (const args of typed) {
    const { code, err } = await stage.type(...args, "--archive", "old");
    assert.equal(code, 0, err);
    const spec = COMMANDS.find(({ name }) => name === args[0])!;
    const call = { command: args[0]!, args: [], data: "/data", dataGiven: true, json: false, cwd: "/here" };
    const { read } = spec.needs({ ...call, options: { archive: "old", out: "new", format: "tlog-tiles" } });
    assert.ok(read!.includes("/here/old"));
  }
  assert.deepEqual(asked, ["/here/old", "/here/old", "/here/old"]);
});

Deno.test("a check may read its folder and nothing else; an audit may write beside its folder alone", () => {
  const spec = COMMANDS.find(({ name }) => name === "audit")!;
  const call = { command: "audit", args: [], data: "/data", dataGiven: true, json: false, cwd: "/here" };
  const checking = spec.needs({ ...call, options: { check: "/mnt/audit", against: ["kept.txt"] } });
  assert.deepEqual(checking, { read: ["/mnt/audit", "/here/kept.txt"] });
  const writing = spec.needs({ ...call, options: { out: "/mnt/new/audit", cosigned: ["kept.txt"] } });
  assert.deepEqual(writing, { read: ["/data", "/mnt/new", "/here/kept.txt"], write: ["/mnt/new"] });
  assert.deepEqual(spec.needs({ ...call, options: {} }), { read: ["/data"], write: [] });
});

Deno.test("a command that needs no data folder asks for no place for copies of one", async () => {
  const { stage, asking } = await givenAudit();
  const granted: unknown[] = [];
  // The folder of the log is not to be looked at here.
  const permissions = {
    granted: ({ read }: { readonly read: readonly string[] }) => granted.push(read) > 0 && !read.includes("/data"),
    again: () => Promise.reject(new Error("it may do all that it must")),
  };
  Object.assign(stage.world, { permissions });
  const { code } = await stage.type("audit", "--check", "made");
  assert.deepEqual([code, asking.checked.length], [0, 1]);
});

Deno.test("what cannot be read as an audit is found wanting, in one line", async () => {
  const { stage } = await givenAudit();
  for (const kind of ["foreign", "newer", "truncated"] as const) {
    stage.runtime.checkAudit = () => Promise.reject(new LogFault(kind, "it is none"));
    const { code, out, err } = await stage.type("audit", "--check", "made");
    assert.deepEqual([code, out, err], [1, "", "daybook: it is none\n"]);
  }
  stage.runtime.checkAudit = () => Promise.reject(new LogFault("io", "it cannot be read"));
  assert.equal((await stage.type("audit", "--check", "made")).code, 3);
});
