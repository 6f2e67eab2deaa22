import type { Alert } from "../sdk/alert.ts";
import type { Clock } from "../sdk/clock.ts";
import type { RuleDeclaration } from "../sdk/rule.ts";
import type { Telling } from "./life.ts";

/** What alerts need of the agent around them. */
export interface AlertsOptions {
  readonly clock: Clock;
  readonly externalLabels: () => Readonly<Record<string, string>>;
  readonly evaluationIntervalMs: () => number;
  readonly onFailure: (rule: RuleDeclaration, message: string) => void;
  readonly notify: (alert: Alert, exporters: readonly string[], telling: Telling) => void;
  /** Somebody has seen an alert that fires. */
  readonly acknowledged?: (alert: Alert) => void;
  /** Something must be committed; `urgent` when somebody may have to be told. */
  readonly changed: (urgent: boolean) => void;
  /** Row of a live resource. */
  readonly rowOf: (type: string, id: string) => number | undefined;
  readonly judgeAll: (type: string) => void;
  /** The type may be judged from now on. */
  readonly resume: (type: string) => void;
  /** What this receiver feeds may be judged again; `wasStale` says of what nothing could be heard meanwhile, by its sources. */
  readonly heard: (receiver: string, wasStale: (sources: readonly string[]) => boolean) => void;
  /** Receivers that told of the live resource in this row. */
  readonly sourcesOf: (type: string, row: number) => readonly string[];
}
