import { defineReceiver } from "../src/sdk/component.ts";
import { parseDatabaseUrl } from "../src/sdk/database.ts";
import { createDelivery } from "../src/sdk/delivery.ts";
import { durationMs } from "../src/sdk/duration.ts";
import { ConfigError } from "../src/sdk/errors.ts";
import { describeTarget, isDown, keepPolling, newTarget, noteFailure, succeeded } from "../src/sdk/poll_target.ts";
import { createAsker } from "./sql_poll/asker.ts";
import { createPolls } from "./sql_poll/polls.ts";
import { sqlPollSchema, type SqlPollConfig } from "./sql_poll/schema.ts";

const JITTER_MS_MAX = 5_000;
const INTERVAL_MS_MIN = 10;
const TIMEOUT_MS_MIN = 10;

/**
 * Asks a database at an interval; each row is an observation. Either the whole result each time, or, by `tracking_column`, the
 * rows that are new or changed: each exactly once, since the cursor and what was seen behind it are committed with the rows'
 * effects. A result is read page by page and never held whole; a transaction that can only read is around it.
 */
export const sqlPoll = defineReceiver({
  type: "sql_poll",
  summary: "Asks PostgreSQL, MySQL, MariaDB or SQLite at an interval; each row is an observation.",
  stability: "beta",
  schema: sqlPollSchema,
  create(config, context) {
    const { clock } = context;
    const database = parseDatabaseUrl(config.url, ["postgres", "mysql", "sqlite"]);
    const times = timesOf(config);
    check(config, database.kind === "sqlite");
    const { intervalMs, jitterMs, timeoutMs } = times;
    const stopping = new AbortController();
    const target = newTarget(database.label, database.label);
    let looping: Promise<void> | undefined;
    let close: (() => Promise<void>) | undefined;

    const labels = ["receiver"];
    const families = () => ({
      up: context.metrics.gauge({ name: "sojourn_sql_poll_up", help: "1 when the last poll succeeded, else 0.", labels }),
      duration: context.metrics.gauge({ name: "sojourn_sql_poll_duration_seconds", help: "How long the last poll took.", labels }),
      polls: context.metrics.counter({ name: "sojourn_sql_polls_total", help: "Polls by result (success, failure).", labels: [...labels, "result"] }),
    });
    let metrics: ReturnType<typeof families> | undefined;

    function measured(up: boolean): void {
      metrics?.up.series(context.id).set(up ? 1 : 0);
      metrics?.duration.series(context.id).set((target.durationMs ?? 0) / 1_000);
      metrics?.polls.series(context.id, up ? "success" : "failure").add(1);
    }

    function failed(error: unknown): number {
      measured(false);
      if (noteFailure(target, error, intervalMs)) context.report(error);
      if (isDown(target)) context.failing(target.error!);
      return target.failures;
    }

    return {
      async start() {
        metrics = families();
        const { signal } = stopping;
        const delivery = createDelivery(context, signal);
        const asker = createAsker({ database, password_file: config.password_file, tls: config.tls, timeoutMs, clock, signal });
        const polls = createPolls(context, asker, delivery, signal, {
          kind: database.kind, namespace: database.database, query: config.query, params: config.params ?? [], rowsMax: config.rows_max,
          tracking: config.tracking_column === undefined ? undefined
            : { column: config.tracking_column, start: config.tracking_start, overlapMs: durationMs(config.tracking_overlap) },
          key: config.missing === "delete" ? config.key : undefined,
        });
        context.status(() => ({ ...(describeTarget(target) as object), ...polls.describe() }));
        close = async () => {
          await asker.close();
          await delivery.settled();
        };

        async function poll(): Promise<void> {
          const startedMs = clock.monotonicMs();
          target.polledAt = clock.now();
          try {
            while (!(await polls.poll())) signal.throwIfAborted();
          } finally {
            target.durationMs = clock.monotonicMs() - startedMs;
          }
          measured(true);
          if (succeeded(target, clock.now())) context.healed();
          // What was stale is judged again as soon as this is said: after all the news was processed, not before.
          context.failing(undefined);
          await delivery.settled();
          signal.throwIfAborted();
          context.caughtUp();
        }

        looping = keepPolling(0, { intervalMs, jitterMs }, clock, signal, poll, failed);
      },
      async stop() {
        stopping.abort(new Error("stopping"));
        await looping;
        await close?.();
        metrics?.up.remove(context.id);
        metrics?.duration.remove(context.id);
        metrics = undefined;
      },
    };
  },
});

function timesOf(config: SqlPollConfig): { readonly intervalMs: number; readonly jitterMs: number; readonly timeoutMs: number } {
  const intervalMs = durationMs(config.interval);
  if (intervalMs < INTERVAL_MS_MIN) throw new ConfigError("/interval", `is below ${INTERVAL_MS_MIN}ms`);
  if (config.expect_every !== undefined && durationMs(config.expect_every) <= intervalMs) {
    throw new ConfigError("/expect_every", `is not longer than the interval (${config.interval}), so each poll would come late`);
  }
  const timeoutMs = durationMs(config.timeout);
  if (timeoutMs < TIMEOUT_MS_MIN) throw new ConfigError("/timeout", `is below ${TIMEOUT_MS_MIN}ms`);
  return { intervalMs, timeoutMs, jitterMs: config.jitter === undefined ? Math.min(intervalMs / 10, JITTER_MS_MAX) : durationMs(config.jitter) };
}

function check(config: SqlPollConfig, file: boolean): void {
  if (config.query.replace(/[\s;]+/g, "") === "") throw new ConfigError("/query", "is empty");
  if (file && config.password_file !== undefined) throw new ConfigError("/password_file", "an SQLite file has no password");
  if (file && config.tls !== undefined) throw new ConfigError("/tls", "an SQLite file is not reached by network");
  if (config.missing === "delete" && config.tracking_column !== undefined) {
    throw new ConfigError("/missing", "compares whole results, and tracking_column reads only what is new; give one of them");
  }
  if (config.missing === "delete" && config.key === undefined) throw new ConfigError("/key", "is needed for missing: delete: the columns that tell rows apart");
  if (config.missing !== "delete" && config.key !== undefined) throw new ConfigError("/key", "is only for missing: delete");
  if (config.tracking_start !== undefined && config.tracking_column === undefined) throw new ConfigError("/tracking_start", "needs tracking_column");
}
