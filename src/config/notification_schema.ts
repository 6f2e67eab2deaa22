import { matchesAll, parseMatcher } from "../sdk/matchers.ts";
import { matchersSchema } from "../sdk/notification_options.ts";
import { intervalErrors, type TimeIntervalConfig } from "../sdk/time_intervals.ts";
import type { Problem } from "./model.ts";
import type { Schema } from "./schema_walk.ts";
import { find, locate, toJson, type Tree } from "./tree.ts";

const text = (description: string): Schema => ({ type: "string", minLength: 1, maxLength: 1_000, description });
const texts = (description: string, of: string): Schema => ({ type: "array", minItems: 1, maxItems: 100, description, items: { type: "string", description: of } });
const instant = (description: string): Schema => ({ type: "string", format: "date-time", description });

const silence: Schema = {
  type: "object",
  additionalProperties: false,
  required: ["matchers", "ends_at", "created_by", "comment"],
  description: "A silence.",
  properties: {
    id: { ...text("How the API names it. Default: made of its content."), maxLength: 100 },
    matchers: { ...matchersSchema("Which alerts, by their labels; all must hold."), minItems: 1 },
    starts_at: instant("From when, as RFC 3339. Default: at once."),
    ends_at: instant("Until when, as RFC 3339."),
    created_by: text("Who wants it."),
    comment: text("Why."),
  },
};

const inhibitRule: Schema = {
  type: "object",
  additionalProperties: false,
  required: ["source_matchers", "target_matchers"],
  description: "A rule.",
  properties: {
    source_matchers: { ...matchersSchema("Alerts that suppress others while they fire."), minItems: 1 },
    target_matchers: { ...matchersSchema("Alerts that are suppressed."), minItems: 1 },
    equal: {
      type: "array", maxItems: 50, default: [], description: "Only where both have the same value of these labels; one that is missing counts as empty.",
      items: { type: "string", minLength: 1, description: "Name of a label." },
    },
  },
};

const timeInterval: Schema = {
  type: "object",
  additionalProperties: false,
  minProperties: 1,
  description: "An interval; whatever is given must hold.",
  properties: {
    times: {
      type: "array", minItems: 1, maxItems: 100, description: "Times of day.",
      items: {
        type: "object", additionalProperties: false, required: ["start_time", "end_time"], description: "From one time of day to another.",
        properties: { start_time: { type: "string", description: "Such as 09:00." }, end_time: { type: "string", description: "Such as 17:00, or 24:00; it does not belong to it." } },
      },
    },
    weekdays: texts("Days of the week.", "Such as monday, or monday:friday."),
    days_of_month: texts("Days of the month.", "Such as 1, 1:5, or -3:-1 for the last three."),
    months: texts("Months.", "Such as january, 1, or january:march."),
    years: texts("Years.", "Such as 2026, or 2026:2028."),
    location: { type: "string", minLength: 1, maxLength: 100, default: "UTC", description: "Time zone, by its IANA name, such as Europe/Berlin." },
  },
};

/** Keys of `service` that say who is told of what, and when. Shapes as in Alertmanager. */
export const notificationProperties: Readonly<Record<string, Schema>> = {
  deliveries_max: { type: "integer", minimum: 0, maximum: 1_000_000, default: 10_000, description: "Deliveries of notifications that are kept on record." },
  silences: { type: "array", maxItems: 1_000, default: [], description: "Alerts that match are not told while a silence is active. What was told is resolved all the same.", items: silence },
  inhibit_rules: { type: "array", maxItems: 100, default: [], description: "While one alert fires, others that follow from it are not told.", items: inhibitRule },
  time_intervals: {
    type: "object",
    maxProperties: 100,
    default: {},
    description: "Named times, for mute_time_intervals and active_time_intervals of exporters.",
    additionalProperties: { type: "array", minItems: 1, maxItems: 100, description: "Intervals; one of them must hold.", items: timeInterval },
  },
};

/** What the schema cannot say of these keys; only what has their shape is looked at. */
export function notificationProblems(service: Tree): Problem[] {
  const problems: Problem[] = [];
  const say = (pointer: string, message: string): void => void problems.push({ ...locate(service, pointer), message });
  const intervals = find(service, "/time_intervals");
  if (intervals.exact && intervals.tree.kind === "map") {
    for (const [name, { value }] of intervals.tree.entries) {
      const key = name.replaceAll("~", "~0").replaceAll("/", "~1");
      const parts = toJson(value);
      if (!isParts(parts)) continue;
      for (const { pointer, message } of intervalErrors(parts)) say(`/time_intervals/${key}${pointer}`, message);
    }
  }
  const silences = find(service, "/silences");
  if (silences.exact && silences.tree.kind === "list") {
    silences.tree.items.forEach((item, i) => silenceProblems(item, (key, message) => say(`/silences/${i}${key}`, message)));
    const ids = silences.tree.items.map((item) => at(item, "id"));
    ids.forEach((id, i) => {
      if (id !== undefined && ids.indexOf(id) < i) say(`/silences/${i}/id`, `${id} is the id of another silence, too`);
    });
  }
  return problems;
}

function silenceProblems(item: Tree, say: (key: string, message: string) => void): void {
  const [start, end] = [at(item, "starts_at"), at(item, "ends_at")].map((value) => (value === undefined ? NaN : Date.parse(value)));
  if (start! >= end!) say("/ends_at", "is not after starts_at");
  const matchers = find(item, "/matchers");
  if (!matchers.exact || matchers.tree.kind !== "list" || matchers.tree.items.length === 0) return;
  try {
    const parsed = (toJson(matchers.tree) as string[]).map((matcher) => parseMatcher(String(matcher)));
    if (matchesAll(parsed, {})) say("/matchers", "hold for an alert without any labels, so for all; at least one must need a label");
  } catch {
    // That has been said already.
  }
}

function at(tree: Tree, key: string): string | undefined {
  const found = find(tree, `/${key}`);
  return found.exact && found.tree.kind === "scalar" && typeof found.tree.value === "string" ? found.tree.value : undefined;
}

/** Of the schema's shape, as far as the check needs it. */
function isParts(value: unknown): value is TimeIntervalConfig[] {
  const textList = (list: unknown): boolean => list === undefined || (Array.isArray(list) && list.every((entry) => typeof entry === "string"));
  return Array.isArray(value) && value.every((part: unknown) => {
    if (typeof part !== "object" || part === null || Array.isArray(part)) return false;
    const { times, weekdays, days_of_month, months, years, location } = part as Record<string, unknown>;
    if (![weekdays, days_of_month, months, years].every(textList) || (location !== undefined && typeof location !== "string")) return false;
    return times === undefined || (Array.isArray(times) && times.every((time: unknown) => {
      const { start_time: start, end_time: end } = (time ?? {}) as Record<string, unknown>;
      return typeof start === "string" && typeof end === "string";
    }));
  });
}
