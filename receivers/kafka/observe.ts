import type { ReceiverContext } from "../../src/sdk/component.ts";
import { observation, type Json, type Observation } from "../../src/sdk/observation.ts";
import { textOrBase64, Undecodable, type Decode } from "./decode.ts";
import type { Shape } from "./shape.ts";
import type { RecordCursor } from "./records.ts";
import type { Partition } from "./state.ts";

export interface ObserveOptions {
  readonly decode: Decode;
  /** Makes of the decoded value what the encoding says beyond that. */
  readonly shape?: Shape | undefined;
  /** A key that is not text; undefined: it is. */
  readonly decodeKey?: ((bytes: Buffer, start: number, end: number) => string | undefined) | undefined;
  readonly includeHeaders: readonly string[];
  readonly onError: "drop" | "pass" | "dead_letter";
  readonly valueBytesMax: number;
}

type Mutable = Record<string, string | number | boolean | readonly string[]>;

// https://www.w3.org/TR/trace-context/#traceparent-header
const TRACEPARENT = /^[\da-f]{2}-[\da-f]{32}-[\da-f]{16}-[\da-f]{2}$/;
const HEADER_BYTES_MAX = 4_096;
const KEY_BYTES_MAX = 4_096;
const EXCERPT_BYTES_MAX = 16_384;

/**
 * Makes observations of records; undefined of one that is refused. Attributes are OpenTelemetry's for Kafka:
 * https://opentelemetry.io/docs/specs/semconv/messaging/kafka/
 */
export function createObserver(context: ReceiverContext, options: ObserveOptions) {
  const { id: source, clock } = context;
  const { decode, decodeKey, shape, onError, valueBytesMax } = options;
  const wanted = new Map(options.includeHeaders.map((name) => [name, `messaging.kafka.message.header.${name}`]));

  function attributesOf(record: RecordCursor, topic: string, partition: string): Mutable {
    const { keyStart, keyEnd } = record;
    if (keyStart < 0) {
      return { "messaging.destination.name": topic, "messaging.destination.partition.id": partition, "messaging.kafka.offset": record.offset };
    }
    return {
      "messaging.destination.name": topic,
      "messaging.destination.partition.id": partition,
      "messaging.kafka.offset": record.offset,
      "messaging.kafka.message.key": decodeKey?.(record.bytes, keyStart, keyEnd) ?? textOrBase64(record.bytes, keyStart, Math.min(keyEnd, keyStart + KEY_BYTES_MAX)),
    };
  }

  /** Adds the headers that are wanted; gives the traceparent. */
  function readHeaders(record: RecordCursor, attributes: Mutable): string | undefined {
    let traceparent: string | undefined;
    const { bytes } = record;
    record.headers((nameStart, nameEnd, start, end) => {
      if (start < 0) return;
      const name = bytes.toString("utf8", nameStart, nameEnd);
      const attribute = wanted.get(name);
      if (attribute === undefined && name !== "traceparent") return;
      const value = textOrBase64(bytes, start, Math.min(end, start + HEADER_BYTES_MAX));
      if (name === "traceparent" && TRACEPARENT.test(value)) traceparent = value;
      if (attribute === undefined) return;
      const before = attributes[attribute] as string | readonly string[] | undefined;
      attributes[attribute] = before === undefined ? value : [before, value].flat();
    });
    return traceparent;
  }

  /** What cannot be an observation: counted, and kept where `on_error` says. */
  function refuse(record: RecordCursor, attributes: Mutable, time: number, counted: string, reason: string): Observation | undefined {
    const { bytes, valueEnd } = record;
    const start = record.valueStart < 0 ? valueEnd : record.valueStart;
    context.refused(1, counted);
    if (onError === "pass" && counted === "undecodable") return observation(textOrBase64(bytes, start, valueEnd), { time, source, attributes });
    if (onError === "dead_letter") {
      const excerpt = textOrBase64(bytes, start, Math.min(valueEnd, start + EXCERPT_BYTES_MAX));
      context.deadLetter(observation(excerpt, { time, source, attributes }), reason);
    }
    return undefined;
  }

  return (record: RecordCursor, { topic }: Partition, partitionText: string): Observation | undefined => {
    const attributes = attributesOf(record, topic, partitionText);
    const traceparent = record.headerCount > 0 ? readHeaders(record, attributes) : undefined;
    const time = record.time < 0 ? clock.now() : record.time;
    const { valueStart, valueEnd } = record;
    let body: Json | Undecodable = null;
    if (valueStart < 0) attributes["messaging.kafka.message.tombstone"] = true;
    else if (valueEnd - valueStart > valueBytesMax) {
      return refuse(record, attributes, time, "too_large", `a value of ${valueEnd - valueStart} bytes; at most ${valueBytesMax} are taken`);
    } else body = decode(record.bytes, valueStart, valueEnd);
    if (body instanceof Undecodable) return refuse(record, attributes, time, "undecodable", body.reason);
    const plain = observation(body, { time, source, attributes, traceparent });
    if (shape === undefined) return plain;
    const shaped = shape(plain, record);
    return shaped instanceof Undecodable ? refuse(record, attributes, time, "undecodable", shaped.reason) : shaped;
  };
}
