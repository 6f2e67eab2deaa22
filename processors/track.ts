import { defineProcessor } from "../src/sdk/component.ts";
import { ConfigError } from "../src/sdk/errors.ts";
import { durationMs } from "../src/sdk/duration.ts";
import { Failure, type Expression, type Value } from "../src/sdk/expression.ts";
import { jsonOf } from "../src/sdk/expression_json.ts";
import { withResource, type Json, type Observation } from "../src/sdk/observation.ts";
import { RESOURCE_FIELDS, type StateDeclaration, type TypeDeclaration } from "../src/sdk/resource.ts";
import { timeMs } from "../src/sdk/time.ts";
import { pointerPart, rulesOf } from "./track/rules.ts";
import { trackSchema } from "./track/schema.ts";

const OBSERVED = ["body", "attributes", "time", "source"] as const;
const ID_LENGTH_MAX = 1_000;

/**
 * Maps each observation to a resource, keeps the resource's state, and raises what its states declare.
 *
 * Guarantee: everything that one observation changes (state, counts, alerts) is in one commit with the receiver's
 * position. An observation that names no usable id or state changes nothing.
 */
export const track = defineProcessor({
  type: "track",
  summary: "Keeps the state of each resource, and says what is stuck.",
  stability: "beta",
  schema: trackSchema,
  create(config, context) {
    const optional = (pointer: string, text: string | undefined): Expression | undefined =>
      text === undefined ? undefined : context.expression(pointer, text, OBSERVED);
    const when = config.when === undefined ? undefined : context.condition("/when", config.when, OBSERVED);
    const deleteWhen = config.delete_when === undefined ? undefined : context.condition("/delete_when", config.delete_when, OBSERVED);
    const idOf = context.expression("/id", config.id, OBSERVED);
    const stateOf = optional("/state", config.state);
    const previousOf = optional("/previous", config.previous);
    const timeOf = optional("/time", config.time);
    const sequenceOf = optional("/sequence", config.sequence);
    const sinceOf = new Map<string, Expression>();
    for (const [state, declared] of Object.entries(config.states ?? {})) {
      if (declared.since !== undefined) sinceOf.set(state, context.expression(`/states/${pointerPart(state)}/since`, declared.since, OBSERVED));
    }
    const attributeNames = Object.keys(config.attributes ?? {});
    for (const name of attributeNames) {
      if (!(RESOURCE_FIELDS as readonly string[]).includes(name)) continue;
      throw new ConfigError(`/attributes/${name}`, `self.${name} is the resource's own; allowed is any name but ${RESOURCE_FIELDS.join(", ")}`);
    }
    const attributesOf = attributeNames.map((name) => context.expression(`/attributes/${name}`, config.attributes![name]!, OBSERVED));
    const declaration = declarationOf(config, attributeNames);
    const rules = rulesOf(config, context);
    const tracker = context.tracker(config.type, attributeNames);
    const sighting = tracker.sighting();

    function process(observation: Observation, next: (observation: Observation) => void): void {
      if (when !== undefined && !when(observation)) {
        context.counted("untracked");
        return next(observation);
      }
      const now = context.clock.now();
      const id = keyText(idOf.evaluate(observation, now));
      if (id === undefined) return failed(observation, next, "id", idOf.evaluate(observation, now));
      const deleted = deleteWhen?.(observation) ?? false;
      let state: string | undefined;
      if (stateOf !== undefined && !deleted) {
        state = keyText(stateOf.evaluate(observation, now));
        if (state === undefined) return failed(observation, next, "state", stateOf.evaluate(observation, now));
      }
      sighting.id = id;
      sighting.state = state;
      sighting.deleted = deleted;
      sighting.snapshot = observation.snapshot;
      sighting.source = observation.source;
      sighting.previous = previousOf === undefined ? undefined : keyText(previousOf.evaluate(observation, now));
      const time = timeOf === undefined ? undefined : eventTime(timeOf.evaluate(observation, now));
      sighting.time = time ?? observation.time;
      sighting.arrival = time === undefined;
      const sequence = sequenceOf?.evaluate(observation, now);
      sighting.sequence = sequenceNumber(sequence);
      const since = state === undefined ? undefined : sinceOf.get(state);
      sighting.since = since === undefined ? undefined : timeMs(orUndefined(since.evaluate(observation, now)));
      for (let i = 0; i < attributesOf.length; i++) sighting.attributes[i] = attribute(attributesOf[i]!.evaluate(observation, now));
      if (tracker.apply(sighting, observation) === "refused") {
        context.counted("resources_max");
        return next(observation);
      }
      next(withResource(observation, tracker.self, tracker.transition));
    }

    function eventTime(value: Value | Failure): number | undefined {
      const ms = timeMs(orUndefined(value));
      if (ms === undefined) context.counted("time_unusable");
      return ms;
    }

    function failed(observation: Observation, next: (observation: Observation) => void, what: string, value: Value | Failure): void {
      const reason = value instanceof Failure ? value.message : "must be a non-empty string, a boolean or a safe integer";
      if (context.failed(observation, `${what}: ${reason}`, config.on_error)) next(observation);
    }

    return { process, declares: { type: declaration, rules } };
  },
});

function declarationOf(config: Parameters<typeof track.create>[0], attributes: readonly string[]): TypeDeclaration {
  const states = new Map<string, StateDeclaration>();
  for (const [name, declared] of Object.entries(config.states ?? {})) {
    states.set(name, { terminal: declared.terminal, next: declared.next });
  }
  return {
    type: config.type,
    states,
    statesKey: canonical([config.states ?? {}, config.exhaustive, config.illegal_move, config.undeclared_state]),
    attributes,
    exhaustive: config.exhaustive,
    loopStates: new Set(Object.entries(config.states ?? {}).filter(([, s]) => s.loop_max !== undefined).map(([name]) => name)),
    expireTerminalAfterMs: durationMs(config.expire_terminal_after),
    expireAfterMs: config.expire_after === undefined ? undefined : durationMs(config.expire_after),
    resourcesMax: config.resources_max,
    statesMax: config.states_max,
  };
}

/** An id or a state as text: a non-empty string, a boolean or a safe integer; undefined for anything else. */
function keyText(value: Value | Failure): string | undefined {
  // A lone surrogate would be another text once it comes back from the store.
  if (typeof value === "string") return value === "" || value.length > ID_LENGTH_MAX ? undefined : value.isWellFormed() ? value : value.toWellFormed();
  if (typeof value === "number") return Number.isSafeInteger(value) ? String(value) : undefined;
  return typeof value === "boolean" || typeof value === "bigint" ? String(value) : undefined;
}

/** Undefined, where the expression failed or gave too much, keeps the old value. */
function attribute(value: Value | Failure): Json | undefined {
  if (value instanceof Failure) return undefined;
  // JSON has no name for a number that is none, so it could not be kept.
  if (typeof value === "number") return Number.isFinite(value) ? value : undefined;
  if (value === null || typeof value === "string" || typeof value === "boolean") return value;
  try {
    return jsonOf(value);
  } catch {
    return undefined;
  }
}

function orUndefined(value: Value | Failure): unknown {
  return value instanceof Failure ? undefined : value;
}

function sequenceNumber(value: Value | Failure | undefined): number | undefined {
  if (typeof value === "string" ? value.trim() === "" : typeof value !== "number" && typeof value !== "bigint") return undefined;
  const number = Number(value);
  return Number.isFinite(number) ? number : undefined;
}

/** JSON with sorted keys: the same for the same declaration, however it is written. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) =>
    part === null || typeof part !== "object" || Array.isArray(part) ? part : Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1))));
}
