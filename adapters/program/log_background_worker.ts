/** The thread that works behind the log; see `log_background.ts`. */
import { sealingOf } from "../keys/at_rest.ts";
import type { ToBackground } from "../kv/background.ts";
import { BackgroundWork } from "../kv/background_work.ts";
import { giveWay } from "../system/thread.ts";
import { work } from "../system/worker_side.ts";
import { systemClock } from "../system/world.ts";

// Appends wait for it only when it is far behind.
giveWay(5);

let background: BackgroundWork | undefined;

work({
  message(data, reply) {
    background ??= new BackgroundWork(systemClock, reply, sealingOf);
    background.hear(data as ToBackground);
  },
  stop: () => background?.close(),
});
