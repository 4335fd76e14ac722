/** How a command is heard and read: the terminal, the environment and small files, in a port; `terminal.ts` implements it. */

/** 0: done and fine · 1: done and found wanting · 2: wrong usage · 3: could not be done. */
export type ExitCode = 0 | 1 | 2 | 3;

/** What a person is told while long work goes on. */
export interface Progress {
  readonly done: number;
  /** Absent when nobody knows yet. */
  readonly total?: number;
  /** Plural noun: `events`, `commits`. */
  readonly unit: string;
}
export type OnProgress = (progress: Progress) => void;

/** A file of mode 0600 that is written as `PATH.partial`. */
export interface Draft {
  write(piece: string | Uint8Array): void;
  /** Nothing more is written, and what was is durable. */
  settle(): Promise<void>;
  /** Gives it its name, in the place of an older one, durably. */
  name(): Promise<void>;
  /** Takes it away; where it bears its name already it stays. */
  drop(): Promise<void>;
}

/** The terminal, the environment and small files. */
export interface Io {
  /** Writes to standard output. Throws `OutputClosed` when nobody reads any more. */
  out(text: string): void;
  err(text: string): void;
  readonly terminal: { readonly out: boolean; readonly err: boolean };
  /** Width of the terminal; 80 when there is none. */
  readonly columns: number;
  env(name: string): string | undefined;
  /** Where the person stood when typing; relative paths start there. Absolute. */
  readonly cwd: string;
  readText(path: string): Promise<string>;
  /**
   * The end of a file that is being written, at most so many bytes of it, or what came behind `from`; a file that has become shorter
   * begins anew, one that is not there is empty. `end`: where to go on.
   */
  readTail(path: string, bytes: number, from?: number): Promise<{ readonly text: string; readonly end: number }>;
  /** All of standard input. */
  readInput(): Promise<string>;
  /** Creates the files, by path, with mode 0600; fails if it cannot. Replaces older ones, once all of it is written. */
  writePrivate(texts: Readonly<Record<string, string>>): Promise<void>;
  /**
   * As `draft` begins a file; what is none, as a pipe, is written as it goes. `asBefore`: who might read what has the name may read what
   * comes, and where nothing can be beside it, or take its place, it is written itself.
   */
  create(path: string, options?: { readonly asBefore?: boolean }): Promise<Draft>;
  /** Throws where `create` could not write, `asBefore`; writes nothing. */
  expectPlace(path: string): Promise<void>;
  /** Begins a file that bears its name only once it is whole. Throws where it cannot be, or where something else than a file has the name. */
  draft(path: string): Promise<Draft>;
  /** Makes the folder, with mode 0700, if it is missing; what it lies in must be there. */
  folder(path: string): Promise<void>;
  /** True when the folder is missing or has nothing in it. Throws `Usage` for what is no folder. */
  isEmpty(path: string): Promise<boolean>;
  /** SIGINT, SIGTERM and SIGHUP; the answer stops listening. */
  onStop(call: () => void): () => void;
}

/** Standard output was closed by its reader, as `head` does: the work ends quietly. */
export class OutputClosed extends Error {
  override readonly name = "OutputClosed";
}
