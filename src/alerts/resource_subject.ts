import type { ObservationBehind } from "../sdk/alert.ts";
import { timeText } from "../sdk/alert_text.ts";
import { formatDuration } from "../sdk/duration.ts";
import type { Scope } from "../sdk/expression.ts";
import type { Json } from "../sdk/observation.ts";
import type { EvaluatedResource } from "../sdk/resource.ts";
import type { ResourceRule } from "../sdk/rule.ts";
import type { Subject } from "./life.ts";

/** One resource as the subject of one rule. Reused for the next. */
export class ResourceSubject implements Subject {
  #rule!: ResourceRule;
  #resource!: EvaluatedResource;
  readonly group = undefined;

  of(rule: ResourceRule, resource: EvaluatedResource): this {
    this.#rule = rule;
    this.#resource = resource;
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
    return { self: this.#resource, transition: previous === "" ? undefined : { from: previous, to: state, at: since, duration: 0 } };
  }

  behind(): ObservationBehind | undefined {
    return undefined;
  }

  limit(): string | undefined {
    const rule = this.#rule;
    switch (rule.kind) {
      case "expr":
        return rule.expr.text;
      case "stuck":
        return formatDuration(rule.afterMs);
      case "looping":
        return String(rule.max);
      default:
        return undefined;
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
      default:
        return resource.state;
    }
  }

  /** The story: what, since when, how it came there, and the limit. */
  details(): Record<string, Json> {
    const rule = this.#rule;
    const resource = this.#resource;
    const details: Record<string, Json> = {};
    if (resource.state !== "") {
      details["state"] = resource.state;
      details["since"] = timeText(resource.since);
      if (resource.previous !== "") details["previous_state"] = resource.previous;
    }
    if (rule.kind === "stuck") details["limit"] = formatDuration(rule.afterMs);
    if (rule.kind === "expr") details["condition"] = rule.expr.text;
    if (rule.kind === "looping") details["limit"] = rule.max;
    details["last_seen"] = timeText(resource.last_seen);
    for (const [name, value] of Object.entries(resource.attributes)) {
      if (!Object.hasOwn(details, name)) details[name] = value;
    }
    return details;
  }
}
