/** Key of every receiver: spread into its schema's properties. The pipeline enforces it, the receiver need not know. */
export const expectEverySchema = {
  expect_every: {
    type: "string",
    format: "duration",
    description: "When nothing came for so long (a poll without items brings nothing), the receiver counts as failing until something comes: "
      + "what only it feeds is stale. At least 1s. Default: quiet is not failing.",
  },
} as const;
