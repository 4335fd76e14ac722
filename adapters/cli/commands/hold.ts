/** `hold place`, `hold lift` and `hold list`: what must be kept, and may be neither erased nor archived. */
import type { Call, Run } from "../call.ts";
import { list as given, moment, spanOf, text, Usage } from "../call.ts";
import { table } from "../columns.ts";
import { tellAccounts } from "../persons.ts";
import { palette, safe } from "../print.ts";
import type { Runtime } from "../runtime.ts";
import { operateOn } from "../writer.ts";

const reasonOf = (call: Call): string => {
  const reason = text(call, "reason")?.trim();
  if (!reason) throw new Usage(`${call.command} needs --reason; nothing personal, for it is recorded as it is`);
  return reason;
};

export const place: Run = async (call, runtime) => {
  const [hold] = call.args;
  const reason = reasonOf(call);
  const types = given(call, "type");
  const subjects = await subjectsOf(call, runtime);
  const until = untilOf(call, runtime);
  const { position } = await operateOn<{ readonly position: number }>(call, runtime, {
    operation: "place-hold",
    input: {
      hold,
      reason,
      ...(subjects.length > 0 ? { subjects } : {}),
      ...(types.length > 0 ? { types } : {}),
      ...(until === undefined ? {} : { until }),
    },
  });
  const what = [...subjects, ...types];
  runtime.io.out(
    call.json
      ? `${JSON.stringify({ ok: true, hold, position, subjects, types, ...(until === undefined ? {} : { until }) })}\n`
      : `${palette(runtime.io).green("held")}: ${what.length === 0 ? "everything" : what.map(safe).join(", ")}${
        until === undefined ? "" : ` until ${until}`
      }; nothing of it is erased, and nothing is archived, until ${until === undefined ? "" : "then or "}hold lift ${
        safe(hold!)
      }\n`,
  );
  return 0;
};

export const lift: Run = async (call, runtime) => {
  const [hold] = call.args;
  const { position } = await operateOn<{ readonly position: number }>(call, runtime, {
    operation: "lift-hold",
    input: { hold, reason: reasonOf(call) },
  });
  runtime.io.out(call.json ? `${JSON.stringify({ ok: true, lifted: hold, position })}\n` : `lifted ${safe(hold!)}\n`);
  return 0;
};

export const listAll: Run = async (call, runtime) => {
  const { io } = runtime;
  const holds = await runtime.holds(call.data);
  if (call.json) io.out(`${JSON.stringify({ holds })}\n`);
  else if (holds.length === 0) io.out("no holds\n");
  else {
    const columns = ["hold", "since", "until", "what", "reason"].map((title) => ({ title }));
    const rows = holds.map(({ hold, recordedat, until = "lifted", subjects = [], types = [], reason }) => {
      const what = [...subjects, ...types];
      return [safe(hold), recordedat, until, what.length === 0 ? "everything" : what.map(safe).join(" "), safe(reason)];
    });
    io.out(table(columns, rows, palette(io)));
  }
  return 0;
};

/** Opaque ids, as given or as an identifier leads to one. */
const subjectsOf = async (call: Call, runtime: Runtime): Promise<readonly string[]> => {
  const found: string[] = [];
  for (const who of given(call, "subject")) {
    const person = await runtime.persons(call.data).find(who);
    if (!person) throw new Usage(`nothing is known of ${JSON.stringify(who)} here`);
    tellAccounts(person, runtime.io);
    found.push(person.subject);
  }
  return [...new Set(found)];
};

const untilOf = (call: Call, { clock }: Runtime): string | undefined => {
  const until = text(call, "until");
  if (until === undefined) return undefined;
  const span = spanOf(until);
  if (span !== undefined) return new Date(clock.now() + span).toISOString();
  const at = moment(until, "--until");
  if ("time" in at) return at.time;
  throw new Usage(`--until takes 90d, 12h or an RFC 3339 time, not ${JSON.stringify(until)}`);
};
