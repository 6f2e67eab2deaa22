/** Retrying the same data cannot succeed. Everything else thrown is retried by the pipeline. */
export class PermanentError extends Error {
  override name = "PermanentError";
}

/** Worth another attempt, but not before `retryAfterMs` have passed. */
export class RetryLaterError extends Error {
  override name = "RetryLaterError";
  readonly retryAfterMs: number;
  constructor(message: string, retryAfterMs: number, options?: ErrorOptions) {
    super(message, options);
    this.retryAfterMs = retryAfterMs;
  }
}

/** `emit` took nothing: the agent is stopping, or the batch is malformed. The sender may try again. */
export class NotAcceptedError extends Error {
  override name = "NotAcceptedError";
}

/** The configuration is wrong at `pointer` (a JSON pointer within the component). */
export class ConfigError extends Error {
  override name = "ConfigError";
  readonly pointer: string;
  constructor(pointer: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.pointer = pointer;
  }
}

/** The message of anything thrown, its causes included, on one bounded line. */
export function messageOf(error: unknown): string {
  const parts: string[] = [];
  for (let e: unknown = error; e !== undefined && e !== null && parts.length < 4; ) {
    const { message, code } = e as { message?: unknown; code?: unknown };
    const text = typeof message === "string" && message !== "" ? message : String((code ?? e) as string);
    if (!parts.some((part) => part.includes(text))) parts.push(text);
    e = e instanceof Error ? e.cause : undefined;
  }
  return parts.join(": ").replace(/\s+/g, " ").slice(0, 1_000);
}
