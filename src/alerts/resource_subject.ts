import type { ObservationBehind } from "../sdk/alert.ts";
import { timeText } from "../sdk/alert_text.ts";
import { formatDuration } from "../sdk/duration.ts";
import type { Scope } from "../sdk/expression.ts";
import type { Json, Observation } from "../sdk/observation.ts";
import { observationExcerpt } from "../sdk/observation_excerpt.ts";
import type { EvaluatedResource } from "../sdk/resource.ts";
import type { ResourceRule } from "../sdk/rule.ts";
import type { ResourceVerdict } from "./conditions.ts";
import type { Subject } from "./life.ts";

/** One resource as the subject of one rule. Reused for the next. */
export class ResourceSubject implements Subject {
  #rule!: ResourceRule;
  #resource!: EvaluatedResource;
  #verdict!: ResourceVerdict;
  /** What is being judged because of it. */
  observation: Observation | undefined;
  readonly group = undefined;

  of(rule: ResourceRule, resource: EvaluatedResource, verdict: ResourceVerdict): this {
    this.#rule = rule;
    this.#resource = resource;
    this.#verdict = verdict;
    return this;
  }

  get type(): string {
    return this.#resource.type;
  }

  get key(): string {
    return this.#resource.id;
  }

  get incarnation(): number {
    return this.#resource.incarnation;
  }

  scope(): Scope {
    // Where it came from: what an illegal move is about.
    const { previous, state, since } = this.#resource;
    const transition = previous === "" ? undefined : { from: previous, to: state, at: since, duration: 0 };
    return { self: this.#resource, transition, value: this.#verdict.measured };
  }

  behind(): ObservationBehind | undefined {
    return this.observation === undefined ? undefined : observationExcerpt(this.observation);
  }

  limit(): string | undefined {
    const rule = this.#rule;
    switch (rule.kind) {
      case "expr":
      case "change":
        return rule.expr.text;
      case "stuck":
        return formatDuration(rule.afterMs);
      case "looping":
        return String(rule.max);
      case "absent":
        return formatDuration(rule.absentForMs);
      case "sequence":
        return formatDuration(rule.withinMs);
      case "entered":
      case "illegal":
      case "undeclared":
        return undefined;
      default:
        return rule satisfies never;
    }
  }

  /** What the rule looked at, for whoever is paged. */
  value(): Json {
    const rule = this.#rule;
    const resource = this.#resource;
    switch (rule.kind) {
      case "expr": {
        const [only, ...others] = [...rule.expr.reads.self].filter((name) => resource.attribute(name) !== undefined);
        return only !== undefined && others.length === 0 ? resource.attribute(only)! : resource.state;
      }
      case "looping":
        return resource.visits(rule.state);
      case "change":
        return this.#verdict.measured ?? null;
      default:
        return resource.state;
    }
  }

  /** The story: what, since when, how it came there, and the limit. */
  details(): Record<string, Json> {
    const resource = this.#resource;
    const details: Record<string, Json> = {};
    if (resource.state !== "") {
      details["state"] = resource.state;
      details["since"] = timeText(resource.since);
      if (resource.previous !== "") details["previous_state"] = resource.previous;
    }
    Object.assign(details, this.#reason());
    details["last_seen"] = timeText(resource.last_seen);
    for (const [name, value] of Object.entries(resource.attributes)) {
      if (!Object.hasOwn(details, name)) details[name] = value;
    }
    return details;
  }

  /** What the rule asks for, and what it found. */
  #reason(): Record<string, Json> {
    const rule = this.#rule;
    const { measured, beganAt } = this.#verdict;
    switch (rule.kind) {
      case "expr":
        return { condition: rule.expr.text };
      case "stuck":
        return { limit: formatDuration(rule.afterMs) };
      case "looping":
        return { limit: rule.max };
      case "absent":
        return { limit: formatDuration(rule.absentForMs), ...(rule.expr === undefined ? {} : { condition: rule.expr.text }) };
      case "sequence":
        return {
          ...(beganAt === undefined ? {} : { began: timeText(beganAt) }),
          after: rule.after.text, followed_by: rule.followedBy.text, limit: formatDuration(rule.withinMs),
        };
      case "change":
        return { ...(measured === undefined ? {} : { change: measured }), of: rule.value.text, over: formatDuration(rule.overMs), condition: rule.expr.text };
      case "entered":
      case "illegal":
      case "undeclared":
        return {};
      default:
        return rule satisfies never;
    }
  }
}
