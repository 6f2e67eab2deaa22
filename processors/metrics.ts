import { defineProcessor } from "../src/sdk/component.ts";
import { checkMetric, checkTogether } from "./metrics/check.ts";
import { recorderOf } from "./metrics/recorder.ts";

/**
 * Counts and measures what passes, and passes it on. Names appear in the exposition exactly as written.
 *
 * A counter adds `value` (default 1); a histogram observes `value`; a gauge is set to `value`, or moved by `add`. Durations
 * and timestamps count in seconds. Series survive restarts and reloads: their changes are in the commit of the observation
 * that caused them, so an observation read again after a crash counts once. When a reload changes the type, labels or
 * buckets of a metric, its series begin anew.
 *
 * A gauge knows only what passes. How many resources are in which state the agent counts by itself
 * (`custom_resources{type,state}`); a poll of a whole list can set its size, as in the examples.
 *
 * A label whose expression fails, or gives no scalar, is empty, and counted; so is one cut to 256 characters. More than
 * `series_max` series add up in one whose labels are all `__other__`.
 */
export const metrics = defineProcessor({
  type: "metrics",
  summary: "Counters, gauges and histograms from expressions.",
  stability: "beta",
  schema: {
    type: "object",
    additionalProperties: false,
    required: ["metrics"],
    properties: {
      metrics: {
        type: "array",
        minItems: 1,
        maxItems: 200,
        description: "What to record for each observation.",
        items: {
          type: "object",
          additionalProperties: false,
          required: ["name", "type"],
          properties: {
            name: {
              type: "string",
              minLength: 1,
              maxLength: 200,
              description: "As exposed, with its unit; a counter's ends in _total.",
            },
            type: { type: "string", enum: ["counter", "gauge", "histogram"], description: "What it is." },
            help: { type: "string", maxLength: 1_000, description: "One line for who reads the exposition." },
            value: {
              type: "string",
              expression: ["body", "attributes", "time", "source", "self", "transition"],
              description: "What to add (counter, default 1), observe (histogram) or set (gauge).",
            },
            add: {
              type: "string",
              expression: ["body", "attributes", "time", "source", "self", "transition"],
              description: "For gauges, instead of value: by how much it moves, up or down.",
            },
            by: {
              type: "object",
              maxProperties: 16,
              additionalProperties: {
                type: "string",
                expression: ["body", "attributes", "time", "source", "self", "transition"],
                description: "The label's value: text, a number or a boolean.",
              },
              description: "Labels, by name. Never ids: each value is a series.",
            },
            buckets: {
              type: "array",
              minItems: 1,
              maxItems: 100,
              items: { type: "number", description: "An upper bound." },
              description: "For histograms: upper bounds, ascending, without +Inf. Default: 5 ms to 10 s, in seconds.",
            },
            when: {
              type: "string",
              expression: ["body", "attributes", "time", "source", "self", "transition"],
              description: "Condition: only what it is true for is recorded.",
            },
            series_max: {
              type: "integer",
              minimum: 1,
              maximum: 100_000,
              default: 2_000,
              description: "Series of this metric; further ones add up in __other__.",
            },
            durable: { type: "boolean", default: true, description: "Survives restarts." },
          },
        },
      },
      on_error: {
        type: "string",
        enum: ["drop", "pass", "dead_letter"],
        default: "pass",
        description: "What becomes of an observation of which a value cannot be recorded. The other metrics record it.",
      },
    },
    examples: [
      {
        metrics: [
          { name: "order_processed_total", type: "counter", when: 'has(transition.to) && transition.to == "processed"' },
          {
            name: "order_processing_duration_seconds",
            type: "histogram",
            value: "transition.duration",
            when: "has(transition.to)",
            by: { order_type: "body.type", status: "self.state" },
            buckets: [1, 10, 60, 600],
          },
          { name: "order_inventory_level", type: "gauge", value: "body.level", by: { sku: "body.sku" } },
          { name: "custom_resource_orders_pending", type: "gauge", value: 'size(body.orders.filter(o, o.status == "pending"))' },
        ],
      },
    ],
  },
  create(config, context) {
    checkTogether(config.metrics);
    const recorders = config.metrics.map((metric, i) => {
      checkMetric(metric, `/metrics/${i}`);
      return recorderOf(metric, `/metrics/${i}`, context);
    });
    const stop = (): void => recorders.forEach((recorder) => recorder.stop());

    return {
      async start() {
        try {
          for (const recorder of recorders) recorder.start();
        } catch (error) {
          stop();
          throw error;
        }
      },
      process(observation, next) {
        const now = context.clock.now();
        let failures: string | undefined;
        for (const recorder of recorders) {
          const failure = recorder.record(observation, now);
          if (failure !== undefined) failures = failures === undefined ? failure : `${failures}; ${failure}`;
        }
        if (failures === undefined || context.failed(observation, failures, config.on_error)) next(observation);
      },
      async stop() {
        stop();
      },
    };
  },
});
