import { Failure } from "../../sdk/expression.ts";
import type { Json } from "../../sdk/observation.ts";
import type { EvaluatedResource } from "../../sdk/resource.ts";
import type { AggregateRule } from "../../sdk/rule.ts";
import type { Entry } from "./agenda.ts";
import { examplesOf } from "./examples.ts";
import { distinctText, labelsBy, numberOf, type Labels } from "./labels.ts";
import { Measured, MeasuredGroup } from "./measured.ts";
import { Contributions, membersOf, type Members } from "./members.ts";
import { Samples } from "./samples.ts";
import type { ActiveGroupRule, Bench, Group, Seen } from "./work.ts";

class AggregateGroup extends MeasuredGroup {
  number = 0;
  members!: Members;
  /** When the last of what it is made of came to be, by event time: no sooner can it have been what it is. ms */
  changedAt = 0;
}

/**
 * A number over the current resources of a type. What each resource gives is kept by its row, so that a change costs no more
 * than that one resource, and the number is always that of all resources as they are: it is judged after each change, so it
 * makes no difference how observations were split into batches. Percentiles are off by less than 2 %; all else is exact.
 */
export class AggregateWork extends Measured<AggregateRule, AggregateGroup> {
  readonly #contributions = new Contributions();
  readonly #ids: string[] = [];
  readonly #byNumber: (AggregateGroup | undefined)[] = [undefined];
  readonly #free: number[] = [];
  readonly #samples: Samples | undefined;
  readonly #scope: { self: EvaluatedResource | undefined } = { self: undefined };
  /** What the resource of the moment gives. */
  #number = 0;
  #text: string | undefined;
  readonly #sampling: Entry;

  constructor(rule: ActiveGroupRule, bench: Bench) {
    super(rule, bench);
    const { earlierMs } = this.declaration;
    this.#sampling = { at: Infinity, place: -1, key: "", rank: 0, look: (now) => this.#sample(now) };
    if (earlierMs === undefined || this.isForeign(specOf(this.declaration))) Samples.clear(this.memory);
    if (earlierMs !== undefined) this.#samples = new Samples(earlierMs, this.memory);
  }

  /** Equal means that what is remembered is of the same measure. */
  static same(a: AggregateRule, b: AggregateRule): boolean {
    return a.earlierMs === b.earlierMs && a.groupsMax === b.groupsMax && JSON.stringify(specOf(a)) === JSON.stringify(specOf(b));
  }

  override judgeAll(now: number): void {
    super.judgeAll(now);
    if (this.#samples !== undefined) this.bench.agenda.set(this.#sampling, this.#samples.nextMs(now));
  }

  override tell(resource: EvaluatedResource, now: number, seen: Seen): number {
    const contributions = this.#contributions;
    const { row } = resource;
    contributions.reach(row);
    this.#ids[row] = resource.id;
    const group = this.#join(resource, now);
    this.#put(row, group, seen.observed ? Math.min(resource.eventTime, now) : now, now);
    return this.#readsNow() ? now + this.bench.evaluationIntervalMs() : Infinity;
  }

  override forget(resource: EvaluatedResource, now: number): void {
    if (resource.row < this.#contributions.group.length) this.#put(resource.row, undefined, now, now);
  }

  override setBack(_byMs: number, now: number): void {
    for (const group of this.groups.values()) group.changedAt = Math.min(group.changedAt, now);
  }

  override close(): void {
    this.bench.agenda.remove(this.#sampling);
    for (const group of this.groups.values()) this.bench.agenda.remove(group);
  }

  protected make(key: string, labels: Labels): AggregateGroup {
    const group = new AggregateGroup(key, labels, this);
    group.number = this.#free.pop() ?? this.#byNumber.length;
    group.members = membersOf(this.declaration.measure.of, group.number, this.#contributions);
    this.#byNumber[group.number] = group;
    return group;
  }

  protected override drop(group: AggregateGroup): void {
    super.drop(group);
    this.#byNumber[group.number] = undefined;
    this.#free.push(group.number);
  }

  protected measure(group: AggregateGroup, now: number): void {
    group.value = group.members.value();
    if (this.#samples === undefined) return;
    const before = this.#samples.at(now);
    const { of } = this.declaration.measure;
    group.earlier = before?.get(group.key) ?? (before !== undefined && (of === "count" || of === "sum" || of === "distinct") ? 0 : undefined);
  }

  protected isEmpty(group: AggregateGroup): boolean {
    return group.members.count === 0;
  }

  protected changesAt(): number {
    return Infinity;
  }

  details(of: Group): Record<string, Json> {
    const group = of as AggregateGroup;
    return {
      value: group.value ?? null,
      ...(this.#samples === undefined ? {} : { earlier: group.earlier ?? null }),
      resources: group.members.count,
      ...(group.members.count === 0 ? {} : this.#examples(group)),
    };
  }

  /** The group of a resource and what it gives, or undefined where it has no part. */
  #join(resource: EvaluatedResource, now: number): AggregateGroup | undefined {
    const { measure: { of, value, when }, by } = this.declaration;
    const scope = this.#scope;
    scope.self = resource;
    this.#number = 0;
    this.#text = undefined;
    if (when !== undefined && this.truth(when, scope, now) !== true) return undefined;
    if (of === "share") {
      const share = this.truth(value!, scope, now);
      if (share === undefined) return undefined;
      this.#number = share ? 1 : 0;
    } else if (of === "distinct") {
      const text = distinctText(value!.evaluate(scope, now));
      if (text === undefined) return this.refused("there is no value");
      this.#text = text;
    } else if (of !== "count") {
      const measured = value!.evaluate(scope, now);
      const number = numberOf(measured);
      if (number === undefined) return this.refused(measured instanceof Failure ? measured.message : "the value is no number");
      this.#number = number;
    }
    const labels = labelsBy(by, scope, now);
    if (labels instanceof Failure) return this.refused(labels.message);
    return this.groupOf(labels);
  }

  #put(row: number, group: AggregateGroup | undefined, since: number, now: number): void {
    const contributions = this.#contributions;
    const before = this.#byNumber[contributions.group[row]!];
    const number = group?.number ?? 0;
    if (before === group && (group === undefined || (contributions.number[row] === this.#number && contributions.text[row] === this.#text))) return;
    before?.members.remove(row, contributions.number[row]!, contributions.text[row]);
    contributions.group[row] = number;
    contributions.number[row] = this.#number;
    if (this.declaration.measure.of === "distinct") contributions.text[row] = this.#text;
    group?.members.add(row, this.#number, this.#text);
    // Where one resource goes from one group to another, both are as they will be before either is judged.
    if (before !== undefined && before !== group) this.#judgeChanged(before, since, now);
    if (group !== undefined) this.#judgeChanged(group, since, now);
  }

  /** A first listing tells of its rows in any order: an old one must not make of what a newer one did an old breach. */
  #judgeChanged(group: AggregateGroup, since: number, now: number): void {
    // A clock that is set back must not make of what was the future.
    group.changedAt = Math.min(now, Math.max(group.changedAt, since));
    this.judge(group, group.changedAt, now);
  }

  #readsNow(): boolean {
    const { measure: { value, when }, by } = this.declaration;
    if (value?.reads.now === true || when?.reads.now === true) return true;
    for (const expression of by.values()) if (expression.reads.now) return true;
    return false;
  }

  #sample(now: number): void {
    const samples = this.#samples!;
    // Before the receivers have caught up, or while they fail, nobody knows what the resources are.
    if (this.bench.isHeld(this.rule)) return this.bench.agenda.set(this.#sampling, samples.nextMs(now));
    const groups = [...this.groups.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
    samples.take(now, groups.map((group) => [group.key, group.members.value()] as const));
    for (const group of groups) this.judge(group, now, now);
    this.bench.agenda.set(this.#sampling, samples.nextMs(now));
  }

  /** The one that it is, where it is the smallest or the largest; else a few. */
  #examples(group: AggregateGroup): Record<string, Json> {
    const best = group.members.best();
    return best === undefined ? examplesOf(this.declaration.measure.of, group.number, this.#contributions, this.#ids) : { examples: [this.#ids[best]!] };
  }
}

function specOf({ measure: { of, value, when }, by }: AggregateRule): Json {
  return ["aggregate", of, value?.text ?? null, when?.text ?? null, [...by].map(([name, { text }]) => [name, text])];
}
