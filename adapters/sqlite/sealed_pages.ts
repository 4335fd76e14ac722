/**
 * The pages of a database, each sealed, as rows of another one that is SQLite's own file: `node:sqlite` keeps it, so transactions,
 * snapshots for readers, locks and recovery after a crash are those of any other file here, and not a byte of a page is clear.
 * What works on the pages is `sealed_engine.ts`.
 */
import { Buffer } from "node:buffer";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import type { Sealing } from "../../events/sealing.ts";
import type { Database, Format } from "./database.ts";

/** Of a page, sealed or not. A sealed one just fills a page of the file below, beside the header of its row. */
export const PAGE_BYTES = 4_096;
/** What a row of the file below takes of its page beside the value. */
const ROW_BYTES = 48;

/** Of the file below; what is in the pages has a format of its own. */
export const SEALED: Format = {
  application: 0x4462_536c,
  version: 1,
  tables: "CREATE TABLE about(seal TEXT NOT NULL); CREATE TABLE pages(page INTEGER PRIMARY KEY, sealed BLOB NOT NULL)",
};

/** What sealed files are opened with: what seals their pages, and what works on them. */
export interface Sealed {
  readonly sealing: Sealing;
  readonly engine: { open(pages: SealedPages): Database };
}

const SQLITE_CORRUPT = 11;

/** In SQLite's words, so that whoever meets it does as with any damaged page. */
const malformed = (why: string): Error =>
  Object.assign(new Error(`database disk image is malformed: ${why}`), {
    code: "ERR_SQLITE_ERROR",
    errcode: SQLITE_CORRUPT,
  });

type Statements = Readonly<Record<"one" | "put" | "last" | "cut" | "version", StatementSync>>;

export class SealedPages {
  private readonly statements: Statements;
  /** `read`: a snapshot. `write`: nobody else writes. `undone`: what was written is undone, and until the end nothing is written. */
  private in: "read" | "write" | "undone" | undefined;
  private changed = false;
  private first: { readonly sealed: Uint8Array; readonly opened: Uint8Array } | undefined;
  private readonly place = new DataView(new ArrayBuffer(12));
  /** Unused bytes at the end of each page, which take what sealing adds. */
  readonly reserve: number;

  /** Pages are bound to their number and to whose they are (SQLite's `application_id`), so that none goes from one file to another. */
  constructor(private readonly db: DatabaseSync, private readonly sealing: Sealing, application: number) {
    this.reserve = sealing.overhead + ROW_BYTES;
    this.place.setUint32(0, application);
    this.statements = {
      one: db.prepare("SELECT sealed FROM pages WHERE page = ?"),
      put: db.prepare("INSERT OR REPLACE INTO pages VALUES (?, ?)"),
      last: db.prepare("SELECT max(page) AS last FROM pages"),
      cut: db.prepare("DELETE FROM pages WHERE page > ?"),
      version: db.prepare("PRAGMA data_version"),
    };
  }

  /** Whether the key is that of the file. */
  isOurs(): boolean {
    return this.db.prepare("SELECT seal FROM about").get()?.seal === this.sealing.check;
  }

  /** Of the database, as it would be in a file. */
  bytes(): number {
    return Number(this.statements.last.get()!.last ?? 0) * PAGE_BYTES;
  }

  /** Page `page`, from 1 on; `undefined` behind the last. Throws where it is not what was sealed. */
  read(page: number): Uint8Array | undefined {
    const sealed = this.statements.one.get(page)?.sealed as Uint8Array | undefined;
    if (!sealed && page * PAGE_BYTES > this.bytes()) return undefined;
    if (!sealed) throw malformed(`sealed page ${page} is gone`);
    // The first tells in each transaction whether somebody has written since the last.
    if (page === 1 && this.first && Buffer.compare(this.first.sealed, sealed) === 0) return this.first.opened;
    const opened = this.sealing.open(this.placeOf(page), sealed);
    if (opened?.length !== PAGE_BYTES - this.reserve) throw malformed(`sealed page ${page} does not open`);
    if (page === 1) this.first = { sealed, opened };
    return opened;
  }

  write(page: number, bytes: Uint8Array): void {
    const sealed = this.sealing.seal(this.placeOf(page), bytes.subarray(0, PAGE_BYTES - this.reserve));
    this.change(() => this.statements.put.run(page, sealed));
  }

  /** Only so many pages are left. */
  cut(pages: number): void {
    this.change(() => this.statements.cut.run(pages));
  }

  private change(work: () => unknown): void {
    if (this.in === "undone") return;
    this.changed = true;
    try {
      work();
    } catch (error) {
      this.undo();
      throw error;
    }
  }

  /** What was written since the transaction began never was. Whoever works on the pages may put them back as they were. */
  undo(): void {
    if (this.in !== "write") return;
    // After some faults SQLite has rolled back by itself.
    if (this.db.isTransaction) this.db.exec("ROLLBACK");
    this.in = "undone";
  }

  private placeOf(page: number): Uint8Array {
    this.place.setFloat64(4, page);
    return new Uint8Array(this.place.buffer);
  }

  beginRead(): void {
    if (this.in) return;
    this.db.exec("BEGIN");
    this.in = "read";
  }

  /** From a snapshot on; false when somebody has written since it was taken. */
  beginWrite(): boolean {
    if (this.in === "write") return true;
    const before = this.version();
    if (this.in) this.db.exec("COMMIT");
    this.in = undefined;
    this.db.exec("BEGIN IMMEDIATE");
    this.in = "write";
    this.changed = false;
    return this.version() === before;
  }

  private version(): unknown {
    return this.statements.version.get()!.data_version;
  }

  /** All that was written is there from now on, and to readers at once. */
  commit(): void {
    if (!this.changed || this.in === "undone") return;
    try {
      this.db.exec("COMMIT");
    } catch (error) {
      this.undo();
      throw error;
    }
    this.in = undefined;
    this.changed = false;
  }

  /** The end of a transaction; what was not committed never was. */
  end(): void {
    if (!this.in) return;
    const undone = this.in === "write";
    this.in = undefined;
    this.changed = false;
    if (this.db.isTransaction) this.db.exec(undone ? "ROLLBACK" : "COMMIT");
  }

  close(): void {
    if (!this.db.isOpen) return;
    this.end();
    this.db.close();
  }
}
