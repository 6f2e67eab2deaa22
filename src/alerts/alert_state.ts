import type { Acknowledgement, Alert, ObservationBehind, ResolveReason } from "../sdk/alert.ts";
import type { Json } from "../sdk/observation.ts";
import type { RuleDeclaration } from "../sdk/rule.ts";
import type { Cell, Table } from "../sdk/store.ts";

/** One rule's alert on one resource or group, through pending, firing and resolved. Times in ms since the epoch. */
export interface AlertState {
  readonly type: string;
  readonly rule: string;
  /** Id of the resource, or key of the group. */
  readonly resource: string;
  /** Undefined when it is about a resource. */
  readonly group: Readonly<Record<string, string>> | undefined;
  readonly dedupKey: string;
  alert: string;
  status: "pending" | "firing" | "resolved";
  /** When the condition became true. */
  activeAt: number;
  firedAt: number | undefined;
  resolvedAt: number | undefined;
  reason: ResolveReason | undefined;
  /** Since when the condition has not held while it is firing. */
  clearSince: number | undefined;
  staleSince: number | undefined;
  flapping: boolean;
  labels: Readonly<Record<string, string>>;
  annotations: Readonly<Record<string, string>>;
  value: Json;
  limit: string | undefined;
  details: Readonly<Record<string, Json>>;
  observation: ObservationBehind | undefined;
  acknowledged: Acknowledgement | undefined;
  readonly traceId: string;
  /** File whose rule it is, so that a file rejected at start freezes its alerts. */
  file: string;
  /** Exporters told of it: they will be told when it is over, whatever the configuration says then. */
  notified: readonly string[];
}

/** A rule as configured, and where its alerts go. */
export interface ConfiguredRule {
  readonly declaration: RuleDeclaration & { readonly type: string };
  readonly file: string;
  /** Ids of the exporters of the pipelines that list it. */
  readonly exporters: readonly string[];
  /** Ids of the receivers that feed what it is about. Absent: not asked for. */
  readonly receivers?: readonly string[];
}

export const ALERTS: Table = {
  name: "alerts",
  columns: [
    ["type", "text"],
    ["rule", "text"],
    ["resource", "text"],
    ["alert", "text"],
    ["status", "text"],
    ["active_at", "integer"],
    ["fired_at", "integer"],
    ["resolved_at", "integer"],
    ["reason", "text"],
    ["clear_since", "integer"],
    ["dedup_key", "text"],
    ["labels", "json"],
    ["annotations", "json"],
    ["value", "json"],
    ["details", "json"],
    ["file", "text"],
    ["notified", "json"],
    ["group", "json"],
    ["stale_since", "integer"],
    ["flapping", "integer"],
    ["limit", "text"],
    ["observation", "json"],
    ["acknowledged", "json"],
    ["trace_id", "text"],
  ],
  keyColumns: 3,
};

export function alertCells(state: AlertState): Cell[] {
  return [
    state.type,
    state.rule,
    state.resource,
    state.alert,
    state.status,
    Math.round(state.activeAt),
    state.firedAt ?? null,
    state.resolvedAt ?? null,
    state.reason ?? null,
    state.clearSince ?? null,
    state.dedupKey,
    JSON.stringify(state.labels),
    JSON.stringify(state.annotations),
    JSON.stringify(state.value),
    JSON.stringify(state.details),
    state.file,
    JSON.stringify(state.notified),
    optional(state.group),
    state.staleSince ?? null,
    state.flapping ? 1 : 0,
    state.limit ?? null,
    optional(state.observation),
    optional(state.acknowledged),
    state.traceId,
  ];
}

export function* alertStates(cells: readonly Cell[]): Iterable<AlertState> {
  const width = ALERTS.columns.length;
  for (let i = 0; i < cells.length; i += width) {
    const text = (column: number): string => cells[i + column] as string;
    const time = (column: number): number | undefined => (cells[i + column] as number | null) ?? undefined;
    const json = <T>(column: number): T | undefined => (cells[i + column] === null ? undefined : (JSON.parse(text(column)) as T));
    yield {
      type: text(0),
      rule: text(1),
      resource: text(2),
      alert: text(3),
      status: text(4) as AlertState["status"],
      activeAt: cells[i + 5] as number,
      firedAt: time(6),
      resolvedAt: time(7),
      reason: (cells[i + 8] as ResolveReason | null) ?? undefined,
      clearSince: time(9),
      dedupKey: text(10),
      labels: JSON.parse(text(11)) as Record<string, string>,
      annotations: JSON.parse(text(12)) as Record<string, string>,
      value: JSON.parse(text(13)) as Json,
      details: JSON.parse(text(14)) as Record<string, Json>,
      file: text(15),
      notified: JSON.parse(text(16)) as string[],
      group: json<Record<string, string>>(17),
      staleSince: time(18),
      flapping: cells[i + 19] === 1,
      limit: (cells[i + 20] as string | null) ?? undefined,
      observation: json<ObservationBehind>(21),
      acknowledged: json<Acknowledgement>(22),
      traceId: (cells[i + 23] as string | null) ?? "",
    };
  }
}

function optional(value: object | undefined): Cell {
  return value === undefined ? null : JSON.stringify(value);
}

/** The clock was set back by `byMs` (negative) to `now`: what waits for a time goes on waiting as long as it would have. True when that changed it. */
export function setBack(state: AlertState, byMs: number, now: number): boolean {
  const { clearSince, activeAt, status } = state;
  if (clearSince !== undefined) state.clearSince = Math.min(now, clearSince + byMs);
  // Of what fires it is the past: when it became true does not change.
  if (status === "pending" && activeAt > now) state.activeAt = Math.min(now, activeAt + byMs);
  return state.clearSince !== clearSince || state.activeAt !== activeAt;
}

/** What exporters and the API see: a copy. */
export function toAlert(state: AlertState): Alert {
  return {
    alert: state.alert,
    rule: state.rule,
    status: state.status,
    resource: { type: state.type, id: state.group === undefined ? state.resource : "" },
    group: state.group,
    labels: state.labels,
    annotations: state.annotations,
    value: state.value,
    limit: state.limit,
    active_at: state.activeAt,
    fired_at: state.firedAt,
    resolved_at: state.resolvedAt,
    reason: state.reason,
    dedup_key: state.dedupKey,
    details: state.details,
    stale_since: state.staleSince,
    flapping: state.flapping,
    observation: state.observation,
    acknowledged: state.acknowledged,
    trace_id: state.traceId,
  };
}
