import { Cron } from "croner";

/** When something is due again and again. */
export interface Schedule {
  /** Minute, hour, day of month, month, weekday. https://man7.org/linux/man-pages/man5/crontab.5.html */
  readonly cron: string;
  /** IANA name. https://www.iana.org/time-zones */
  readonly timezone: string;
}

/** What is wrong with a schedule, and which key of it. */
export function checkSchedule(schedule: Schedule): { readonly key: keyof Schedule; readonly message: string } | undefined {
  try {
    new Intl.DateTimeFormat("en", { timeZone: schedule.timezone });
  } catch {
    return { key: "timezone", message: `"${schedule.timezone}" is no time zone; allowed: an IANA name such as Europe/Berlin, or UTC` };
  }
  try {
    if (schedule.cron.trim().split(/\s+/).length !== 5 && !schedule.cron.startsWith("@")) throw new Error("a schedule has five fields");
    if (nextAfter(schedule, 0) === undefined) return { key: "cron", message: "never comes" };
  } catch (error) {
    return { key: "cron", message: `is no schedule: ${error instanceof Error ? error.message : String(error)}; allowed: minute hour day month weekday, such as "30 2 * * *"` };
  }
  return undefined;
}

/** The first time after `afterMs` (ms since the epoch); undefined when there is none any more. A time that a change of the clocks leaves out comes when the hour after begins. */
export function nextAfter(schedule: Schedule, afterMs: number): number | undefined {
  return compiled(schedule).nextRun(new Date(afterMs))?.getTime();
}

/** The last time at or before `atMs`; undefined when there was none. */
export function lastBefore(schedule: Schedule, atMs: number): number | undefined {
  // Croner looks strictly before a second, whatever its milliseconds.
  return compiled(schedule).previousRuns(1, new Date((Math.floor(atMs / 1_000) + 1) * 1_000))[0]?.getTime();
}

const known = new Map<string, Cron>();
const KNOWN_MAX = 1_000;

function compiled({ cron, timezone }: Schedule): Cron {
  const key = `${timezone}\n${cron}`;
  let made = known.get(key);
  if (made === undefined) {
    if (known.size >= KNOWN_MAX) known.clear();
    // `paused` and no function: it computes times, and runs nothing.
    known.set(key, (made = new Cron(cron, { timezone, paused: true })));
  }
  return made;
}
