/**
 * SQLite over sealed pages: its WebAssembly build, for which pages are what a file system of ours hands it
 * (https://sqlite.org/vfs.html), behind the few calls of `node:sqlite` that views use. One for each thread, loaded where it is
 * needed; all reading and writing is `sealed_pages.ts`.
 */
import init from "@sqlite.org/sqlite-wasm";
import wasm from "@sqlite.org/sqlite-wasm/sqlite3.wasm" with { type: "bytes" };
import type { Build } from "./sealed_build.ts";
import { SealedDatabase } from "./sealed_database.ts";
import { PAGE_BYTES, type SealedPages } from "./sealed_pages.ts";

/** Result codes (https://sqlite.org/rescode.html). */
const OK = 0, BUSY = 5, IOERR = 10, CANTOPEN = 14, NOTFOUND = 12, SHORT_READ = 522;
const OPEN_MAIN = 0x100;
/** Locks (https://sqlite.org/c3ref/c_lock_exclusive.html). */
const NO_LOCK = 0, SHARED = 1;
const VFS = "daybook-sealed";
const NAME_BYTES_MAX = 512;

export interface SealedEngine {
  /** A database over these pages, which are closed with it. */
  open(pages: SealedPages): SealedDatabase;
}

let loading: Promise<SealedEngine> | undefined;

/** The engine of this thread. */
export const sealedEngine = (): Promise<SealedEngine> => loading ??= load();

// deno-lint-ignore no-explicit-any -- the build's types tell of its wrappers, and of structures not at all
type Loose = any;

/** A call of SQLite's for a file, and what it is told when that throws. */
type File = (
  call: (pages: SealedPages, ...values: number[]) => number,
  otherwise: number,
) => (pointer: number, ...values: number[]) => number;

/** What is open, by SQLite's pointer to it. */
class Files {
  readonly open = new Map<number, SealedPages>();
  /** By the name that they are opened under. */
  readonly waiting = new Map<string, SealedPages>();
  private failed: Error | undefined;

  readonly call: File = (call, otherwise) => (pointer, ...values) => {
    try {
      return call(this.open.get(pointer)!, ...values);
    } catch (error) {
      this.failed = error as Error;
      return otherwise;
    }
  };

  failure(): Error | undefined {
    const told = this.failed;
    this.failed = undefined;
    return told;
  }
}

const load = async (): Promise<SealedEngine> => {
  const quiet = () => {};
  const sqlite: Loose = await (init as Loose)({ wasmBinary: wasm, print: quiet, printErr: quiet });
  const files = new Files();
  const build: Build = {
    exports: sqlite.wasm.exports,
    bytes: () => sqlite.wasm.heap8u(),
    view: () => new DataView(sqlite.wasm.memory.buffer),
    failure: () => files.failure(),
  };
  const io = new sqlite.capi.sqlite3_io_methods();
  io.$iVersion = 1;
  sqlite.vfs.installVfs({ io: { struct: io, methods: fileMethods(build, files) } });
  const vfs = new sqlite.capi.sqlite3_vfs();
  const system = new sqlite.capi.sqlite3_vfs(sqlite.capi.sqlite3_vfs_find(0));
  vfs.$iVersion = 1;
  vfs.$szOsFile = sqlite.capi.sqlite3_file.structInfo.sizeof;
  vfs.$mxPathname = NAME_BYTES_MAX;
  for (const method of ["$xRandomness", "$xSleep", "$xCurrentTime"]) vfs[method] = system[method];
  const methods = systemMethods(build, files, {
    methods: io.pointer,
    text: (pointer) => sqlite.wasm.cstrToJs(pointer),
    copy: (to, from, most) => sqlite.wasm.cstrncpy(to, from, most),
  });
  sqlite.vfs.installVfs({ vfs: { struct: vfs, name: VFS, methods } });
  let opened = 0;
  return {
    open(pages) {
      const name = `${++opened}`;
      files.waiting.set(name, pages);
      try {
        return new SealedDatabase(build, { name, vfs: VFS, pages });
      } finally {
        files.waiting.delete(name);
      }
    },
  };
};

interface Texts {
  /** Pointer to the methods of a file. */
  readonly methods: number;
  /** Text that ends in a zero byte. */
  text(pointer: number): string;
  /** Copies one; how many bytes, the zero byte included. */
  copy(to: number, from: number, most: number): number;
}

/** https://sqlite.org/c3ref/vfs.html */
const systemMethods = (build: Build, { open, waiting }: Files, { methods, text, copy }: Texts) => ({
  xOpen(_vfs: number, name: number, pointer: number, flags: number, out: number): number {
    const pages = flags & OPEN_MAIN ? waiting.get(text(name)) : undefined;
    // Whatever else it would put beside the database would be clear.
    if (!pages) return CANTOPEN;
    open.set(pointer, pages);
    build.view().setUint32(pointer, methods, true);
    if (out) build.view().setInt32(out, flags, true);
    return OK;
  },
  xDelete: () => OK,
  xAccess(_vfs: number, _name: number, _flags: number, out: number): number {
    build.view().setInt32(out, 0, true);
    return OK;
  },
  xFullPathname: (_vfs: number, name: number, most: number, out: number): number =>
    copy(out, name, most) < most ? OK : CANTOPEN,
  xGetLastError: () => OK,
});

/** https://sqlite.org/c3ref/io_methods.html */
const fileMethods = (build: Build, { call: file, open }: Files) => {
  const onPage = (offset: bigint | number) => Math.floor(Number(offset) / PAGE_BYTES) + 1;
  return {
    xClose(pointer: number): number {
      open.delete(pointer);
      return OK;
    },
    xRead: file((pages, to, count, offset) => {
      const page = pages.read(onPage(offset));
      const heap = build.bytes();
      heap.fill(0, to, to + count);
      if (!page) return SHORT_READ;
      const from = Number(offset) % PAGE_BYTES;
      heap.set(page.subarray(from, from + count), to);
      return OK;
    }, IOERR),
    xWrite: file((pages, from, count, offset) => {
      if (count !== PAGE_BYTES || Number(offset) % PAGE_BYTES !== 0) throw new Error("a page is written as a whole");
      pages.write(onPage(offset), build.bytes().subarray(from, from + count));
      return OK;
    }, IOERR),
    xTruncate: file((pages, bytes) => {
      pages.cut(Math.ceil(Number(bytes) / PAGE_BYTES));
      return OK;
    }, IOERR),
    xSync: file((pages) => {
      pages.commit();
      return OK;
    }, IOERR),
    xFileSize: file((pages, out) => {
      build.view().setBigInt64(out, BigInt(pages.bytes()), true);
      return OK;
    }, IOERR),
    xLock: file((pages, lock) => {
      if (lock === SHARED) pages.beginRead();
      else if (lock > SHARED && !pages.beginWrite()) return BUSY;
      return OK;
    }, BUSY),
    xUnlock: file((pages, lock) => {
      if (lock === NO_LOCK) pages.end();
      return OK;
    }, IOERR),
    xCheckReservedLock: file((_pages, out) => {
      build.view().setInt32(out, 0, true);
      return OK;
    }, IOERR),
    xFileControl: () => NOTFOUND,
    xSectorSize: () => PAGE_BYTES,
    xDeviceCharacteristics: () => 0,
  };
};
