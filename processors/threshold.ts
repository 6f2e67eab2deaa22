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
    const wrong: ConfigError[] = [];
    const rules = (config as ConfigOf<typeof thresholdSchema> as { rules: readonly unknown[] }).rules.flatMap((written, i): RuleDeclaration[] => {
      const rule = written as RuleConfig;
      const pointer = `/rules/${i}`;
      try {
        const id = rule.id ?? rule.alert;
        const key = JSON.stringify([rule.type, id]);
        if (seen.has(key)) throw new ConfigError(`${pointer}/alert`, `rule "${id}" is there twice (also rules[${seen.get(key)!}]); give one an \`id\``);
        seen.set(key, i);
        const declared = ruleOf(rule, pointer, context);
        checkEarlier(declared);
        return [declared];
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error;
        wrong.push(error);
        return [];
      }
    });
    if (wrong.length > 0) throw wrong.length === 1 ? wrong[0]! : new AggregateError(wrong, "several rules are wrong");
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

/** Without a time for it, `earlier` is never known, and such a rule would be silent for ever. */
function checkEarlier(rule: RuleDeclaration): void {
  if ((rule.kind !== "window" && rule.kind !== "aggregate") || rule.earlierMs !== undefined) return;
  for (const [key, expression] of [["expr", rule.expr], ["clear", rule.clear]] as const) {
    if (expression?.reads.scope.has("earlier") === true) {
      throw new ConfigError(`${rule.pointer}/${key}`, `reads earlier, but nothing says how much earlier; allowed with \`${rule.kind}: { earlier: 10m }\``);
    }
  }
}
