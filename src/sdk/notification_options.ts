const matcher = {
  type: "string", format: "matcher", minLength: 1, maxLength: 1_000,
  description: "As Alertmanager's: name=value, name!=value, name=~regex, name!~regex; value may stand in double quotes.",
} as const;

/** Matchers on an alert's labels; all must hold. */
export const matchersSchema = (description: string) => ({
  type: "array", maxItems: 50, description, items: matcher,
}) as const;

/**
 * What every exporter that takes alerts may say of them; put into its schema's `properties`. The dispatcher reads them;
 * the exporter does not. Keys as in Alertmanager's routes: https://prometheus.io/docs/alerting/latest/configuration/#route
 */
export const notificationOptions = {
  match: matchersSchema("Only alerts whose labels match all of these are sent here. Default: all."),
  send_resolved: { type: "boolean", default: true, description: "Tell when an alert is over, too." },
  group_by: {
    type: "array", maxItems: 50, items: { type: "string", minLength: 1, description: "Name of a label." },
    description: "Alerts that agree in these labels share messages, and one incident. Default: each alert has its own. An empty list puts all into one.",
  },
  group_wait: { type: "string", format: "duration", default: "30s", description: "With group_by: how long the first message waits for others of the group." },
  group_interval: { type: "string", format: "duration", default: "5m", description: "With group_by: how long further alerts of the group wait. Its end is told at once. In a storm: how long single ends wait." },
  repeat_interval: { type: "string", format: "duration", description: "Tell again of what still fires, this long after the last message, unless it is acknowledged. Default: never." },
  mute_time_intervals: {
    type: "array", maxItems: 50, items: { type: "string", description: "Name under service.time_intervals." },
    description: "Nothing new is told during these times; it is when they end.",
  },
  active_time_intervals: {
    type: "array", maxItems: 50, items: { type: "string", description: "Name under service.time_intervals." },
    description: "Something new is told only during these times.",
  },
  messages_per_minute: {
    type: "integer", minimum: 1, maximum: 10_000,
    description: "What the destination takes. In a storm, alerts of one rule share messages rather than wait for hours. Default: what the vendor allows.",
  },
} as const;
