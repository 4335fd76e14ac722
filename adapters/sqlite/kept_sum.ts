/** The sum of a view's rows, kept in the row of its store: changed with the rows, in their transaction. */
import { createCipheriv, createHash } from "node:crypto";
import { type Primitives, RowsSum, SUM_BYTES } from "../../projections/digest.ts";
import { ViewsFault } from "../../projections/views.ts";
import type { Connection } from "./connection.ts";

const [NONCE, ZEROS] = [new Uint8Array(16), new Uint8Array(SUM_BYTES)];

export const primitives: Primitives = {
  sha256: (bytes) => createHash("sha256").update(bytes).digest(),
  chacha20(key) {
    const cipher = createCipheriv("chacha20", key, NONCE);
    const stream = cipher.update(ZEROS);
    cipher.final(); // else the runtime keeps it for ever
    return stream;
  },
};

/** Of one store, while it is open for writing. */
export class KeptSum {
  private sum: RowsSum;

  constructor(private readonly connection: Connection, private readonly id: number) {
    const [rows, sum] = connection.one("SELECT rows, sum FROM stores WHERE id = ?", id)!;
    this.sum = new RowsSum(primitives, rows as number, sum as Uint8Array);
  }

  /**
   * What `work` writes, and with it the sum that it changes and the cursor: one transaction. Throws `ViewsFault` `unwritable` if the
   * cursor is elsewhere by now: a thread that was given up may still have gone on with its work.
   */
  transaction(from: number, size: number, work: (sum: RowsSum) => void): void {
    const before = this.sum;
    const sum = this.sum = before.copy();
    try {
      this.connection.transaction("write", () => {
        if (this.connection.one("SELECT size FROM stores WHERE id = ?", this.id)?.[0] !== from) {
          throw new ViewsFault("unwritable", "another thread has gone on with this view");
        }
        work(sum);
        const sql = "UPDATE stores SET size = ?, rows = ?, sum = ? WHERE id = ?";
        this.connection.run(sql, size, sum.rows, sum.bytes(), this.id);
      });
    } catch (error) {
      this.sum = before;
      throw error;
    }
  }
}
