/** The far end of `backgroundOver`: runs the integrator in whatever thread it is in, step by step, so that wishes are heard. */
import type { Clock } from "../../actors/kernel/world.ts";
import type { FromBackground, ToBackground } from "./background.ts";
import { Integrator } from "./integrator.ts";
import type { Sealing } from "../../events/sealing.ts";
import { SealedReader } from "./sealed_store.ts";
import { KvReader } from "./store.ts";

/** Throws where the work does: its thread is to die of it, and another one begins from what is stored. */
export class BackgroundWork {
  private reader: KvReader | SealedReader | undefined;
  private integrator: Integrator | undefined;
  /** True while a result is on its way to the log and not yet taken. */
  private waiting = false;
  private cancel: (() => void) | undefined;

  /** `sealingOf` makes of a key what a log is sealed with. */
  constructor(
    private readonly clock: Clock,
    private readonly send: (message: FromBackground) => void,
    private readonly sealingOf: (key: Uint8Array) => Sealing,
  ) {}

  hear(message: ToBackground): void {
    switch (message.to) {
      case "start":
        this.reader = this.open(message);
        this.integrator = new Integrator(this.reader, message.frontier, message.manifest, message.filterBytesMax);
        break;
      case "ask":
        this.integrator!.ask(message.wish);
        break;
      case "swept":
        this.integrator!.swept(message.garbage);
        break;
      case "taken":
        this.waiting = false;
        break;
    }
    this.arm();
  }

  private open({ path, key }: { readonly path: string; readonly key?: Uint8Array }): KvReader | SealedReader {
    const reader = new KvReader(path);
    return key ? new SealedReader(reader, this.sealingOf(key)) : reader;
  }

  async close(): Promise<void> {
    this.cancel?.();
    this.waiting = true;
    await this.reader?.close();
  }

  private arm(): void {
    if (this.cancel || this.waiting || !this.integrator || this.integrator.idle) return;
    this.cancel = this.clock.schedule(0, () => {
      this.cancel = undefined;
      const made = this.integrator!.step();
      if (made) {
        this.waiting = true;
        this.send(made);
      }
      this.arm();
    });
  }
}
