/**
 * Where this process can be told to die as by `kill -9`, to show what that may cost: with `DAYBOOK_CRASH_AT=append.durable:3` it
 * dies when it passes that point for the third time. Without, no point exists: `../program/crash_points.ts` wraps nothing.
 */

/** Every point, and what has happened when it is passed. A test dies at each. */
export const CRASH_POINTS = {
  "append.begun": "The blocks of a commit are made; nothing of them is written.",
  "append.flushing": "The commit was handed to the disk, which has not answered.",
  "append.durable": "The commit is durable; nobody has been told.",
  "append.answered": "Answers have begun to leave; not everybody has one.",
  "blob.begun": "A blob is about to be written.",
  "blob.half": "Chunks of a blob are durable, but not the row that makes them one.",
  "blob.durable": "A blob is durable; nobody has been told.",
  "index.pages": "Pages of a segment are durable; no manifest names them.",
  "index.manifest": "The manifest that names them is durable; memory goes by the one before.",
  "checkpoint.signed": "A checkpoint is signed, and perhaps remembered with the keys; the log does not have it.",
  "checkpoint.durable": "The log has it; nobody has been told.",
  "root_key.waiting": "The next root key is durable beside the one in use; nothing is wrapped under it.",
  "root_key.wrapped": "The key database is under the next root key, which still waits beside the old one.",
  "root_key.replaced": "It has taken its place; keys are still wrapped under the tenant's old key.",
  "root_key.batch": "Some of them are wrapped under its new one.",
  "root_key.rewrapped": "All of them are, and the old one is gone; nothing is recorded.",
  "root_key.recorded": "The rotation is recorded; the key database does not know.",
  "erasure.requested": "An erasure is recorded as asked for; nothing is destroyed.",
  "erasure.destroyed": "The key is destroyed; that is not recorded.",
  "erasure.recorded": "The erasure is recorded; nobody has been told.",
  "period.recorded": "An event says that a month of a type is destroyed; its key is still there.",
  "period.destroyed": "Its key is gone; nobody has been told.",
  "archive.recorded": "What is to be archived lies in the archive, and an event says so; nothing here knows.",
  "archive.marked": "The log knows; its blocks are still there.",
  "archive.deleted": "They are gone; nobody has been told.",
  "account.reserved": "The name of an account is kept; there is no account.",
  "password.kept": "The hash of a password is kept; no fact names it.",
  "password.settled": "A fact names it; the one before is still there.",
  "signing_key.kept": "A key to sign access tokens is kept; no fact names it.",
  "log_key.begun": "The log's next key is made, and signs beside the one in use; its change is not recorded.",
  "log_key.recorded": "The change of the log's key is recorded; the key database does not know.",
  "log_key.settled": "It knows; the next checkpoint is not signed.",
  "snapshot.begun": "States of entities are about to be noted.",
  "snapshot.durable": "They are noted.",
  "timer.set": "The fact that sets a timer, or says that it fired, is durable; it is not noted.",
  "timer.noted": "It is noted.",
  "timer.due": "A timer is due; its entity has not been asked.",
  "timer.fired": "What it brought about is durable; the notes still have it standing.",
  "projection.begun": "Events are folded; nothing of it is written.",
  "projection.half": "In the midst of a transaction: some rows are written, the cursor is not.",
  "projection.durable": "Rows and cursor are written; nobody has been told.",
  "start.announced": "The start of a service is announced; its agent has not been asked.",
  "start.spawned": "Its process is there; that is not recorded.",
  "start.recorded": "It is; nobody watches the process.",
  "stop.signalled": "A process has got its signal; its end is not recorded.",
  "lock.wanted": "A start, before it takes the lock.",
  "lock.taken": "It has the lock and has opened nothing.",
  "lock.opened": "Everything is open; nothing is supervised or served.",
  "shutdown.asked": "The end is asked for; requests are still on their way.",
  "shutdown.recorded": "All that was supervised has ended, and the last fact of the run is recorded.",
  "shutdown.views_closed": "The views are closed; the log is not.",
  "shutdown.log_closed": "The log is closed; the keys are not.",
  "shutdown.released": "The lock is given back; the process has not ended.",
} as const satisfies Readonly<Record<string, string>>;
export type CrashPoint = keyof typeof CRASH_POINTS;

/** To be called when a point is passed; does not return where it is time to die. */
export type Crash = (point: CrashPoint) => void;

/** The variable that says where. */
export const CRASH_VARIABLE = "DAYBOOK_CRASH_AT";

/**
 * The port that a text such as `append.durable` or `append.durable:3` describes. Each thread counts for itself. Throws `TypeError`
 * for a text that is none, and where the process may not run programs, for only who may do that may send signals.
 */
export const crashAt = (text: string): Crash => {
  const [, name = "", count] = /^([a-z_.]+)(?::([1-9][0-9]{0,5}))?$/.exec(text) ?? [];
  if (!Object.hasOwn(CRASH_POINTS, name)) {
    throw new TypeError(`expected one of ${Object.keys(CRASH_POINTS).join(", ")}, and after a colon how often`);
  }
  if (Deno.permissions.querySync({ name: "run" }).state !== "granted") throw new TypeError("it needs --allow-run");
  let left = Number(count ?? 1);
  return (point) => {
    if (point !== name || --left > 0) return;
    Deno.kill(Deno.pid, "SIGKILL");
    // Other threads of the process may have an instant more; this one does nothing with it.
    for (;;);
  };
};
