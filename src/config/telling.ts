import { durationMs } from "../sdk/duration.ts";
import type { Json } from "../sdk/observation.ts";
import type { Problem } from "./model.ts";
import { child, locate, type Tree } from "./tree.ts";

const REPEAT_MS_MIN = 1_000;

/** What the schema cannot say of how an exporter tells of alerts (`notificationOptions`); of `value`, which is valid. */
export function tellingProblems(written: Tree, value: Json): Problem[] {
  const { repeat_interval: repeat } = value as { readonly repeat_interval?: unknown };
  if (typeof repeat !== "string" || durationMs(repeat) >= REPEAT_MS_MIN) return [];
  // Alertmanager refuses 0, too: it might mean never, and might mean always.
  return [{ ...locate(written, "/repeat_interval"), message: `${repeat} is too short; allowed: at least 1s, such as 4h; left out: never` }];
}

/** What is allowed, and does not do what it seems to. */
export function tellingWarnings(written: Tree): Problem[] {
  if (written.kind !== "map" || child(written, "group_by") !== undefined) return [];
  return ["group_wait", "group_interval"].filter((key) => child(written, key) !== undefined).map((key) => ({
    ...locate(written, `/${key}`),
    message: "does nothing without group_by: each alert is told at once; group_by: [alertname] makes groups, group_by: [] one of all",
  }));
}
