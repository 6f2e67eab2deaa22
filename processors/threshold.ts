import { defineProcessor } from "../src/sdk/component.ts";
import { ConfigError } from "../src/sdk/errors.ts";
import { durationMs } from "../src/sdk/duration.ts";
import type { RuleDeclaration } from "../src/sdk/rule.ts";

const RULE_SCOPE = ["self"] as const;

/**
 * Registers rules on resources with the evaluator; observations pass unchanged. Keys as in Prometheus's alerting rules:
 * https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/
 */
export const threshold = defineProcessor({
  type: "threshold",
  summary: "Raises alerts when a condition on a resource holds.",
  stability: "beta",
  schema: {
    type: "object",
    additionalProperties: false,
    required: ["rules"],
    properties: {
      rules: {
        type: "array",
        minItems: 1,
        maxItems: 1000,
        description: "Conditions on resources of one type.",
        items: {
          type: "object",
          additionalProperties: false,
          required: ["alert", "expr"],
          properties: {
            alert: { type: "string", minLength: 1, maxLength: 200, description: "Name of the alert." },
            id: { type: "string", minLength: 1, maxLength: 200, description: "Identity of the rule: its alerts keep their state under it. Default: the alert's name." },
            type: { type: "string", minLength: 1, description: "Type of the resources. Default: the one tracked before in the pipeline." },
            expr: { type: "string", expression: RULE_SCOPE, description: "The condition, on self and now." },
            for: { type: "string", format: "duration", default: "0s", description: "How long the condition must hold before the alert fires." },
            keep_firing_for: { type: "string", format: "duration", default: "0s", description: "How long it must not hold before the alert resolves." },
            labels: {
              type: "object",
              description: "Labels of the alert; values are templates. Without `severity` it is warning.",
              propertyNames: { pattern: "^[a-zA-Z_][a-zA-Z0-9_]*$" },
              additionalProperties: { type: "string", template: RULE_SCOPE },
            },
            annotations: {
              type: "object",
              description: "Annotations of the alert, such as summary; values are templates.",
              propertyNames: { pattern: "^[a-zA-Z_][a-zA-Z0-9_]*$" },
              additionalProperties: { type: "string", template: RULE_SCOPE },
            },
          },
        },
      },
    },
    examples: [
      {
        rules: [
          {
            alert: "OrderTooLarge",
            expr: "self.amount > 10000",
            for: "5m",
            labels: { severity: "warning" },
            annotations: { summary: "Order {{ self.id }} is worth {{ self.amount }}" },
          },
        ],
      },
    ],
  },
  create(config, context) {
    const seen = new Map<string, number>();
    const rules = config.rules.map((rule, i): RuleDeclaration => {
      const pointer = `/rules/${i}`;
      const id = rule.id ?? rule.alert;
      const key = JSON.stringify([rule.type, id]);
      if (seen.has(key)) throw new ConfigError(`${pointer}/alert`, `rule "${id}" is there twice (also rules[${seen.get(key)!}]); give one an \`id\``);
      seen.set(key, i);
      const templates = (kind: "labels" | "annotations") =>
        Object.entries(rule[kind] ?? {}).map(([name, text]) => [name, context.template(`${pointer}/${kind}/${name}`, text, RULE_SCOPE)] as const);
      const labels = new Map([["severity", context.template(pointer, "warning", [])], ...templates("labels")]);
      const summary = context.template(pointer, "{{ self.type }} {{ self.id }}: " + rule.expr.replaceAll("{{", "{ {"), RULE_SCOPE);
      return {
        kind: "expr",
        id,
        alert: rule.alert,
        type: rule.type,
        labels,
        annotations: new Map([["summary", summary], ...templates("annotations")]),
        pointer,
        expr: context.expression(`${pointer}/expr`, rule.expr, RULE_SCOPE),
        forMs: durationMs(rule.for),
        keepFiringForMs: durationMs(rule.keep_firing_for),
      };
    });
    return { process: (observation, next) => next(observation), declares: { rules } };
  },
});
