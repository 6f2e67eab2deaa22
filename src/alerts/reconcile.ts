import type { GroupRule, RuleDeclaration } from "../sdk/rule.ts";
import type { AlertState, ConfiguredRule } from "./alert_state.ts";
import type { ActiveGroupRule } from "./groups/group_evaluator.ts";
import { TypeRules, type ActiveResourceRule } from "./rule_set.ts";

/** The rules of a new graph, each with the alerts that it takes over, and what nobody takes. */
export interface Reconciled {
  readonly types: Map<string, TypeRules>;
  readonly groupRules: readonly ActiveGroupRule[];
  /** Alerts whose rule is there, but not what they are about. */
  readonly ended: readonly AlertState[];
  /** Alerts whose rule is there by name, but about something else now. */
  readonly removed: readonly AlertState[];
  /** Those taken over whose rule is in another file now. */
  readonly moved: readonly AlertState[];
  /** Alerts whose rule is not there. */
  readonly orphaned: readonly AlertState[];
}

/**
 * Alerts keep their state by type, rule and subject, pending ones too, wherever the rule stands now: they learn where, since
 * that file may be rejected one day. `rowOf` gives the row of a live resource.
 */
export function reconcile(
  rules: readonly ConfiguredRule[], open: Iterable<AlertState>, rowOf: (type: string, id: string) => number | undefined,
): Reconciled {
  const before = Map.groupBy(open, ({ type, rule }) => ruleKey(type, rule));
  const byType = new Map<string, ActiveResourceRule[]>();
  const groupRules: ActiveGroupRule[] = [];
  const [ended, removed, moved]: [AlertState[], AlertState[], AlertState[]] = [[], [], []];
  for (const rule of rules) {
    const { declaration } = rule;
    const taken = new Map<number | string, AlertState>();
    const key = ruleKey(declaration.type, declaration.id);
    const ofGroups = isAboutGroups(declaration);
    for (const state of before.get(key) ?? []) {
      const at = ofGroups ? state.resource : rowOf(state.type, state.resource);
      // Its kind may have changed under the same name: then it is another alert.
      if (ofGroups === (state.group === undefined)) removed.push(state);
      else if (at === undefined) ended.push(state);
      else {
        taken.set(at, state);
        if (state.file === rule.file) continue;
        state.file = rule.file;
        moved.push(state);
      }
    }
    before.delete(key);
    if (ofGroups) groupRules.push({ ...rule, declaration, open: taken });
    else byType.set(declaration.type, [...(byType.get(declaration.type) ?? []), { ...rule, declaration, open: taken }]);
  }
  return { types: new Map([...byType].map(([type, list]) => [type, new TypeRules(list)])), groupRules, ended, removed, moved, orphaned: [...before.values()].flat() };
}

function isAboutGroups(declaration: RuleDeclaration & { readonly type: string }): declaration is GroupRule & { readonly type: string } {
  switch (declaration.kind) {
    case "aggregate":
    case "window":
    case "expect":
    case "always":
    case "failing":
      return true;
    default:
      return false;
  }
}

/** Names a rule among all types. */
export function ruleKey(type: string, rule: string): string {
  return JSON.stringify([type, rule]);
}

/** Names an alert: what its row in the store is found by. */
export function alertKey({ type, rule, resource }: AlertState): string {
  return JSON.stringify([type, rule, resource]);
}
