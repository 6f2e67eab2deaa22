import type { Question } from "./conditions.ts";
import type { Verdict } from "./life.ts";

/** Holds from `at` on, by the time of events; what fires because of that goes on although the clock was set back. */
export function after(at: number, { now, open }: Question, verdict: Verdict): void {
  from(at, now, verdict);
  if (verdict.holds || open?.status !== "firing" || open.clearSince !== undefined || at > open.activeAt) return;
  verdict.holds = true;
  verdict.nextMs = Infinity;
}

/** Holds from `at` on. */
export function from(at: number, now: number, verdict: Verdict): void {
  verdict.activeAt = at;
  verdict.holds = now >= at;
  if (!verdict.holds) verdict.nextMs = at;
}

/** Holds from `since` on, at most for `forMs`: so what ended while nobody looked does not begin now. */
export function until(since: number, forMs: number | undefined, now: number, verdict: Verdict): void {
  verdict.activeAt = since;
  verdict.holds = forMs === undefined || now < since + forMs;
  if (verdict.holds && forMs !== undefined) verdict.nextMs = since + forMs;
}
