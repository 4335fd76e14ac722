/** The worker behind the log, getting into the trouble that its URL names (`?exit`) as soon as it is to work. */
import type { ToBackground } from "../adapters/kv/background.ts";
import { sealingOf } from "../adapters/keys/at_rest.ts";
import { BackgroundWork } from "../adapters/kv/background_work.ts";
import { work } from "../adapters/system/worker_side.ts";
import { systemClock } from "../adapters/system/world.ts";
import { hang } from "./hang.ts";

const trouble = new URL(import.meta.url).search.slice(1);
let background: BackgroundWork | undefined;

work({
  message(data, reply) {
    background ??= new BackgroundWork(systemClock, reply, sealingOf);
    const message = data as ToBackground;
    if (message.to === "ask") {
      switch (trouble) {
        case "throw":
          throw new Error("the worker is troubled");
        case "later":
          return void systemClock.schedule(0, () => {
            throw new Error("the worker is troubled between two messages");
          });
        case "exit":
          return Deno.exit(0);
        case "close":
          return self.close();
        case "hang":
          return hang();
      }
    }
    background.hear(message);
  },
  stop: () => background?.close(),
});
