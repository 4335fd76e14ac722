/**
 * Marks for fields that tell of a person. A marked field is sealed before its event enters the append queue; actors,
 * projections and the log see only the sealed text. Marks are read from the schema, so a domain says it once, where the
 * shape is written.
 */
import { z } from "zod";

export interface PersonalMark {
  /** Sibling field that tells whose it is: an opaque id (`u_…`, `s_…`) or an identifier such as an address. */
  readonly subject: string;
}
export interface PseudonymMark {
  /** Sibling personal field that this one stands in for where equality is needed. */
  readonly of: string;
}

/** Where a mark sits: the path from the root of `data`; `*` stands for every element of an array or record. */
export type Marks = {
  readonly personal: readonly { readonly path: readonly string[]; readonly subject: string }[];
  readonly pseudonyms: readonly { readonly path: readonly string[]; readonly of: string }[];
};

/** A text about a person: plain on its way in, `sealed:…` in history. `subject` names the sibling that tells whose. */
export const personal = (mark: PersonalMark): z.ZodString => z.string().meta({ personal: mark });

/** Filled in by us when the event is sealed; a sender leaves it out. Equal values, equal pseudonyms within a period. */
export const pseudonym = (mark: PseudonymMark): z.ZodOptional<z.ZodString> => z.string().optional().meta({ pseudonym: mark });

/** True for the text that stands where a personal value was. */
export const isSealed = (text: string): boolean => text.startsWith("sealed:");
