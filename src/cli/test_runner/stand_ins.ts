import type { Notification } from "../../sdk/alert.ts";
import type { AnyDefinition, Exporter, ExporterContext, Processor, ProcessorContext, Receiver, ReceiverContext } from "../../sdk/component.ts";
import { messageOf } from "../../sdk/errors.ts";
import { Failure, type Expression } from "../../sdk/expression.ts";
import { compileExpression } from "../../sdk/expression_compile.ts";
import type { Json } from "../../sdk/observation.ts";
import type { RuleDeclaration } from "../../sdk/rule.ts";
import type { Notes } from "./notes.ts";
import type { LiveReceiver, Outside } from "./outside.ts";

/**
 * The components of a test: processors as they are, receivers that read nothing but mocked answers, exporters that reach
 * nobody. What a receiver asks and an exporter sends meets `outside`.
 */
export function standIns(definitions: readonly AnyDefinition[], notes: Notes, outside: Outside): AnyDefinition[] {
  return definitions.map((definition): AnyDefinition => {
    const create = (config: never, context: never): Receiver | Processor | Exporter => definition.create(config, context);
    switch (definition.kind) {
      case "receiver":
        return { ...definition, create: (config: never, context: ReceiverContext) => askingOutside((given) => create(config, given as never), context, outside) };
      case "exporter":
        return { ...definition, create: (config: never, context: ExporterContext) => reachingNobody(create(config, context as never), context, outside) };
      case "processor":
        return { ...definition, create: (config: never, context: ProcessorContext) => noted(create(config, noting(context, notes) as never) as Processor, context.id, notes) };
      default:
        return definition.kind satisfies never;
    }
  });
}

/**
 * A receiver that reads nothing and has caught up at once, until its answers are mocked: then the real one runs. That is
 * created in any case, which has no side effects, and shows whether it asks anybody.
 */
function askingOutside(create: (context: ReceiverContext) => Receiver, context: ReceiverContext, outside: Outside): Receiver {
  const { id, clock } = context;
  let asks = false;
  // Not a copy: where the receiver had got to is only known when it starts.
  const given = Object.create(context, {
    transport: {
      get() {
        asks = true;
        return { send: (request: never) => outside.answer(id, request, clock) };
      },
    },
  }) as ReceiverContext;
  const real = create(given);
  let runs = false;
  const live: LiveReceiver = {
    async asksNow() {
      if (!asks) outside.refuseMock(id);
      if (runs) return;
      runs = true;
      await real.start?.();
    },
    failing(reason) {
      context.failing(reason);
      if (reason === undefined) context.caughtUp();
    },
  };
  return {
    async start() {
      outside.live.set(id, live);
      if (outside.isMocked(id)) await live.asksNow();
      else live.failing(outside.failingReason(id));
    },
    async stop() {
      if (outside.live.get(id) === live) outside.live.delete(id);
      if (runs) await real.stop?.();
    },
  };
}

/** Only the real one knows whether it takes alerts, and what it would send. It is never started. */
function reachingNobody(real: Exporter, { id, clock }: ExporterContext, outside: Outside): Exporter {
  const made: Exporter = { ...real };
  delete made.start;
  delete made.export;
  if (outside.wantsSpans && real.renderSpans !== undefined) {
    made.export = async (batch) => outside.deliverSpans(id, clock.now(), real.renderSpans!(batch));
  }
  if (made.notify === undefined) return made;
  made.notify = async (notification) => {
    // Who wants to be told of the same every minute would drown what is news.
    const again = real.refreshes !== undefined && notification.cause === "repeat";
    outside.deliver(id, clock.now(), again ? undefined : { notification, body: () => renderedBy(real, notification) });
    return undefined;
  };
  return made;
}

function renderedBy(real: Exporter, notification: Notification): Json | undefined {
  if (real.render === undefined) return undefined;
  try {
    // As it would travel: what is undefined is not there.
    return JSON.parse(JSON.stringify(real.render(notification))) as Json;
  } catch (error) {
    return { "cannot be rendered": messageOf(error) };
  }
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
