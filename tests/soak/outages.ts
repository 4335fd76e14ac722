/** A real rsyslog that is killed again and again, and a server that is stopped and started, while events come in. */
import { until } from "../until.ts";
import { inFolder } from "../folder_given.ts";
import { seededRandom } from "../../adapters/simulation/random.ts";
import { configured, freePort, ingest, metric, rsyslog, serving } from "../recipes/siem_recipe.ts";

export interface Outages {
  readonly events: number;
  readonly kills: number;
  readonly restarts: number;
  /** Events that rsyslog has. */
  readonly received: number;
  /** Lines they came in; more than events are repeats. */
  readonly lines: number;
  readonly seconds: number;
}

/** Of `kills` every fifth also stops the server and starts it again. */
export const outages = (
  { events, kills, seed, longest_ms }: { events: number; kills: number; seed: number; longest_ms: number },
): Promise<Outages> =>
  inFolder(async (folder) => {
    const random = seededRandom(seed);
    const port = freePort();
    const { daemon, received } = await rsyslog(folder, port);
    const sink = { host: "127.0.0.1", port, tls: false, ca: null, types: ["orders."], settle_ms: 50 };
    const config = configured({ siem: { ...sink, retry: { first_ms: 20, max_ms: 200 } } });
    const began = performance.now();
    let running = daemon();
    let server = await serving(folder, config);
    let [sent, restarts] = [0, 0];
    try {
      for (let kill = 1; kill <= kills; kill++) {
        const end = performance.now() + random.next() * longest_ms;
        // Some come before the kill, some while nobody is there.
        const share = Math.ceil((events * kill) / kills) - sent;
        const before = Math.floor(random.next() * share);
        sent += await given(before, sent);
        while (performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 5));
        running.kill("SIGKILL");
        await running.status;
        sent += await given(share - before, sent);
        if (kill % 5 === 0) {
          await server.stop();
          server = await serving(folder, config);
          restarts++;
        }
        running = daemon();
      }
      await until("nothing is left", async () => await metric(server, "lag_events", "siem") === 0, Boolean, {
        seconds: 600,
      });
      const { positions, lines } = await received();
      const seconds = Math.round((performance.now() - began) / 1_000);
      return { events, kills, restarts, received: positions.size, lines, seconds };
    } finally {
      await server.stop();
      running.kill("SIGKILL");
      await running.status;
    }

    async function given(count: number, from: number): Promise<number> {
      for (let n = 0; n < count; n += BATCH) await ingest(server, from + n, Math.min(BATCH, count - n));
      return count;
    }
  });

const BATCH = 100;
