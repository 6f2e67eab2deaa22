import type { ObservationBehind } from "../../sdk/alert.ts";
import type { Scope } from "../../sdk/expression.ts";
import type { Json } from "../../sdk/observation.ts";
import type { AlwaysRule, FailingRule } from "../../sdk/rule.ts";
import { groupKey, labelsOf, type Labels } from "./labels.ts";
import { Group, Work, type ActiveGroupRule, type Bench, type Told } from "./work.ts";

/** The one group of a rule that has no more. */
class OnlyGroup extends Group {
  readonly rank = 0;
  readonly #look: (now: number) => void;

  constructor(labels: Labels, look: (now: number) => void) {
    super(groupKey(labels), labels);
    this.#look = look;
  }

  look(now: number): void {
    this.#look(now);
  }
}

/** Fires as long as it is configured; held back by nothing, since it is about nothing. */
export class AlwaysWork extends Work<AlwaysRule> implements Told {
  readonly #group = new OnlyGroup(labelsOf([]), (now) => this.judgeAll(now));

  judgeAll(now: number): void {
    this.verdict.holds = true;
    this.verdict.activeAt = now;
    this.say(this.#group, now, this, Infinity);
  }

  override close(): void {
    this.bench.agenda.remove(this.#group);
  }

  scope(): Scope {
    return { group: this.#group.labels };
  }
  value(): Json {
    return null;
  }
  limit(): undefined {}
  details(): Record<string, Json> {
    return {};
  }
  behind(): ObservationBehind | undefined {
    return undefined;
  }
}

/** What receivers said of themselves since the agent started: a reason, or undefined where all is well. */
export type Said = ReadonlyMap<string, string | undefined>;

/**
 * Fires while a receiver fails. After a restart an alert stays as it was until the receiver has said how it is: so what
 * failed before and fails still is one episode.
 */
export class FailingWork extends Work<FailingRule> implements Told {
  readonly #said: Said;
  readonly #group: OnlyGroup;
  #reason = "";

  constructor(rule: ActiveGroupRule, bench: Bench, said: Said) {
    super(rule, bench);
    this.#said = said;
    this.#group = new OnlyGroup(labelsOf([["receiver", this.declaration.receiver]]), (now) => this.judgeAll(now));
  }

  judgeAll(now: number): void {
    const { receiver } = this.declaration;
    if (!this.#said.has(receiver)) return;
    const reason = this.#said.get(receiver);
    if (reason !== undefined) this.#reason = reason;
    this.verdict.holds = reason !== undefined;
    this.verdict.activeAt = now;
    this.say(this.#group, now, this, Infinity);
  }

  override close(): void {
    this.bench.agenda.remove(this.#group);
  }

  scope(): Scope {
    return { value: this.#reason, group: this.#group.labels };
  }
  value(): Json {
    return this.#reason;
  }
  limit(): undefined {}
  details(): Record<string, Json> {
    return { receiver: this.declaration.receiver, reason: this.#reason };
  }
  behind(): ObservationBehind | undefined {
    return undefined;
  }
}
