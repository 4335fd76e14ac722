/**
 * Small durable notes of followers, in a file of their own: whoever keeps notes (the main thread) never waits for whoever
 * writes views (perhaps a worker), as SQLite has one writer per file.
 */
import { afterPrefix } from "../../projections/query.ts";
import { type Aside, type Connection, type Format, openWritable, readBack, written } from "./connection.ts";

const FORMAT: Format = {
  application: 0x4462_4e74,
  version: 1,
  tables: "CREATE TABLE notes(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
};

export class Notes {
  private readonly connection: Connection;

  constructor(path: string, onAside: (aside: Aside) => void) {
    this.connection = openWritable(path, FORMAT, onAside);
  }

  get(key: string): unknown {
    const found = this.connection.one("SELECT value FROM notes WHERE key = ?", written(key));
    return found && JSON.parse(found[0] as string);
  }

  set(key: string, value: unknown): void {
    if (value === undefined) this.connection.run("DELETE FROM notes WHERE key = ?", written(key));
    else this.connection.run("INSERT OR REPLACE INTO notes VALUES (?, ?)", written(key), JSON.stringify(value));
  }

  setAll(entries: readonly (readonly [string, unknown])[]): void {
    this.connection.transaction("write", () => {
      for (const [key, value] of entries) this.set(key, value);
    });
  }

  list(prefix: string, limit: number): readonly (readonly [string, unknown])[] {
    const end = afterPrefix(prefix);
    const found = end === undefined
      ? this.connection.all("SELECT key, value FROM notes WHERE key >= ? ORDER BY key LIMIT ?", written(prefix), limit)
      : this.connection.all(
        "SELECT key, value FROM notes WHERE key >= ? AND key < ? ORDER BY key LIMIT ?",
        written(prefix),
        written(end),
        limit,
      );
    return found.map(([key, value]) => [readBack(key as string), JSON.parse(value as string)]);
  }

  close(): void {
    this.connection.close();
  }
}
