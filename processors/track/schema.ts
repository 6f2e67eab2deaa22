/** What may be said of every alert that `track` raises by itself. */
const alertProperties = {
  enabled: { type: "boolean", default: true, description: "false switches the alert off." },
  alert: { type: "string", minLength: 1, maxLength: 200, description: "Name of the alert instead of the default one." },
  severity: { type: "string", minLength: 1, maxLength: 50, description: "Label `severity`. Default: warning." },
  labels: {
    type: "object",
    description: "Further labels; values are templates.",
    propertyNames: { pattern: "^[a-zA-Z_][a-zA-Z0-9_]*$" },
    additionalProperties: { type: "string", template: ["self"] },
  },
  annotations: {
    type: "object",
    description: "Annotations; values are templates. `summary` replaces the default one.",
    propertyNames: { pattern: "^[a-zA-Z_][a-zA-Z0-9_]*$" },
    additionalProperties: { type: "string", template: ["self"] },
  },
} as const;

const resolveAfter = {
  type: "string",
  format: "duration",
  description: "Resolves after this long even if nothing changes.",
} as const;

const alertOnly = { type: "object", additionalProperties: false, properties: alertProperties } as const;

const alertResolving = {
  type: "object",
  additionalProperties: false,
  properties: { ...alertProperties, resolve_after: resolveAfter },
} as const;

const OBSERVED = ["body", "attributes", "time", "source"] as const;

const state = {
  type: "object",
  additionalProperties: false,
  properties: {
    since: { type: "string", expression: OBSERVED, description: "When the resource entered this state, where the source says so." },
    stuck_after: { type: "string", format: "duration", description: "Raises <Type>StuckIn<State> when it stays longer." },
    stuck: { ...alertOnly, description: "Renames, relabels or switches off the alert of `stuck_after`." },
    next: {
      type: "array",
      maxItems: 100,
      items: { type: "string", minLength: 1 },
      description: "States it may move to; any other move raises <Type>IllegalMove.",
    },
    terminal: { type: "boolean", default: false, description: "A resource that got here is done: it is forgotten in the end." },
    alert: {
      description: "Raises <Type><State> when a resource enters this state, until it leaves.",
      oneOf: [{ type: "boolean" }, alertResolving],
    },
    loop_max: { type: "integer", minimum: 1, description: "Raises <Type>Looping when it enters this state more often." },
    loop: { ...alertOnly, description: "Renames, relabels or switches off the alert of `loop_max`." },
  },
} as const;

export const trackSchema = {
  type: "object",
  additionalProperties: false,
  required: ["type", "id"],
  properties: {
    type: {
      type: "string",
      pattern: "^[a-zA-Z][a-zA-Z0-9_.-]{0,99}$",
      description: "Type of the resources: order, payment, device.",
    },
    when: { type: "string", expression: OBSERVED, description: "Only these are tracked; others pass, counted as untracked." },
    id: { type: "string", expression: OBSERVED, description: "What identifies the resource: a string, integer or boolean." },
    state: { type: "string", expression: OBSERVED, description: "Its state. Without one, the type has none." },
    previous: { type: "string", expression: OBSERVED, description: "The state before, where the source reports it. A mismatch counts as a gap." },
    time: { type: "string", expression: OBSERVED, description: "When it happened. Default: when it was received." },
    sequence: { type: "string", expression: OBSERVED, description: "A number that orders the observations of one resource, better than time." },
    attributes: {
      type: "object",
      description: "What else to remember, as self.<name>. A missing value keeps the old one, null removes it.",
      maxProperties: 100,
      propertyNames: { pattern: "^[a-zA-Z_][a-zA-Z0-9_]{0,99}$" },
      additionalProperties: { type: "string", expression: OBSERVED },
    },
    delete_when: { type: "string", expression: OBSERVED, description: "The observation says that the resource is gone." },
    states: {
      type: "object",
      description: "Its states, and what is wrong with staying in them or moving between them.",
      maxProperties: 1000,
      propertyNames: { minLength: 1, maxLength: 200 },
      additionalProperties: state,
    },
    exhaustive: { type: "boolean", default: false, description: "A state that is not declared raises <Type>UndeclaredState." },
    illegal_move: { ...alertResolving, description: "Renames, relabels or switches off <Type>IllegalMove. `resolve_after`: 1h unless given." },
    undeclared_state: { ...alertOnly, description: "Renames, relabels or switches off <Type>UndeclaredState." },
    expire_after: { type: "string", format: "duration", description: "Forget any resource not seen for this long. Default: never." },
    expire_terminal_after: { type: "string", format: "duration", default: "7d", description: "Forget one in a terminal state, or deleted, not seen for this long." },
    resources_max: { type: "integer", minimum: 1, maximum: 20_000_000, default: 1_000_000, description: "Further resources are refused, and counted." },
    states_max: { type: "integer", minimum: 1, maximum: 1000, default: 100, description: "Further states are taken together as __other__." },
    on_error: { enum: ["drop", "pass", "dead_letter"], default: "pass", description: "What becomes of an observation without a usable id or state." },
  },
  examples: [
    {
      type: "order",
      id: "body.id",
      state: "body.status",
      states: { pending: { since: "body.created_at", stuck_after: "30m", next: ["paid", "failed"] }, failed: { terminal: true, alert: { severity: "critical" } } },
    },
  ],
} as const;
