import type { Clock } from "../../sdk/clock.ts";
import { ClockSteps } from "../../sdk/clock_steps.ts";
import type { EvaluatedResource, Transition } from "../../sdk/resource.ts";
import type { GroupRule, ObservationFeed } from "../../sdk/rule.ts";
import type { AlertState } from "../alert_state.ts";
import type { Life } from "../life.ts";
import type { RuleMemory } from "../rule_memory.ts";
import { Agenda } from "./agenda.ts";
import { AggregateWork } from "./aggregate.ts";
import { AlwaysWork, FailingWork } from "./constant.ts";
import { ExpectWork } from "./expected.ts";
import { WindowWork } from "./window.ts";
import type { ActiveGroupRule, Bench, Seen, Work } from "./work.ts";

export type { ActiveGroupRule } from "./work.ts";

export interface GroupEvaluatorOptions {
  readonly clock: Clock;
  readonly life: Life;
  readonly memory: RuleMemory;
  readonly evaluationIntervalMs: () => number;
  readonly onFailure: (rule: GroupRule, message: string) => void;
  /** Nothing of the type fires or resolves: its receivers have not caught up. */
  readonly isHeld: (type: string) => boolean;
  /** All of these receivers are failing. */
  readonly isStale: (receivers: readonly string[]) => boolean;
}

/**
 * Judges rules that are about many resources, about observations, or about nothing at all. A rule is judged when all of its
 * resources have been told of, and then after each change of one and each observation: so what it says depends on what came
 * and when, not on how that was split into batches.
 */
export class GroupEvaluator {
  readonly #options: GroupEvaluatorOptions;
  readonly #bench: Bench;
  readonly #steps: ClockSteps;
  #rules: readonly ActiveGroupRule[] = [];
  /** In the order of the rules. */
  #works: Work[] = [];
  #byType = new Map<string, Work[]>();
  /** What receivers said since the start; undefined: all is well. */
  readonly #said = new Map<string, string | undefined>();
  #feeds: readonly ObservationFeed[] = [];
  readonly #seen: { -readonly [Key in keyof Seen]: Seen[Key] } = { observed: false, transition: undefined };

  constructor(options: GroupEvaluatorOptions) {
    this.#options = options;
    this.#steps = new ClockSteps(options.clock);
    this.#bench = {
      ...options,
      agenda: new Agenda(options.clock, () => this.#lookAtClock()),
      isHeld: ({ declaration: { kind, type }, receivers }) =>
        kind !== "always" && kind !== "failing" && (options.isHeld(type) || (receivers !== undefined && options.isStale(receivers))),
    };
  }

  /**
   * Replaces the rules; `open` of each holds the alerts that it takes over. Then `tell` of all resources, and call `settled`:
   * before, nothing is judged.
   */
  configure(rules: readonly ActiveGroupRule[]): void {
    const before = new Map(this.#works.map((work) => [keyOf(work.rule), work]));
    this.#rules = rules;
    this.#works = [];
    this.#byType = new Map();
    for (const rule of rules) {
      const known = before.get(keyOf(rule));
      const keeps = known !== undefined && isSame(known.rule.declaration, rule.declaration);
      if (keeps) {
        before.delete(keyOf(rule));
        known.adopt(rule);
      }
      const work = keeps ? known : this.#begin(rule);
      work.rank = this.#works.push(work);
      const { type } = rule.declaration;
      this.#byType.set(type, [...(this.#byType.get(type) ?? []), work]);
    }
    for (const work of before.values()) work.close();
    this.#listen();
  }

  /** All resources are known. */
  settled(): void {
    const now = this.#bench.clock.now();
    for (const work of this.#works) work.judgeAll(now);
  }

  get rules(): readonly ActiveGroupRule[] {
    return this.#rules;
  }

  /**
   * A resource is as it is now, because of an observation, and with the move that it made, or for another reason. Returns when
   * to tell of it again although nothing changes (ms; Infinity: never).
   */
  tell(resource: EvaluatedResource, observed: boolean, transition: Transition | undefined): number {
    const works = this.#byType.get(resource.type);
    if (works === undefined) return Infinity;
    const now = this.#bench.clock.now();
    let next = Infinity;
    const seen = this.#seen;
    seen.observed = observed;
    seen.transition = transition;
    for (const work of works) next = Math.min(next, work.tell(resource, now, seen));
    return next;
  }

  /** A resource is gone; its row number is free after this call. */
  forget(resource: EvaluatedResource): void {
    const now = this.#bench.clock.now();
    for (const work of this.#byType.get(resource.type) ?? []) work.forget(resource, now);
  }

  /** The type may be judged again. */
  release(type: string): void {
    this.#resume(this.#byType.get(type) ?? []);
  }

  /** The clock was set back by so much (ms, negative). */
  setBack(byMs: number): void {
    const now = this.#bench.clock.now();
    for (const work of this.#works) {
      work.setBack(byMs, now);
      work.judgeAll(now);
    }
  }

  /** A receiver cannot read its source, or can (`undefined`). */
  setFailing(receiver: string, reason: string | undefined): void {
    if (this.#said.has(receiver) && this.#said.get(receiver) === reason) return;
    this.#said.set(receiver, reason);
    const now = this.#bench.clock.now();
    for (const work of this.#works) {
      const { declaration, receivers } = work.rule;
      if (declaration.kind === "failing" && declaration.receiver === receiver) work.judgeAll(now);
      else if (reason !== undefined && receivers?.includes(receiver) && this.#options.isStale(receivers)) work.unheard(now);
    }
  }

  /** A receiver that failed can be read again, and the resources that it feeds have been told of. */
  heard(receiver: string): void {
    this.#resume(this.#works.filter(({ rule }) => rule.receivers?.includes(receiver)));
  }

  /** Says of each open alert whether what its rule is about can still be read. Gives those of which that is news. */
  *markStale(): Iterable<AlertState> {
    const { isStale, isHeld, clock } = this.#options;
    for (const { declaration: { kind, type }, receivers, open } of this.#rules) {
      if (kind === "always" || kind === "failing" || receivers === undefined || open.size === 0) continue;
      const stale = isStale(receivers);
      for (const state of open.values()) {
        // After a start nobody knows before the receivers have said something.
        if (stale === (state.staleSince !== undefined) || (!stale && isHeld(type))) continue;
        state.staleSince = stale ? clock.now() : undefined;
        yield state;
      }
    }
  }

  stop(): void {
    this.#bench.agenda.stop();
    for (const feed of this.#feeds) feed.sink = undefined;
    for (const work of this.#works) work.close();
  }

  /** Each feed goes to the windows that are made of it: one processor in several pipelines may be about several types. */
  #listen(): void {
    for (const feed of this.#feeds) feed.sink = undefined;
    const windows = this.#works.filter((work) => work instanceof WindowWork);
    const byFeed = Map.groupBy(windows, ({ declaration }) => declaration.feed);
    for (const [feed, [first, ...others]] of byFeed) {
      feed.sink = (observation) => {
        first!.push(observation);
        for (const work of others) work.push(observation);
      };
    }
    this.#feeds = [...byFeed.keys()];
  }

  /** While the machine was asleep, or by a clock that was set ahead, nobody could hear of anything. Only what is due can say otherwise. */
  #lookAtClock(): void {
    const byMs = this.#steps.take();
    if (byMs <= 0) return;
    for (const work of this.#works) work.unheard(this.#bench.clock.now() - byMs);
    this.#resume(this.#works);
  }

  #resume(works: readonly Work[]): void {
    const now = this.#bench.clock.now();
    for (const work of works) {
      if (this.#bench.isHeld(work.rule)) continue;
      work.resumed(now);
      work.judgeAll(now);
    }
  }

  #begin(rule: ActiveGroupRule): Work {
    switch (rule.declaration.kind) {
      case "aggregate":
        return new AggregateWork(rule, this.#bench);
      case "always":
        return new AlwaysWork(rule, this.#bench);
      case "failing":
        return new FailingWork(rule, this.#bench, this.#said);
      case "window":
        return new WindowWork(rule, this.#bench);
      case "expect":
        return new ExpectWork(rule, this.#bench);
      default:
        return rule.declaration satisfies never;
    }
  }
}

function keyOf({ declaration: { type, id } }: ActiveGroupRule): string {
  return JSON.stringify([type, id]);
}

/** What the rule at work keeps is of use to the one that comes after it. */
function isSame(a: GroupRule, b: GroupRule): boolean {
  if (a.kind === "aggregate" && b.kind === "aggregate") return AggregateWork.same(a, b);
  if (a.kind === "window" && b.kind === "window") return WindowWork.same(a, b);
  if (a.kind === "expect" && b.kind === "expect") return ExpectWork.same(a, b);
  if (a.kind === "failing" && b.kind === "failing") return a.receiver === b.receiver;
  return a.kind === "always" && b.kind === "always";
}
