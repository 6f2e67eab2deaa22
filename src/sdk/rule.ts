import type { Expression } from "./expression.ts";
import type { Template } from "./template.ts";

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
}

/** `expr` holds for at least `forMs`; resolves once it has not held for `keepFiringForMs`. */
export interface ExprRule extends RuleBase {
  readonly kind: "expr";
  readonly expr: Expression;
  readonly forMs: number;
  readonly keepFiringForMs: number;
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

/** A condition on resources of one type. */
export type RuleDeclaration = ExprRule | StuckRule | EnteredRule | IllegalRule | UndeclaredRule | LoopingRule;
