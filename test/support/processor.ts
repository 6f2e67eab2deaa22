import { Ajv } from "ajv";
import { virtualClock } from "../../src/sdk/virtual_clock.ts";
import { observation, wholeBody, type Attributes, type Json, type Observation } from "../../src/sdk/observation.ts";
import { processorContext, type Parts, type Recorded } from "./context.ts";
import type { Processor, ProcessorContext } from "../../src/sdk/component.ts";

/** An observation whose body is `body`. */
export function observed(body: Json, attributes: Attributes = {}): Observation {
  return observation(body, { time: 1_000, source: "test", attributes });
}

/** What a processor passes on for one observation. */
export function through(processor: Processor, input: Observation): Observation[] {
  const passed: Observation[] = [];
  processor.process(input, (output) => void passed.push(output));
  return passed;
}

/** The body of the one observation that a processor passes on; undefined when it passes none on. */
export function bodyThrough(processor: Processor, input: Observation): Json | undefined {
  const passed = through(processor, input);
  return passed[0] === undefined ? undefined : wholeBody(passed[0].body);
}

const ajv = new Ajv({ useDefaults: true, strict: true, keywords: ["expression", "template"] });

/** A processor of a configuration that its schema accepts, defaults filled in; and what it says to its context. */
export function created(
  definition: { readonly schema: object; create(config: never, context: ProcessorContext): Processor },
  config: Json,
  parts: Partial<Parts> = {},
): { processor: Processor; recorded: Recorded } {
  const filled = structuredClone(config);
  if (!ajv.validate(definition.schema, filled)) throw new Error(`the schema refuses this configuration: ${ajv.errorsText()}`);
  const { context, recorded } = processorContext({ clock: virtualClock(), ...parts });
  return { processor: definition.create(filled as never, context), recorded };
}
