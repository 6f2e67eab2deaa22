import type { Clock } from "../../sdk/clock.ts";
import { durationMs } from "../../sdk/duration.ts";
import type { HttpResponse, OutboundRequest } from "../../sdk/http.ts";
import type { Json } from "../../sdk/observation.ts";
import { safeUrl } from "../../sdk/safe_url.ts";
import { rendered } from "./sent.ts";

/** One of `mock.responses`, validated. */
export interface MockedResponse {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Json;
  readonly delay?: string;
  readonly error?: string;
}

/** `mock` of a step, validated. */
export interface Mock {
  readonly receiver: string;
  readonly responses: readonly MockedResponse[];
}

/** What a source answers, request after request. */
export interface Answers {
  /** Waits as long as the answer takes, on `clock`. Rejects where the source does not answer, or with the signal's reason. */
  next(request: OutboundRequest, clock: Clock): Promise<HttpResponse>;
}

interface Prepared {
  readonly delayMs: number;
  readonly error: string | undefined;
  readonly response: Omit<HttpResponse, "name" | "receivedAt">;
}

/** Answers in turn; the last one repeats. Templates in bodies are filled in with `now`. Throws when one of them fails. */
export function answersOf(responses: readonly MockedResponse[], now: number): Answers {
  const prepared = responses.map((response) => preparedOf(response, now));
  let at = 0;
  return {
    async next(request, clock) {
      const { delayMs, error, response } = prepared[Math.min(at++, prepared.length - 1)]!;
      if (delayMs > 0) await clock.sleep(delayMs, request.signal);
      request.signal.throwIfAborted();
      if (error !== undefined) throw new Error(error);
      return { ...response, name: request.name ?? safeUrl(request.url), receivedAt: clock.now() };
    },
  };
}

function preparedOf({ status = 200, headers = {}, body, delay, error }: MockedResponse, now: number): Prepared {
  const value = body === undefined ? "" : rendered(body, now);
  const all: Record<string, string> = body === undefined ? {} : { "content-type": typeof value === "string" ? "text/plain; charset=utf-8" : "application/json" };
  for (const [name, text] of Object.entries(headers)) all[name.toLowerCase()] = text;
  const bytes = Buffer.from(typeof value === "string" ? value : JSON.stringify(value));
  return { delayMs: delay === undefined ? 0 : durationMs(delay), error, response: { status, headers: all, body: bytes } };
}
