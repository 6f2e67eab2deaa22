import { cloudEvent, withEvent } from "../../src/sdk/cloudevents.ts";
import { debeziumChange, keyIn } from "../../src/sdk/debezium.ts";
import type { Observation } from "../../src/sdk/observation.ts";
import { wholeBody } from "../../src/sdk/observation.ts";
import { NoChange, withChange } from "../../src/sdk/row_change.ts";
import { textOrBase64, Undecodable } from "./decode.ts";
import type { RecordCursor } from "./records.ts";

/** What the encoding makes of a decoded value; undefined: nothing to observe, as it is meant to be (a heartbeat, say). */
export type Shape = (plain: Observation, record: RecordCursor) => Observation | Undecodable | undefined;

const HEADERS_MAX = 100;

/** A change of a row. What belongs to the format and is no change is passed over. */
export function debeziumShape(flattened: boolean): Shape {
  const reasons = new Map<string, Undecodable>();
  return (plain) => {
    const change = debeziumChange(wholeBody(plain.body), { key: keyIn(plain), flattened });
    if (!(change instanceof NoChange)) return withChange(plain, change);
    if (change.expected) return undefined;
    let undecodable = reasons.get(change.reason);
    if (undecodable === undefined) reasons.set(change.reason, (undecodable = new Undecodable(change.reason)));
    return undecodable;
  };
}

/** An event: structured in the value, or binary with its attributes in headers. */
export const cloudEventsShape: Shape = (plain, record) => {
  const headers: [string, string][] = [];
  const { bytes } = record;
  if (record.headerCount > 0) {
    record.headers((nameStart, nameEnd, start, end) => {
      if (start >= 0 && headers.length < HEADERS_MAX) headers.push([bytes.toString("utf8", nameStart, nameEnd), textOrBase64(bytes, start, end)]);
    });
  }
  const event = cloudEvent(wholeBody(plain.body), headers);
  if (typeof event !== "string") return withEvent(plain, event);
  // A tombstone that says nothing of an event is there for the log's compaction.
  return record.valueStart < 0 ? undefined : new Undecodable(event);
};
