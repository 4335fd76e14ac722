/** `erase`: a person's key is destroyed, and a certificate says what that came to; or checks such a certificate. */
import type { Call, Run } from "../call.ts";
import { archiveOf, flag, list, moment, pathOf, spanOf, text, Usage } from "../call.ts";
import { type CertificateReport, type Certified, tellAccounts } from "../persons.ts";
import { writeOutput } from "../draft.ts";
import { count, counted, palette, safe } from "../print.ts";
import { progressBar } from "../progress.ts";
import { Refused, type Runtime } from "../runtime.ts";
import type { ExitCode } from "../io.ts";
import { operateOn } from "../writer.ts";

interface Erased {
  readonly subject: string;
  readonly requested?: number;
  readonly erased?: number;
}

export const erase: Run = async (call, runtime) => {
  const [who] = call.args;
  const file = text(call, "check");
  if ((who === undefined) === (file === undefined)) throw new Usage("erase takes a person, or --check and a file");
  if (file !== undefined) return await check(call, runtime, file);
  if (text(call, "key") !== undefined) throw new Usage("--key goes with --check");
  const persons = runtime.persons(call.data, archiveOf(call));
  const person = await persons.find(who!);
  if (!person) throw new Usage(`nothing is known of ${JSON.stringify(who)} here`);
  const { subject } = person;
  // No identifier leads to an account: typed once more, what has erased an author would destroy the account with that address.
  if (subject.startsWith("u_") && who !== subject) {
    throw new Usage(`${JSON.stringify(who)} is the account ${subject}; to erase its holder name it by that id`);
  }
  tellAccounts(person, runtime.io);
  const done = flag(call, "certify");
  // Where the log could not be written when the key was destroyed, it is asked for again.
  if (person.erased && !done && !await persons.unfinished(subject)) {
    throw new Refused("already_erased", `${subject} was erased already; --certify makes a certificate of it once more`);
  }
  if (!person.erased && done) throw new Usage(`${subject} was not erased; without --certify it is`);
  const out = pathOf(call, text(call, "out") ?? `${call.data}/erasure-${subject}.json`);
  // Before a key is destroyed whose certificate could not be written.
  await runtime.io.expectPlace(out);
  const told = bars(call, runtime);
  try {
    const before = person.erased ? undefined : await persons.trace(subject, told.on("reading"));
    const types = before && before.types.length <= TYPES_MAX ? { types: before.types } : {};
    const erased = done ? { subject } : await operateOn<Erased>(call, runtime, {
      operation: "erase-subject",
      input: { subject, ...request(call, runtime), ...types },
    });
    // Behind everything that may refuse it.
    if (!done) runtime.io.err(`the key of ${subject} is destroyed\n`);
    const options = { texts: before?.texts, more: [...list(call, "lookFor"), ...(who === subject ? [] : [who!])] };
    const certified = await persons.certify(subject, options, told.on);
    await writeOutput(runtime.io, out, certified.text).catch((error) => {
      runtime.io.err(`erase ${subject} --certify makes the certificate once it can be written\n`);
      throw error;
    });
    const { position } = await operateOn<{ readonly position: number }>(call, runtime, {
      operation: "certify-erasure",
      input: certified.fact,
    });
    told.end();
    runtime.io.out(
      call.json
        ? `${
          JSON.stringify({
            ok: certified.wanting.length === 0,
            ...erased,
            certified: position,
            file: out,
            ...shown(certified),
          })
        }\n`
        : describe(certified, { erased, out, runtime }),
    );
    return certified.wanting.length === 0 ? 0 : 1;
  } finally {
    told.end();
  }
};

/** As many types as a request tells. */
const TYPES_MAX = 200;

const request = (call: Call, { clock }: Runtime): { readonly due?: string; readonly reason?: string } => {
  const [due, reason] = [text(call, "due"), text(call, "reason")];
  return {
    ...(due === undefined ? {} : { due: dueAt(due, clock.now()) }),
    ...(reason === undefined ? {} : { reason }),
  };
};

const dueAt = (given: string, now: number): string => {
  const span = spanOf(given);
  if (span !== undefined) return new Date(now + span).toISOString();
  const at = moment(given, "--due");
  if ("time" in at) return at.time;
  throw new Usage(`--due takes 30d, 12h or an RFC 3339 time, not ${JSON.stringify(given)}`);
};

/** One bar after the other. */
const bars = (call: Call, { io, clock }: Runtime) => {
  let shown: ReturnType<typeof progressBar> | undefined;
  const end = () => {
    shown?.end();
    shown = undefined;
  };
  return {
    on(label: string) {
      end();
      return (shown = progressBar(label, { io, clock, quiet: call.json })).on;
    },
    end,
  };
};

const shown = ({ fact, wanting, foundIn, namedIn, values, lookedFor, short, left }: Certified) => ({
  certificate: fact.certificate,
  size: fact.size,
  root: fact.root,
  unreadable: { events: fact.unreadable, values },
  scan: {
    files: fact.files,
    looked_for: lookedFor,
    short,
    left,
    found: fact.found,
    found_in: foundIn,
    named_in: namedIn,
  },
  wanting,
});

const describe = (
  { fact, wanting, foundIn, namedIn, values, lookedFor, short, left }: Certified,
  { erased, out, runtime }: { readonly erased: Erased; readonly out: string; readonly runtime: Runtime },
): string => {
  const c = palette(runtime.io);
  const verdict = wanting.length === 0
    ? c.green(`${fact.subject} is erased`)
    : c.red(`${fact.subject} is erased, and ${wanting.map(safe).join("; ")}`);
  const lines = [
    verdict,
    ...(erased.requested === undefined ? [] : [
      `recorded     asked for at position ${count(erased.requested)}, done at ${
        count(erased.erased ?? erased.requested)
      }`,
    ]),
    `unreadable   ${counted(values, "value")} in ${counted(fact.unreadable, "event")}, for everybody and for good`,
    `searched     ${counted(fact.files, "file")} of the folder for ${counted(lookedFor, "text")}: ${
      fact.found === 0 ? "found in none" : `found ${counted(fact.found, "time")}`
    }`,
    ...notSearched({ short, left }).map((line) => `             ${c.yellow(line)}`),
    ...foundIn.map(({ path, found }) => `             ${safe(path)}: ${counted(found, "time")}`),
    ...(namedIn.events === 0 ? [] : [
      `             ${counted(namedIn.events, "event")} name them in fields that are nobody's: ${
        namedIn.first.map(count).join(", ")
      }${namedIn.events > namedIn.first.length ? " …" : ""}`,
    ]),
    `root         ${fact.root}, of ${count(fact.size)} events, computed again: ${
      wanting.some((line) => line.startsWith("the log")) ? "not what it was" : "as it was before"
    }`,
    `certificate  ${safe(out)}, signed by the log's key`,
  ];
  return `${lines.join("\n")}\n`;
};

/** What a search does not vouch for: what is in so few letters is in every file. */
const notSearched = ({ short, left }: { readonly short: number; readonly left: number }): readonly string[] => [
  ...(short === 0 ? [] : [`${counted(short, "text")} not looked for: too short to tell from anything else`]),
  ...(left === 0 ? [] : [`${counted(left, "text")} not looked for: more than can be at once`]),
];

const check = async (call: Call, runtime: Runtime, file: string): Promise<ExitCode> => {
  const { io } = runtime;
  const given = text(call, "key");
  const keys = given === undefined ? await runtime.verifierKeys(call.data) : [given];
  if (keys.length === 0) throw new Usage("--check needs --key, the public key of the log, from somewhere you trust");
  const report = await runtime.checkCertificate(await io.readText(pathOf(call, file)), keys);
  const authenticated = given !== undefined;
  io.out(call.json ? `${JSON.stringify({ ...report, authenticated })}\n` : tell(report, { authenticated, runtime }));
  return report.ok ? 0 : 1;
};

const tell = (
  report: CertificateReport,
  { authenticated, runtime }: { readonly authenticated: boolean; readonly runtime: Runtime },
): string => {
  const c = palette(runtime.io);
  if (!report.ok) return `${c.red("the certificate proves nothing")}: ${safe(report.because)}\n`;
  const { subject, origin, erased, unreadable, found, looked_for, short, left } = report;
  return `${c.green("the certificate holds")}: ${safe(origin)} says that ${subject} was erased at ${safe(erased)}; ${
    counted(unreadable, "event")
  } unreadable, ${counted(looked_for, "text")} looked for and found ${counted(found, "time")}\n${
    notSearched({ short, left }).map((line) => `${c.yellow(`scan      ${line}`)}\n`).join("")
  }${
    authenticated
      ? ""
      : `${c.yellow("key       of the data folder, not authenticated")} (give --key from a source you trust)\n`
  }`;
};
