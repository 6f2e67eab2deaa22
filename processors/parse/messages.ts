import { cloudEvent, withEvent } from "../../src/sdk/cloudevents.ts";
import { debeziumChange, keyIn } from "../../src/sdk/debezium.ts";
import type { Json, Observation } from "../../src/sdk/observation.ts";
import { NoChange, withChange, type RowChange } from "../../src/sdk/row_change.ts";
import { maxwellChanges } from "./maxwell.ts";
import { wal2jsonChanges } from "./wal2json.ts";

/** Formats of whole messages: they say more than a body, and one may hold several. */
export type MessageFormat = "debezium" | "maxwell" | "wal2json" | "cloudevents";

/** What a decoded message becomes, in order; or why it becomes nothing. Never throws. */
export type MessageReader = (value: Json, from: Observation) => readonly Observation[] | NoChange;

const EVENTS_MAX = 10_000;
const TOMBSTONE = new NoChange("tombstone", true);
const NO_EVENT = new NoChange("no CloudEvent in the list", true);
const TOO_MANY = new NoChange(`a list of more than ${EVENTS_MAX} CloudEvents`);
/** Where a receiver keeps the headers of a message: those that it was told to include. */
const HEADERS = /^(?:http\.request|messaging\.kafka\.message)\.header\.(ce[-_].+)$/i;

export function messageReader(format: MessageFormat, flattened: boolean): MessageReader {
  switch (format) {
    case "debezium":
      return (value, from) => {
        const change = debeziumChange(value, { key: keyIn(from), flattened });
        return change instanceof NoChange ? change : [withChange(from, change)];
      };
    case "maxwell":
      return passingTombstones((value, from) => changes(maxwellChanges(value), from));
    case "wal2json":
      return passingTombstones((value, from) => changes(wal2jsonChanges(value), from));
    case "cloudevents":
      return passingTombstones(events);
  }
}

/** A null value that is no message of the format is there for the compaction of Kafka's log, and no error. */
function passingTombstones(read: MessageReader): MessageReader {
  return (value, from) => {
    const found = read(value, from);
    return found instanceof NoChange && value === null && from.attributes["messaging.kafka.message.tombstone"] === true ? TOMBSTONE : found;
  };
}

function changes(read: readonly RowChange[] | NoChange, from: Observation): readonly Observation[] | NoChange {
  return read instanceof NoChange ? read : read.map((change) => withChange(from, change));
}

/** One event, or the list of a batch: all of it or nothing. */
function events(value: Json, from: Observation): readonly Observation[] | NoChange {
  const headers = headersOf(from);
  const batch = Array.isArray(value) && !headers.some(([name]) => /^ce[-_]specversion$/i.test(name));
  const list = batch ? (value as readonly Json[]) : [value];
  if (list.length === 0) return NO_EVENT;
  if (list.length > EVENTS_MAX) return TOO_MANY;
  const read: Observation[] = [];
  for (const item of list) {
    const event = cloudEvent(item, headers);
    if (typeof event === "string") return new NoChange(event);
    read.push(withEvent(from, event));
  }
  return read;
}

function headersOf({ attributes }: Observation): (readonly [string, string])[] {
  const headers: (readonly [string, string])[] = [];
  for (const [name, value] of Object.entries(attributes)) {
    const header = HEADERS.exec(name)?.[1];
    if (header !== undefined && typeof value === "string") headers.push([header, value]);
  }
  return headers;
}
