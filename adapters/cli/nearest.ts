/** The name somebody most likely meant: the nearest by edits (Damerau–Levenshtein, restricted), if it is near at all. */
export const nearest = (typed: string, names: readonly string[]): string | undefined => {
  let best: { name: string; edits: number } | undefined;
  for (const name of names) {
    const edits = distance(typed, name);
    if (edits <= Math.max(1, Math.floor(name.length * 0.4)) && edits < (best?.edits ?? Infinity)) {
      best = { name, edits };
    }
  }
  return best?.name;
};

const distance = (a: string, b: string): number => {
  let [older, old, row]: number[][] = [[], [], Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    [older, old, row] = [old!, row!, [i]];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      row[j] = Math.min(old[j]! + 1, row[j - 1]! + 1, old[j - 1]! + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        row[j] = Math.min(row[j]!, older[j - 2]! + 1);
      }
    }
  }
  return row![b.length]!;
};
