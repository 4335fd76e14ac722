/**
 * Metrics in Prometheus' text format 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format): samples,
 * whatever types and help say of them. A text that breaks the format anywhere is taken as none.
 */

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export const TEXT_LIMITS = {
  /** Characters of a metric's name, a label's name and a label's value. */
  name_chars_max: 200,
  value_chars_max: 1_000,
  labels_max: 30,
} as const;

export type ParsedMetrics = { readonly ok: true; readonly samples: readonly Sample[] } | {
  readonly ok: false;
  /** One line, nothing out of the text. */
  readonly because: string;
};

/** Of a series that is there twice the last counts. */
export const parseMetrics = (text: string, seriesMax: number): ParsedMetrics => {
  const samples = new Map<string, Sample>();
  let line = 0;
  try {
    for (const written of text.split("\n")) {
      line++;
      const trimmed = written.trim();
      if (trimmed === "" || trimmed.startsWith("#")) continue;
      const sample = new Line(trimmed).sample();
      samples.set(keyOf(sample), sample);
      if (samples.size > seriesMax) return { ok: false, because: `more than ${seriesMax} series` };
    }
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    return { ok: false, because: `line ${line}: ${error.message}` };
  }
  return { ok: true, samples: [...samples.values()] };
};

const keyOf = ({ name, labels }: Sample): string =>
  JSON.stringify([name, Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1))]);

class Malformed extends Error {}

const NAME = /[a-zA-Z_:][a-zA-Z0-9_:]*/y;
const LABEL = /[a-zA-Z_][a-zA-Z0-9_]*/y;
const BLANK = /[ \t]*/y;
const QUOTED = /"((?:[^"\\]|\\[^])*)"/y;
const NUMBER = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?$/i;
const SPECIAL: Readonly<Record<string, number>> = {
  "nan": NaN,
  "inf": Infinity,
  "+inf": Infinity,
  "-inf": -Infinity,
  "infinity": Infinity,
  "+infinity": Infinity,
  "-infinity": -Infinity,
};

/** One sample: a name, perhaps labels, a value, perhaps a time. */
class Line {
  private at = 0;

  constructor(private readonly text: string) {}

  sample(): Sample {
    const name = this.take(NAME, "a metric's name", TEXT_LIMITS.name_chars_max);
    this.blank();
    const labels = this.text[this.at] === "{" ? this.labels() : {};
    const [value, time, ...more] = this.text.slice(this.at).trim().split(/[ \t]+/);
    if (more.length > 0 || (time !== undefined && !/^[+-]?\d{1,19}$/.test(time))) {
      throw new Malformed("no value and time");
    }
    return { name, labels, value: numberOf(value ?? "") };
  }

  private labels(): Readonly<Record<string, string>> {
    const labels = new Map<string, string>();
    this.at++;
    for (;;) {
      this.blank();
      if (this.text[this.at] === "}") break;
      const name = this.take(LABEL, "a label's name", TEXT_LIMITS.name_chars_max);
      this.blank();
      this.sign("=");
      this.blank();
      if (labels.has(name)) throw new Malformed("a label twice");
      labels.set(name, unescaped(this.take(QUOTED, "a label's value", TEXT_LIMITS.value_chars_max).slice(1, -1)));
      if (labels.size > TEXT_LIMITS.labels_max) throw new Malformed(`more than ${TEXT_LIMITS.labels_max} labels`);
      this.blank();
      if (this.text[this.at] !== "}") this.sign(",");
    }
    this.at++;
    return Object.fromEntries(labels);
  }

  private take(pattern: RegExp, what: string, max: number): string {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text)?.[0];
    if (found === undefined) throw new Malformed(`${what} is not there`);
    if (found.length > max) throw new Malformed(`${what} of more than ${max} characters`);
    this.at += found.length;
    return found;
  }

  private blank(): void {
    BLANK.lastIndex = this.at;
    this.at += BLANK.exec(this.text)![0].length;
  }

  private sign(wanted: string): void {
    if (this.text[this.at] !== wanted) throw new Malformed(`no "${wanted}"`);
    this.at++;
  }
}

/** A backslash stands for itself before anything but these three. */
const unescaped = (text: string): string =>
  text.replaceAll(/\\([\\"n])/g, (_, sign: string) => sign === "n" ? "\n" : sign);

const numberOf = (text: string): number => {
  const special = SPECIAL[text.toLowerCase()];
  if (special !== undefined) return special;
  if (!NUMBER.test(text)) throw new Malformed("no value");
  return Number(text);
};
