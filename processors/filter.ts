import { defineProcessor } from "../src/sdk/component.ts";
import { ConfigError } from "../src/sdk/errors.ts";

/**
 * Passes on what `keep` says, or all but what `drop` says.
 *
 * A condition that fails, say because a field is missing, is false and counted: with `keep` the observation goes, with
 * `drop` it stays.
 */
export const filter = defineProcessor({
  type: "filter",
  summary: "Passes on only the observations that a condition keeps, or does not drop.",
  stability: "beta",
  schema: {
    type: "object",
    additionalProperties: false,
    properties: {
      keep: {
        type: "string",
        expression: ["body", "attributes", "time", "source", "self", "transition"],
        description: "Condition: what it is true for goes on, the rest is dropped. Either this or drop.",
      },
      drop: {
        type: "string",
        expression: ["body", "attributes", "time", "source", "self", "transition"],
        description: "Condition: what it is true for is dropped, the rest goes on. Either this or keep.",
      },
    },
    examples: [{ keep: 'body.component == "order-processor"' }, { drop: 'body.level in ["debug", "trace"]' }],
  },
  create({ keep, drop }, context) {
    if (keep !== undefined && drop !== undefined) {
      throw new ConfigError("/drop", "keep and drop exclude each other: use one, or two filters");
    }
    if (keep !== undefined) {
      const kept = context.condition("/keep", keep);
      return { process: (observation, next) => (kept(observation) ? next(observation) : context.counted("filtered")) };
    }
    if (drop === undefined) throw new ConfigError("", "keep or drop is missing: a condition that says what goes on");
    const dropped = context.condition("/drop", drop);
    return { process: (observation, next) => (dropped(observation) ? context.counted("filtered") : next(observation)) };
  },
});
