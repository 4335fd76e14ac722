/** The folder's own authority: what it certifies and what not, and how certificates are kept in files. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { certify } from "../adapters/x509/authority.ts";
import { isSignedBy, readCertificate } from "../adapters/x509/certificate.ts";
import { keyPem, newKey, publicKeyOf } from "../adapters/x509/key.ts";
import { Refused } from "../adapters/cli/runtime.ts";
import { KeptCertificates } from "../adapters/program/certificates/kept.ts";
import { openSystem } from "../adapters/program/daybook.ts";
import type { Opened } from "../adapters/program/opened.ts";
import { operate } from "../adapters/program/operations.ts";
import { systemClock } from "../adapters/system/world.ts";
import { plainConfig } from "../config/plain.ts";
import { LogFault } from "../events/log.ts";
import { withFolder } from "./certificates_given.ts";
import { givenStage } from "./cli_given.ts";
import { clockAhead } from "./clock_given.ts";
import { until } from "./until.ts";

const withOpened = async (
  work: (opened: Opened) => Promise<void>,
  settings: Readonly<Record<string, string>> = {},
): Promise<void> => {
  const opened = await openSystem({ data: ":memory:", config: plainConfig(settings)! });
  try {
    await work(opened);
  } finally {
    await opened.daybook.close();
  }
};

const spki = (): string => Buffer.from(publicKeyOf(newKey())).toString("base64");
const asked = (opened: Opened, name: string, input: unknown): Promise<unknown> =>
  operate(opened, name, { input, progress: () => {}, signal: new AbortController().signal });
const facts = (opened: Opened): readonly string[] =>
  [...opened.daybook.log.read({})].flat().map(({ type }) => type).filter((type) => type.startsWith("certificates."));

Deno.test("what may not be certified is refused, and nothing is recorded of it", () =>
  withOpened(async (opened) => {
    const good = { name: "api", names: ["localhost"], uses: ["server"], public_key: spki() };
    await asked(opened, "issue-certificate", good);
    const before = facts(opened);
    const refused: readonly (readonly [object, string])[] = [
      [{ names: ["example.com"] }, "not_permitted"],
      [{ names: ["10.0.0.1"] }, "not_permitted"],
      [{ names: ["no host"] }, "unfit_host"],
      [{ names: ["localhost\nevil"] }, "unfit_host"],
      [{ names: ["LOCALHOST"] }, "unfit_host"],
      [{ names: [] }, "no_names"],
      [{ name: "authority" }, "unfit_name"],
      [{ public_key: Buffer.from("none").toString("base64") }, "unfit_key"],
    ];
    for (const [bad, code] of refused) {
      await assert.rejects(
        asked(opened, "issue-certificate", { ...good, ...bad }),
        (error) => error instanceof Refused && error.code === code,
        code,
      );
    }
    const invalid = [
      { name: "A B" },
      { name: "a/b" },
      { name: "x".repeat(200) },
      { uses: [] },
      { uses: ["signing"] },
      { names: Array(51).fill("localhost") },
      { valid_ms: 1 },
      { valid_ms: 1e15 },
      { public_key: "!" },
      { public_key: "A".repeat(2_000) },
      { more: 1 },
    ];
    for (const bad of invalid) {
      await assert.rejects(
        asked(opened, "issue-certificate", { ...good, ...bad }),
        (error) => error instanceof LogFault && error.kind === "invalid",
        JSON.stringify(bad),
      );
    }
    await assert.rejects(
      asked(opened, "renew-certificate", { name: "nobody", public_key: spki() }),
      (error) => error instanceof Refused && error.code === "no_certificate",
    );
    assert.deepEqual(facts(opened), before);
  }));

Deno.test("what the command is given wrongly is told before anything is asked for", async () => {
  const stage = givenStage();
  for (
    const [args, message] of [
      [["a"], /needs --host/],
      [["a", "--host", "localhost", "--for", "signing"], /--for takes server, client or both/],
      [["a", "--host", "localhost", "--valid", "soon"], /--valid takes a span/],
      [["a", "--host", "localhost", "--valid", "9000d"], /--valid takes a span/],
    ] as const
  ) {
    const { code, err } = await stage.type("cert", "issue", ...args);
    assert.equal(code, 2);
    assert.match(err, message);
  }
});

Deno.test("the authority is made once, and each certificate is recorded with it", () =>
  withOpened(async (opened) => {
    const { certificate } = await asked(opened, "show-authority", {}) as { readonly certificate: string };
    const issue = (name: string, uses: readonly string[]) =>
      asked(opened, "issue-certificate", { name, names: [], uses, public_key: spki() }) as Promise<
        { readonly authority: string; readonly certificate: string }
      >;
    const issued = await issue("laptop", ["client"]);
    assert.equal(issued.authority, certificate);
    await issue("laptop", ["client"]);
    assert.deepEqual(facts(opened), [
      "certificates.authority.created",
      "certificates.certificate.issued",
      "certificates.certificate.renewed",
    ]);
    const { row } = await opened.daybook.row("certificates.current", "laptop", {
      wait: opened.daybook.log.size - 1,
    }) as unknown as { readonly row: { readonly row: { readonly state: string; readonly renewals: number } } };
    assert.deepEqual([row.row.state, row.row.renewals], ["valid", 1]);
  }));

Deno.test("of several who need the authority at once one makes it, and all use that", () =>
  withOpened(async (opened) => {
    const issued = await Promise.all(Array.from({ length: 5 }, (_, n) =>
      asked(opened, "issue-certificate", {
        name: `c${n}`,
        names: [],
        uses: ["client"],
        public_key: spki(),
      }) as Promise<{ readonly certificate: string; readonly authority: string }>));
    assert.equal(new Set(issued.map(({ authority }) => authority)).size, 1);
    for (const { certificate, authority } of issued) assert.ok(isSignedBy(certificate, authority));
    assert.equal(facts(opened).filter((type) => type === "certificates.authority.created").length, 1);
  }));

Deno.test("that a certificate ends soon, and that it has ended, is an event and a state of the view", () =>
  withOpened(async (opened) => {
    const valid_ms = 3_600_000;
    const issue = (name: string) =>
      asked(opened, "issue-certificate", { name, names: [], uses: ["client"], valid_ms, public_key: spki() });
    const told = () => [...opened.daybook.log.read({ stream: "certificates/a" })].flat().map(({ type }) => type);
    const state = async () => {
      const { row } = await opened.daybook.row("certificates.current", "a", {
        wait: opened.daybook.log.size - 1,
      }) as unknown as { readonly row: { readonly row: { readonly state: string } } };
      return row.row.state;
    };
    await issue("a");
    await until("it ends soon", told, (told) => told.includes("certificates.expiry.neared"));
    using _later = clockAhead(valid_ms);
    // The clock is looked at when there is something new to wait for, too.
    await issue("b");
    await until("it has ended", told, (told) => told.includes("certificates.certificate.expired"));
    assert.deepEqual(told().filter((type) => type.startsWith("certificates.")), [
      "certificates.certificate.issued",
      "certificates.expiry.neared",
      "certificates.certificate.expired",
    ]);
    assert.equal(await state(), "expired");
  }));

Deno.test("an authority that has ended certifies nothing any more", () =>
  withOpened(async (opened) => {
    const issue = (name: string) =>
      asked(opened, "issue-certificate", { name, names: ["localhost"], uses: ["server"], public_key: spki() });
    await issue("api");
    using _later = clockAhead(2 * 86_400_000);
    const ended = (error: Error) => error instanceof Refused && error.code === "authority_ended";
    await assert.rejects(issue("late"), ended);
    await assert.rejects(asked(opened, "renew-certificate", { name: "api", public_key: spki() }), ended);
    const made = facts(opened).filter((type) => /issued|renewed/.test(type));
    assert.deepEqual(made, ["certificates.certificate.issued"]);
  }, { DAYBOOK__CERTIFICATES__AUTHORITY_MS: "86400000" }));

const wanted = { name: "listener", names: ["localhost", "0:0:0:0:0:0:0:1"], uses: ["server"] } as const;

Deno.test("a kept certificate stays as long as it fits, and is another one when it does not", () =>
  withOpened((opened) =>
    withFolder(async (data) => {
      let now = Date.now();
      const clock = { ...systemClock, now: () => now };
      const keeper = () => new KeptCertificates({ parts: opened, clock, data, report: () => {} });
      const began = Date.now();
      const first = await keeper().keep(wanted);
      // Files know the time of the kernel's last tick.
      const written = await keeper().writtenAt("listener");
      assert.ok(written >= began - 20 && written <= Date.now(), `${began} ${written}`);
      const folder = `${data}/certificates/listener`;
      for (const name of ["key", "certificate", "authority"]) {
        assert.equal((await Deno.stat(`${folder}/${name}.pem`)).mode! & 0o777, 0o600);
      }
      assert.equal((await keeper().keep(wanted)).certificate, first.certificate, "the same, after a restart");
      const changes: Readonly<Record<string, () => unknown>> = {
        "its key is another's": () => Deno.writeTextFile(`${folder}/key.pem`, first.key),
        "its key is none": () => Deno.writeTextFile(`${folder}/key.pem`, "none"),
        "it is cut off": () => Deno.truncate(`${folder}/certificate.pem`, 100),
        "it is gone": () => Deno.remove(`${folder}/certificate.pem`),
        "its authority is another": () => Deno.writeTextFile(`${folder}/authority.pem`, first.certificate),
        "it ends soon": () => now += 21 * 86_400_000,
      };
      let before = (await keeper().keep({ ...wanted, names: ["localhost"] })).certificate;
      assert.notEqual(before, first.certificate, "other names");
      before = (await keeper().keep(wanted)).certificate;
      for (const [name, change] of Object.entries(changes)) {
        await change();
        const { certificate } = await keeper().keep(wanted);
        assert.notEqual(certificate, before, name);
        before = certificate;
      }
      assert.ok(readCertificate(before));
    })
  ));

Deno.test("a kept certificate that ends with its authority stays, for another one would end no later", () =>
  withOpened((opened) =>
    withFolder(async (data) => {
      const keeper = new KeptCertificates({ parts: opened, clock: systemClock, data, report: () => {} });
      const { certificate, authority } = await keeper.keep(wanted);
      assert.equal(readCertificate(certificate)!.not_after_ms, readCertificate(authority)!.not_after_ms);
      assert.equal((await keeper.keep(wanted)).certificate, certificate);
    }), { DAYBOOK__CERTIFICATES__AUTHORITY_MS: "86400000" }));

Deno.test("a kept certificate that does not count yet, for the clock was ahead and is set back, is another one", () =>
  withOpened((opened) =>
    withFolder(async (data) => {
      const keeper = new KeptCertificates({ parts: opened, clock: systemClock, data, report: () => {} });
      const { authority } = await keeper.keep(wanted);
      const key = newKey();
      const ahead = await certify(
        { certificate: authority, key: opened.keys.secret("certificate authority", newKey) },
        {
          ...wanted,
          public_key: publicKeyOf(key),
          now: Date.now() + 30 * 86_400_000,
          valid_ms: 90 * 86_400_000,
          random: (bytes) => crypto.getRandomValues(new Uint8Array(bytes)),
        },
      );
      await Deno.writeTextFile(`${data}/certificates/listener/certificate.pem`, ahead);
      await Deno.writeTextFile(`${data}/certificates/listener/key.pem`, keyPem(key));
      const { certificate } = await keeper.keep(wanted);
      assert.ok(readCertificate(certificate)!.not_before_ms <= Date.now());
      assert.equal((await keeper.keep(wanted)).certificate, certificate);
    })
  ));

Deno.test("what an authority certifies that was made by a clock years ahead counts for nobody, and that is told", () =>
  withOpened((opened) =>
    withFolder(async (data) => {
      const reports: string[] = [];
      const report = (line: string) => void reports.push(line);
      const keeper = new KeptCertificates({ parts: opened, clock: systemClock, data, report });
      const input = { name: "api", names: ["localhost"], uses: ["server"], public_key: spki() };
      const ahead = clockAhead(3_650 * 86_400_000);
      await keeper.keep(wanted).finally(() => ahead[Symbol.dispose]());
      assert.deepEqual(reports, []);
      await keeper.keep(wanted);
      await keeper.keep(wanted);
      assert.equal(reports.length, 1);
      assert.match(reports[0]!, /^the certificate listener: counts from \d{4}-\S+ on, as the authority/);
      for (const operation of ["issue-certificate", "renew-certificate"]) {
        const { names: _, uses: __, ...less } = input;
        await assert.rejects(
          asked(opened, operation, operation === "issue-certificate" ? input : less),
          (error) => error instanceof Refused && error.code === "authority_ahead",
          operation,
        );
      }
    })
  ));

Deno.test("a certificate that cannot be taken up now is renewed all the same, and taken up at the next look", () =>
  withOpened((opened) =>
    withFolder(async (data) => {
      const reports: string[] = [];
      const report = (line: string) => void reports.push(line);
      const keeper = new KeptCertificates({ parts: opened, clock: systemClock, data, report });
      const keep = () => keeper.keep(wanted);
      let free = false, taken = 0;
      await keeper.watch("listener", keep, () => {
        if (!free) throw new Error("it is restarted when the others are well");
        taken++;
      });
      assert.ok(await keeper.renew("listener"));
      assert.deepEqual(reports, ["the certificate listener: it is restarted when the others are well"]);
      free = true;
      await keeper.look();
      await keeper.look();
      assert.equal(taken, 1);
    })
  ));

Deno.test("who uses a kept certificate is told of another one, once, and what cannot be read is told and tried again", () =>
  withOpened((opened) =>
    withFolder(async (data) => {
      const reports: string[] = [];
      const keeper = new KeptCertificates({
        parts: opened,
        clock: systemClock,
        data,
        report: (line) => void reports.push(line),
      });
      const taken: string[] = [];
      const pair = await keeper.watch(
        "listener",
        () => keeper.keep(wanted),
        ({ certificate }) => void taken.push(certificate),
      );
      assert.ok(await keeper.renew("listener"));
      assert.equal(taken.length, 1);
      assert.notEqual(taken[0], pair.certificate);
      assert.ok(!await keeper.renew("nobody"));
      const stop = new AbortController();
      const running = keeper.run(stop.signal, { path: "", ready: () => {} });
      const folder = `${data}/certificates/listener`;
      await Deno.remove(folder, { recursive: true });
      await Deno.writeTextFile(folder, "no folder");
      await until("a report", () => reports.length > 0);
      assert.match(reports[0]!, /^the certificate listener: /);
      await Deno.remove(folder);
      await until("the next certificate", () => taken.length >= 2);
      stop.abort();
      await running;
    }), { DAYBOOK__CERTIFICATES__LOOK_MS: "100" }));
