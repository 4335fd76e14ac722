/** SQLite's WebAssembly build, as it is called. */

/** What of the build is used: its functions as they are, without the wrapping that looks at every argument. */
export interface Build {
  readonly exports: Readonly<Record<string, (...values: (number | bigint)[]) => number>>;
  bytes(): Uint8Array;
  view(): DataView;
  /** What the pages said when a call failed for their sake, once. */
  failure(): Error | undefined;
}

const NOMEM = 7;

export const outOfMemory = (): Error =>
  Object.assign(new Error("out of memory"), { code: "ERR_SQLITE_ERROR", errcode: NOMEM });
