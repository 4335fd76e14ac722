/** A listener that demands TLS 1.3, its clock twenty times as fast, on a port it tells; ends when it has lost its connections. */
import { listenStrictly } from "../adapters/http/strict_tls.ts";
import { systemClock } from "../adapters/system/world.ts";
import { givenAuthority } from "./certificates_given.ts";

// The platform opens files for signals when they are first asked for, and panics where it may not.
const stop = () => Deno.exit(1);
Deno.addSignalListener("SIGTERM", stop);
const listener = await listenStrictly({
  hostname: "127.0.0.1",
  port: 0,
  tls: await (await givenAuthority()).issue("server", ["server"]),
  answer: () => new Response("ok"),
  broken: () => new Response(null, { status: 500 }),
  clock: { ...systemClock, schedule: (after, call) => systemClock.schedule(after / 20, call) },
});
console.log(`listening on ${listener.port}`);
await listener.lost.catch((error: Error) => console.log(`lost: ${error.message}`));
const closed = listener.close();
listener.cut();
await closed;
Deno.removeSignalListener("SIGTERM", stop);
console.log("closed");
