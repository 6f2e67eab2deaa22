import type { ObservationBehind, ResolveReason } from "../../sdk/alert.ts";
import type { Clock } from "../../sdk/clock.ts";
import type { Scope } from "../../sdk/expression.ts";
import type { Json } from "../../sdk/observation.ts";
import type { EvaluatedResource, Transition } from "../../sdk/resource.ts";
import type { GroupRule } from "../../sdk/rule.ts";
import { FIRES, type Life, type Subject, type Verdict } from "../life.ts";
import type { RuleMemory } from "../rule_memory.ts";
import type { ActiveRule } from "../rule_set.ts";
import type { Agenda, Entry } from "./agenda.ts";
import type { Labels } from "./labels.ts";

/** After so many groups are gone, what is remembered of them is looked through. */
const DROPPED_MANY = 1_000;

/** A rule at work that is about groups; `open` by the group's key. */
export interface ActiveGroupRule extends ActiveRule {
  readonly declaration: GroupRule & { readonly type: string };
}

/** Why a resource is told of. Reused for the next. */
export interface Seen {
  /** By an observation just now, with the move that it made. */
  readonly observed: boolean;
  readonly transition: Transition | undefined;
}

/** What rules at work share. */
export interface Bench {
  readonly clock: Clock;
  readonly agenda: Agenda;
  readonly life: Life;
  readonly memory: RuleMemory;
  readonly evaluationIntervalMs: () => number;
  readonly onFailure: (rule: GroupRule, message: string) => void;
  /** Nothing fires and nothing resolves: the rule's receivers have not caught up, or all of them are failing. */
  readonly isHeld: (rule: ActiveGroupRule) => boolean;
}

/** One group of one rule. */
export abstract class Group implements Entry {
  at = Infinity;
  place = -1;
  abstract readonly rank: number;
  readonly key: string;
  readonly labels: Labels;

  constructor(key: string, labels: Labels) {
    this.key = key;
    this.labels = labels;
  }

  abstract look(now: number): void;
}

/**
 * A rule at work. All that it says goes through `say`, so that `for`, `keep_firing_for` and holding back mean the same for all.
 */
export abstract class Work<Rule extends GroupRule = GroupRule> {
  protected readonly bench: Bench;
  /** Place among the rules: orders what is due at one instant. */
  rank = 0;
  #rule: ActiveGroupRule;
  protected readonly verdict: Verdict = { holds: false, activeAt: 0, nextMs: Infinity, ended: "recovered" };
  readonly #subject = new GroupSubject();
  #dropped = 0;

  constructor(rule: ActiveGroupRule, bench: Bench) {
    this.#rule = rule;
    this.bench = bench;
  }

  get rule(): ActiveGroupRule {
    return this.#rule;
  }

  get declaration(): Rule & { readonly type: string } {
    // Made for rules of this kind alone.
    return this.#rule.declaration as unknown as Rule & { readonly type: string };
  }

  /** The rule was configured anew, and is the same but for what it says of its measure. */
  adopt(rule: ActiveGroupRule): void {
    this.#rule = rule;
  }

  /** Judges everything: its resources are all known, its receivers have caught up, or the rule is another one. */
  abstract judgeAll(now: number): void;

  /** A resource of the type is as it is now. Returns when to tell of it again (ms; Infinity: when it changes). */
  tell(_resource: EvaluatedResource, _now: number, _seen: Seen): number {
    return Infinity;
  }

  forget(_resource: EvaluatedResource, _now: number): void {}

  /** Nobody can hear of what the rule is about, since then. */
  unheard(_sinceMs: number): void {}

  /** Nobody could hear of what the rule is about until now. */
  resumed(_now: number): void {}

  /** The clock was set back to `now`, by so much (ms, negative): all is judged after it. */
  setBack(_byMs: number, _now: number): void {}

  /** The rule is gone: nothing calls it any more. What it remembers stays. */
  close(): void {}

  protected get memory(): Remembered {
    const { memory } = this.bench;
    const { type, id } = this.declaration;
    return {
      get: (name) => memory.get(type, id, name),
      put: (name, value) => memory.put(type, id, name, value),
      entries: () => memory.entries(type, id),
    };
  }

  protected readonly failed = (message: string): void => this.bench.onFailure(this.declaration, message);

  /** Says `verdict` of a group, and looks at it again when that may change, at `againAt` at the latest. */
  protected say(group: Group, now: number, told: Told, againAt: number): void {
    const { bench, verdict } = this;
    verdict.nextMs = againAt;
    const next = bench.life.take(this.#rule, group.key, verdict, this.#subject.of(this.declaration.type, group, verdict.activeAt, told), now, bench.isHeld(this.#rule));
    bench.agenda.set(group, Math.min(next, againAt));
  }

  /** A group whose alert nothing can be said of any more. */
  protected end(group: Group, now: number, told: Told, reason: ResolveReason): void {
    this.verdict.holds = false;
    this.verdict.ended = reason;
    this.say(group, now, told, Infinity);
    this.verdict.ended = "recovered";
  }

  /** Forgets a group that has nothing to say. How often it fired is remembered: a group that comes and goes flaps. */
  protected drop(group: Group): void {
    this.bench.agenda.remove(group);
    if (this.declaration.flapping !== undefined && ++this.#dropped % DROPPED_MANY === 0) this.#forgetFires();
  }

  #forgetFires(): void {
    const quietSince = this.bench.clock.now() - this.declaration.flapping!.withinMs;
    for (const [name, fires] of this.memory.entries()) {
      if (name.startsWith(FIRES) && (fires as readonly number[]).every((at) => at <= quietSince)) this.memory.put(name, undefined);
    }
  }
}

/** The memory of one rule. */
export interface Remembered {
  get(name: string): Json | undefined;
  put(name: string, value: Json | undefined): void;
  entries(): Iterable<[name: string, value: Json]>;
}

/** What an alert tells of its group. */
export interface Told {
  scope(group: Group): Scope;
  value(group: Group): Json;
  limit(group: Group): string | undefined;
  details(group: Group): Record<string, Json>;
  behind(group: Group): ObservationBehind | undefined;
}

/** A group as the subject of its alert. Reused for the next. */
class GroupSubject implements Subject {
  #group!: Group;
  #told!: Told;
  type = "";
  /** An episode is a trace of its own. */
  incarnation = 0;

  of(type: string, group: Group, activeAt: number, told: Told): this {
    this.#group = group;
    this.#told = told;
    this.type = type;
    this.incarnation = Math.round(activeAt);
    return this;
  }

  get key(): string {
    return this.#group.key;
  }
  get group(): Labels {
    return this.#group.labels;
  }
  scope(): Scope {
    return this.#told.scope(this.#group);
  }
  value(): Json {
    return this.#told.value(this.#group);
  }
  limit(): string | undefined {
    return this.#told.limit(this.#group);
  }
  details(): Record<string, Json> {
    return this.#told.details(this.#group);
  }
  behind(): ObservationBehind | undefined {
    return this.#told.behind(this.#group);
  }
}
