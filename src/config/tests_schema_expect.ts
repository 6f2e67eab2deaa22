import type { Schema } from "./schema_walk.ts";

const text: Schema = { type: "string", maxLength: 10_000 };
/** Text by name. */
export const texts: Schema = { type: "object", additionalProperties: text };

/** An alert as it is expected. */
export const expectedAlert: Schema = {
  type: "object",
  additionalProperties: false,
  minProperties: 1,
  description: "An alert. What is not given is not compared.",
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
    group: { ...texts, description: "Labels of the group that it is about, some of them." },
    type: { ...text, description: "Type of the resource." },
    severity: { ...text, description: "Label severity." },
    reason: { enum: ["recovered", "timed_out", "deleted", "expired", "rule_removed"], description: "Why it is over." },
    value: { description: "What was observed." },
    labels: { ...texts, description: "Labels, some of them." },
    annotations: { ...texts, description: "Annotations, some of them." },
    summary: { ...text, description: "Annotation summary." },
  },
};

const expectedNotification: Schema = {
  type: "object",
  additionalProperties: false,
  minProperties: 1,
  description: "What an exporter took. What is not given is not compared.",
  properties: {
    to: { ...text, description: "Id of the exporter; its type, or the name of its monitor or pipeline, where that can be only one." },
    status: { enum: ["firing", "resolved"], description: "`resolved` once no alert of it fires any more." },
    cause: { enum: ["fired", "changed", "repeat", "resolved", "test"], description: "Why it was sent." },
    alerts: {
      type: "array",
      maxItems: 10_000,
      description: "The alerts that it tells of, in order, as many: names, or what is expected of each.",
      items: { oneOf: [text, expectedAlert] },
    },
    group: { ...texts, description: "Labels that the alerts share by `group_by`, some of them." },
    body: { description: "What the exporter sent. Of maps some keys, at any depth; of lists as many items." },
    text: { ...text, description: "Some text of what the exporter sent has this in it." },
  },
};

const expectedSpan: Schema = {
  type: "object",
  additionalProperties: false,
  minProperties: 1,
  description: "A span of a resource's life. What is not given is not compared.",
  properties: {
    to: { ...text, description: "The exporter, named as in `notifications`." },
    name: { ...text, description: "The state that was left; of the root `created`, or the type." },
    resource: expectedAlert.properties!["resource"]!,
    incarnation: { type: "integer", minimum: 1, description: "Which life of the resource." },
    start: { type: "string", format: "date-time", description: "When it began." },
    duration_seconds: { type: "number", minimum: 0, description: "How long it lasted." },
    attributes: { type: "object", description: "Its attributes, some of them.", additionalProperties: { type: ["string", "number", "boolean"] } },
    trace_id: { ...text, description: "Its trace." },
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
  required: ["name"],
  description: "One series. Without `value` it must only be there.",
  properties: {
    name: { ...text, description: "Name as exposed; of a histogram <name>_count or <name>_sum." },
    labels: { ...texts, description: "Labels, so many that only one series has them." },
    value: { type: "number", description: "Its value." },
    absent: { type: "boolean", default: false, description: "There must be no such series." },
  },
};

/** `expect` of a step. */
export const expectSchema: Schema = {
  type: "object",
  additionalProperties: false,
  minProperties: 1,
  description: "What must have happened since the last expect, and what must be so now.",
  properties: {
    alerts: { type: "array", maxItems: 10_000, description: "Each change to firing or resolved since the last `alerts`, in order, as many.", items: expectedAlert },
    notifications: {
      type: "array",
      maxItems: 10_000,
      description: "What exporters took since the last `notifications`: in order, of one instant by the exporter's id; as many. What alertmanager is told again and again is left out.",
      items: expectedNotification,
    },
    spans: { type: "array", maxItems: 10_000, description: "Spans that exporters took since the last `spans`, in the same order; as many.", items: expectedSpan },
    resources: { type: "array", maxItems: 10_000, description: "Resources as they are now, some of them.", items: expectedResource },
    metrics: { type: "array", maxItems: 10_000, description: "Series as they are now, some of them.", items: expectedMetric },
  },
};
