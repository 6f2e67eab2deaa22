import { deadline } from "../src/sdk/clock.ts";
import { defineReceiver } from "../src/sdk/component.ts";
import { durationMs } from "../src/sdk/duration.ts";
import { ConfigError } from "../src/sdk/errors.ts";
import { createHttpClient, type HttpResponse } from "../src/sdk/http.ts";
import { authorization, checkAuth } from "../src/sdk/http_auth.ts";
import { BATCH_OBSERVATIONS_MAX } from "../src/sdk/observation.ts";
import { describeTarget, isDown, keepPolling, newTarget, noteFailure, succeeded, type Target } from "../src/sdk/poll_target.ts";
import { urlFull } from "../src/sdk/safe_url.ts";
import { sizeBytes } from "../src/sdk/size.ts";
import { answerOf, type Answer, type AnswerOptions } from "./http_poll/answer.ts";
import { httpPollSchema } from "./http_poll/schema.ts";

const REDIRECTS_MAX = 5;
const JITTER_MS_MAX = 5_000;
const INTERVAL_MS_MIN = 10;

/**
 * Asks HTTP endpoints at an interval. An answer is a snapshot of what is: it has no position and no ids, a failed
 * commit is made up for by the next poll. JSON and NDJSON are decoded by Content-Type, anything else is text.
 * Each target has a loop of its own, which awaits its commits: so at most one answer per target is in memory.
 */
export const httpPoll = defineReceiver({
  type: "http_poll",
  summary: "Asks HTTP endpoints at an interval; JSON and NDJSON are decoded.",
  stability: "beta",
  schema: httpPollSchema,
  create(config, context) {
    const { clock } = context;
    const targets = targetsOf(config.url, config.urls);
    if (config.auth !== undefined) checkAuth(config.auth);
    const intervalMs = durationMs(config.interval);
    if (intervalMs < INTERVAL_MS_MIN) throw new ConfigError("/interval", `is below ${INTERVAL_MS_MIN}ms`);
    if (config.expect_every !== undefined && durationMs(config.expect_every) <= intervalMs) {
      throw new ConfigError("/expect_every", `is not longer than the interval (${config.interval}), so each poll would come late`);
    }
    const jitterMs = config.jitter === undefined ? Math.min(intervalMs / 10, JITTER_MS_MAX) : durationMs(config.jitter);
    const timeoutMs = durationMs(config.timeout);
    const bodyBytesMax = sizeBytes(config.max_body_size);
    const options: AnswerOptions = {
      each: config.each === undefined ? undefined : context.expression("/each", config.each, ["body", "attributes"]),
      includeHeaders: (config.include_headers ?? []).map((name) => name.toLowerCase()),
      statusIsData: config.status_is_data,
    };
    // Enough for all targets to be one host's: a slow one must not hold another's connection.
    const { transport } = context;
    const client = createHttpClient({ clock, tls: config.tls, connectionsMax: targets.length, transport });
    const stopping = new AbortController();
    let loops: Promise<void>[] = [];

    const labels = ["receiver", "target"];
    const families = () => ({
      up: context.metrics.gauge({ name: "sojourn_http_poll_up", help: "1 when the last poll of the target succeeded, else 0.", labels }),
      duration: context.metrics.gauge({
        name: "sojourn_http_poll_duration_seconds", help: "How long the last poll of the target took.", labels,
      }),
      polls: context.metrics.counter({
        name: "sojourn_http_polls_total", help: "Polls by target and result (success, failure).", labels: [...labels, "result"],
      }),
    });
    let metrics: ReturnType<typeof families> | undefined;

    async function ask(target: Target): Promise<HttpResponse> {
      const limit = deadline(clock, timeoutMs, stopping.signal);
      const startedMs = clock.monotonicMs();
      target.polledAt = clock.now();
      try {
        const headers: Record<string, string> = { accept: "application/json, application/x-ndjson, */*;q=0.5" };
        if (config.body !== undefined) headers["content-type"] = "application/json";
        for (const [name, value] of Object.entries(config.headers ?? {})) headers[name.toLowerCase()] = value;
        if (config.auth !== undefined && transport === undefined) headers["authorization"] = await authorization(config.auth);
        const { method, body } = config;
        const asked = { url: target.url, method, headers, signal: limit.signal, bodyBytesMax, redirectsMax: REDIRECTS_MAX };
        return await client.send(body === undefined ? asked : { ...asked, body });
      } finally {
        limit.clear();
        target.durationMs = clock.monotonicMs() - startedMs;
      }
    }

    async function poll(target: Target): Promise<void> {
      const response = await ask(target);
      stopping.signal.throwIfAborted();
      const answer = answerOf(context, options, target.url, response);
      measured(target, true);
      if (succeeded(target, clock.now())) recovered(target);
      try {
        await deliver(answer);
        target.delivered = true;
        lookCaughtUp();
      } catch (error) {
        // Not the target's fault, and the next poll brings the same again.
        if (!stopping.signal.aborted) context.report(error);
      }
    }

    /** What answers has been read. One that is dead beside it must not put the alerts of all off. */
    function lookCaughtUp(): void {
      if (!targets.some(({ delivered }) => delivered)) return;
      if (targets.every((target) => target.delivered || isDown(target))) context.caughtUp();
    }

    async function deliver({ bodies, observe }: Answer): Promise<void> {
      for (let at = 0; at < bodies.length; at += BATCH_OBSERVATIONS_MAX) {
        const committed = context.emit(bodies.slice(at, at + BATCH_OBSERVATIONS_MAX).map(observe));
        // What was stale is judged again as soon as this is said: after all the news was processed, not before.
        if (at + BATCH_OBSERVATIONS_MAX >= bodies.length) context.failing(undefined);
        await unlessAborted(committed, stopping.signal);
      }
      if (bodies.length === 0) context.failing(undefined);
    }

    function measured(target: Target, up: boolean): void {
      metrics?.up.series(context.id, target.label).set(up ? 1 : 0);
      metrics?.duration.series(context.id, target.label).set((target.durationMs ?? 0) / 1_000);
      metrics?.polls.series(context.id, target.label, up ? "success" : "failure").add(1);
    }

    function recovered(target: Target): void {
      if (targets.every(({ failures }) => failures === 0)) context.healed();
      else context.log.info({ target: target.label }, "target answers again");
    }

    function failed(target: Target, error: unknown): number {
      measured(target, false);
      // One dead target beside another would otherwise log two lines in turn for ever.
      if (noteFailure(target, error, intervalMs)) context.report(error);
      lookCaughtUp();
      if (targets.every(isDown)) {
        context.failing(targets.length === 1 ? target.error! : `no target answers (${targets.length}): ${target.error}`);
      }
      return target.failures;
    }

    return {
      async start() {
        metrics = families();
        context.status(() => ({ targets: targets.map(describeTarget) }));
        loops = targets.map((target, index) =>
          keepPolling(index, { intervalMs, jitterMs }, clock, stopping.signal, () => poll(target), (error) => failed(target, error)));
      },
      async stop() {
        stopping.abort(new Error("stopping"));
        await client.close();
        await Promise.all(loops);
        for (const { label } of targets) {
          metrics?.up.remove(context.id, label);
          metrics?.duration.remove(context.id, label);
        }
        metrics = undefined;
      },
    };
  },
});

function targetsOf(url: string | undefined, urls: readonly string[] | undefined): Target[] {
  if ((url === undefined) === (urls === undefined)) throw new ConfigError("", "give either url or urls");
  const labels = new Map<string, number>();
  return (urls ?? [url!]).map((text, index) => {
    const parsed = URL.parse(text);
    if (parsed === null || (parsed.protocol !== "http:" && parsed.protocol !== "https:")) {
      // The text may hold a secret: it is not repeated.
      throw new ConfigError(urls === undefined ? "/url" : `/urls/${index}`, "is no URL such as https://shop.example/orders");
    }
    const label = urlFull(parsed);
    const same = (labels.get(label) ?? 0) + 1;
    labels.set(label, same);
    return newTarget(text, same === 1 ? label : `${label} (${same})`);
  });
}

/** Waits for `promise`, but no longer than until the signal aborts: then rejects. */
async function unlessAborted(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  let onAbort!: () => void;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason);
    signal.addEventListener("abort", onAbort);
    if (signal.aborted) onAbort();
  });
  try {
    await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
