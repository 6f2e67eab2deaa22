import type { ObservationBehind } from "../../sdk/alert.ts";
import { Failure, type Expression, type Scope } from "../../sdk/expression.ts";
import type { Json } from "../../sdk/observation.ts";
import type { Measure, Statistic } from "../../sdk/rule.ts";
import { holds, readsNow, type MeasuredRule } from "./condition.ts";
import { groupKey, labelsOf, OTHER, type Labels } from "./labels.ts";
import { Group, Work, type ActiveGroupRule, type Bench, type Told } from "./work.ts";

/** Name under which a rule remembers what it measures, so that it does not take other numbers for its own. */
const SPEC = "spec";

/** What still says something when groups are taken together, unless it is divided; of the others, what is beyond `groups_max` would page for nothing. */
const SOUND_TOGETHER: ReadonlySet<Statistic> = new Set(["count", "rate", "sum", "min", "max"]);

const NONE: Labels = labelsOf([]);

/** A group with a number. */
export class MeasuredGroup extends Group {
  readonly #work: { readonly rank: number; look(group: MeasuredGroup, now: number): void };
  /** What was measured when it was judged last. */
  value: number | undefined;
  earlier: number | undefined;
  /** Something changed, or it was never judged. */
  stale = true;

  constructor(key: string, labels: Labels, work: { readonly rank: number; look(group: never, now: number): void }) {
    super(key, labels);
    this.#work = work as never;
  }

  get rank(): number {
    return this.#work.rank;
  }

  look(now: number): void {
    this.#work.look(this, now);
  }
}

/** What aggregates and windows have in common: groups, each with a number that is compared. */
export abstract class Measured<Rule extends MeasuredRule, G extends MeasuredGroup> extends Work<Rule> implements Told {
  protected readonly groups = new Map<string, G>();
  /** Not all resources have been told of: nothing is judged. */
  protected settling = true;
  /** Key of the group of all that are beyond `groupsMax`, where its number would say nothing: then there is no such group. */
  readonly #meaningless: string | undefined;

  constructor(rule: ActiveGroupRule, bench: Bench) {
    super(rule, bench);
    const { by, measure, dividedBy } = this.declaration as MeasuredRule & { readonly dividedBy?: Measure };
    if (by.size > 0 && (!SOUND_TOGETHER.has(measure.of) || dividedBy !== undefined)) this.#meaningless = groupKey(otherOf(by.keys()));
  }

  override adopt(rule: ActiveGroupRule): void {
    super.adopt(rule);
    this.settling = true;
  }

  /** True when what is remembered was measured by another rule of that name; it notes that this one is at work. */
  protected isForeign(spec: Json): boolean {
    const known = this.memory.get(SPEC);
    const text = JSON.stringify(spec);
    if (known === text) return false;
    this.memory.put(SPEC, text);
    return known !== undefined;
  }

  protected abstract make(key: string, labels: Labels): G;
  /** What the group's number is, and was. */
  protected abstract measure(group: G, now: number): void;
  /** Whether it has no content. */
  protected abstract isEmpty(group: G): boolean;
  /** When its number may change by time alone. */
  protected abstract changesAt(group: G, now: number): number;
  /** When an alert of the group may be over at the earliest. */
  protected mayEnd(_group: G, now: number): number {
    return now;
  }
  /** When all that is measured has been listened to; not later than `now`: it has. */
  protected wholeAt(now: number): number {
    return now;
  }
  /** What is measured where nothing came. */
  protected valueOfNothing(): number | undefined {
    return undefined;
  }
  /** How many groups there may be beside `__other__`. */
  protected get groupsMax(): number {
    return this.declaration.groupsMax;
  }

  override judgeAll(now: number): void {
    this.settling = false;
    if (this.declaration.by.size === 0) this.groupOf(labelsOf([]));
    for (const { key, group: labels } of [...this.rule.open].map(([key, { group }]) => ({ key: key as string, group }))) {
      if (labels === undefined || this.groups.has(key)) continue;
      const group = this.make(key, labels);
      if (this.isMine(labels) && key !== this.#meaningless) this.groups.set(key, group);
      else this.end(group, now, this, "rule_removed");
    }
    for (const group of [...this.groups.values()].sort((a, b) => (a.key < b.key ? -1 : 1))) {
      group.stale = true;
      this.judge(group, now, now);
    }
  }

  look(group: G, now: number): void {
    group.stale = true;
    this.judge(group, now, now);
  }

  /** The alert's labels are those that the rule groups by now. */
  protected isMine(labels: Labels): boolean {
    const names = [...this.declaration.by.keys()];
    return Object.keys(labels).length === names.length && names.every((name) => Object.hasOwn(labels, name));
  }

  /** The group of these labels, or the one for all further ones; undefined where that would say nothing. */
  protected groupOf(labels: Labels): G | undefined {
    const key = groupKey(labels);
    const known = this.groups.get(key);
    if (known !== undefined) return known;
    if (this.groups.size >= this.groupsMax && Object.keys(labels).length > 0) {
      const other = otherOf(Object.keys(labels));
      const otherKey = groupKey(other);
      const isLeftOut = otherKey === this.#meaningless;
      this.failed(`there are more than ${this.groupsMax} groups: further ones are ${isLeftOut ? "left out" : "taken together"}`);
      return isLeftOut ? undefined : (this.groups.get(otherKey) ?? this.#add(otherKey, other));
    }
    return this.#add(key, labels);
  }

  #add(key: string, labels: Labels): G {
    const group = this.make(key, labels);
    this.groups.set(key, group);
    return group;
  }

  /** The one group of all is there even when nothing is in it. */
  protected isLasting(_group: G): boolean {
    return this.declaration.by.size === 0;
  }

  /** Judges a group of which something changed; `since`: when that happened. */
  protected judge(group: G, since: number, now: number): void {
    if (this.settling) return;
    const { value, earlier } = group;
    this.measure(group, now);
    if (!group.stale && Object.is(value, group.value) && Object.is(earlier, group.earlier)) {
      // What came late changes nothing now, but leaves sooner than all else.
      const changesAt = this.changesAt(group, now);
      if (changesAt < group.at) this.bench.agenda.set(group, changesAt);
      return;
    }
    group.stale = false;
    const open = this.rule.open.size === 0 ? undefined : this.rule.open.get(group.key);
    const { verdict, declaration } = this;
    verdict.holds = holds(declaration, this.scope(group), open, now, this.failed);
    verdict.activeAt = since;
    if (!verdict.holds && open?.status === "firing") {
      const mayEndAt = this.mayEnd(group, now);
      if (mayEndAt > now) return this.bench.agenda.set(group, Math.min(mayEndAt, this.changesAt(group, now)));
    }
    if (verdict.holds && open?.status !== "firing") {
      // It would hold for nothing at all: it may do so only because nobody listened.
      const wholeAt = this.wholeAt(now);
      if (wholeAt > now && this.holdsForNothing(group, now)) return this.bench.agenda.set(group, Math.min(wholeAt, this.changesAt(group, now)));
    }
    const again = readsNow(declaration) ? now + this.bench.evaluationIntervalMs() : Infinity;
    this.say(group, now, this, Math.min(again, this.changesAt(group, now)));
    if (this.isEmpty(group) && !this.rule.open.has(group.key) && !this.isLasting(group)) this.drop(group);
  }

  /** Whether it holds where nothing came; of no group in particular: where nothing is known of earlier. */
  protected holdsForNothing(group: G | undefined, now: number): boolean {
    const scope = { value: this.valueOfNothing(), earlier: group?.earlier, group: group?.labels ?? NONE };
    return holds(this.declaration, scope, undefined, now, () => {});
  }

  protected override drop(group: G): void {
    super.drop(group);
    this.groups.delete(group.key);
  }

  scope(group: Group): Scope {
    const { value, earlier, labels } = group as G;
    return { value, earlier, group: labels };
  }

  value(group: Group): Json {
    return (group as G).value ?? null;
  }

  limit(): string | undefined {
    return this.declaration.expr.text;
  }

  abstract details(group: Group): Record<string, Json>;

  behind(_group: Group): ObservationBehind | undefined {
    return undefined;
  }

  /** Counts why something has no part in the measure. */
  protected refused(message: string): undefined {
    this.failed(message);
  }

  /** True or false, or undefined where it fails: that is counted. */
  protected truth(expression: Expression, scope: Scope, now: number): boolean | undefined {
    const value = expression.evaluate(scope, now);
    if (typeof value === "boolean") return value;
    this.failed(value instanceof Failure ? value.message : "the condition is no boolean");
    return undefined;
  }
}

/** The labels of all further groups. */
function otherOf(names: Iterable<string>): Labels {
  return labelsOf([...names].map((name) => [name, OTHER] as const));
}
