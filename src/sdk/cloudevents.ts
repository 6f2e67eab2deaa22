import { bodyKind } from "./body_decode.ts";
import { exactJson, nestsTooDeep } from "./json_text.ts";
import { withBody, type Attributes, type Json, type Observation } from "./observation.ts";
import { isRow, own, type ChangedRow } from "./row_change.ts";
import { timeMs } from "./time.ts";

/** An event, as what flows. */
export interface CloudEvent {
  /** The body: `data`, decoded where it is JSON; null where the event has none. */
  readonly data: Json;
  /** OpenTelemetry's `cloudevents.event_id` and so on; an extension is `cloudevents.<name>`. */
  readonly attributes: Attributes;
  /** When it happened, epoch ms; undefined where it does not say. */
  readonly time: number | undefined;
  /** W3C trace context, of the extension for distributed tracing. */
  readonly traceparent: string | undefined;
}

const EXTENSIONS_MAX = 50;
const NAME = /^[a-z0-9]{1,40}$/;
const REQUIRED = ["id", "source", "type"] as const;
/** The attributes that OpenTelemetry names. https://opentelemetry.io/docs/specs/semconv/registry/attributes/cloudevents/ */
const KNOWN: ReadonlyMap<string, string> = new Map([
  ["id", "event_id"], ["source", "event_source"], ["type", "event_type"], ["subject", "event_subject"], ["specversion", "event_spec_version"],
]);
const NOT_DATA: ReadonlySet<string> = new Set(["data", "data_base64"]);
const TRACEPARENT = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;

/**
 * The event in a message, or why there is none, in words that repeat nothing of it. Never throws.
 *
 * In binary mode the attributes are in `headers` (`ce-type` of HTTP, `ce_type` of Kafka) and `value` is the data; else `value` is
 * the whole event (structured mode). An event that belongs to another version than 1 is refused.
 * https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
 * https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md
 */
export function cloudEvent(value: Json, headers: Iterable<readonly [string, string]> = []): CloudEvent | string {
  const binary = fromHeaders(headers);
  if (binary.has("specversion")) return eventOf(binary, () => value);
  if (!isRow(value) || !Object.hasOwn(value, "specversion")) return "no CloudEvent: specversion is missing";
  const attributes = new Map<string, Json>();
  for (const [name, item] of Object.entries(value)) if (!NOT_DATA.has(name) && item !== null) attributes.set(name, item);
  return eventOf(attributes, () => dataOf(value));
}

/** The observation with the data as its body, and with what the event says of itself. */
export function withEvent(from: Observation, { data, attributes, time, traceparent }: CloudEvent): Observation {
  const made = withBody(from, data, { ...from.attributes, ...attributes }, time ?? from.time);
  return traceparent === undefined ? made : { ...made, traceparent };
}

function fromHeaders(headers: Iterable<readonly [string, string]>): Map<string, Json> {
  const attributes = new Map<string, Json>();
  for (const [name, value] of headers) {
    const lower = name.toLowerCase();
    if (lower.startsWith("ce_")) attributes.set(lower.slice(3), value);
    else if (lower.startsWith("ce-")) attributes.set(lower.slice(3), percentDecoded(value));
  }
  return attributes;
}

/** https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md#3132-http-header-values */
function percentDecoded(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}

function eventOf(said: ReadonlyMap<string, Json>, data: () => Json | undefined): CloudEvent | string {
  const version = said.get("specversion");
  if (typeof version !== "string" || !/^1(?:\.\d{1,3})?$/.test(version)) return "no CloudEvent of version 1";
  const attributes: { [name: string]: string | number | boolean } = {};
  for (const name of REQUIRED) {
    const value = said.get(name);
    if (typeof value !== "string" || value === "") return `no CloudEvent: ${name} is missing`;
  }
  let extensions = 0;
  for (const [name, value] of said) {
    // Names come from outside: only those that the specification allows.
    if (!NAME.test(name) || !(typeof value === "string" || typeof value === "number" || typeof value === "boolean")) continue;
    const known = KNOWN.get(name);
    if (known === undefined && ++extensions > EXTENSIONS_MAX) continue;
    attributes[`cloudevents.${known ?? name}`] = value;
  }
  const body = data();
  if (body === undefined) return "the data of the CloudEvent is no valid base64, UTF-8 or JSON";
  const traceparent = said.get("traceparent");
  return {
    data: body,
    attributes,
    time: timeMs(said.get("time")),
    traceparent: typeof traceparent === "string" && TRACEPARENT.test(traceparent) ? traceparent : undefined,
  };
}

/** Undefined: it is not what it says. */
function dataOf(event: ChangedRow): Json | undefined {
  const encoded = own(event, "data_base64");
  if (encoded === undefined || encoded === null) return own(event, "data") ?? null;
  if (typeof encoded !== "string" || !/^[A-Za-z0-9+/]*={0,2}$/.test(encoded)) return undefined;
  const type = own(event, "datacontenttype");
  const kind = bodyKind(typeof type === "string" ? type : "application/json");
  if (kind === undefined) return encoded;
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(Buffer.from(encoded, "base64"));
    if (kind !== "json") return text;
    return nestsTooDeep(text) ? undefined : exactJson(text);
  } catch {
    return undefined;
  }
}
