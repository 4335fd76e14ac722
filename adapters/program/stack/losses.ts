/** Output that could not be kept, summed up so that a flood of it is a few facts. */
const LOSSES = {
  /** The first is told at once, what follows is summed up for so long. */
  record_ms: 600_000,
} as const;

interface Loss {
  bytes: number;
  /** When it was told last, monotonic. */
  told: number;
}

export class Losses {
  private readonly known = new Map<string, Loss>();

  /** Bytes that are to be told now; 0 while there is nothing to tell. */
  add(nonce: string, bytes: number, now: number): number {
    const loss = this.known.get(nonce) ?? { bytes: 0, told: -Infinity };
    this.known.set(nonce, loss);
    loss.bytes += bytes;
    if (now - loss.told < LOSSES.record_ms) return 0;
    loss.told = now;
    return taken(loss);
  }

  /** What is left to tell of one that has ended. */
  over(nonce: string): number {
    const loss = this.known.get(nonce);
    this.known.delete(nonce);
    return loss ? taken(loss) : 0;
  }
}

const taken = (loss: Loss): number => {
  const { bytes } = loss;
  loss.bytes = 0;
  return bytes;
};
