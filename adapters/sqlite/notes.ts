/**
 * Small durable notes of followers, in a file of their own: whoever keeps notes (the main thread) never waits for whoever
 * writes views (perhaps a worker), as SQLite has one writer per file.
 *
 * A file that turns out damaged is put aside and begun anew, empty. What followers hold in memory goes with what they had
 * noted, so each is told so once, by a fault, before it notes or reads anything again: it must begin anew, too.
 */
import { afterPrefix } from "../../projections/query.ts";
import { ViewsFault } from "../../projections/views.ts";
import { type Connection, type Opening, openWritable, readBack, written } from "./connection.ts";
import type { Format } from "./database.ts";

const FORMAT: Format = {
  application: 0x4462_4e74,
  version: 1,
  tables: "CREATE TABLE notes(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
};

/** Whose notes they are: those of managers have names. */
const OWNER = /^(?:manager\/)?[^/]*/;

export class Notes {
  private connection: Connection | undefined;
  /** Why the notes before are lost, and who knows. */
  private lost: { readonly because: ViewsFault; readonly told: Set<string> } | undefined;

  constructor(private readonly path: string, private readonly opening: Opening) {
    this.connection = openWritable(path, FORMAT, opening);
  }

  get(key: string): unknown {
    return this.using(key, (connection) => {
      const found = connection.one("SELECT value FROM notes WHERE key = ?", written(key));
      return found && connection.json(found[0]);
    });
  }

  set(key: string, value: unknown): void {
    this.setAll([[key, value]]);
  }

  setAll(entries: readonly (readonly [string, unknown])[]): void {
    if (entries.length === 0) return;
    this.using(entries[0]![0], (connection) =>
      connection.transaction("write", () => {
        for (const [key, value] of entries) put(connection, key, value);
      }));
  }

  list(prefix: string, limit: number): readonly (readonly [string, unknown])[] {
    const end = afterPrefix(prefix);
    return this.using(prefix, (connection) => {
      const found = end === undefined
        ? connection.all("SELECT key, value FROM notes WHERE key >= ? ORDER BY key LIMIT ?", written(prefix), limit)
        : connection.all(
          "SELECT key, value FROM notes WHERE key >= ? AND key < ? ORDER BY key LIMIT ?",
          written(prefix),
          written(end),
          limit,
        );
      return found.map(([key, value]) => [readBack(key as string), connection.json(value)]);
    });
  }

  close(): void {
    this.connection?.close();
  }

  /** Nobody who can do without notes is to fail for want of them. */
  private reopened(): Connection {
    try {
      return openWritable(this.path, FORMAT, this.opening);
    } catch (error) {
      const { message } = error as Error;
      throw new ViewsFault("unwritable", `notes.db cannot be opened: ${message}`, { cause: error });
    }
  }

  private using<T>(key: string, work: (connection: Connection) => T): T {
    const owner = OWNER.exec(key)![0];
    if (this.lost && !this.lost.told.has(owner)) {
      this.lost.told.add(owner);
      throw new ViewsFault("damaged", this.lost.because.message, { cause: this.lost.because });
    }
    this.connection ??= this.reopened();
    try {
      return work(this.connection);
    } catch (error) {
      if (error instanceof ViewsFault && error.kind === "damaged") {
        this.lost = { because: error, told: new Set([owner]) };
        this.connection.close();
        // Opened by whoever comes next, should it not be possible now.
        this.connection = undefined;
      }
      throw error;
    }
  }
}

const put = (connection: Connection, key: string, value: unknown): void => {
  if (value === undefined) connection.run("DELETE FROM notes WHERE key = ?", written(key));
  else connection.run("INSERT OR REPLACE INTO notes VALUES (?, ?)", written(key), JSON.stringify(value));
};
