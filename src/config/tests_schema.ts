import type { Schema } from "./schema_walk.ts";

const text: Schema = { type: "string", maxLength: 10_000 };
const texts: Schema = { type: "object", additionalProperties: text };

const expectedAlert: Schema = {
  type: "object",
  additionalProperties: false,
  minProperties: 1,
  description: "A change of an alert. What is not given is not compared.",
  properties: {
    alert: { ...text, description: "Name of the alert." },
    rule: { ...text, description: "Id of the rule." },
    status: { enum: ["firing", "resolved"], description: "What became of it." },
    resource: {
      description: "Id of the resource, or its type and id.",
      oneOf: [
        text,
        { type: "object", additionalProperties: false, properties: { type: { ...text, description: "Its type." }, id: { ...text, description: "Its id." } } },
      ],
    },
    type: { ...text, description: "Type of the resource." },
    severity: { ...text, description: "Label severity." },
    reason: { enum: ["recovered", "timed_out", "deleted", "expired", "rule_removed"], description: "Why it is over." },
    value: { description: "What was observed." },
    labels: { ...texts, description: "Labels, some of them." },
    annotations: { ...texts, description: "Annotations, some of them." },
    summary: { ...text, description: "Annotation summary." },
  },
};

const expectedResource: Schema = {
  type: "object",
  additionalProperties: false,
  required: ["id"],
  description: "A resource. What is not given is not compared.",
  properties: {
    type: { ...text, description: "Its type. Needed where resources of several types have the id." },
    id: { ...text, description: "Its id." },
    state: { ...text, description: "The state it is in." },
    incarnation: { type: "integer", minimum: 1, description: "Rises when it is recreated or leaves a terminal state." },
    attributes: { type: "object", description: "Its attributes, some of them." },
    absent: { type: "boolean", default: false, description: "There must be no such resource." },
  },
};

const expectedMetric: Schema = {
  type: "object",
  additionalProperties: false,
  required: ["name", "value"],
  description: "One series.",
  properties: {
    name: { ...text, description: "Name as exposed; of a histogram <name>_count or <name>_sum." },
    labels: { ...texts, description: "Labels, so many that only one series has them." },
    value: { type: "number", description: "Its value." },
  },
};

/** One of `tests:`: steps on virtual time. */
export const testSchema: Schema = {
  type: "object",
  additionalProperties: false,
  required: ["name", "steps"],
  description: "What the configuration does, on virtual time; run by `sojourn test`.",
  properties: {
    name: { type: "string", minLength: 1, maxLength: 200, description: "A sentence that says what is promised." },
    steps: {
      type: "array",
      minItems: 1,
      maxItems: 10_000,
      description: "What happens, in order.",
      items: {
        type: "object",
        additionalProperties: false,
        minProperties: 1,
        maxProperties: 1,
        properties: {
          send: {
            type: "object",
            additionalProperties: false,
            required: ["to", "body"],
            description: "An observation enters at a receiver, as it would emit it.",
            properties: {
              to: { type: "string", description: "Id of the receiver; its type, or the name of its monitor or pipeline, where that can be only one." },
              body: { description: "Its body as the receiver would emit it (an item of `each`): text, or any JSON value. Texts may hold {{ CEL }}, such as {{ now - duration('35m') }}." },
              attributes: {
                type: "object",
                description: "What the receiver knows beside the body.",
                additionalProperties: { type: ["string", "number", "boolean", "array"], items: { type: "string" } },
              },
              headers: { ...texts, description: "Shorthand for attributes http.request.header.<name>." },
              id: { type: "string", minLength: 1, maxLength: 1000, description: "Idempotency id." },
              time: { type: "string", format: "date-time", description: "When it was received. Default: now." },
            },
          },
          advance: { type: "string", format: "duration", description: "Lets time pass; deadlines on the way fire in order." },
          at: { type: "string", format: "date-time", description: "Lets time pass until then." },
          restart: {
            type: "object",
            additionalProperties: false,
            description: "Stops the agent without warning and starts it again.",
            properties: { down: { type: "string", format: "duration", default: "0s", description: "How long it is down." } },
          },
          expect: {
            type: "object",
            additionalProperties: false,
            minProperties: 1,
            description: "What must have happened since the last expect, and what must be so now.",
            properties: {
              alerts: { type: "array", maxItems: 10_000, description: "Each change to firing or resolved since the last `alerts`, in order, as many.", items: expectedAlert },
              resources: { type: "array", maxItems: 10_000, description: "Resources as they are now, some of them.", items: expectedResource },
              metrics: { type: "array", maxItems: 10_000, description: "Series as they are now, some of them.", items: expectedMetric },
            },
          },
        },
      },
    },
  },
};
