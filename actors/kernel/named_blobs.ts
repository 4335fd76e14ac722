/** Keeps an event out that names a blob which is not there: blobs are durable before the event that names them. */
import { BlobNames } from "../../events/blobs.ts";
import type { Catalogue } from "../../events/catalogue.ts";
import type { EventLog } from "../../events/log.ts";
import type { Issue } from "./daybook.ts";

export class NamedBlobs {
  private readonly names: BlobNames;

  constructor(catalogue: Pick<Catalogue, "spec">, private readonly log: Pick<EventLog, "blob">) {
    this.names = new BlobNames(catalogue);
  }

  /** What the data of a fact names and the log has not; one look-up for each blob that is named. */
  missing(type: string, data: unknown): readonly Issue[] {
    const named = this.names.in(type, data);
    if (named.length === 0) return NOTHING;
    return named.flatMap(({ sha256, bytes, pointer }) => {
      const found = this.log.blob(sha256);
      if (!found) return [{ path: pointer, message: "names a blob that is not there" }];
      return found.bytes === bytes
        ? []
        : [{ path: `${pointer}/bytes`, message: `names a blob that has ${found.bytes} bytes, not ${bytes}` }];
    });
  }
}

const NOTHING: readonly Issue[] = [];
