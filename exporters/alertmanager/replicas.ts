import { deadline, type Clock } from "../../src/sdk/clock.ts";
import type { ExporterContext } from "../../src/sdk/component.ts";
import { messageOf, PermanentError, RetryLaterError } from "../../src/sdk/errors.ts";
import { refusal, type HttpClient, type HttpResponse } from "../../src/sdk/http.ts";
import { secretsSent, withoutSecrets } from "../../src/sdk/http_secrets.ts";
import { safeUrl } from "../../src/sdk/safe_url.ts";

const ANSWER_BYTES_MAX = 64 * 1_024;
/** It is about this batch alone; the next may be taken. */
const ABOUT_THE_BATCH = new Set([400, 413, 422]);
/**
 * A replica that let a request time out while another took everything is waited for no longer than this, for so long: what
 * fires must be told everywhere again before it counts as over, however much it is.
 */
const BRIEF_MS = 1_000;
const BRIEF_FOR_MS = 60_000;

/** One Alertmanager of a cluster. */
export interface Replica {
  readonly url: URL;
  readonly name: string;
  /** What was said of its failing; undefined while it works, or when nobody was told. */
  reported: string | undefined;
  /** Until then (`monotonicMs`) it is waited for briefly. */
  briefUntil: number;
}

/** What became of a notification at one replica. */
interface Outcome {
  readonly replica: Replica;
  /** Why it did not take a batch, by the batch's number. */
  readonly failures: ReadonlyMap<number, Error>;
  readonly timedOut: boolean;
  /** It had less time than is configured. */
  readonly brief: boolean;
}

/** Throws where a URL is none; the text may hold a secret and is not repeated. */
export function replicaOf(text: string, pathPrefix: string): Replica | undefined {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:")) return undefined;
  url.pathname = `${url.pathname.replace(/\/+$/, "")}${pathPrefix.replace(/\/+$/, "")}/api/v2/alerts`;
  url.hash = "";
  return { url, name: safeUrl(url), reported: undefined, briefUntil: -Infinity };
}

export interface Delivery {
  readonly client: HttpClient;
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly headers: Readonly<Record<string, string>>;
}

/** Gives the batches to one replica, in order. Never rejects. */
export async function deliver(replica: Replica, batches: readonly string[], delivery: Delivery, signal: AbortSignal): Promise<Outcome> {
  const failures = new Map<number, Error>();
  const { clock, timeoutMs } = delivery;
  const limitMs = clock.monotonicMs() < replica.briefUntil ? Math.min(timeoutMs, BRIEF_MS) : timeoutMs;
  let timedOut = false;
  for (const [number, body] of batches.entries()) {
    const { error, status, timedOut: late } = await attempt(replica, body, delivery, limitMs, signal);
    timedOut ||= late;
    if (error === undefined) continue;
    failures.set(number, error);
    if (status !== undefined && ABOUT_THE_BATCH.has(status)) continue;
    for (let rest = number + 1; rest < batches.length; rest++) failures.set(rest, error);
    break;
  }
  return { replica, failures, timedOut, brief: limitMs < timeoutMs };
}

/** Which replicas are waited for briefly from now on: those that were too late, where another took everything. */
export function hurry(outcomes: readonly Outcome[], clock: Clock): void {
  if (outcomes.every(({ failures }) => failures.size > 0)) return;
  for (const { replica, timedOut, brief } of outcomes) if (timedOut && !brief) replica.briefUntil = clock.monotonicMs() + BRIEF_FOR_MS;
}

async function attempt(
  { url, name }: Replica, body: string, { client, clock, headers }: Delivery, limitMs: number, signal: AbortSignal,
): Promise<{ readonly error?: Error; readonly status?: number; readonly timedOut: boolean }> {
  const limit = deadline(clock, limitMs, signal);
  try {
    const response = await client.send({ url: url.href, name, method: "POST", headers, body, signal: limit.signal, bodyBytesMax: ANSWER_BYTES_MAX, bodyOptional: true });
    const { status } = response;
    if (status >= 200 && status < 300) {
      // Alertmanager's answer is empty: this is somebody before it who wants to know who we are.
      return isPage(response) ? { error: new Error(`${name} answered ${status} with a page instead of an API's answer`), timedOut: false } : { timedOut: false };
    }
    return { status, timedOut: false, error: refusal(response, isPage(response) ? undefined : withoutSecrets(secretsSent(headers, url), textOf(response))) };
  } catch (error) {
    return { error: error instanceof Error ? error : new Error(String(error)), timedOut: limit.signal.aborted && !signal.aborted };
  } finally {
    limit.clear();
  }
}

const isPage = ({ headers }: HttpResponse): boolean => /^text\/html\b/i.test(headers["content-type"] ?? "");

/** Alertmanager says what is wrong as a JSON text, its validation as `{"code":…,"message":…}`. */
function textOf({ body }: HttpResponse): string {
  const text = body.toString("utf8");
  try {
    const said: unknown = JSON.parse(text);
    const { message } = (said ?? {}) as { message?: unknown };
    return typeof said === "string" ? said : typeof message === "string" ? message : text;
  } catch {
    return text;
  }
}

/**
 * Why not even one replica took some batch, if so: to be tried again unless trying cannot help anywhere. What a replica
 * refused with 400 counts as not taken, although it keeps the valid alerts of the batch.
 */
export function failureOf(outcomes: readonly Outcome[], batches: number): Error | undefined {
  const lost: Error[] = [];
  for (let number = 0; number < batches; number++) {
    const errors = outcomes.map(({ failures }) => failures.get(number));
    if (!errors.includes(undefined)) lost.push(...(errors as Error[]));
  }
  if (lost.length === 0) return undefined;
  const message = [...new Set(lost.map(messageOf))].join("; ");
  const passing = lost.filter((error) => !(error instanceof PermanentError));
  if (passing.length === 0) return new PermanentError(message);
  const waits = passing.map((error) => (error instanceof RetryLaterError ? error.retryAfterMs : 0));
  return waits.includes(0) ? new Error(message) : new RetryLaterError(message, Math.min(...waits));
}

/**
 * Says once that a replica fails while another takes everything, and once that it works again. When all fail the pipeline
 * says so; what still fails after that is news again.
 */
export function createReplicaReports(context: Pick<ExporterContext, "report" | "healed" | "log">): (outcomes: readonly Outcome[], failed: boolean) => void {
  let allFailed = false;
  return (outcomes, failed) => {
    const before = outcomes.filter(({ replica }) => replica.reported !== undefined).length;
    for (const { replica, failures, brief } of outcomes) {
      const [error] = failures.values();
      // That it had less time now is no news.
      const message = error === undefined ? undefined : (brief ? replica.reported : undefined) ?? messageOf(error);
      if (message !== undefined && !failed && message !== replica.reported) context.report(error);
      if (message === undefined && replica.reported !== undefined) context.log.info({ replica: replica.name }, "replica takes alerts again");
      // The pipeline is about to say that all is well: the next time says what is not.
      replica.reported = failed || allFailed ? undefined : message;
    }
    if (!failed && before > 0 && outcomes.every(({ failures }) => failures.size === 0)) context.healed();
    allFailed = failed;
  };
}
