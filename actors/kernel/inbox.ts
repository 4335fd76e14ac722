/** An unbounded queue for control messages, which are few and must never be dropped; one reader waits for the next. */
export class Inbox<M> {
  private messages: M[] = [];
  private wake: (() => void) | undefined;

  post(message: M): void {
    this.messages.push(message);
    this.wake?.();
  }

  async next(): Promise<M> {
    while (this.messages.length === 0) {
      await new Promise<void>((resolve) => this.wake = resolve);
      this.wake = undefined;
    }
    return this.messages.shift()!;
  }

  /** Everything not read yet. */
  drain(): readonly M[] {
    const rest = this.messages;
    this.messages = [];
    return rest;
  }
}
