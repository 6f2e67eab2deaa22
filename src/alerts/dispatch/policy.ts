import type { Exporter } from "../../sdk/component.ts";
import { durationMs } from "../../sdk/duration.ts";
import { parseMatcher, type Matcher } from "../../sdk/matchers.ts";
import type { Json } from "../../sdk/observation.ts";

const DEFAULT_LIMITS = { messagesPerMinute: 60, burst: 10 };

/** How one exporter wants to be told: `src/sdk/notification_options.ts`, and what the exporter says of its destination. Durations in ms. */
export interface Policy {
  readonly match: readonly Matcher[];
  readonly sendResolved: boolean;
  /** Undefined: each alert is an incident of its own. */
  readonly groupBy: readonly string[] | undefined;
  readonly groupWaitMs: number;
  readonly groupIntervalMs: number;
  /** Undefined: never. */
  readonly repeatIntervalMs: number | undefined;
  readonly muteTimes: readonly string[];
  readonly activeTimes: readonly string[];
  readonly limits: { readonly messagesPerMinute: number; readonly burst: number };
  readonly refreshes: { readonly everyMs: number; readonly resolvedForMs: number } | undefined;
  readonly deduplicates: boolean;
  /** Of what the configuration says: equal means unchanged. */
  readonly fingerprint: string;
}

/** The policy of an exporter as configured (validated, defaults filled in); a schema without these keys gives the defaults. */
export function policyOf(config: Readonly<Record<string, Json>>, component: Pick<Exporter, "deduplicates" | "limits" | "refreshes">): Policy {
  const texts = (key: string): readonly string[] | undefined => config[key] as readonly string[] | undefined;
  const ms = (key: string): number | undefined => (config[key] === undefined ? undefined : durationMs(config[key] as string));
  const limits = component.limits ?? DEFAULT_LIMITS;
  const messagesPerMinute = (config["messages_per_minute"] as number | undefined) ?? limits.messagesPerMinute;
  const names = ["match", "send_resolved", "group_by", "group_wait", "group_interval", "repeat_interval", "mute_time_intervals", "active_time_intervals"];
  return {
    match: (texts("match") ?? []).map(parseMatcher),
    sendResolved: config["send_resolved"] !== false,
    groupBy: texts("group_by"),
    groupWaitMs: ms("group_wait") ?? 30_000,
    groupIntervalMs: ms("group_interval") ?? 300_000,
    repeatIntervalMs: ms("repeat_interval"),
    muteTimes: texts("mute_time_intervals") ?? [],
    activeTimes: texts("active_time_intervals") ?? [],
    // Who says that a destination takes many in a minute says that it takes some of them at once.
    limits: { messagesPerMinute, burst: Math.min(messagesPerMinute, Math.max(limits.burst, Math.ceil(messagesPerMinute / 10))) },
    refreshes: component.refreshes,
    deduplicates: component.deduplicates === true,
    fingerprint: JSON.stringify(names.map((name) => config[name] ?? null)),
  };
}

/** Of an exporter that is not connected, and was not since the start. */
export const DEFAULT_POLICY: Policy = { ...policyOf({}, { deduplicates: true }), fingerprint: "" };
