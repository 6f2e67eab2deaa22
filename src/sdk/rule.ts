import type { Expression } from "./expression.ts";
import type { Observation } from "./observation.ts";
import type { Template } from "./template.ts";

/**
 * What a condition says where a value is missing or is no number: `ok`: it does not hold (the default; counted),
 * `keep`: what was said before stands, `alert`: it holds.
 */
export type NoData = "ok" | "keep" | "alert";

/** What every rule has, whatever its kind. Keys as in Prometheus; durations in ms. */
interface RuleBase {
  /** Unique within its type; default: the alert's name. State of alerts is kept under it. */
  readonly id: string;
  /** Name of the alert. */
  readonly alert: string;
  /** Undefined: the type tracked before it in its pipeline; filled in when the graph is planned. */
  readonly type: string | undefined;
  readonly labels: ReadonlyMap<string, Template>;
  readonly annotations: ReadonlyMap<string, Template>;
  /** Where it is written, as JSON pointer within its component; for messages. */
  readonly pointer: string;
  /** The condition must hold this long before the alert fires. Default: 0. */
  readonly forMs?: number;
  /** It must not hold for this long before the alert resolves. Default: 0. */
  readonly keepFiringForMs?: number;
  /** Hysteresis: a firing alert resolves when this holds, not already when the condition ceases to. */
  readonly clear?: Expression | undefined;
  /** Default: ok. */
  readonly noData?: NoData;
  /** More than `max` times firing within `withinMs`: it stays firing until the condition has not held for `withinMs`. */
  readonly flapping?: { readonly max: number; readonly withinMs: number } | undefined;
}

/** `expr` holds for at least `forMs`; resolves once it has not held for `keepFiringForMs`. */
export interface ExprRule extends RuleBase {
  readonly kind: "expr";
  readonly expr: Expression;
}

/** Longer than `afterMs` in `state`. */
export interface StuckRule extends RuleBase {
  readonly kind: "stuck";
  readonly state: string;
  readonly afterMs: number;
}

/** In `state`; resolves when it leaves, or after `resolveAfterMs`. */
export interface EnteredRule extends RuleBase {
  readonly kind: "entered";
  readonly state: string;
  readonly resolveAfterMs: number | undefined;
}

/** Moved from a state with `next` to one not among them; resolves with the next move, or after `resolveAfterMs`. */
export interface IllegalRule extends RuleBase {
  readonly kind: "illegal";
  readonly resolveAfterMs: number;
}

/** In a state that is not declared, where the declaration is `exhaustive`. */
export interface UndeclaredRule extends RuleBase {
  readonly kind: "undeclared";
}

/** Entered `state` more than `max` times in one incarnation; resolves when it ends in a terminal state or anew. */
export interface LoopingRule extends RuleBase {
  readonly kind: "looping";
  readonly state: string;
  readonly max: number;
}

/** Nothing was heard of a resource (that is in no terminal state) for `absentForMs`, by the time of receipt. */
export interface AbsentRule extends RuleBase {
  readonly kind: "absent";
  readonly absentForMs: number;
  /** Only resources for which it holds; reads `self`. */
  readonly expr: Expression | undefined;
}

/**
 * After `after` became true, `followedBy` must within `withinMs`, unless `unless` does; all read `self` and `transition`, and are
 * asked at each observation of the resource. Resolves when `followedBy` or `unless` comes after all.
 */
export interface SequenceRule extends RuleBase {
  readonly kind: "sequence";
  readonly after: Expression;
  readonly followedBy: Expression;
  readonly unless: Expression | undefined;
  readonly withinMs: number;
}

/**
 * How a number of one resource changed over `overMs`: `delta` (now minus then), `rate` (delta per second), `ratio` (delta
 * by then; no data where then is 0). `expr` reads `value`, the change, and `self`.
 */
export interface ChangeRule extends RuleBase {
  readonly kind: "change";
  readonly value: Expression;
  readonly overMs: number;
  readonly as: "delta" | "rate" | "ratio";
  readonly expr: Expression;
}

/** `count`, `rate` (per second; windows only), `share` (of all, by `when`; aggregates only), …, `p1` to `p99`. */
export type Statistic = "count" | "rate" | "share" | "sum" | "avg" | "min" | "max" | "distinct" | `p${number}`;

/** One number made of many observations or resources. */
export interface Measure {
  readonly of: Statistic;
  /** What is summed or compared; undefined for count, rate and share. */
  readonly value: Expression | undefined;
  /** Only those for which it holds. */
  readonly when: Expression | undefined;
}

/** What aggregates and windows have in common. `expr` reads `value`, `earlier` and `group`. */
interface GroupRuleBase extends RuleBase {
  readonly measure: Measure;
  /** Label → what makes the group; empty: one group of all. */
  readonly by: ReadonlyMap<string, Expression>;
  /** Further groups are taken together as `__other__`, and counted. */
  readonly groupsMax: number;
  /** `earlier` is the value this much earlier; undefined: not known. ms */
  readonly earlierMs: number | undefined;
  readonly expr: Expression;
}

/** A number over the current resources of a type. Its expressions read `self`. */
export interface AggregateRule extends GroupRuleBase {
  readonly kind: "aggregate";
}

/** A number over the observations of the last `overMs`. Its expressions read the observation, `self` and `transition`. */
export interface WindowRule extends GroupRuleBase {
  readonly kind: "window";
  readonly overMs: number;
  /** The value is divided by this one; no data where it is 0. */
  readonly dividedBy: Measure | undefined;
  /** Written as `on: observation`: its measure counts what matches; without `by`, each resource is a group of its own. */
  readonly onObservation: boolean;
  /** Where the observations come from. */
  readonly feed: ObservationFeed;
}

/** Resources that must be there: at the times of a schedule, or always (`withinMs` after the rule is there). */
export interface ExpectRule extends RuleBase {
  readonly kind: "expect";
  /** Each of them; undefined: at least one resource of the type for which `expr` holds. */
  readonly ids: readonly string[] | undefined;
  /** What an observation of one must say to count; reads `self` and `transition`. Undefined: any. */
  readonly expr: Expression | undefined;
  /** It must have come since the schedule's time before. */
  readonly schedule: { readonly cron: string; readonly timezone: string } | undefined;
  /** Without a schedule: it must have come within this time, again and again. With one: how late it may be. */
  readonly withinMs: number;
}

/** Fires always: its silence says that the agent, or the way to whoever listens, is dead. */
export interface AlwaysRule extends RuleBase {
  readonly kind: "always";
}

/** A receiver says that it cannot read its source, or heard nothing for its `expect_every`. Made by the plan, for each receiver. */
export interface FailingRule extends RuleBase {
  readonly kind: "failing";
  /** Id of the receiver. */
  readonly receiver: string;
}

/** A condition on one resource. */
export type ResourceRule =
  | ExprRule | StuckRule | EnteredRule | IllegalRule | UndeclaredRule | LoopingRule | AbsentRule | SequenceRule | ChangeRule;

/** A condition on many, or on none: its alerts are about groups, not about a resource. */
export type GroupRule = AggregateRule | WindowRule | ExpectRule | AlwaysRule | FailingRule;

export type RuleDeclaration = ResourceRule | GroupRule;

/** Where a processor hands on the observations that pass it; whoever evaluates its rules listens. */
export class ObservationFeed {
  /** Set while the rule is at work. */
  sink: ((observation: Observation) => void) | undefined;

  /** Synchronous; never throws. */
  push(observation: Observation): void {
    this.sink?.(observation);
  }
}
