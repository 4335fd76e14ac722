/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
/** The worker that runs the integrator; see `background.ts`. */
import type { FromWorker, ToWorker } from "./background.ts";
import { Integrator } from "./integrator.ts";
import { KvReader } from "./store.ts";

let reader: KvReader | undefined;
let integrator: Integrator | undefined;
/** True while a result is on its way to the log and not yet taken. */
let waiting = false;
let scheduled = false;
let closing = false;

const send = (message: FromWorker) => self.postMessage(message);

const close = async () => {
  await reader?.close();
  send({ from: "closed" });
};

const run = () => {
  scheduled = false;
  if (closing || waiting || !integrator || integrator.idle) return;
  try {
    const made = integrator.step();
    if (made) {
      waiting = true;
      send({ from: "made", made });
    }
  } catch (error) {
    return send({ from: "died", cause: error instanceof Error ? error.message : String(error) });
  }
  arm();
};

// A turn of the event loop between steps, so that wishes are heard.
const arm = () => {
  if (scheduled || waiting || closing) return;
  scheduled = true;
  setTimeout(run, 0);
};

self.onmessage = ({ data }: MessageEvent<ToWorker>) => {
  switch (data.to) {
    case "start":
      reader = new KvReader(data.path);
      integrator = new Integrator(reader, data.frontier, data.manifest, data.filterBytesMax);
      break;
    case "ask":
      integrator!.ask(data.wish);
      break;
    case "swept":
      integrator!.swept(data.count);
      break;
    case "taken":
      waiting = false;
      break;
    case "close":
      closing = true;
      return void close();
  }
  arm();
};
