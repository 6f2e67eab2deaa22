import { defineProcessor } from "../src/sdk/component.ts";
import { ConfigError, messageOf } from "../src/sdk/errors.ts";
import { withBody } from "../src/sdk/observation.ts";
import { parsePath, type Path } from "./transform/path.ts";
import { deletion, renaming, setting, type Draft, type Step } from "./transform/steps.ts";

/**
 * Changes observations: `set`, then `rename`, then `delete`, each in the order written. A step sees what the steps before
 * it made. What goes on is a copy along the changed paths; when any step fails, `on_error` decides about the observation as
 * it came, so that nothing half changed goes on.
 *
 * Paths are `body`, `body.order.total`, `body["odd name"]`, `attributes.region`, and `time` (to set). Missing objects on the
 * way are made; anything else in the way fails. Own properties only: no input and no path reaches a prototype.
 *
 * What an expression gives becomes JSON: a timestamp RFC 3339, a duration `90s`, an int beyond 2^53 text, bytes base64.
 */
export const transform = defineProcessor({
  type: "transform",
  summary: "Sets, renames and deletes fields of the body and attributes.",
  stability: "beta",
  schema: {
    type: "object",
    additionalProperties: false,
    minProperties: 1,
    properties: {
      set: {
        type: "object",
        maxProperties: 1_000,
        additionalProperties: {
          type: "string",
          expression: ["body", "attributes", "time", "source", "self", "transition"],
          description: "The new value. Text is quoted: '\"eu\"'. null removes an attribute.",
        },
        description: "Path to expression. Done first.",
      },
      rename: {
        type: "object",
        maxProperties: 1_000,
        additionalProperties: { type: "string", description: "The new path; what is there is replaced." },
        description: "Old path to new path; what does not exist is left alone. Done after set.",
      },
      delete: {
        type: "array",
        maxItems: 1_000,
        items: { type: "string", description: "A path; what does not exist is left alone." },
        description: "Paths to remove. Done last.",
      },
      on_error: {
        type: "string",
        enum: ["drop", "pass", "dead_letter"],
        default: "drop",
        description: "What becomes of an observation for which a step fails: dropped, passed on unchanged, or a dead letter.",
      },
    },
    examples: [
      { set: { "body.total_eur": "body.total_cents / 100", "attributes.region": '"eu"' } },
      { rename: { "body.order_status": "body.status" }, delete: ["body.customer.card", 'attributes["http.request.header.cookie"]'] },
    ],
  },
  create(config, context) {
    const steps: Step[] = [];
    for (const [to, text] of Object.entries(config.set ?? {})) {
      const pointer = `/set/${escapePointer(to)}`;
      steps.push(setting(pathOf(pointer, to), context.expression(pointer, text), context.clock));
    }
    for (const [from, to] of Object.entries(config.rename ?? {})) {
      const pointer = `/rename/${escapePointer(from)}`;
      steps.push(renaming(changeable(pointer, from), changeable(pointer, to)));
    }
    for (const [i, text] of (config.delete ?? []).entries()) {
      const path = changeable(`/delete/${i}`, text);
      if (path.keys.length === 0) throw new ConfigError(`/delete/${i}`, "the whole body cannot be deleted; name a field of it");
      steps.push(deletion(path));
    }
    if (steps.length === 0) throw new ConfigError("", "nothing to do: set, rename or delete is missing");

    return {
      process(observation, next) {
        // Ours alone until it goes on: the steps replace its fields, never what they hold.
        const draft = withBody(observation, observation.body as never) as Draft;
        for (const step of steps) {
          const obstacle = step(draft);
          if (obstacle === undefined) continue;
          if (context.failed(observation, obstacle.reason, config.on_error)) next(observation);
          return;
        }
        next(draft);
      },
    };
  },
});

function pathOf(pointer: string, text: string): Path {
  try {
    return parsePath(text);
  } catch (error) {
    throw new ConfigError(pointer, messageOf(error));
  }
}

/** A path that can be moved or removed: an observation always has a time. */
function changeable(pointer: string, text: string): Path {
  const path = pathOf(pointer, text);
  if (path.root === "time") throw new ConfigError(pointer, "time can be set, but neither renamed nor deleted");
  return path;
}

/** https://www.rfc-editor.org/rfc/rfc6901#section-3 */
function escapePointer(key: string): string {
  return key.replaceAll("~", "~0").replaceAll("/", "~1");
}
