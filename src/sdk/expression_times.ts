import { Duration, Failure, Timestamp } from "./expression.ts";
import type { CelFunction, Library } from "./expression_function.ts";
import type { Frame } from "./expression_value.ts";

const ZONES_MAX = 64;
const BAD_ZONE = new Failure('not a time zone such as "Europe/Berlin" or "+02:00"');
const OFFSET = /^([+-]?)(\d\d):(\d\d)$/;
const zones = new Map<string, Intl.DateTimeFormat | Failure>();

function zoneFormat(zone: string, frame: Frame): Intl.DateTimeFormat | Failure {
  let format = zones.get(zone);
  frame.steps += format === undefined ? 10_000 : 100; // slow: a zone may come with the data
  if (format === undefined) {
    try {
      format = new Intl.DateTimeFormat("en-US", {
        timeZone: zone, calendar: "gregory", hourCycle: "h23", era: "short", year: "numeric", month: "numeric",
        day: "numeric", hour: "numeric", minute: "numeric", second: "numeric",
      });
    } catch {
      format = BAD_ZONE;
    }
    if (zones.size >= ZONES_MAX) zones.delete(zones.keys().next().value!);
    zones.set(zone, format);
  }
  return format;
}

/** A date whose UTC fields are what a clock in that zone shows. */
function zoned(ms: number, zone: string | undefined, frame: Frame): Date | Failure {
  if (zone === undefined || zone === "UTC") return new Date(ms);
  if (zone.length > 64) return BAD_ZONE;
  const offset = OFFSET.exec(zone);
  if (offset !== null) {
    const minutes = Number(offset[2]) * 60 + Number(offset[3]);
    return new Date(ms + minutes * 60_000 * (offset[1] === "-" ? -1 : 1));
  }
  const format = zoneFormat(zone, frame);
  if (format instanceof Failure) return format;
  const part = Object.fromEntries(format.formatToParts(ms).map(({ type, value }) => [type, value]));
  const year = Number(part["year"]) * (part["era"] === "BC" ? -1 : 1) + (part["era"] === "BC" ? 1 : 0);
  const date = new Date(0);
  date.setUTCFullYear(year, Number(part["month"]) - 1, Number(part["day"]));
  const millisecond = new Date(ms).getUTCMilliseconds();
  date.setUTCHours(Number(part["hour"]), Number(part["minute"]), Number(part["second"]), millisecond);
  return date;
}

function dayOfYear(date: Date): number {
  return Math.floor((date.getTime() - new Date(0).setUTCFullYear(date.getUTCFullYear(), 0, 1)) / 86_400_000);
}

/** A field of a timestamp, in UTC or the zone given; of a duration where `ofDuration` says so. */
function getter(ofDate: (date: Date) => number, ofDuration?: (ms: number) => number): CelFunction {
  return {
    method: [0, 1],
    run([target, zone], frame) {
      if (target instanceof Duration) {
        if (ofDuration === undefined || zone !== undefined) return undefined;
        return BigInt(Math.trunc(ofDuration(target.ms)));
      }
      if (!(target instanceof Timestamp) || (zone !== undefined && typeof zone !== "string")) return undefined;
      const date = zoned(target.ms, zone, frame);
      return date instanceof Failure ? date : BigInt(ofDate(date));
    },
  };
}

/**
 * Fields of timestamps and durations.
 * https://github.com/google/cel-spec/blob/master/doc/langdef.md#list-of-standard-definitions
 */
export const TIMES: Library = {
  getFullYear: getter((date) => date.getUTCFullYear()),
  getMonth: getter((date) => date.getUTCMonth()),
  getDate: getter((date) => date.getUTCDate()),
  getDayOfMonth: getter((date) => date.getUTCDate() - 1),
  getDayOfWeek: getter((date) => date.getUTCDay()),
  getDayOfYear: getter(dayOfYear),
  getHours: getter((date) => date.getUTCHours(), (ms) => ms / 3_600_000),
  getMinutes: getter((date) => date.getUTCMinutes(), (ms) => ms / 60_000),
  getSeconds: getter((date) => date.getUTCSeconds(), (ms) => ms / 1_000),
  getMilliseconds: getter((date) => date.getUTCMilliseconds(), (ms) => ms % 1_000),
};
