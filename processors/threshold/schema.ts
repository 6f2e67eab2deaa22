const SELF = ["self"] as const;
const OBSERVED = ["body", "attributes", "time", "source", "self", "transition"] as const;
const MOVED = ["self", "transition"] as const;
/** What the condition of a rule may read: `value`, `earlier` and `group` where the rule measures something. */
export const CONDITION_SCOPE = [...OBSERVED, "value", "earlier", "group"] as const;

/** Statistics, in the order in which they are named to users; `p50` to `p99` beside them. */
export const STATISTICS = ["count", "rate", "share", "sum", "avg", "min", "max", "distinct"] as const;
const PERCENTILE = "^p[5-9][0-9]$";

const duration = (description: string, preset?: string) =>
  ({ type: "string", format: "duration", description, ...(preset === undefined ? {} : { default: preset }) }) as const;

const texts = (description: string) => ({
  type: "object",
  description,
  propertyNames: { pattern: "^[a-zA-Z_][a-zA-Z0-9_]*$" },
  additionalProperties: { type: "string", template: CONDITION_SCOPE },
}) as const;

/** What is measured: one of the statistics, over those for which `when` holds. */
function measureProperties(scope: readonly string[]): Record<string, object> {
  const condition = (description: string): object => ({
    description,
    oneOf: [{ const: true, description: "All of them." }, { type: "string", expression: scope, description: "Those for which it holds." }],
  });
  const number = (description: string): object => ({ type: "string", expression: scope, description });
  return {
    count: condition("How many: `true`, or a condition."),
    sum: number("Sum of a number."),
    avg: number("Mean of a number."),
    min: number("Smallest number."),
    max: number("Largest number."),
    distinct: number("How many different values."),
    when: { type: "string", expression: scope, description: "Only those for which it holds." },
  };
}

const percentiles = (scope: readonly string[]): object => ({
  [PERCENTILE]: { title: "p50 … p99", type: "string", expression: scope, description: "Percentile of a number, such as p95." },
});

const grouping = (scope: readonly string[]): Record<string, object> => ({
  by: {
    type: "object",
    maxProperties: 8,
    description: "One value, and one alert, for each group: labels, by name.",
    propertyNames: { pattern: "^[a-zA-Z_][a-zA-Z0-9_]*$" },
    additionalProperties: { type: "string", expression: scope, description: "The label's value: text, a number or a boolean." },
  },
  groups_max: { type: "integer", minimum: 1, maximum: 100_000, default: 1_000, description: "Further groups are counted, and taken together as __other__; that is judged for count, rate, sum, min and max only, undivided; of the others they are left out." },
  earlier: duration("Makes `earlier` in `expr` the value this long ago."),
});

const window = {
  type: "object",
  additionalProperties: false,
  required: ["over"],
  description: "A number over the observations of the last while; `expr` compares it as `value`.",
  properties: {
    ...measureProperties(OBSERVED),
    rate: { ...(measureProperties(OBSERVED)["count"] as object), description: "How many per second: `true`, or a condition." },
    over: duration("How far the window reaches back."),
    divided_by: {
      type: "object",
      additionalProperties: false,
      description: "`value` is divided by this one, over the same window and groups.",
      properties: measureProperties(OBSERVED),
      patternProperties: percentiles(OBSERVED),
    },
    ...grouping(OBSERVED),
  },
  patternProperties: percentiles(OBSERVED),
} as const;

const aggregate = {
  type: "object",
  additionalProperties: false,
  description: "A number over the current resources of the type; `expr` compares it as `value`.",
  properties: {
    ...measureProperties(SELF),
    share: { type: "string", expression: SELF, description: "Which part of them (0 to 1) it holds for." },
    ...grouping(SELF),
  },
  patternProperties: percentiles(SELF),
} as const;

const sequence = {
  type: "object",
  additionalProperties: false,
  required: ["after", "followed_by", "within"],
  description: "After one thing another must follow in time. Asked at each observation of a resource.",
  properties: {
    after: { type: "string", expression: MOVED, description: "What begins it, when it becomes true." },
    followed_by: { type: "string", expression: MOVED, description: "What must follow." },
    unless: { type: "string", expression: MOVED, description: "What calls it off." },
    within: duration("How long it may take."),
  },
} as const;

const change = {
  type: "object",
  additionalProperties: false,
  required: ["value", "over"],
  description: "How a number of a resource changed; `expr` compares it as `value`.",
  properties: {
    value: { type: "string", expression: SELF, description: "The number." },
    over: duration("Compared with what it was this long ago."),
    as: { enum: ["delta", "rate", "ratio"], default: "delta", description: "delta: now minus then. rate: that per second. ratio: that divided by then." },
  },
} as const;

const expect = {
  type: "object",
  additionalProperties: false,
  description: "What must be there; `expr` says what an observation must say to count. One of `within` and `schedule`, or both.",
  properties: {
    ids: {
      type: "array", minItems: 1, maxItems: 10_000, description: "Each of these resources. Default: any one of the type.",
      items: { type: "string", minLength: 1, description: "Id of a resource." },
    },
    within: duration("It must come again within this time; with a schedule: how late it may be."),
    schedule: {
      type: "object",
      additionalProperties: false,
      required: ["cron"],
      description: "When it must have come, each time anew.",
      properties: {
        cron: { type: "string", minLength: 1, maxLength: 200, description: "Minute, hour, day, month, weekday: \"30 2 * * *\" is every day at 02:30." },
        timezone: { type: "string", minLength: 1, maxLength: 100, default: "UTC", description: "IANA name, such as Europe/Berlin." },
      },
    },
  },
} as const;

export const thresholdSchema = {
  type: "object",
  additionalProperties: false,
  required: ["rules"],
  properties: {
    rules: {
      type: "array",
      minItems: 1,
      maxItems: 1000,
      description: "Conditions, each with its alert.",
      items: {
        type: "object",
        additionalProperties: false,
        required: ["alert"],
        properties: {
          alert: { type: "string", minLength: 1, maxLength: 200, description: "Name of the alert." },
          id: { type: "string", minLength: 1, maxLength: 200, description: "Identity of the rule: its alerts keep their state under it. Default: the alert's name." },
          type: { type: "string", minLength: 1, description: "Type of the resources. Default: the one tracked before in the pipeline." },
          expr: { type: "string", expression: CONDITION_SCOPE, description: "The condition: on self and now; on value, earlier and group where the rule measures something." },
          absent_for: duration("Nothing was heard of a resource for this long (unless its state is terminal). `expr` narrows it down to some."),
          sequence,
          change,
          window,
          aggregate,
          expect,
          on: { const: "observation", description: "`expr` judges each observation that passes; the alert resolves `resolve_after` the last one." },
          by: {
            ...(grouping(OBSERVED)["by"] as object),
            description: "With `on: observation`: one alert for each group. Default: for each resource, where one is tracked.",
          },
          resolve_after: duration("With `on: observation`. Default: 5m."),
          always: { const: true, description: "Fires always: its silence tells whoever listens that the agent is dead." },
          for: duration("How long the condition must hold before the alert fires.", "0s"),
          keep_firing_for: duration("How long it must not hold before the alert resolves.", "0s"),
          clear: { type: "string", expression: CONDITION_SCOPE, description: "A firing alert resolves when this holds, not already when `expr` ceases to." },
          no_data: {
            enum: ["ok", "keep", "alert"],
            default: "ok",
            description: "Where a value is missing or no number. ok: the condition does not hold. keep: what was said before stands. alert: it holds.",
          },
          flapping: {
            type: "object",
            additionalProperties: false,
            required: ["fires_max", "within"],
            description: "An alert that fires more than `fires_max` times `within` a while stays until it has been quiet for as long.",
            properties: {
              fires_max: { type: "integer", minimum: 1, maximum: 1_000, description: "How many times within it are still fine." },
              within: duration("A while."),
            },
          },
          labels: texts("Labels of the alert; values are templates. Without `severity` it is warning."),
          annotations: texts("Annotations of the alert, such as summary and runbook_url; values are templates."),
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
        { alert: "DeviceSilent", absent_for: "10m" },
        { alert: "FailuresRising", window: { count: "body.status == 'failed'", by: { reason: "body.reason" }, over: "10m", earlier: "10m" }, expr: "value > 10 && value > 2 * earlier" },
        { alert: "QueueTooLong", aggregate: { count: "self.state == 'pending'" }, expr: "value > 1000", clear: "value < 800" },
        { alert: "PaidNotShipped", sequence: { after: "self.state == 'paid'", followed_by: "self.state == 'shipped'", unless: "self.state == 'cancelled'", within: "2d" } },
        { alert: "ExportMissing", expect: { ids: ["nightly-export"], schedule: { cron: "30 2 * * *", timezone: "Europe/Berlin" } }, expr: "self.state == 'success'" },
      ],
    },
  ],
} as const;

/** Keys that each make a kind of rule of their own. */
export const KIND_KEYS = ["absent_for", "sequence", "change", "window", "aggregate", "expect", "on", "always"] as const;

/** What may be measured, as written. */
export type MeasureConfig = Readonly<Record<string, unknown>> & { readonly when?: string };

interface GroupConfig {
  readonly by?: Readonly<Record<string, string>>;
  readonly groups_max: number;
  readonly earlier?: string;
}

/** One rule as written, defaults filled in: what the schema says. */
export interface RuleConfig {
  readonly alert: string;
  readonly id?: string;
  readonly type?: string;
  readonly expr?: string;
  readonly absent_for?: string;
  readonly sequence?: { readonly after: string; readonly followed_by: string; readonly unless?: string; readonly within: string };
  readonly change?: { readonly value: string; readonly over: string; readonly as: "delta" | "rate" | "ratio" };
  readonly window?: MeasureConfig & GroupConfig & { readonly over: string; readonly divided_by?: MeasureConfig };
  readonly aggregate?: MeasureConfig & GroupConfig;
  readonly expect?: { readonly ids?: readonly string[]; readonly within?: string; readonly schedule?: { readonly cron: string; readonly timezone: string } };
  readonly on?: "observation";
  readonly by?: Readonly<Record<string, string>>;
  readonly resolve_after?: string;
  readonly always?: true;
  readonly for: string;
  readonly keep_firing_for: string;
  readonly clear?: string;
  readonly no_data: "ok" | "keep" | "alert";
  readonly flapping?: { readonly fires_max: number; readonly within: string };
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}
