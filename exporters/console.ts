import { createWriteStream } from "node:fs";
import type { Writable } from "node:stream";
import type { Alert, Notification } from "../src/sdk/alert.ts";
import { alertValue } from "../src/sdk/alert_json.ts";
import { linkOf, pathText, runbookOf, titleOf } from "../src/sdk/alert_story.ts";
import { cut, jsonLine, printable, summaryText, timeText, valueText } from "../src/sdk/alert_text.ts";
import { defineExporter } from "../src/sdk/component.ts";
import { formatDuration } from "../src/sdk/duration.ts";
import { PermanentError } from "../src/sdk/errors.ts";
import { notificationOptions } from "../src/sdk/notification_options.ts";
import { wholeBody, type Batch, type Observation } from "../src/sdk/observation.ts";
import { sendingQueueSchema } from "../src/sdk/sending_queue.ts";

const BODY_LENGTH_MAX = 1_000;
// Whoever read the output is gone and does not come back.
const GONE = new Set(["EPIPE", "ERR_STREAM_DESTROYED", "ERR_STREAM_WRITE_AFTER_END"]);
const guarded = new WeakSet<Writable>();
/** By stream: settled once it has taken what was written last. */
const taken = new WeakMap<Writable, Promise<void>>();

/**
 * Prints alerts: a line each, with FIRING or RESOLVED, for people or as JSON for machines; on request, observations too.
 * Characters that a terminal would obey are printed as escapes.
 */
export const console = consoleTo(standardOutput);

let opened: Writable | undefined;

/**
 * Standard output, written by threads of the pool: `process.stdout` writes to a pipe synchronously, and a reader that
 * takes nothing would stop the whole agent.
 */
function standardOutput(): Writable {
  return (opened ??= createWriteStream("", { fd: 1, autoClose: false }));
}

/** The same, printing elsewhere. */
export function consoleTo(output: () => Writable) {
  return defineExporter({
    type: "console",
    summary: "Prints alerts (and observations) on standard output, for people or as JSON lines.",
    stability: "beta",
    schema: {
      type: "object",
      additionalProperties: false,
      properties: {
        format: {
          type: "string", enum: ["pretty", "json"], default: "pretty",
          description: "pretty: for people. json: one object per line.",
        },
        observations: { type: "boolean", default: false, description: "Print every observation, too." },
        sending_queue: sendingQueueSchema,
        ...notificationOptions,
      },
      examples: [{}, { format: "json", observations: true }],
    },
    create(config, { clock }) {
      const alertLine: (alert: Alert, cause: Cause, now: number) => string = config.format === "json" ? alertJson : alertPretty;
      const observationLine = config.format === "json" ? observationJson : observationPretty;
      const linesOf = ({ alerts, cause, more = 0 }: Notification): string[] => {
        const lines = alerts.map((alert) => alertLine(alert, cause, clock.now()));
        return more === 0 ? lines : [...lines, config.format === "json" ? jsonLine({ more }) : `+${more} more`];
      };
      const print = (lines: readonly string[], signal: AbortSignal): Promise<void> =>
        write(output(), lines.map((line) => `${line}\n`).join(""), signal);
      return {
        // A terminal takes any number of lines.
        limits: { messagesPerMinute: 6_000, burst: 600 },
        async notify(notification, signal) {
          await print(linesOf(notification), signal);
          return undefined;
        },
        render: linesOf,
        ...(config.observations ? { export: (batch: Batch, signal: AbortSignal) => print(batch.map(observationLine), signal) } : {}),
      };
    },
  });
}

/** Resolves when the stream has taken the text: a slow reader holds up the next batch, so nothing piles up. */
function write(stream: Writable, text: string, signal: AbortSignal): Promise<void> {
  if (!guarded.has(stream)) {
    // Errors come to the callback below; without a listener they would end the agent as well. The stream outlives us.
    stream.on("error", () => {});
    guarded.add(stream);
  }
  const before = taken.get(stream) ?? Promise.resolve();
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const onAbort = (): void => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    const finish = (error: Error | undefined): void => {
      signal.removeEventListener("abort", onAbort);
      if (error === undefined) resolve();
      else reject(error);
    };
    // What a reader does not take is not written again and again: an attempt waits for the one before.
    void before.then(() => {
      if (signal.aborted) return;
      // A stream that has failed and stays so would keep the text and never call back.
      if (stream.errored !== null) return finish(unwritable(stream.errored));
      taken.set(stream, new Promise((settle) => {
        stream.write(text, (error) => {
          settle();
          finish(error === null || error === undefined ? undefined : unwritable(error));
        });
      }));
    });
  });
}

function unwritable(cause: NodeJS.ErrnoException): Error {
  const message = "the output cannot be written";
  return GONE.has(cause.code ?? "") ? new PermanentError(message, { cause }) : new Error(message, { cause });
}

type Cause = Notification["cause"];

function alertPretty(alert: Alert, cause: Cause, now: number): string {
  const { acknowledged, active_at, fired_at, flapping, limit, resolved_at, reason, stale_since, story } = alert;
  const resolved = alert.status === "resolved";
  const endedAt = resolved_at ?? fired_at ?? active_at;
  const path = story === undefined ? "" : pathText(story.transitions);
  const [runbook, url] = [runbookOf(alert), linkOf(alert)];
  const notes = [
    `severity ${alert.labels["severity"] ?? "none"}`,
    ...Object.entries(alert.details).map(([name, value]) => `${name} ${value === null ? "none" : valueText(value)}`),
    ...(limit === undefined || Object.hasOwn(alert.details, "limit") || Object.hasOwn(alert.details, "condition") ? [] : [`limit ${limit}`]),
    ...(path === "" ? [] : [`path ${path}`]),
    ...(story === undefined || story.others === 0 ? [] : [`${story.others} ${story.others === 1 ? "other" : "others"} firing`]),
    ...(stale_since === undefined ? [] : [`last known ${timeText(stale_since)}`]),
    ...(flapping ? ["flapping"] : []),
    ...(resolved || runbook === undefined ? [] : [`runbook ${runbook}`]),
    ...(url === undefined ? [] : [`see ${url}`]),
    ...(acknowledged === undefined ? [] : [`acknowledged by ${acknowledged.by}`]),
    ...(resolved ? [`${reason ?? "over"} after ${formatDuration(endedAt - (fired_at ?? active_at))}`] : []),
    ...(!resolved && cause === "repeat" ? [`still firing since ${timeText(fired_at ?? active_at)}`] : []),
  ];
  // A repetition is of now: with the time of what it repeats, the log would go back.
  const time = timeText(resolved ? endedAt : cause === "repeat" ? now : fired_at ?? active_at);
  const status = `${cause === "test" ? "TEST " : ""}${resolved ? "RESOLVED" : "FIRING  "}`;
  return `${time} ${status} ${titleOf(alert)}: ${printable(`${summaryText(alert)} (${notes.join(", ")})`)}`;
}

function alertJson(alert: Alert, cause: Cause): string {
  return jsonLine(alertValue(alert, cause));
}

function observationPretty(observation: Observation): string {
  const { self, source, time, transition } = observation;
  const moved = transition === undefined ? "" : ` ${transition.from} → ${transition.to}`;
  const about = self === undefined ? "" : ` ${self.type}/${self.id}${moved}`;
  return printable(`${timeText(time)} OBSERVED ${source}${about}: ${cut(valueText(wholeBody(observation.body)), BODY_LENGTH_MAX)}`);
}

function observationJson(observation: Observation): string {
  const { self, source, time, attributes, transition } = observation;
  return jsonLine({
    status: "observed",
    time: timeText(time),
    source,
    attributes,
    body: wholeBody(observation.body),
    resource: self === undefined ? null : { type: self.type, id: self.id },
    transition: transition === undefined ? null : { from: transition.from, to: transition.to },
  });
}
