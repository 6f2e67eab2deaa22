import type { AlertState, ConfiguredRule } from "./alert_state.ts";

/** A rule at work: its alerts by row of the resource. Few resources have any, so this stays small. */
export interface ActiveRule extends ConfiguredRule {
  readonly open: Map<number, AlertState>;
}

/** The rules of one type, arranged so that an observation meets only those that can say something about it. */
export class TypeRules {
  readonly all: readonly ActiveRule[];
  /** To be asked whatever the state. */
  readonly general: readonly ActiveRule[];
  /** To be asked in one state, and when it is left. */
  readonly ofStates: readonly ActiveRule[];
  /** Rows that left a state while nothing could be said of them: an alert about that state may be open still. */
  readonly lingering = new Set<number>();
  readonly #byState = new Map<string, ActiveRule[]>();

  constructor(rules: readonly ActiveRule[]) {
    this.all = rules;
    const general: ActiveRule[] = [];
    const ofStates: ActiveRule[] = [];
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
  of(state: string): readonly ActiveRule[] {
    return this.#byState.get(state) ?? NONE;
  }
}

const NONE: readonly ActiveRule[] = [];
