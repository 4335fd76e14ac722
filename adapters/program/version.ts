/** Of the program, and so of the formats it writes (`docs/design.md`). */
export const VERSION = "0.1.0";
