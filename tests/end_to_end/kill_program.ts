/** A program that embeds Daybook and adds a domain with timers, served as `start` serves; run with the data folder as its argument. */
import { z } from "zod";
import { accept, type Actor, type Command } from "../../actors/types.ts";
import { terminal } from "../../adapters/cli/terminal.ts";
import { CRASH_VARIABLE } from "../../adapters/process/crash.ts";
import { crashInServing } from "../../adapters/program/crash_points.ts";
import { openSystem } from "../../adapters/program/daybook.ts";
import { serve } from "../../adapters/program/serve.ts";
import { parseConfig } from "../../config/config.ts";
import type { Domain } from "../../events/catalogue.ts";

const rung = z.strictObject({ name: z.string() });

const bells: Domain = {
  name: "bells",
  facts: { "bells.bell.rung": { schema: rung, kind: "decided", about: "It rang." } },
};

type Bell =
  | Command<"bells.bell.set", { readonly name: string; readonly at: number }>
  | Command<"bells.bell.ring", { readonly name: string }>;

/** Rings once for each name that was set, at its time. */
const bell: Actor<number, Bell, { readonly type: "bells.bell.rung"; readonly data: { readonly name: string } }> = {
  domain: "bells",
  version: 1,
  commands: { "bells.bell.set": z.strictObject({ name: z.string(), at: z.number() }), "bells.bell.ring": rung },
  facts: ["bells.bell.rung"],
  initial: 0,
  decide(_, { type, data }) {
    if (type === "bells.bell.ring") return accept({ type: "bells.bell.rung", data });
    const command: Command = { type: "bells.bell.ring", data: { name: data.name } };
    return { ok: true, facts: [], timers: [{ set: data.name, at: data.at, command }] };
  },
  evolve: (times) => times + 1,
};

if (import.meta.main) {
  const data = Deno.args[0]!;
  const io = terminal((name) => Deno.env.get(name));
  const parsed = parseConfig("server:\n  port: 0\n", "kill", {});
  if (!parsed.ok) throw new Error("the configuration does not hold");
  const crash = io.env(CRASH_VARIABLE);
  const opened = await openSystem({
    data,
    config: parsed.config,
    actors: [bell as Actor],
    domains: [bells],
    report: (line) => io.err(`${line}\n`),
    ...(crash === undefined ? {} : { crashAt: crash }),
  });
  const stopped = Promise.withResolvers<void>();
  io.onStop(stopped.resolve);
  const serving = await serve(opened, {
    data,
    settings: { config: parsed.config, file: "kill" },
    tell: ({ token }) => io.writePrivate({ [`${data}/first-token`]: token }),
  }, io);
  if (opened.crash) crashInServing(serving, opened.crash);
  io.out(`listening on ${serving.url}\n`);
  await stopped.promise;
  await serving.stop();
  await opened.daybook.close();
  Deno.exit(0);
}
