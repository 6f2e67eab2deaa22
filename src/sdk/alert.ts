import type { Json } from "./observation.ts";

/** Why an alert is over. */
export type ResolveReason = "recovered" | "deleted" | "expired" | "rule_removed";

/** A rule's verdict on a resource, as exporters and the API see it. Times in ms since the epoch. */
export interface Alert {
  /** Name of the alert. */
  readonly alert: string;
  /** Id of the rule. */
  readonly rule: string;
  readonly status: "pending" | "firing" | "resolved";
  readonly resource: { readonly type: string; readonly id: string };
  /** Sorted by name; always with `alertname`, `resource_type` and `severity`. */
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** What was observed: the state, or the value compared. */
  readonly value: Json;
  /** When the condition became true. */
  readonly active_at: number;
  readonly fired_at: number | undefined;
  readonly resolved_at: number | undefined;
  readonly reason: ResolveReason | undefined;
  /** Names the episode's incident where the destination deduplicates; the same from any replica, at most 255 chars. */
  readonly dedup_key: string;
  /** Context for whoever is paged: state, since when, the limit. In the order to be shown. */
  readonly details: Readonly<Record<string, Json>>;
}

/** What one delivery to one exporter says. At least one alert; all of one group. */
export interface Notification {
  /** The same for every attempt at this delivery; a destination may deduplicate by it. */
  readonly id: string;
  readonly status: "firing" | "resolved";
  readonly alerts: readonly Alert[];
  /** What the exporter's receipt said when it delivered the same alert before, if anything. */
  readonly receipt: Json | undefined;
}

/** What the destination answered, kept with the alert (a message id to update, say). */
export type Receipt = Json | undefined;
