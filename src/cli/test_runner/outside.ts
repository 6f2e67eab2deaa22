import type { Notification } from "../../sdk/alert.ts";
import type { Clock } from "../../sdk/clock.ts";
import { durationMs } from "../../sdk/duration.ts";
import { PermanentError, RetryLaterError } from "../../sdk/errors.ts";
import { refusal, type HttpResponse, type OutboundRequest } from "../../sdk/http.ts";
import type { Json } from "../../sdk/observation.ts";
import type { LifecycleSpan } from "../../sdk/span.ts";
import type { Answers } from "./answers.ts";
import type { Happened } from "./list_differences.ts";
import type { Sent } from "./notifications.ts";
import type { SentSpan } from "./spans.ts";

/** `fail` of a step for an exporter, validated. */
export interface Refusing {
  readonly error?: string;
  readonly status?: number;
  readonly retry_after?: string;
  readonly permanent?: boolean;
}

/** A receiver that runs in a test. */
export interface LiveReceiver {
  /** From now on the real one runs, on mocked answers. Rejects when it asks nobody. */
  asksNow(): Promise<void>;
  /** Its source cannot be read, or (undefined) can again. */
  failing(reason: string | undefined): void;
}

const REASON = "the test says so";

/**
 * What surrounds the agent of a test: sources that answer or fail, destinations that take what they are sent or refuse it.
 * It outlives the agent's restarts. Receivers and exporters are known by id.
 */
export class Outside {
  /** Receivers that run; gone with the process. */
  readonly live = new Map<string, LiveReceiver>();
  /** A receiver whose answers are mocked, and that asks nobody. */
  asksNobody: string | undefined;
  readonly #answers = new Map<string, Answers>();
  readonly #failing = new Map<string, string>();
  readonly #refusing = new Map<string, Refusing>();
  /** Undefined: nobody will ask. */
  readonly #sent: Sent[] | undefined;
  readonly #spans: SentSpan[] | undefined;

  constructor({ notifications = false, spans = false }: { readonly notifications?: boolean; readonly spans?: boolean } = {}) {
    this.#sent = notifications ? [] : undefined;
    this.#spans = spans ? [] : undefined;
  }

  /** From now on the receiver is the real one, and gets these answers. Throws when it asks nobody. */
  async mock(receiver: string, answers: Answers): Promise<void> {
    this.#answers.set(receiver, answers);
    const live = this.live.get(receiver);
    await live?.asksNow();
  }

  /** Throws for a receiver that asks nobody. */
  refuseMock(receiver: string): never {
    this.asksNobody = receiver;
    throw new Error(`${receiver} asks nobody: there is no answer to mock; use send, or fail`);
  }

  isMocked(receiver: string): boolean {
    return this.#answers.has(receiver);
  }

  async answer(receiver: string, request: OutboundRequest, clock: Clock): Promise<HttpResponse> {
    const reason = this.#failing.get(receiver);
    if (reason !== undefined) throw new Error(reason);
    return await this.#answers.get(receiver)!.next(request, clock);
  }

  /** The receiver cannot read its source: a mocked one finds out by itself, another one says so. */
  failReceiver(receiver: string, reason = REASON): void {
    this.#failing.set(receiver, reason);
    if (!this.isMocked(receiver)) this.live.get(receiver)?.failing(reason);
  }

  healReceiver(receiver: string): void {
    if (!this.#failing.delete(receiver)) throw new Error(`${receiver} does not fail`);
    if (!this.isMocked(receiver)) this.live.get(receiver)?.failing(undefined);
  }

  failingReason(receiver: string): string | undefined {
    return this.#failing.get(receiver);
  }

  failExporter(exporter: string, how: Refusing): void {
    this.#refusing.set(exporter, how);
  }

  healExporter(exporter: string): void {
    if (!this.#refusing.delete(exporter)) throw new Error(`${exporter} does not fail`);
  }

  /** Somebody will ask for the spans that exporters are sent. */
  get wantsSpans(): boolean {
    return this.#spans !== undefined;
  }

  /**
   * Takes a notification, with what the real exporter would have sent; undefined: one that nobody asks for. Throws what the
   * real one would throw when refused.
   */
  deliver(to: string, at: number, message: { readonly notification: Notification; body(): Json | undefined } | undefined): void {
    this.#refuse(to, at);
    if (message !== undefined) this.#sent?.push({ to, at, notification: message.notification, body: message.body() });
  }

  /** The same for spans. */
  deliverSpans(to: string, at: number, spans: readonly LifecycleSpan[]): void {
    this.#refuse(to, at);
    for (const span of spans) this.#spans?.push({ to, at, span });
  }

  /** What exporters took since the last call: in the order of time; of one instant by exporter. */
  takeSent(): readonly Sent[] {
    return inOrder(this.#sent?.splice(0) ?? []);
  }

  takeSpans(): readonly SentSpan[] {
    return inOrder(this.#spans?.splice(0) ?? []);
  }

  #refuse(exporter: string, at: number): void {
    const how = this.#refusing.get(exporter);
    if (how !== undefined) throw refused(exporter, at, how);
  }
}

function inOrder<T extends Happened & { readonly to: string }>(sent: readonly T[]): readonly T[] {
  return sent.toSorted((a, b) => a.at - b.at || (a.to < b.to ? -1 : a.to > b.to ? 1 : 0));
}

function refused(name: string, receivedAt: number, { error, status, retry_after: after, permanent = false }: Refusing): Error {
  const retryAfterMs = after === undefined ? undefined : durationMs(after);
  if (status !== undefined && !permanent) {
    const headers = retryAfterMs === undefined ? {} : { "retry-after": String(Math.ceil(retryAfterMs / 1_000)) };
    return refusal({ status, headers, name, receivedAt }, error);
  }
  const message = `${status === undefined ? "" : `${status} `}${error ?? REASON}`;
  if (permanent) return new PermanentError(message);
  return retryAfterMs === undefined ? new Error(message) : new RetryLaterError(message, retryAfterMs);
}
