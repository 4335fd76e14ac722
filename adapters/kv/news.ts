/** That something about the log has changed: it grew, a checkpoint or a segment came, it closes. */
export class News {
  private readonly watchers = new Set<() => void>();

  tell(): void {
    for (const look of [...this.watchers]) look();
  }

  /** Resolves when the condition holds; it is looked at now, at all news, and when the signal aborts. */
  until(holds: () => boolean, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        if (!holds() && !signal?.aborted) return;
        this.watchers.delete(look);
        signal?.removeEventListener("abort", look);
        resolve();
      };
      this.watchers.add(look);
      signal?.addEventListener("abort", look);
      look();
    });
  }
}
