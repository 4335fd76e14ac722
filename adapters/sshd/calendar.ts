/** Times of syslog, which say neither year nor zone. A minute is worked out once, because the lines of a log stand in order. */
import { isTime, type Millis, millis } from "../../events/event.ts";

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const MINUTE_CHARS = "Nov 20 18:22".length;
/** A month that is so many before the one of the line before is one of the next year; fewer is a line out of order. */
const TURN_MONTHS = 6;

/** The 29th of February is a day that there is, until the year is known. */
const LEAP_YEAR = 2000;
const DAY: Millis = 86_400_000;

const hasDay = (year: number, month: number, day: number): boolean =>
  new Date(Date.UTC(year, month, day)).getUTCDate() === day;

export class Calendar {
  private readonly format: Intl.DateTimeFormat;
  private minute = "";
  private begins = 0;
  private month = -1;
  private isoMinute = "";
  private isoBegins = 0;
  /** The last line that is not out of order, as if it were UTC. */
  private last = 0;
  /** Turns of the year that were passed, and those before a 29th of February. */
  private turns = 0;
  private leap: number | undefined;

  /** `year` is that of the first line, if it is known; `zone` an IANA name. Throws `RangeError` for one that is none. */
  constructor(private readonly year: number | undefined, zone: string) {
    this.format = new Intl.DateTimeFormat("en-GB", { timeZone: zone, timeZoneName: "longOffset" });
  }

  /** Year of the first line: the newest in which the last is not younger than `latest`, wherever that was, and each day is one. */
  yearBefore(latest: Millis): number {
    for (let year = new Date(latest).getUTCFullYear() + 1;; year--) {
      const first = year - this.turns;
      if (new Date(this.last).setUTCFullYear(year) > latest + DAY) continue;
      if (this.leap === undefined || hasDay(first + this.leap, 1, 29)) return first;
    }
  }

  /** `Nov 20 18:22:17` and `.123456`; `undefined` for a time that is none. */
  short(day: string, fraction: string): string | undefined {
    if (!day.startsWith(this.minute) || this.minute === "") {
      const begins = this.minuteOf(day);
      if (begins === undefined) return undefined;
      this.minute = day.slice(0, MINUTE_CHARS);
      this.begins = begins;
    }
    return told(this.begins, day.slice(MINUTE_CHARS + 1), fraction);
  }

  /** `2026-11-20T18:22:17`, `.123456` and `+01:00`. */
  iso(day: string, fraction: string, zone: string): string | undefined {
    const minute = day.slice(0, 16) + zone;
    if (minute !== this.isoMinute) {
      const offset = zone === "Z" || zone.includes(":") ? zone : `${zone.slice(0, 3)}:${zone.slice(3)}`;
      const written = `${day.slice(0, 16)}:00${offset}`;
      if (!isTime(written)) return undefined;
      const begins = millis(written);
      // In UTC it may be of a year that has not four digits.
      if (!isTime(new Date(begins).toISOString())) return undefined;
      this.isoMinute = minute;
      this.isoBegins = begins;
    }
    return told(this.isoBegins, day.slice(17), fraction);
  }

  private minuteOf(text: string): Millis | undefined {
    const month = MONTHS.indexOf(text.slice(0, 3));
    const [day, hours, minutes] = [Number(text.slice(4, 6)), Number(text.slice(7, 9)), Number(text.slice(10, 12))];
    if (month < 0 || day < 1 || hours > 23 || minutes > 59) return undefined;
    if (this.month - month > TURN_MONTHS) this.turns++;
    // A line out of order, just before the turn: it is of the year before.
    const back = this.month >= 0 && month - this.month > TURN_MONTHS && this.turns > 0;
    if (!back) this.month = month;
    const year = this.year === undefined ? LEAP_YEAR : this.year + this.turns - (back ? 1 : 0);
    if (!hasDay(year, month, day)) return undefined;
    if (month === 1 && day === 29) this.leap = this.turns;
    const local = Date.UTC(year, month, day, hours, minutes);
    if (!back) this.last = local;
    // Twice, because the offset is that of the time itself.
    return local - this.offsetAt(local - this.offsetAt(local));
  }

  private offsetAt(time: Millis): Millis {
    const offset = this.format.formatToParts(time).find(({ type }) => type === "timeZoneName")?.value ?? "GMT";
    const [, sign, hours, minutes] = /^GMT(?:([+-])(\d{2}):(\d{2}))?/.exec(offset) ?? [];
    return sign === undefined ? 0 : (sign === "-" ? -1 : 1) * (Number(hours) * 60 + Number(minutes)) * 60_000;
  }
}

/** Of a leap second the last millisecond before it. */
const told = (minute: Millis, seconds: string, fraction: string): string | undefined => {
  const whole = Number(seconds);
  if (whole > 60) return undefined;
  const ms = whole === 60 ? 59_999 : whole * 1_000 + Math.floor(Number(`0${fraction.replace(",", ".")}`) * 1_000);
  return new Date(minute + ms).toISOString();
};

/** That of this machine. */
export const systemZone = (): string => new Intl.DateTimeFormat().resolvedOptions().timeZone;

export const isZone = (name: string): boolean => {
  try {
    return new Intl.DateTimeFormat("en-GB", { timeZone: name }) !== undefined;
  } catch {
    return false;
  }
};
