import type { ObservationBehind } from "../../sdk/alert.ts";
import { timeText } from "../../sdk/alert_text.ts";
import { lastBefore, nextAfter } from "../../sdk/cron.ts";
import { formatDuration } from "../../sdk/duration.ts";
import { Failure, type Scope } from "../../sdk/expression.ts";
import type { Json } from "../../sdk/observation.ts";
import type { EvaluatedResource } from "../../sdk/resource.ts";
import type { ExpectRule } from "../../sdk/rule.ts";
import { groupKey, labelsOf, type Labels } from "./labels.ts";
import { Group, Work, type ActiveGroupRule, type Bench, type Seen, type Told } from "./work.ts";

/** Name under which a rule remembers when something expected came, before its key. */
const CAME = "came:";
/** Name under which it remembers its schedule. */
const SCHEDULE = "schedule";

/** What is remembered of one that is expected: when it came last (0: never), silence counts from when, up to which time it is done. */
type Came = readonly [lastMs: number, fromMs: number, doneMs: number];

/** Two times of a schedule, and for what comes after `fromMs` and not after `untilMs` they are those around it. */
interface Around {
  readonly missed: number | undefined;
  readonly coming: number;
  readonly fromMs: number;
  readonly untilMs: number;
}

class Expected extends Group {
  readonly #work: ExpectWork;
  /** Event time of the last that counted, ms; 0: none has come. */
  lastMs = 0;
  /** Silence counts from here at the earliest: before, nobody listened. */
  fromMs = 0;
  /** The last time of the schedule that has been met. */
  doneMs = 0;

  constructor(labels: Labels, work: ExpectWork) {
    super(groupKey(labels), labels);
    this.#work = work;
  }

  get rank(): number {
    return this.#work.rank;
  }

  look(now: number): void {
    this.#work.look(this, now);
  }
}

/**
 * What must be there. Observations count by their event times, so that one that was made while the agent was down counts.
 *
 * With `within` alone: an alert once nothing came for so long; downtime, or a source that cannot be read, begins a silence
 * anew, but once only: what was silent before an interruption and after it has been silent all the time.
 *
 * With a schedule: each of its times T is met by an observation after the time before, both with `within` added. One that is
 * late, which is nearer to the time that was missed than to the next, ends the alert and does not count for the next. The
 * time that is next when a rule is new is the first that could not be seen whole: it is taken as met.
 */
export class ExpectWork extends Work<ExpectRule> implements Told {
  readonly #groups = new Map<string, Expected>();
  /** By id of the resource; under no id, any. */
  readonly #byId = new Map<string, Expected>();
  readonly #scope: { -readonly [Name in keyof Scope]: Scope[Name] } = { self: undefined, transition: undefined };
  /** Times of the schedule around a moment, which holds until the next is due: all groups ask for the same. */
  #due: { readonly fromMs: number; readonly untilMs: number; readonly time: number | undefined } | undefined;

  /** The same around the last that came. */
  #came: Around | undefined;

  constructor(rule: ActiveGroupRule, bench: Bench) {
    super(rule, bench);
    const now = bench.clock.now();
    const { ids, schedule, withinMs } = this.declaration;
    const text = schedule === undefined ? "" : `${schedule.cron} ${schedule.timezone} ${withinMs}`;
    const known = this.memory.get(SCHEDULE);
    if (known !== text) this.memory.put(SCHEDULE, text);
    for (const id of ids ?? [undefined]) {
      const group = new Expected(labelsOf(id === undefined ? [] : [["id", id]]), this);
      this.#groups.set(group.key, group);
      this.#byId.set(id ?? "", group);
      const came = this.memory.get(CAME + group.key) as Came | undefined;
      [group.lastMs, group.fromMs, group.doneMs] = came ?? [0, now, 0];
      // What was missed by the schedule before stays missed until it comes; all else begins with the new one.
      if (known !== text || came === undefined) group.doneMs = rule.open.has(group.key) ? 0 : this.#meetsAt(now);
      if (known !== text || came === undefined) this.#remember(group);
      else this.#notAhead(group, 0, now);
    }
    for (const [name] of this.memory.entries()) {
      if (name.startsWith(CAME) && !this.#groups.has(name.slice(CAME.length))) this.memory.put(name, undefined);
    }
  }

  static same(a: ExpectRule, b: ExpectRule): boolean {
    return JSON.stringify([a.ids, a.schedule, a.withinMs]) === JSON.stringify([b.ids, b.schedule, b.withinMs]);
  }

  override judgeAll(now: number): void {
    for (const [key, { group }] of this.rule.open) {
      if (this.#groups.has(key as string) || group === undefined) continue;
      this.end(new Expected(group, this), now, this, "rule_removed");
    }
    for (const group of this.#groups.values()) this.look(group, now);
  }

  override tell(resource: EvaluatedResource, now: number, { observed, transition }: Seen): number {
    if (!observed) return Infinity;
    const group = this.#byId.get(this.declaration.ids === undefined ? "" : resource.id);
    if (group === undefined) return Infinity;
    const { expr } = this.declaration;
    if (expr !== undefined) {
      this.#scope.self = resource;
      this.#scope.transition = transition;
      const value = expr.evaluate(this.#scope, now);
      // That there was no move is no failure.
      if (typeof value !== "boolean" && (transition !== undefined || !expr.reads.scope.has("transition"))) {
        this.failed(value instanceof Failure ? value.message : "the condition is no boolean");
      }
      if (value !== true) return Infinity;
    }
    this.#take(group, Math.min(resource.eventTime, now));
    this.look(group, now);
    return Infinity;
  }

  override resumed(now: number): void {
    if (this.declaration.schedule !== undefined) return;
    for (const group of this.#groups.values()) {
      if (group.lastMs <= group.fromMs) continue;
      group.fromMs = now;
      this.#remember(group);
    }
  }

  override setBack(byMs: number, now: number): void {
    for (const group of this.#groups.values()) this.#notAhead(group, byMs, now);
  }

  look(group: Expected, now: number): void {
    const { verdict } = this;
    const { schedule, withinMs } = this.declaration;
    let next = Infinity;
    if (schedule === undefined) {
      verdict.activeAt = Math.max(group.lastMs, group.fromMs) + withinMs;
      verdict.holds = now >= verdict.activeAt;
      if (!verdict.holds) next = verdict.activeAt;
    } else {
      const { time, untilMs } = this.#dueAt(now);
      verdict.holds = time !== undefined && group.doneMs < time;
      verdict.activeAt = time === undefined ? now : time + withinMs;
      next = untilMs;
    }
    this.say(group, now, this, next);
  }

  override close(): void {
    for (const group of this.#groups.values()) this.bench.agenda.remove(group);
  }

  scope(group: Group): Scope {
    return { value: this.value(group), group: group.labels };
  }

  /** When it came last. */
  value(group: Group): Json {
    const { lastMs } = group as Expected;
    return lastMs === 0 ? null : timeText(lastMs);
  }

  limit(): string {
    const { schedule, withinMs } = this.declaration;
    if (schedule === undefined) return formatDuration(withinMs);
    return `${schedule.cron} ${schedule.timezone}${withinMs === 0 ? "" : `, ${formatDuration(withinMs)} late at most`}`;
  }

  details(group: Group): Record<string, Json> {
    return {
      ...group.labels,
      expected_by: timeText(this.verdict.activeAt),
      last_came: this.value(group),
      ...(this.declaration.schedule === undefined ? { within: this.limit() } : { schedule: this.limit() }),
    };
  }

  behind(): ObservationBehind | undefined {
    return undefined;
  }

  #take(group: Expected, at: number): void {
    const done = this.#doneBy(group, at);
    if (at <= group.lastMs && done === group.doneMs) return;
    group.lastMs = Math.max(group.lastMs, at);
    group.doneMs = done;
    this.#remember(group);
  }

  /** What a clock noted that ran ahead is the past: it must not delay what is expected from now on. */
  #notAhead(group: Expected, byMs: number, now: number): void {
    const { lastMs, fromMs, doneMs } = group;
    const back = (ms: number): number => (ms > now ? Math.min(now, ms + byMs) : ms);
    group.lastMs = back(lastMs);
    group.fromMs = back(fromMs);
    group.doneMs = Math.min(doneMs, this.#meetsAt(now));
    if (group.lastMs !== lastMs || group.fromMs !== fromMs || group.doneMs !== doneMs) this.#remember(group);
  }

  /** Up to which time the schedule is met when something comes at `at`. */
  #doneBy({ doneMs }: Expected, at: number): number {
    if (this.declaration.schedule === undefined) return 0;
    const { missed, coming } = this.#around(at);
    const isLate = missed !== undefined && doneMs < missed && at - missed < coming - at;
    return Math.max(doneMs, isLate ? missed : coming);
  }

  /** The time of the schedule that something at `at` is in time for. */
  #meetsAt(at: number): number {
    return this.declaration.schedule === undefined ? 0 : this.#around(at).coming;
  }

  /** The times of the schedule that something at `at` is between. Reckoned once for all that comes between them: it takes a fifth of a millisecond. */
  #around(at: number): Around {
    const { schedule, withinMs } = this.declaration;
    if (this.#came === undefined || at <= this.#came.fromMs || at > this.#came.untilMs) {
      const missed = lastBefore(schedule!, at - withinMs - 1);
      const coming = nextAfter(schedule!, at - withinMs - 1) ?? Infinity;
      this.#came = { missed, coming, fromMs: (missed ?? -Infinity) + withinMs, untilMs: coming + withinMs };
    }
    return this.#came;
  }

  /** The last time of the schedule that must have been met, and until when that is so. */
  #dueAt(now: number): { readonly time: number | undefined; readonly untilMs: number } {
    const { schedule, withinMs } = this.declaration;
    if (this.#due === undefined || now < this.#due.fromMs || now >= this.#due.untilMs) {
      const time = lastBefore(schedule!, now - withinMs);
      const next = nextAfter(schedule!, now - withinMs);
      this.#due = { time, fromMs: (time ?? -Infinity) + withinMs, untilMs: (next ?? Infinity) + withinMs };
    }
    return this.#due;
  }

  #remember({ key, lastMs, fromMs, doneMs }: Expected): void {
    const came: Came = [lastMs, fromMs, Math.min(doneMs, Number.MAX_SAFE_INTEGER)];
    this.memory.put(CAME + key, came);
  }
}
