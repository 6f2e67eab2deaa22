import { decodeBySchema, fieldSchemas, isUnavailable } from "./debezium_value.ts";
import { isMongo, mongoDocument, mongoKey, mongoUpdate } from "./debezium_mongodb.ts";
import { exactJson, nestsTooDeep } from "./json_text.ts";
import type { Json, Observation } from "./observation.ts";
import { firstTime, isRow, NoChange, own, ownText, rowOf, type ChangedRow, type RowChange, type RowOp } from "./row_change.ts";

export interface DebeziumOptions {
  /** The decoded key of the message, where it has one. */
  readonly key?: Json | undefined;
  /**
   * The rows come without their envelope (`ExtractNewRecordState`): then any object is one, and a tombstone, which is all that
   * is left of a deletion, deletes what its key names. Otherwise a tombstone follows a deletion, and says nothing.
   */
  readonly flattened?: boolean | undefined;
}

const HEARTBEAT = new NoChange("heartbeat", true);
const MARKER = new NoChange("transaction marker", true);
const TOMBSTONE = new NoChange("tombstone", true);
const SCHEMA_CHANGE = new NoChange("schema change", true);
const NO_DEBEZIUM = new NoChange("no message of Debezium: it has no op, and is no flattened row");
const UNKNOWN_OP = new NoChange("no message of Debezium: its op is not one of c, u, d, r, t, m");
const NO_ROW = new NoChange("a change without a row: before and after say nothing, nor does the key");
const NO_KEY = new NoChange("a tombstone without a key does not say what is deleted");
const NOT_SAID = new NoChange("a flattened row without __deleted: flattened: true makes a deletion of a tombstone");

const OPS: ReadonlySet<Json | undefined> = new Set(["c", "u", "d", "r", "t", "m"]);
/** OpenTelemetry's `db.system.name` where it is not Debezium's name of the connector. */
const SYSTEMS: ReadonlyMap<string, string> = new Map([["sqlserver", "microsoft.sql_server"], ["oracle", "oracle.db"], ["db2", "ibm.db2"]]);
const TIME_NAMES = ["ts_ms", "ts_us", "ts_ns"];
/** What `add.fields` calls the rest of the envelope and its source. */
const METADATA = new Set(
  ["op", "deleted", "table", "collection", "db", "schema", "connector", "name", "version", "snapshot", "sequence", "lsn", "txId", "xmin",
    "gtid", "file", "pos", "row", "server_id"].concat(TIME_NAMES).map((name) => `__${name}`),
);
const FURTHER_METADATA = /^__(?:source|transaction)_/;

/**
 * The change that a message of Debezium tells, or why it tells none. `value` is the message as JSON, decoded by `exactJson`
 * where no digit is to be lost: with its schema or without, in its envelope, flattened, or as a CloudEvent. Never throws.
 * https://debezium.io/documentation/reference/stable/connectors/postgresql.html#postgresql-events
 */
export function debeziumChange(value: Json, { key, flattened }: DebeziumOptions = {}): RowChange | NoChange {
  const keyRow = keyOf(key);
  if (value === null) return flattened === true ? deleted(keyRow) : TOMBSTONE;
  if (!isRow(value)) return NO_DEBEZIUM;
  if (flattened !== true && isRow(own(value, "data")) && typeof own(value, "specversion") === "string") return inEnvelope(...ofCloudEvent(value), keyRow);
  const [payload, schema] = unwrapped(value);
  if (payload === null) return flattened === true ? deleted(keyRow) : TOMBSTONE;
  if (!isRow(payload)) return NO_DEBEZIUM;
  const nothing = service(payload, schema);
  if (nothing !== undefined) return nothing;
  if (flattened !== true && typeof own(payload, "op") === "string" && (Object.hasOwn(payload, "source") || Object.hasOwn(payload, "after"))) {
    return inEnvelope(payload, schema, keyRow);
  }
  return flat(payload, schema, flattened === true);
}

/** The key in a message's attributes as `debeziumChange` wants it: JSON where it is an object, else none with columns. */
export function keyIn({ attributes }: Observation): Json | undefined {
  const key = attributes["messaging.kafka.message.key"];
  if (typeof key !== "string" || !key.startsWith("{") || nestsTooDeep(key)) return undefined;
  try {
    return exactJson(key);
  } catch {
    return undefined;
  }
}

/** With its schema (`schemas.enable`), or bare. A table may have columns of these names: an envelope has nothing else. */
function unwrapped(value: ChangedRow): readonly [Json, Json | undefined] {
  const schema = own(value, "schema");
  if ((isRow(schema) || schema === null) && Object.hasOwn(value, "payload") && Object.keys(value).length === 2) return [value["payload"]!, schema];
  return [value, undefined];
}

/** The columns of a key. One without columns (`StringConverter`, a key that was taken out of its struct) names none. */
function keyOf(key: Json | undefined): ChangedRow | null {
  if (!isRow(key)) return null;
  const [payload, schema] = unwrapped(key);
  const decoded = decodeBySchema(payload, schema);
  return isRow(decoded) && Object.keys(decoded).length > 0 ? decoded : null;
}

/** What Debezium sends that is about no row. */
function service(payload: ChangedRow, schema: Json | undefined): NoChange | undefined {
  const name = ownText(schema, "name");
  const names = Object.keys(payload);
  if (name?.endsWith(".Heartbeat") === true || (names.length > 0 && names.every((key) => TIME_NAMES.includes(key)))) return HEARTBEAT;
  const status = own(payload, "status");
  if (name?.endsWith(".TransactionMetadataValue") === true) return MARKER;
  if ((status === "BEGIN" || status === "END") && Object.hasOwn(payload, "event_count") && typeof own(payload, "id") === "string") return MARKER;
  const ddl = typeof own(payload, "ddl") === "string" || Array.isArray(own(payload, "tableChanges"));
  return ddl && isRow(own(payload, "source")) && !Object.hasOwn(payload, "op") ? SCHEMA_CHANGE : undefined;
}

function inEnvelope(payload: ChangedRow, schema: Json | undefined, key: ChangedRow | null): RowChange | NoChange {
  const op = own(payload, "op");
  if (!OPS.has(op)) return UNKNOWN_OP;
  const source = sourceOf(own(payload, "source"));
  const change = {
    op: op as RowOp, source, snapshot: op === "r" || isSnapshot(own(source, "snapshot")),
    time: firstTime(...TIME_NAMES.map((name) => own(source, name)), ...TIME_NAMES.map((name) => own(payload, name))),
  };
  if (op === "m") return { ...change, before: null, after: null, message: own(payload, "message") ?? null };
  if (op === "t") return { ...change, before: null, after: null };
  const schemas = fieldSchemas(schema);
  const [before, after] = isMongo(payload) ? mongoRows(payload, op, key) : [
    row(own(payload, "before"), schemas.get("before")), row(own(payload, "after"), schemas.get("after")),
  ];
  // The row that goes is often not sent at all: its key says which one it was.
  if (op === "d") return before === null && key === null ? NO_ROW : { ...change, before: before ?? key, after: null };
  return after === null ? NO_ROW : { ...change, before, after };
}

function mongoRows(payload: ChangedRow, op: Json | undefined, key: ChangedRow | null): readonly [ChangedRow | null, ChangedRow | null] {
  const id = mongoKey(key);
  const before = mongoDocument(own(payload, "before")) ?? mongoDocument(own(payload, "filter"));
  if (op === "d") return [before ?? id, null];
  const update = mongoDocument(own(payload, "after")) ?? mongoUpdate(payload);
  return [before ?? null, update === undefined ? null : { ...id, ...update }];
}

/** The columns that came: not those whose value is a placeholder. */
function row(value: Json | undefined, schema: Json | undefined): ChangedRow | null {
  if (!isRow(value)) return null;
  const schemas = fieldSchemas(schema);
  const columns: [string, Json][] = [];
  for (const [name, column] of Object.entries(value)) {
    if (!isUnavailable(column)) columns.push([name, decodeBySchema(column, schemas.get(name))]);
  }
  return rowOf(columns);
}

/** Debezium's own names stay beside ours. */
function sourceOf(said: Json | undefined): ChangedRow {
  const connector = ownText(said, "connector");
  const database = ownText(said, "db") ?? ownText(said, "keyspace");
  const table = ownText(said, "table") ?? ownText(said, "collection");
  return {
    ...(isRow(said) ? said : undefined),
    ...(connector === undefined ? undefined : { system: SYSTEMS.get(connector) ?? connector }),
    ...(database === undefined ? undefined : { database }),
    ...(table === undefined ? undefined : { table }),
  };
}

/** True, or its text, or where in the snapshot: `first`, `last_in_data_collection`, `incremental`. */
function isSnapshot(value: Json | undefined): boolean {
  return value === true || (typeof value === "string" && value !== "" && value !== "false");
}

/** A row as `ExtractNewRecordState` leaves it: what it was told to add begins with `__`. */
function flat(payload: ChangedRow, schema: Json | undefined, expected: boolean): RowChange | NoChange {
  const metadata = new Map<string, Json>();
  const columns: [string, Json][] = [];
  for (const entry of Object.entries(payload)) {
    if (METADATA.has(entry[0]) || FURTHER_METADATA.test(entry[0])) metadata.set(entry[0].slice(2), entry[1]);
    else columns.push(entry);
  }
  const known = metadata.size > 0 || ownText(schema, "name")?.endsWith(".Value") === true;
  if (!expected && !known) return NO_DEBEZIUM;
  const mark = metadata.get("deleted");
  if (!expected && mark === undefined) return NOT_SAID;
  const said = metadata.get("op");
  const gone = mark === true || mark === "true" || said === "d";
  if (!gone && said !== undefined && said !== null && !OPS.has(said)) return UNKNOWN_OP;
  const op = gone ? "d" : ((said ?? "u") as RowOp);
  const source = sourceOf(rowOf([...metadata].filter(([name]) => name !== "op" && name !== "deleted").map(([name, item]) => [name.replace(/^source_/, ""), item])));
  const state = row(rowOf(columns), schema);
  return {
    op, before: gone ? state : null, after: gone || op === "t" || op === "m" ? null : state, source,
    snapshot: op === "r" || isSnapshot(own(source, "snapshot")), time: firstTime(...TIME_NAMES.map((name) => own(source, name))),
  };
}

function deleted(key: ChangedRow | null): RowChange | NoChange {
  return key === null ? NO_KEY : { op: "d", before: key, after: null, source: {}, snapshot: false, time: undefined };
}

/** The envelope that a CloudEvent holds: its op and source are extensions, `iodebezium…`. */
function ofCloudEvent(event: ChangedRow): readonly [ChangedRow, Json | undefined] {
  const [payload, schema] = unwrapped(event["data"] as ChangedRow);
  const source = Object.entries(event)
    .filter(([name]) => name.startsWith("iodebezium") && name !== "iodebeziumop")
    .map(([name, value]) => [name.slice("iodebezium".length).replace(/^ts([mun]s)$/, "ts_$1"), value] as const);
  const named = source.length === 0 ? own(payload, "source") : rowOf(source);
  const { op: _, source: __, ...rest } = isRow(payload) ? payload : {};
  return [{ ...rest, op: own(event, "iodebeziumop") ?? own(payload, "op") ?? null, source: named ?? null, ts_ms: own(event, "time") ?? null }, schema];
}
