/** A domain whose events name blobs: one that is observed, one that is decided. */
import { z } from "zod";
import { accept, type Actor, type Command } from "../actors/types.ts";
import { blob, type BlobRef } from "../events/blobs.ts";
import type { Domain, Upcast } from "../events/catalogue.ts";
import type { StreamId } from "../events/event.ts";

/** In version 1 the file was the whole of the data. */
const upcast: Upcast = (data) => [{ type: "reports.report.filed", data: { name: "old", file: data } }];

export const reports: Domain = {
  name: "reports",
  facts: {
    "reports.report.filed": {
      schema: z.strictObject({ name: z.string(), file: blob(), pages: z.array(blob().nullable()).optional() }),
      kind: "observed",
      version: 2,
      upcasts: [upcast],
      about: "A report was filed.",
      stream: ({ data }): StreamId => `reports/${(data as { name: string }).name}`,
    },
    "reports.shelf.stocked": {
      schema: z.strictObject({ file: blob() }),
      kind: "decided",
      about: "A shelf got a file.",
    },
  },
};

type Stock = Command<"reports.shelf.stock", { readonly file: BlobRef }>;
type Stocked = { readonly type: "reports.shelf.stocked"; readonly data: { readonly file: BlobRef } };

export const shelf = {
  domain: "reports",
  version: 1,
  commands: { "reports.shelf.stock": z.strictObject({ file: blob() }) },
  facts: ["reports.shelf.stocked"],
  initial: 0,
  decide: (_, { data }) => accept({ type: "reports.shelf.stocked", data }),
  evolve: (files) => files + 1,
} satisfies Actor<number, Stock, Stocked> as unknown as Actor;

/** Bytes that a number decides. */
export const bytesOf = (n: number, length: number): Uint8Array => Uint8Array.from({ length }, (_, at) => at * 7 + n);
