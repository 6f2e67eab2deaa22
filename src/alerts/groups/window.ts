import type { ObservationBehind } from "../../sdk/alert.ts";
import { formatDuration } from "../../sdk/duration.ts";
import { Failure } from "../../sdk/expression.ts";
import type { Json, Observation } from "../../sdk/observation.ts";
import { observationExcerpt } from "../../sdk/observation_excerpt.ts";
import type { Measure, Statistic, WindowRule } from "../../sdk/rule.ts";
import type { Entry } from "./agenda.ts";
import { Bucket, Buckets, divisionOf, keptMsOf, type Division } from "./buckets.ts";
import { distinctText, labelsBy, labelsOf, numberOf, type Labels } from "./labels.ts";
import { Listening } from "./listening.ts";
import { Measured, MeasuredGroup } from "./measured.ts";
import type { Tally } from "./tally.ts";
import { BEGAN, BUCKET, clearWindow, GROUP, specOf } from "./window_memory.ts";
import type { ActiveGroupRule, Bench, Group } from "./work.ts";

/** What is 0 where nothing came; of the others there is no data. */
const ZERO_OF_NOTHING: ReadonlyMap<Statistic, 0> = new Map((["count", "rate", "sum", "distinct"] as const).map((of) => [of, 0]));
/** Label of a group that is one resource: the one that alerts about resources have. */
const RESOURCE_LABEL = "resource_id";
/** Of all groups of one rule together: where each may have many, fewer groups are told apart. */
const BUCKETS_TOTAL_MAX = 500_000;

class WindowGroup extends MeasuredGroup {
  buckets!: Buckets;
  isKept = false;
}

/**
 * A number over the observations of the last while, by event time: that of the resource where the observation is of one (its
 * last one, where this comes late), else the time of receipt; what is ahead of the clock counts as now. Older observations
 * count in what is compared as `earlier`; beyond, they are ignored. Judged after each observation, and when a bucket leaves.
 *
 * An observation counts for `over`, and up to a sixtieth of it longer. Percentiles are off by less than 2 %; of different
 * values 1,000 are told apart in a bucket, 10,000 in a window; all else is exact. A sum is that of the buckets, in their
 * order: the same after a restart.
 */
export class WindowWork extends Measured<WindowRule, WindowGroup> {
  readonly #division: Division;
  readonly #statistics: readonly Statistic[];
  readonly #measures: readonly Measure[];
  readonly #listening: Listening;
  /** When something was counted last, by event time, ms; of what is still kept at a restart. */
  #newestMs = -Infinity;
  /** Since when nobody has listened; undefined: somebody does. */
  #unheardSinceMs: number | undefined;
  /** Notes that somebody listens, where silence says something. */
  readonly #noting: Entry;
  #observation: Observation | undefined;
  /** What the observation of the moment gives to each measure. */
  readonly #numbers: (number | undefined)[] = [];
  readonly #texts: (string | undefined)[] = [];

  constructor(rule: ActiveGroupRule, bench: Bench) {
    super(rule, bench);
    const { declaration } = this;
    this.#division = divisionOf(declaration.overMs, declaration.earlierMs ?? 0);
    this.#measures = declaration.dividedBy === undefined ? [declaration.measure] : [declaration.measure, declaration.dividedBy];
    this.#statistics = this.#measures.map(({ of }) => of);
    const now = bench.clock.now();
    const isForeign = this.isForeign(specOf(declaration, this.#division));
    if (isForeign) clearWindow(this.memory);
    const began = this.memory.get(BEGAN);
    const { overMs } = declaration;
    const keptMs = keptMsOf(this.#division);
    this.#listening = began === undefined ? new Listening(overMs, keptMs, now, isForeign ? now + overMs : now) : Listening.from(overMs, keptMs, began);
    if (began === undefined) this.#rememberListening();
    else this.#unheardSinceMs = bench.memory.aliveMs;
    this.#noting = { at: Infinity, place: -1, key: "", rank: 0, look: (at) => this.#note(at) };
    this.#restore();
    for (const { buckets } of this.groups.values()) this.#newestMs = Math.max(this.#newestMs, buckets.newestMs);
    // The newest was just now, by a clock that ran ahead before the restart.
    if (this.#newestMs > now) this.setBack(now - this.#newestMs, now);
  }

  /** Equal means that what is remembered is of the same measure. */
  static same(a: WindowRule, b: WindowRule): boolean {
    const spec = (rule: WindowRule): string => JSON.stringify(specOf(rule, divisionOf(rule.overMs, rule.earlierMs ?? 0)));
    return a.groupsMax === b.groupsMax && spec(a) === spec(b);
  }

  /** An observation passes. */
  push(observation: Observation): void {
    const { declaration } = this;
    const { self } = observation;
    if (self !== undefined && declaration.type !== "" && self.type !== declaration.type) return;
    const { clock } = this.bench;
    const now = clock.now();
    const at = Math.min(self?.eventTime ?? observation.time, now);
    if (!(at + keptMsOf(this.#division) > now)) return;
    let counts = false;
    for (let i = 0; i < this.#measures.length; i++) if (this.#take(i, observation, now)) counts = true;
    if (!counts) return;
    const labels = declaration.onObservation && declaration.by.size === 0
      ? labelsOf(self === undefined ? [] : [[RESOURCE_LABEL, self.id]])
      : labelsBy(declaration.by, observation, now);
    if (labels instanceof Failure) return this.failed(labels.message);
    const group = this.groupOf(labels);
    if (group === undefined) return;
    const { bucket, isNew } = group.buckets.at(at);
    for (let i = 0; i < this.#measures.length; i++) {
      if (this.#numbers[i] !== undefined) group.buckets.add(bucket, at, now, i, this.#numbers[i]!, this.#texts[i]);
    }
    this.#remember(group, bucket, isNew);
    if (at > this.#newestMs) this.#newestMs = at;
    if (this.#listening.heard(at)) this.#rememberListening();
    this.#observation = observation;
    // What comes late makes true what was not true before the newest one either.
    this.judge(group, group.buckets.newestMs, now);
    this.#observation = undefined;
  }

  protected make(key: string, labels: Labels): WindowGroup {
    const group = new WindowGroup(key, labels, this);
    group.buckets = new Buckets(this.#division, this.#statistics);
    return group;
  }

  protected override get groupsMax(): number {
    return Math.min(this.declaration.groupsMax, Math.max(1, Math.floor(BUCKETS_TOTAL_MAX / this.#division.bucketsMax)));
  }

  protected override isMine(labels: Labels): boolean {
    if (!this.declaration.onObservation || this.declaration.by.size > 0) return super.isMine(labels);
    return Object.keys(labels).every((name) => name === RESOURCE_LABEL);
  }

  protected override isLasting(): boolean {
    return this.declaration.by.size === 0 && !this.declaration.onObservation;
  }

  protected measure(group: WindowGroup, now: number): void {
    for (const { number } of group.buckets.takeOld(now)) this.#forget(group, number);
    group.value = this.#value(group.buckets.now(now));
    const { earlierMs } = this.#division;
    if (earlierMs === 0) return;
    group.earlier = this.#listening.wholeAt(now, earlierMs) <= now ? this.#value(group.buckets.before(now)) : undefined;
  }

  protected isEmpty(group: WindowGroup): boolean {
    return group.buckets.size === 0;
  }

  protected changesAt(group: WindowGroup, now: number): number {
    const { earlierMs, widthMs } = this.#division;
    const leaves = group.buckets.leavesAt(now);
    if (earlierMs === 0) return leaves;
    const knowsEarlier = this.#listening.wholeAt(now, earlierMs);
    if (group.buckets.size === 0) return knowsEarlier > now ? knowsEarlier : Infinity;
    return Math.min(leaves, (Math.floor(now / widthMs) + 1) * widthMs);
  }

  protected override mayEnd(_group: WindowGroup, now: number): number {
    return Math.max(now, this.#listening.comparableAtMs);
  }

  protected override wholeAt(now: number): number {
    return this.#listening.wholeAt(now, 0);
  }

  protected override valueOfNothing(): number | undefined {
    return this.declaration.dividedBy === undefined ? ZERO_OF_NOTHING.get(this.declaration.measure.of) : undefined;
  }

  override judgeAll(now: number): void {
    if (this.#unheardSinceMs !== undefined && !this.bench.isHeld(this.rule)) this.resumed(now);
    super.judgeAll(now);
    this.#noteAgain(now);
  }

  override unheard(sinceMs: number): void {
    this.#unheardSinceMs ??= sinceMs;
  }

  override resumed(now: number): void {
    if (this.#unheardSinceMs !== undefined && this.#listening.missed(Math.max(this.#unheardSinceMs, this.#newestMs), now)) this.#rememberListening();
    this.#unheardSinceMs = undefined;
  }

  override setBack(byMs: number, now: number): void {
    if (this.#newestMs > now) this.#newestMs = Math.min(now, this.#newestMs + byMs);
    this.#listening.setBack(byMs, now);
    this.#rememberListening();
    for (const group of this.groups.values()) {
      const { taken, changed } = group.buckets.setBack(byMs, now);
      for (const number of taken) this.#forget(group, number);
      for (const bucket of changed) this.#remember(group, bucket, false);
    }
  }

  protected override drop(group: WindowGroup): void {
    super.drop(group);
    this.memory.put(GROUP + group.key, undefined);
  }

  override close(): void {
    this.bench.agenda.remove(this.#noting);
    for (const group of this.groups.values()) this.bench.agenda.remove(group);
  }

  override limit(): string | undefined {
    return this.declaration.onObservation ? this.declaration.measure.when?.text : super.limit();
  }

  details(of: Group): Record<string, Json> {
    const group = of as WindowGroup;
    const [counted, divisor] = group.buckets.now(this.bench.clock.now());
    return {
      value: group.value ?? null,
      ...(this.#division.earlierMs === 0 ? {} : { earlier: group.earlier ?? null }),
      observations: counted!.count,
      ...(divisor === undefined ? {} : { divided_by: divisor.value() ?? null }),
      over: formatDuration(this.declaration.overMs),
    };
  }

  override behind(): ObservationBehind | undefined {
    return this.#observation === undefined ? undefined : observationExcerpt(this.#observation);
  }

  #value([measured, divisor]: readonly Tally[]): number | undefined {
    const value = measured!.value();
    if (divisor === undefined || value === undefined) return value;
    const by = divisor.value();
    return by === undefined || by === 0 ? undefined : value / by;
  }

  /** True when the observation has a part in the measure. */
  #take(i: number, observation: Observation, now: number): boolean {
    const { of, value, when } = this.#measures[i]!;
    this.#numbers[i] = undefined;
    this.#texts[i] = undefined;
    if (when !== undefined && this.truth(when, observation, now) !== true) return false;
    if (value === undefined) {
      this.#numbers[i] = 1;
      return true;
    }
    const found = value.evaluate(observation, now);
    if (of === "distinct") {
      this.#texts[i] = distinctText(found);
      this.#numbers[i] = this.#texts[i] === undefined ? undefined : 0;
    } else {
      this.#numbers[i] = numberOf(found);
    }
    if (this.#numbers[i] !== undefined) return true;
    this.failed(found instanceof Failure ? found.message : "the value is no number");
    return false;
  }

  #remember(group: WindowGroup, bucket: Bucket, isNew: boolean): void {
    const { memory } = this.bench;
    const { type, id } = this.declaration;
    if (isNew && !group.isKept) {
      group.isKept = true;
      memory.put(type, id, GROUP + group.key, group.labels);
    }
    // The bucket itself: the commit writes what it holds by then.
    memory.put(type, id, `${BUCKET}${bucket.number}:${group.key}`, bucket as unknown as Json);
  }

  #note(now: number): void {
    if (this.#unheardSinceMs === undefined && (this.bench.memory.aliveMs ?? 0) + this.#listening.notedMs <= now) this.bench.memory.alive();
    this.#noteAgain(now);
  }

  #noteAgain(now: number): void {
    if (this.declaration.earlierMs !== undefined || this.holdsForNothing(undefined, now)) this.bench.agenda.set(this.#noting, now + this.#listening.notedMs);
    else this.bench.agenda.remove(this.#noting);
  }

  #rememberListening(): void {
    this.memory.put(BEGAN, this.#listening.toJSON());
  }

  #forget(group: WindowGroup, number: number): void {
    this.memory.put(`${BUCKET}${number}:${group.key}`, undefined);
  }

  #restore(): void {
    const groups = new Map<string, WindowGroup>();
    for (const [name, labels] of this.memory.entries()) {
      if (!name.startsWith(GROUP)) continue;
      const key = name.slice(GROUP.length);
      const group = this.make(key, labels as Labels);
      group.isKept = true;
      groups.set(key, group);
      this.groups.set(key, group);
    }
    for (const [name, value] of this.memory.entries()) {
      if (!name.startsWith(BUCKET)) continue;
      const end = name.indexOf(":", BUCKET.length);
      const bucket: unknown = value;
      groups.get(name.slice(end + 1))?.buckets.put(bucket instanceof Bucket ? bucket : Bucket.from(Number(name.slice(BUCKET.length, end)), this.#statistics, value));
    }
  }
}
