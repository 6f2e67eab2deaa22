const WEEKDAYS = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
const MONTHS = ["january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"];
const MINUTE_MS = 60_000;
const DAY_MINUTES = 24 * 60;

/** One interval as written; all that it names must hold. Alertmanager's shape: https://prometheus.io/docs/alerting/latest/configuration/#time_interval */
export interface TimeIntervalConfig {
  readonly times?: readonly { readonly start_time: string; readonly end_time: string }[];
  readonly weekdays?: readonly string[];
  readonly days_of_month?: readonly string[];
  readonly months?: readonly string[];
  readonly years?: readonly string[];
  /** IANA name; default UTC. */
  readonly location?: string;
}

/** Both ends belong to it. */
interface Range {
  readonly from: number;
  readonly to: number;
}

/** A named interval: one of `parts` must hold. */
export interface TimeInterval {
  /** At this time, ms since the epoch. Minutes count whole. */
  contains(atMs: number): boolean;
}

/** What is wrong with an interval, and where in it. */
export interface IntervalError {
  /** JSON pointer within the list. */
  readonly pointer: string;
  readonly message: string;
}

/** Compiles a validated list of intervals. Throws where `intervalErrors` finds something. */
export function compileInterval(parts: readonly TimeIntervalConfig[]): TimeInterval {
  const [error] = intervalErrors(parts);
  if (error !== undefined) throw new Error(`${error.pointer}: ${error.message}`);
  const tests = parts.map(compilePart);
  return { contains: (atMs) => tests.some((holds) => holds(atMs)) };
}

/** All that is wrong; empty when it can be compiled. */
export function intervalErrors(parts: readonly TimeIntervalConfig[]): IntervalError[] {
  const errors: IntervalError[] = [];
  parts.forEach((part, i) => {
    const check = (key: string, list: readonly string[] | undefined, read: (text: string) => unknown): void =>
      list?.forEach((text, j) => attempt(`/${i}/${key}/${j}`, () => read(text)));
    const attempt = (pointer: string, read: () => unknown): void => {
      try {
        read();
      } catch (error) {
        errors.push({ pointer, message: error instanceof Error ? error.message : String(error) });
      }
    };
    part.times?.forEach((time, j) => attempt(`/${i}/times/${j}`, () => timeRange(time)));
    check("weekdays", part.weekdays, weekdayRange);
    check("days_of_month", part.days_of_month, dayRange);
    check("months", part.months, monthRange);
    check("years", part.years, yearRange);
    if (part.location !== undefined) attempt(`/${i}/location`, () => wallClock(part.location!));
  });
  return errors;
}

function compilePart(part: TimeIntervalConfig): (atMs: number) => boolean {
  const times = part.times?.map(timeRange);
  const weekdays = part.weekdays?.map(weekdayRange);
  const days = part.days_of_month?.map(dayRange);
  const months = part.months?.map(monthRange);
  const years = part.years?.map(yearRange);
  const wall = wallClock(part.location ?? "UTC");
  return (atMs) => {
    const now = wall(atMs);
    if (times !== undefined && !isIn(times, now.minute)) return false;
    if (years !== undefined && !isIn(years, now.year)) return false;
    if (months !== undefined && !isIn(months, now.month)) return false;
    if (weekdays !== undefined && !isIn(weekdays, now.weekday)) return false;
    if (days === undefined) return true;
    // Negative days count from the end of the month.
    const last = new Date(Date.UTC(now.year, now.month, 0)).getUTCDate();
    const day = (from: number): number => (from < 0 ? last + 1 + from : from);
    return days.some(({ from, to }) => now.day >= day(from) && now.day <= day(to));
  };
}

function isIn(ranges: readonly Range[], value: number): boolean {
  return ranges.some(({ from, to }) => value >= from && value <= to);
}

interface WallTime {
  readonly year: number;
  /** From 1. */
  readonly month: number;
  readonly day: number;
  /** Sunday is 0. */
  readonly weekday: number;
  /** Of the day. */
  readonly minute: number;
}

/** What a clock on the wall says there; summer time included. Throws on a zone that is not known. */
function wallClock(location: string): (atMs: number) => WallTime {
  let format: Intl.DateTimeFormat;
  try {
    format = new Intl.DateTimeFormat("en-US", {
      timeZone: location, hourCycle: "h23", year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric",
    });
  } catch (cause) {
    throw new Error(`${location} is not a time zone; allowed: UTC or an IANA name, such as Europe/Berlin`, { cause });
  }
  let known: WallTime | undefined;
  let knownMinute = NaN;
  return (atMs) => {
    const minute = Math.floor(atMs / MINUTE_MS);
    if (known !== undefined && minute === knownMinute) return known;
    const part = Object.fromEntries(format.formatToParts(atMs).map(({ type, value }) => [type, Number(value)])) as Record<string, number>;
    const [year, month, day] = [part["year"]!, part["month"]!, part["day"]!];
    knownMinute = minute;
    known = { year, month, day, weekday: new Date(Date.UTC(year, month - 1, day)).getUTCDay(), minute: part["hour"]! * 60 + part["minute"]! };
    return known;
  };
}

/** The end does not belong to it. */
function timeRange({ start_time: start, end_time: end }: { readonly start_time: string; readonly end_time: string }): Range {
  const [from, to] = [minuteOf(start), minuteOf(end)];
  if (from >= to) throw new Error(`${start} is not before ${end}; write two intervals for one that spans midnight`);
  return { from, to: to - 1 };
}

function minuteOf(text: string): number {
  const match = /^(\d{2}):(\d{2})$/.exec(text);
  const minute = match === null ? NaN : Number(match[1]) * 60 + Number(match[2]);
  if (!(minute <= DAY_MINUTES) || Number(match![2]) > 59) throw new Error(`${text} is not a time of day; allowed: 00:00 to 24:00`);
  return minute;
}

function weekdayRange(text: string): Range {
  return rangeOf(text, "a day of the week; allowed: monday, or monday:friday", (word) => {
    const day = WEEKDAYS.indexOf(word.toLowerCase());
    return day === -1 ? undefined : day;
  });
}

function monthRange(text: string): Range {
  return rangeOf(text, "a month; allowed: january, 1, or january:march", (word) => {
    const month = /^\d{1,2}$/.test(word) ? Number(word) : MONTHS.indexOf(word.toLowerCase()) + 1;
    return month >= 1 && month <= 12 ? month : undefined;
  });
}

function yearRange(text: string): Range {
  return rangeOf(text, "a year; allowed: 2026, or 2026:2028", (word) => (/^\d{4}$/.test(word) ? Number(word) : undefined));
}

function dayRange(text: string): Range {
  const day = (word: string): number | undefined => {
    const number = /^-?\d{1,2}$/.test(word) ? Number(word) : 0;
    return number !== 0 && Math.abs(number) <= 31 ? number : undefined;
  };
  // A range from the begin to the end of a month is in order whatever the month.
  return rangeOf(text, "a day of the month; allowed: 1 to 31, -1 for the last, or 1:5", day, (from, to) => from < 0 === to < 0);
}

function rangeOf(text: string, what: string, read: (word: string) => number | undefined, comparable: (from: number, to: number) => boolean = () => true): Range {
  const words = text.split(":").map((word) => word.trim());
  const [from, to = from] = words.map(read);
  if (words.length > 2 || words.map(read).includes(undefined) || from === undefined || to === undefined) throw new Error(`${text} is not ${what}`);
  if (from < 0 && to > 0) throw new Error(`${text} ends before it begins`);
  if (comparable(from, to) && from > to) throw new Error(`${text} ends before it begins; write two entries`);
  return { from, to };
}
