import type { Json } from "./observation.ts";
import type { Transition } from "./resource.ts";

/** Why an alert is over. */
export type ResolveReason = "recovered" | "timed_out" | "deleted" | "expired" | "rule_removed";

/** The observation that made an alert fire, without what looks like a secret, and bounded. */
export interface ObservationBehind {
  /** Id of the receiver. */
  readonly source: string;
  /** ms since the epoch. */
  readonly time: number;
  /** Idempotency id, where it has one. */
  readonly id: string | undefined;
  /** What the receiver knows beside the body: file and offset, topic and partition, URL. */
  readonly attributes: Readonly<Record<string, Json>>;
  readonly body: Json;
}

/** Somebody has seen it: it is not repeated any more. */
export interface Acknowledgement {
  readonly by: string;
  readonly comment: string;
  /** ms since the epoch. */
  readonly at: number;
}

/** A rule's verdict on a resource or a group, as exporters and the API see it. Times in ms since the epoch. */
export interface Alert {
  /** Name of the alert. */
  readonly alert: string;
  /** Id of the rule. */
  readonly rule: string;
  readonly status: "pending" | "firing" | "resolved";
  /** `id` is empty for a group's alert; `type` too, where it is about observations of no type. */
  readonly resource: { readonly type: string; readonly id: string };
  /** Label → value of the group that it is about; undefined when it is about a resource. */
  readonly group: Readonly<Record<string, string>> | undefined;
  /** Sorted by name; always with `alertname` and `severity`, with `resource_type` where there is a type, and `resource_id` where it is about one. */
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** What was observed: the state, or the value compared. */
  readonly value: Json;
  /** What it was compared with, as text for people (`30m`, `value > 1000`); undefined where there is none. */
  readonly limit: string | undefined;
  /** When the condition became true. */
  readonly active_at: number;
  readonly fired_at: number | undefined;
  readonly resolved_at: number | undefined;
  readonly reason: ResolveReason | undefined;
  /** Names the episode's incident where the destination deduplicates; the same from any replica, at most 255 chars. */
  readonly dedup_key: string;
  /** Context for whoever is paged: state, since when, the limit. In the order to be shown. */
  readonly details: Readonly<Record<string, Json>>;
  /** Since when nobody can say whether it still holds: its sources are failing. */
  readonly stale_since: number | undefined;
  /** It came and went too often: it stays until it has been quiet for a while. */
  readonly flapping: boolean;
  readonly observation: ObservationBehind | undefined;
  readonly acknowledged: Acknowledgement | undefined;
  /** Trace of the resource's lifecycle, or of the episode for a group; 32 hex digits. */
  readonly trace_id: string;
  /** What is known only when it is told or shown; absent before. */
  readonly story?: AlertStory;
}

/** What is looked up when an alert is told of or shown. */
export interface AlertStory {
  /** The last moves of the resource, oldest first. */
  readonly transitions: readonly Transition[];
  /** How many other alerts of this rule are firing. */
  readonly others: number;
  /** Where the API shows it; only with `service.api.external_url`. */
  readonly url: string | undefined;
}

/** What one delivery to one exporter says. At least one alert; all of one group. */
export interface Notification {
  /** The same for every attempt at this delivery; a destination may deduplicate by it. */
  readonly id: string;
  /** Names the incident: the alert's `dedup_key`, or the group's where several alerts make one message. At most 64 chars. */
  readonly key: string;
  /** `resolved` once no alert of the group is firing. */
  readonly status: "firing" | "resolved";
  /** `changed`: other alerts fire or are over than when it was told before. `test`: `sojourn notify-test` asked for it. */
  readonly cause: "fired" | "changed" | "repeat" | "resolved" | "test";
  /** Firing first. Those that are over since the last message are told once. */
  readonly alerts: readonly Alert[];
  /** How many more there are, where the group is too large to list them all. Absent: none. */
  readonly more?: number;
  /** How many of `more` are over, where the others fire. Absent: none, or all of them where nothing fires. */
  readonly more_resolved?: number;
  /** Labels that the group shares by `group_by`; empty where each alert is on its own. */
  readonly group: Readonly<Record<string, string>>;
  /** What the exporter's receipt said when it delivered the same incident before, if anything. */
  readonly receipt: Json | undefined;
}

/** What the destination answered, kept with the incident (a message id to update, say). */
export type Receipt = Json | undefined;
