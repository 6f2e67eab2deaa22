import type { MessageRecord } from "@platformatic/kafka";
import { PermanentError } from "../../src/sdk/errors.ts";
import type { ProducerIdentity } from "./client.ts";

/** What a record costs beside its own bytes, at most. */
const RECORD_BYTES = 64;
const HEADER_BYTES = 10;

/** A message for a topic; without key any partition will do. */
export interface OutgoingMessage {
  readonly topic: string;
  readonly key: string | undefined;
  readonly value: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** Records of one partition that go in one request. */
export interface Parcel {
  readonly topic: string;
  readonly partition: number;
  readonly records: readonly MessageRecord[];
  /** The broker refused them together: some of them it may take. */
  parts: readonly Parcel[] | undefined;
  /** Given when it is sent first, and never changed: so the broker knows it again. */
  place: { readonly identity: ProducerIdentity; readonly sequence: number } | undefined;
  /** `moved`: what it holds is in other parcels now. */
  outcome: "open" | "taken" | "moved" | PermanentError;
}

/** Where records go. */
export interface Placing {
  /** Bytes of one parcel. */
  readonly bytesMax: number;
  exists(topic: string, partition: number): boolean;
  partitionOf(topic: string, key: Buffer | undefined): number;
}

export function parcel(topic: string, partition: number, records: readonly MessageRecord[], outcome: Parcel["outcome"] = "open"): Parcel {
  return { topic, partition, records, parts: undefined, place: undefined, outcome };
}

/** The parcel, or what it was divided into. */
export function leavesOf(one: Parcel): Parcel[] {
  return one.parts === undefined ? [one] : one.parts.flatMap(leavesOf);
}

/** Parcels of a bounded size, in order for each partition. A record that is larger is refused. */
export function packed(records: readonly MessageRecord[], placing: Placing): Parcel[] {
  const parcels: Parcel[] = [];
  const open = new Map<string, { readonly records: MessageRecord[]; bytes: number }>();
  for (const unplaced of records) {
    const { topic } = unplaced;
    const partition = placing.partitionOf(topic, unplaced.key);
    const record = { ...unplaced, partition };
    const bytes = bytesOf(record);
    if (bytes > placing.bytesMax) {
      parcels.push(parcel(topic, partition, [record], new PermanentError(`a message of ${bytes} bytes is larger than producer.max_request_size`)));
      continue;
    }
    const name = `${topic}:${partition}`;
    let filling = open.get(name);
    if (filling === undefined || filling.bytes + bytes > placing.bytesMax) {
      open.set(name, (filling = { records: [], bytes: 0 }));
      parcels.push(parcel(topic, partition, filling.records));
    }
    filling.records.push(record);
    filling.bytes += bytes;
  }
  return parcels;
}

/** A topic that was made again may have fewer partitions: what was for the others finds its new place. All else stays as it is. */
export function repacked(parcels: readonly Parcel[], placing: Placing): Parcel[] {
  if (parcels.every(({ topic, partition }) => placing.exists(topic, partition))) return parcels as Parcel[];
  const leaves = parcels.flatMap((one) => (placing.exists(one.topic, one.partition) ? [one] : leavesOf(one)));
  const [lost, kept] = [leaves.filter((one) => isLost(one, placing)), leaves.filter((one) => !isLost(one, placing))];
  for (const one of lost) one.outcome = "moved";
  return [...kept, ...packed(lost.flatMap(({ records }) => records), placing)];
}

function isLost({ topic, partition, outcome }: Parcel, placing: Placing): boolean {
  return outcome === "open" && !placing.exists(topic, partition);
}

/** A record whose partition is not known yet. `now` in ms. */
export function recordOf({ topic, key, value, headers }: OutgoingMessage, now: number): MessageRecord {
  return {
    topic, timestamp: BigInt(Math.round(now)), value: Buffer.from(value),
    headers: new Map(Object.entries(headers).map(([name, text]) => [Buffer.from(name), Buffer.from(text)])),
    ...(key === undefined ? {} : { key: Buffer.from(key) }),
  };
}

export function bytesOf({ key, value, headers }: MessageRecord): number {
  let bytes = RECORD_BYTES + value.length + (key?.length ?? 0);
  for (const [name, text] of headers ?? []) bytes += name.length + text.length + HEADER_BYTES;
  return bytes;
}
