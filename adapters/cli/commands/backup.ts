/** `backup` and `restore`. */
import type { Call, Run } from "../call.ts";
import { expectElsewhere, flag, list, pathOf, text, Usage } from "../call.ts";
import { keptCheckpoints } from "../checkpoints.ts";
import { bytes, count, counted, duration, safe } from "../print.ts";
import { progressBar } from "../progress.ts";
import { prove, shownIn } from "../prove.ts";
import type { RestoreReport } from "../runtime.ts";
import type { Io } from "../io.ts";
import { stoppable } from "../stoppable.ts";

export const backup: Run = async (call, runtime) => {
  const { io, clock } = runtime;
  const to = pathOf(call, call.args[0]!);
  expectElsewhere(call, to);
  const withKeys = flag(call, "withKeys");
  const passphrase = withKeys ? await passphraseOf(call, io) : undefined;
  if (withKeys && passphrase === undefined) {
    throw new Usage("--with-keys needs a passphrase: --passphrase-file FILE or DAYBOOK_PASSPHRASE");
  }
  if (!withKeys && text(call, "passphraseFile") !== undefined) throw new Usage("--passphrase-file is for --with-keys");
  if (!await io.isEmpty(to)) throw new Usage(`${to} is not empty; a backup is made into a new folder`);
  const began = clock.monotonic();
  const progress = progressBar("copying", { io, clock, quiet: call.json });
  const report = await stoppable(
    io,
    `nothing of the backup is left, and ${to} is as it was`,
    (signal) => runtime.backup(call.data, to, { passphrase, signal }, progress.on),
  ).finally(progress.end);
  if (call.json) io.out(`${JSON.stringify({ ok: true, folder: to, ...report })}\n`);
  else {
    io.out(
      `${count(report.size)} events, ${bytes(report.bytes)}, verified, to ${to} in ${
        duration(clock.monotonic() - began)
      }\nroot ${report.root}\n`,
    );
    io.out(
      report.keys
        ? "keys included, encrypted under your passphrase\n"
        : "without keys: personal values cannot be read from this copy alone\n",
    );
  }
  return 0;
};

export const restore: Run = async (call, runtime) => {
  const { io, clock } = runtime;
  if (!await io.isEmpty(call.data)) {
    throw new Usage(`${call.data} is not empty; a backup is restored into a new folder (--data)`);
  }
  const passphrase = await passphraseOf(call, io);
  const began = clock.monotonic();
  const progress = progressBar("restoring", { io, clock, quiet: call.json });
  const against = await keptCheckpoints(call, io);
  const newOrigin = text(call, "newOrigin");
  if (newOrigin !== undefined && passphrase === undefined) {
    throw new Usage("--new-origin needs the keys of the backup: --passphrase-file FILE or DAYBOOK_PASSPHRASE");
  }
  const replaces = text(call, "replaces");
  const erasures = await Promise.all(
    list(call, "erasure").map(async (name) => ({ name, text: await io.readText(pathOf(call, name)) })),
  );
  if ((replaces !== undefined || erasures.length > 0) && passphrase === undefined) {
    throw new Usage("erasures are applied to the keys of the backup: --passphrase-file FILE or DAYBOOK_PASSPHRASE");
  }
  const archive = text(call, "archive");
  // Read once: standard input and pipes give it no second time.
  const proof = await shownIn(call, runtime);
  const agreed = replaces !== undefined && await prove(call, runtime, pathOf(call, replaces), proof);
  const options = {
    passphrase,
    against,
    erasures,
    proof,
    ...(agreed ? { agreed } : {}),
    ...(archive === undefined ? {} : { archive: pathOf(call, archive) }),
    ...(newOrigin === undefined ? {} : { newOrigin }),
    ...(replaces === undefined ? {} : { replaces: pathOf(call, replaces) }),
  };
  const report = await stoppable(
    io,
    `nothing was restored, and ${call.data} is as it was`,
    (signal) => runtime.restore(pathOf(call, call.args[0]!), call.data, { ...options, signal }, progress.on),
  ).finally(progress.end);
  if (call.json) io.out(`${JSON.stringify({ ok: true, folder: call.data, ...report })}\n`);
  else io.out(describeRestore(report, call.data, clock.monotonic() - began));
  return 0;
};

const describeRestore = (
  { size, bytes: length, root, keys, shorterThan, readOnly, origin, erased, months }: RestoreReport,
  data: string,
  elapsed: number,
): string => {
  const lines = [
    `${count(size)} events, ${bytes(length)}, verified, in ${data} after ${duration(elapsed)}`,
    `root ${root}`,
  ];
  lines.push(
    keys
      ? "with its keys"
      : "without keys: it can be read and verified; to write it, put keys.db and root.key back beside it",
  );
  if (shorterThan) {
    lines.push(
      `it ends before ${shorterThan.name}, which covers ${
        count(shorterThan.size)
      } events: what came after is not in this backup${
        readOnly ? "; it can be read, not written: to go on under another name, restore it with --new-origin" : ""
      }`,
      "tokens, keys, roles and secrets are those of then: what was revoked or taken away since counts again",
    );
  }
  if (erased !== undefined) lines.push(`${counted(erased, "erasure")} applied again, so that they stay erased`);
  if (months) lines.push(`${counted(months, "month")} of types that are kept for a shorter time destroyed again`);
  if (origin !== undefined) lines.push(`it goes on as ${safe(origin)}, and its first event says what it left`);
  return `${lines.join("\n")}\n`;
};

const passphraseOf = async (call: Call, io: Io): Promise<string | undefined> => {
  const file = text(call, "passphraseFile");
  const passphrase = file === undefined
    ? io.env("DAYBOOK_PASSPHRASE")
    : (await io.readText(pathOf(call, file))).split(/\r?\n/)[0];
  if (file !== undefined && !passphrase) throw new Usage(`${file} has no passphrase on its first line`);
  return passphrase || undefined;
};
