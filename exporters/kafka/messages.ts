import type { Notification } from "../../src/sdk/alert.ts";
import { alertValue } from "../../src/sdk/alert_json.ts";
import { timeText } from "../../src/sdk/alert_text.ts";
import { portableJson } from "../../src/sdk/json_text.ts";
import { wholeBody, type Json, type Observation } from "../../src/sdk/observation.ts";
import { linkOf } from "../../src/sdk/span.ts";
import { spanId, traceId } from "../../src/sdk/trace_id.ts";
import type { OutgoingMessage } from "./parcels.ts";

type Labels = Readonly<Record<string, string>>;

const JSON_TYPE = "application/json";

/** One message for each alert; its key names the incident, so that a compacted topic keeps how each one stands. */
export function alertMessages({ id, cause, alerts, more = 0 }: Notification, topic: string): OutgoingMessage[] {
  return alerts.map((alert) => message(
    topic, alert.dedup_key, portableJson({ ...alertValue(alert, cause), notification_id: id, more }),
    { "content-type": JSON_TYPE, "traceparent": traceparentOf(alert.trace_id) },
  ));
}

/** What became of a resource, or undefined where the observation tells of no move. */
export function transitionMessage(observation: Observation, topic: string, externalLabels: Labels): OutgoingMessage | undefined {
  const { lifecycle } = observation;
  if (lifecycle === undefined) return undefined;
  const { type, id, left, ended, began } = lifecycle;
  const incarnation = (began ?? left ?? ended)!.incarnation;
  const at = (left ?? began ?? ended)!.at;
  const deleted = ended?.deleted === true || (left !== undefined && left.to === undefined);
  const value: Json = {
    type, id, incarnation,
    from: stateOf(left?.state ?? (deleted ? ended?.state : undefined)),
    to: deleted ? null : stateOf(left?.to ?? began?.state ?? ended?.state),
    at: timeText(at),
    since: left === undefined ? null : timeText(left.since),
    duration_seconds: left === undefined ? null : (left.at - left.since) / 1_000,
    created: began !== undefined, deleted, ended: ended !== undefined,
    source: observation.source, observation_id: observation.id ?? null, external_labels: externalLabels,
  };
  const own = traceparentOf(traceId(externalLabels, type, id, incarnation));
  return message(topic, `${type}/${id}`, portableJson(value), { "content-type": JSON_TYPE, "traceparent": causeOf(observation) ?? own });
}

/** What flows: `json` with all that is known of it, `raw` its body alone. */
export function observationMessage(observation: Observation, topic: string, encoding: "json" | "raw"): OutgoingMessage {
  const { self, transition, source, time, id, attributes, snapshot } = observation;
  const body = wholeBody(observation.body);
  const cause = causeOf(observation);
  const headers = {
    "content-type": encoding === "raw" && typeof body === "string" ? "text/plain; charset=utf-8" : JSON_TYPE,
    ...(cause === undefined ? {} : { traceparent: cause }),
  };
  const value = encoding === "raw" ? body : {
    time: timeText(time), source, id: id ?? null, snapshot, attributes, body,
    resource: self === undefined
      ? null
      : { type: self.type, id: self.id, state: stateOf(self.state), since: timeText(self.since), incarnation: self.incarnation },
    transition: transition === undefined
      ? null
      : { from: stateOf(transition.from), to: stateOf(transition.to), at: timeText(transition.at), duration_seconds: transition.duration / 1_000 },
  };
  const text = encoding === "raw" && typeof body === "string" ? body : portableJson(value);
  return message(topic, self === undefined ? undefined : `${self.type}/${self.id}`, text, headers);
}

/** What could not be handled or delivered, or undefined where the observation is none of that. Keyed by who could not. */
export function deadLetterMessage({ deadLetter, source, time, body }: Observation, topic: string): OutgoingMessage | undefined {
  if (deadLetter === undefined) return undefined;
  const value: Json = { number: deadLetter.number, at: timeText(time), component: source, reason: deadLetter.reason, content: wholeBody(body) };
  return message(topic, source, portableJson(value), { "content-type": JSON_TYPE });
}

function message(topic: string, key: string | undefined, value: string, headers: OutgoingMessage["headers"]): OutgoingMessage {
  return { topic, key, value, headers };
}

/** A type without states has the empty one. */
function stateOf(state: string | undefined): string | null {
  return state === undefined || state === "" ? null : state;
}

/** The trace that whoever caused it had begun. */
function causeOf({ traceparent }: Observation): string | undefined {
  return linkOf(traceparent) === undefined ? undefined : traceparent;
}

/** As a child of the span that all others of the resource's trace belong to. https://www.w3.org/TR/trace-context/#traceparent-header */
function traceparentOf(trace: string): string {
  return `00-${trace}-${spanId(trace, "", 0)}-01`;
}
