import type { ResourceRule } from "../sdk/rule.ts";
import type { AlertState, ConfiguredRule } from "./alert_state.ts";

/** A rule at work: its alerts by row of the resource or key of the group. Few have any, so this stays small. */
export interface ActiveRule extends ConfiguredRule {
  readonly open: Map<number | string, AlertState>;
  /** It has not been judged yet: what it finds now has been there before. Absent: no. */
  fresh?: boolean;
}

/** One about single resources. */
export interface ActiveResourceRule extends ActiveRule {
  readonly declaration: ResourceRule & { readonly type: string };
}

/** The rules of one type, arranged so that an observation meets only those that can say something about it. */
export class TypeRules {
  readonly all: readonly ActiveResourceRule[];
  /** To be asked whatever the state. */
  readonly general: readonly ActiveResourceRule[];
  /** To be asked in one state, and when it is left. */
  readonly ofStates: readonly ActiveResourceRule[];
  /** Rows that left a state while nothing could be said of them: an alert about that state may be open still. */
  readonly lingering = new Set<number>();
  /** Some resource was judged by these rules, and something could have fired. */
  judged = false;
  readonly #byState = new Map<string, ActiveResourceRule[]>();

  constructor(rules: readonly ActiveResourceRule[]) {
    this.all = rules;
    const general: ActiveResourceRule[] = [];
    const ofStates: ActiveResourceRule[] = [];
    for (const rule of rules) {
      const { declaration } = rule;
      if (declaration.kind !== "stuck" && declaration.kind !== "entered") {
        general.push(rule);
        continue;
      }
      ofStates.push(rule);
      const list = this.#byState.get(declaration.state) ?? [];
      list.push(rule);
      this.#byState.set(declaration.state, list);
    }
    this.general = general;
    this.ofStates = ofStates;
  }

  /** Rules about `state`. */
  of(state: string): readonly ActiveResourceRule[] {
    return this.#byState.get(state) ?? NONE;
  }
}

const NONE: readonly ActiveResourceRule[] = [];
