import { matchersSchema } from "../sdk/notification_options.ts";
import type { Schema } from "./schema_walk.ts";
import { expectedAlert, expectSchema, texts } from "./tests_schema_expect.ts";

const name = (description: string): Schema => ({ type: "string", minLength: 1, maxLength: 1_000, description });
const duration = (description: string, more: object = {}): Schema => ({ type: "string", format: "duration", description, ...more });

const send: Schema = {
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
};

const response: Schema = {
  type: "object",
  additionalProperties: false,
  description: "An answer; or that there is none.",
  properties: {
    status: { type: "integer", minimum: 100, maximum: 599, description: "HTTP status. Default: 200." },
    headers: { ...texts, description: "Headers. Content-Type is that of the body unless given: JSON, or text." },
    body: { description: "Text, or any JSON value. Texts may hold {{ CEL }}; `now` is when the step is taken." },
    delay: duration("How long the answer takes."),
    error: name("There is no answer, for this reason."),
  },
};

const mock: Schema = {
  type: "object",
  additionalProperties: false,
  required: ["receiver", "responses"],
  description:
    "Gives a receiver that asks somebody (http_poll) its answers. From then on the real one runs, on virtual time: it polls at its interval, reads the answers, fails after three bad ones. " +
    "Until then it reads nothing. As a first step it holds from the agent's start.",
  properties: {
    receiver: name("The receiver, named as in `send`."),
    responses: { type: "array", minItems: 1, maxItems: 10_000, description: "One for each request, in turn; the last one repeats.", items: response },
  },
};

// Which of the keys go together is checked with the names in them: see `testProblems`.
const fail: Schema = {
  type: "object",
  additionalProperties: false,
  minProperties: 1,
  description: "Makes a source (`receiver`) or a destination (`exporter`) fail, until `heal`.",
  properties: {
    receiver: name("This receiver cannot read its source: it says so; a mocked one gets no answers any more."),
    reason: name("With receiver: why."),
    exporter: name("This exporter's destination takes no notifications: each attempt fails, and is repeated as in earnest."),
    error: name("With exporter: what the destination says."),
    status: { type: "integer", minimum: 400, maximum: 599, description: "With exporter: it answers with this HTTP status. 4xx is permanent, except 408, 425 and 429." },
    retry_after: duration("With exporter: it asks not to come back sooner."),
    permanent: { type: "boolean", description: "With exporter: no attempt will ever succeed." },
  },
};

const heal: Schema = {
  type: "object",
  additionalProperties: false,
  minProperties: 1,
  description: "Ends a `fail`.",
  properties: {
    receiver: name("This receiver can read its source again."),
    exporter: name("This exporter's destination takes notifications again."),
  },
};

const reload: Schema = {
  type: "object",
  additionalProperties: false,
  description: "The agent loads its configuration anew, with these changes; what a `reload` before it changed stays changed. {}: the same again.",
  properties: {
    set: {
      type: "object",
      description: "Values by their paths, as with --set: `processors.track/order.states.pending.stuck_after: 1h`.",
      additionalProperties: {},
    },
    with: { type: ["string", "null"], minLength: 1, description: "File whose content takes the place of the file with this test; relative to that. null: the file is gone." },
    rejected: { type: "boolean", default: false, description: "The agent must reject it: what ran before goes on." },
  },
};

const silence: Schema = {
  type: "object",
  additionalProperties: false,
  required: ["matchers", "for"],
  description: "Somebody silences alerts.",
  properties: {
    matchers: { ...matchersSchema("Matchers on labels; all must hold."), minItems: 1 },
    for: duration("How long."),
  },
};

/** One of `tests:`: steps on virtual time. */
export const testSchema: Schema = {
  type: "object",
  additionalProperties: false,
  required: ["name", "steps"],
  description:
    "What the configuration does; run by `sojourn test`. Each test has an agent of its own, on virtual time and in an empty store, and reaches nobody: receivers read nothing but what `send` and `mock` give them, " +
    "exporters say what they would send. Where `${env:X}` or `${file:x}` has no value, a placeholder stands in.",
  examples: [
    {
      name: "a stuck order pages once, also when the agent restarts and PagerDuty is down, and resolves",
      steps: [
        { mock: { receiver: "http_poll/orders", responses: [{ body: { orders: [{ id: "o1", status: "pending" }] } }] } },
        { fail: { exporter: "pagerduty", status: 503 } },
        { advance: "31m" },
        { expect: { alerts: [{ alert: "OrderStuckInPending", resource: "o1", status: "firing" }], notifications: [] } },
        { restart: { down: "5m" } },
        { heal: { exporter: "pagerduty" } },
        { advance: "10m" },
        { expect: { notifications: [{ to: "pagerduty", cause: "fired", alerts: ["OrderStuckInPending"], body: { event_action: "trigger", payload: { severity: "warning" } } }] } },
        { reload: { set: { "processors.track/order.states.pending.stuck_after": "2h" } } },
        { mock: { receiver: "http_poll/orders", responses: [{ error: "connection refused" }, { body: { orders: [{ id: "o1", status: "paid" }] } }] } },
        { advance: "10m" },
        { expect: { notifications: [{ to: "pagerduty", status: "resolved" }], resources: [{ id: "o1", state: "paid" }] } },
      ],
    },
  ],
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
          send,
          mock,
          fail,
          heal,
          advance: duration("Lets time pass; deadlines on the way fire in order."),
          at: { type: "string", format: "date-time", description: "Lets time pass until then." },
          restart: {
            type: "object",
            additionalProperties: false,
            description: "Stops the agent without warning and starts it again.",
            properties: { down: duration("How long it is down.", { default: "0s" }) },
          },
          reload,
          silence,
          acknowledge: { ...expectedAlert, description: "Somebody acknowledges the one alert that fires and is like this." },
          expect: expectSchema,
        },
      },
    },
  },
};
