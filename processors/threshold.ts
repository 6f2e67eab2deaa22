import { defineProcessor, type ConfigOf } from "../src/sdk/component.ts";
import { ConfigError } from "../src/sdk/errors.ts";
import type { RuleDeclaration } from "../src/sdk/rule.ts";
import { ruleOf } from "./threshold/rules.ts";
import { thresholdSchema, type RuleConfig } from "./threshold/schema.ts";

/**
 * Registers rules with the evaluator; observations pass unchanged. Keys as in Prometheus's alerting rules
 * (https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/), and beside them what a metrics database
 * cannot say: what has gone silent, what did not follow, what must be there, and what many resources say together.
 */
export const threshold = defineProcessor({
  type: "threshold",
  summary: "Raises alerts when a condition on resources or observations holds.",
  stability: "beta",
  schema: thresholdSchema,
  create(config, context) {
    const seen = new Map<string, number>();
    const rules = (config as ConfigOf<typeof thresholdSchema> as { rules: readonly unknown[] }).rules.map((written, i): RuleDeclaration => {
      const rule = written as RuleConfig;
      const pointer = `/rules/${i}`;
      const id = rule.id ?? rule.alert;
      const key = JSON.stringify([rule.type, id]);
      if (seen.has(key)) throw new ConfigError(`${pointer}/alert`, `rule "${id}" is there twice (also rules[${seen.get(key)!}]); give one an \`id\``);
      seen.set(key, i);
      return ruleOf(rule, pointer, context);
    });
    const feeds = rules.flatMap((rule) => (rule.kind === "window" ? [rule.feed] : []));
    return {
      process(observation, next) {
        for (const feed of feeds) feed.push(observation);
        next(observation);
      },
      declares: { rules },
    };
  },
});
