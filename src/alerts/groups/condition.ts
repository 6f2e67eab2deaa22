import { Failure, type Expression, type Scope } from "../../sdk/expression.ts";
import type { AggregateRule, WindowRule } from "../../sdk/rule.ts";
import type { AlertState } from "../alert_state.ts";

export type MeasuredRule = AggregateRule | WindowRule;

/**
 * Whether the rule holds for what was measured (`scope`). Once its alert fires, it holds until `clear` does; where both
 * hold, the condition is what counts. What cannot be said is told to `failed` and decided by `noData`, as for all rules.
 */
export function holds(rule: MeasuredRule, scope: Scope, open: AlertState | undefined, now: number, failed: (message: string) => void): boolean {
  const missing = missingHolds(rule, open);
  if (truth(rule.expr, scope, now, failed) ?? missing) return true;
  if (rule.clear === undefined || open?.status !== "firing") return false;
  return !(truth(rule.clear, scope, now, failed) ?? !missing);
}

/** Whether time alone may change what it says. */
export function readsNow({ expr, clear }: MeasuredRule): boolean {
  return expr.reads.now || clear?.reads.now === true;
}

function truth(expression: Expression, scope: Scope, now: number, failed: (message: string) => void): boolean | undefined {
  const value = expression.evaluate(scope, now);
  if (typeof value === "boolean") return value;
  failed(value instanceof Failure ? value.message : "the condition is no boolean");
  return undefined;
}

function missingHolds({ noData }: MeasuredRule, open: AlertState | undefined): boolean {
  switch (noData) {
    case "alert":
      return true;
    case "keep":
      return open !== undefined && open.clearSince === undefined;
    default:
      return false;
  }
}
