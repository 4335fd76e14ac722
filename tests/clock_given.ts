/** The clock of this process, as an administrator or NTP would move it. */

/** It is so much later, until this is disposed of; timers that run go on as they were. */
export const clockAhead = (ms: number): Disposable => {
  const { now } = Date;
  Date.now = () => now() + ms;
  return { [Symbol.dispose]: () => void (Date.now = now) };
};
