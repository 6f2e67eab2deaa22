import type { Json } from "../../sdk/observation.ts";
import type { Measure, WindowRule } from "../../sdk/rule.ts";
import type { Division } from "./buckets.ts";
import type { Remembered } from "./work.ts";

/** Names under which a rule remembers the labels of a group, what came of it, and since when it has listened. */
export const GROUP = "group:";
export const BUCKET = "bucket:";
export const BEGAN = "began";

/** Forgets all of it. */
export function clearWindow(memory: Remembered): void {
  for (const [name] of memory.entries()) {
    if (name.startsWith(GROUP) || name.startsWith(BUCKET) || name === BEGAN) memory.put(name, undefined);
  }
}

/** What the buckets of a window are of: of another spec, what is remembered says nothing. */
export function specOf({ measure, dividedBy, by, overMs, earlierMs, onObservation }: WindowRule, { widthMs }: Division): Json {
  const text = ({ of, value, when }: Measure): Json => [of, value?.text ?? null, when?.text ?? null];
  return [
    "window", text(measure), dividedBy === undefined ? null : text(dividedBy), [...by].map(([name, expression]) => [name, expression.text]),
    overMs, earlierMs ?? 0, widthMs, onObservation,
  ];
}
