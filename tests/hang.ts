const HANG_MS = 60_000;

/**
 * Stops the thread for so long that whoever watches it must have noticed, and no longer: Deno does not end a thread that returns to
 * nobody when it is terminated (https://github.com/denoland/deno/pull/35657), so one in an endless loop would take a core from every
 * test behind it.
 */
export const hang = (): void => {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, HANG_MS);
};
