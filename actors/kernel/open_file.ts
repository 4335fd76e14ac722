/**
 * What became of a file that this process has open, as its folder shows it. SQLite goes on writing into one that was deleted, moved or cut
 * short as if nothing had happened.
 */

/** As `stat` tells it. */
export interface FileSeen {
  readonly dev: number;
  readonly ino: number | null;
  readonly size: number;
}

/** From one look to the next; `now` is absent where there is no file. */
export const changeOf = (before: FileSeen, now: FileSeen | undefined): "gone" | "another" | "shorter" | undefined => {
  if (now === undefined) return "gone";
  if (now.dev !== before.dev || now.ino !== before.ino) return "another";
  return now.size < before.size ? "shorter" : undefined;
};

/** What is said of a file that may be put back; its path stands before. */
export const AWAY = {
  gone: "is not there any more: it was deleted or moved",
  another: "is not the file that was opened: it was replaced",
} as const;
