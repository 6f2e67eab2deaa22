import type { Clock } from "../../sdk/clock.ts";
import type { EvaluatedResource } from "../../sdk/resource.ts";
import type { GroupRule } from "../../sdk/rule.ts";
import type { Life } from "../life.ts";
import type { RuleMemory } from "../rule_memory.ts";
import type { ActiveRule } from "../rule_set.ts";

/** A rule at work that is about groups; `open` by the group's key. */
export interface ActiveGroupRule extends ActiveRule {
  readonly declaration: GroupRule & { readonly type: string };
}

export interface GroupEvaluatorOptions {
  readonly clock: Clock;
  readonly life: Life;
  readonly memory: RuleMemory;
  readonly evaluationIntervalMs: () => number;
  readonly onFailure: (rule: GroupRule, message: string) => void;
  /** Nothing fires and nothing resolves: the receivers of the type have not caught up, or all of them are failing. */
  readonly isHeld: (type: string) => boolean;
}

/** Judges rules that are about many resources, about observations, or about nothing at all. */
export class GroupEvaluator {
  readonly #options: GroupEvaluatorOptions;
  #rules: readonly ActiveGroupRule[] = [];

  constructor(options: GroupEvaluatorOptions) {
    this.#options = options;
  }

  /** Replaces the rules; `open` of each holds the alerts that it takes over. Resources are told of anew after this. */
  configure(rules: readonly ActiveGroupRule[]): void {
    this.#rules = rules;
  }

  get rules(): readonly ActiveGroupRule[] {
    return this.#rules;
  }

  /** A resource is as it is now: `observed` by an observation just now, else for another reason. */
  tell(_resource: EvaluatedResource, _observed: boolean): void {
    void this.#options;
  }

  /** A resource is gone; its row number is free after this call. */
  forget(_resource: EvaluatedResource): void {}

  /** The type may be judged again. */
  release(_type: string): void {}

  stop(): void {}
}
