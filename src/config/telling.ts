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
  if (child(written, "group_wait") === undefined) return [];
  // `group_interval` is another matter: it times what ends among alerts that share a message in a storm, too.
  const message = "does nothing without group_by: each alert is told at once; group_by: [alertname] makes groups, group_by: [] one of all";
  return [{ ...locate(written, "/group_wait"), message }];
}
