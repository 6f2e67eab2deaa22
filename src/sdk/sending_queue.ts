/** Schema of an exporter's queue of observations. Keys as the Collector's `sending_queue`. */
export const sendingQueueSchema = {
  type: "object",
  additionalProperties: false,
  description: "The bounded queue between the commit and this exporter.",
  properties: {
    queue_size: { type: "integer", minimum: 1, maximum: 1_000_000, default: 10_000, description: "Observations that may wait." },
    on_full: { enum: ["drop", "block"], default: "drop", description: "drop: the newest is dropped, and counted. block: receivers wait." },
    storage: { type: "boolean", default: false, description: "Keep what waits in the store: it survives a crash, and may then be sent twice." },
  },
} as const;
