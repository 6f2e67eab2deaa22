import type { AnyDefinition, Exporter, Processor, ProcessorContext, Receiver, ReceiverContext } from "../../sdk/component.ts";
import { Failure, type Expression } from "../../sdk/expression.ts";
import { compileExpression } from "../../sdk/expression_compile.ts";
import type { RuleDeclaration } from "../../sdk/rule.ts";
import type { Notes } from "./notes.ts";

/**
 * The components of a test: processors as they are, receivers that read nothing, exporters that reach nobody.
 * A receiver has caught up at once; an exporter takes every alert.
 */
export function standIns(definitions: readonly AnyDefinition[], notes: Notes): AnyDefinition[] {
  return definitions.map((definition): AnyDefinition => {
    const create = (config: never, context: never): Receiver | Processor | Exporter => definition.create(config, context);
    switch (definition.kind) {
      case "receiver":
        return { ...definition, create: (_: never, context: ReceiverContext) => ({ start: async () => context.caughtUp() }) };
      case "exporter":
        return { ...definition, create: (config: never, context: never) => reachingNobody(create(config, context)) };
      case "processor":
        return { ...definition, create: (config: never, context: ProcessorContext) => noted(create(config, noting(context, notes) as never) as Processor, context.id, notes) };
      default:
        return definition.kind satisfies never;
    }
  });
}

/** Only the real one knows whether it takes alerts. It is created, which has no side effects, and never started. */
function reachingNobody(real: Exporter): Exporter {
  const made: Exporter = { ...real };
  delete made.start;
  delete made.export;
  if (made.notify !== undefined) made.notify = async () => undefined;
  return made;
}

/** What is otherwise only counted is said as well: why an observation failed, why a condition could not be told. */
function noting(context: ProcessorContext, notes: Notes): ProcessorContext {
  return {
    ...context,
    failed(observation, reason, onError) {
      notes.add(context.id, reason);
      return context.failed(observation, reason, onError);
    },
    condition(pointer, text, scope) {
      const judge = context.condition(pointer, text, scope);
      const expression = compileExpression(text, scope ?? ["body", "attributes", "time", "source", "self", "transition"]);
      const noteFailure = failureNoter(context.id, text, notes);
      return (values) => {
        const holds = judge(values);
        if (!holds) noteFailure(expression.evaluate(values, context.clock.now()));
        return holds;
      };
    },
  };
}

function noted(processor: Processor, id: string, notes: Notes): Processor {
  const rules = processor.declares?.rules;
  if (rules === undefined) return processor;
  return { ...processor, declares: { ...processor.declares, rules: rules.map((rule) => notedRule(rule, id, notes)) } };
}

function notedRule(rule: RuleDeclaration, id: string, notes: Notes): RuleDeclaration {
  if (rule.kind !== "expr") return rule;
  const { expr } = rule;
  const noteFailure = failureNoter(id, expr.text, notes);
  const evaluate: Expression["evaluate"] = (scope, now) => {
    const value = expr.evaluate(scope, now);
    noteFailure(value);
    return value;
  };
  return { ...rule, expr: { text: expr.text, reads: expr.reads, evaluate } };
}

/** Failures are made once for each place in the source: that this is the last one again costs a comparison. */
function failureNoter(id: string, text: string, notes: Notes): (value: unknown) => void {
  let last: Failure | undefined;
  return (value) => {
    if (!(value instanceof Failure) || value === last) return;
    last = value;
    notes.add(id, `${text}: ${value.message}`);
  };
}
