/**
 * What is signed when the log's key changes: one text, a C2SP signed note with a signature of the old key and one of the new, so that
 * neither can be put in the other's place by who has only one. Its first line keeps it apart from a checkpoint, and so does its second,
 * which is no number.
 */
export interface RotationStatement {
  readonly origin: string;
  /** The checkpoint that the log stood at: its size, and its root in base64. */
  readonly size: number;
  readonly root: string;
  /** Public keys, `name+id+key`. */
  readonly old: string;
  readonly new: string;
  /** Up to this time (RFC 3339) checkpoints carry both signatures. */
  readonly until: string;
}

const ROTATION_LINE = "daybook/log-key-rotation@v1";

/** Ends in a newline. */
export const rotationText = ({ origin, size, root, old, new: next, until }: RotationStatement): string =>
  `${ROTATION_LINE}\norigin ${origin}\nsize ${size}\nroot ${root}\nold ${old}\nnew ${next}\nuntil ${until}\n`;
