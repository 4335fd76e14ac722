/** What sections of the configuration are made of: every key has a default, and a line that says what it means. */
import { z } from "zod";

/** A section whose keys all have defaults, so that it may be left out. */
export const section = <T extends z.core.$ZodLooseShape>(about: string, shape: T) =>
  z.strictObject(shape).prefault({} as never).meta({ description: about });

/** A whole number, both bounds included. */
export const count = (min: number, max: number, standard: number, about: string) =>
  z.int().min(min).max(max).default(standard).meta({ description: about });
