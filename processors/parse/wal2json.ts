import { base64, exactNumber, jsonValue, rfc3339 } from "../../src/sdk/database_value.ts";
import { nestsTooDeep } from "../../src/sdk/json_text.ts";
import type { Json } from "../../src/sdk/observation.ts";
import { firstTime, isRow, NoChange, own, ownText, rowOf, splitAtKey, without, type ChangedRow, type RowChange, type RowOp } from "../../src/sdk/row_change.ts";

const ACTIONS: ReadonlyMap<string, RowOp> = new Map([["I", "c"], ["U", "u"], ["D", "d"], ["T", "t"], ["M", "m"]]);
const KINDS: ReadonlyMap<string, RowOp> = new Map([["insert", "c"], ["update", "u"], ["delete", "d"], ["truncate", "t"], ["message", "m"]]);
/** What is about the row, or of the format. */
const NOT_SOURCE: ReadonlySet<string> = new Set([
  "change", "action", "kind", "columns", "identity", "pk", "prefix", "content",
  "columnnames", "columntypes", "columntypeoids", "columnvalues", "columnoptionals", "columnpositions", "columndefaults", "oldkeys",
]);
const MARKER = new NoChange("transaction marker", true);
const EMPTY = new NoChange("transaction without changes", true);
const NO_WAL2JSON = new NoChange("no message of wal2json: it has neither an action (version 2) nor a list of changes (version 1)");
const UNKNOWN = new NoChange("no message of wal2json: the action is not one of B, C, I, U, D, T, M, or the kind not insert, update, delete, truncate, message");
const NO_ROW = new NoChange("a change of wal2json without columns or identity");

/**
 * The changes that a message of wal2json tells: of version 1 those of a transaction, of version 2 one; and one more where an
 * update gives a row another key. A column that PostgreSQL did not send (unchanged TOAST) is missing, as it is in the message.
 * https://github.com/eulerto/wal2json
 */
export function wal2jsonChanges(value: Json): readonly RowChange[] | NoChange {
  if (!isRow(value)) return NO_WAL2JSON;
  const list = own(value, "change");
  if (Array.isArray(list)) return transaction(value, list as readonly Json[]);
  const action = ownText(value, "action");
  if (action === undefined) return NO_WAL2JSON;
  if (action === "B" || action === "C") return MARKER;
  return changesOf(value, ACTIONS.get(action), columnsOf(own(value, "columns")), columnsOf(own(value, "identity")), namesOf(own(value, "pk")));
}

function transaction(message: ChangedRow, list: readonly Json[]): readonly RowChange[] | NoChange {
  if (list.length === 0) return EMPTY;
  const changes: RowChange[] = [];
  for (const item of list) {
    if (!isRow(item)) return NO_WAL2JSON;
    const old = own(item, "oldkeys");
    const columns = zipped(own(item, "columnnames"), own(item, "columntypes"), own(item, "columnvalues"));
    const identity = zipped(own(old, "keynames"), own(old, "keytypes"), own(old, "keyvalues"));
    const key = own(own(item, "pk"), "pknames");
    const said = changesOf({ ...without(message, NOT_SOURCE), ...item }, KINDS.get(ownText(item, "kind") ?? ""), columns, identity, textsOf(key));
    if (said instanceof NoChange) return said;
    changes.push(...said);
  }
  return changes;
}

function changesOf(
  message: ChangedRow, op: RowOp | undefined, columns: ChangedRow | null, identity: ChangedRow | null, key: readonly string[] | undefined,
): readonly RowChange[] | NoChange {
  if (op === undefined) return UNKNOWN;
  const time = ownText(message, "timestamp");
  const source = { ...without(message, NOT_SOURCE), system: "postgresql" };
  const change = { op, before: null, after: null, source, snapshot: false, time: time === undefined ? undefined : firstTime(rfc3339(time)) };
  if (op === "t") return [change];
  if (op === "m") return [{ ...change, message: { prefix: own(message, "prefix") ?? null, content: own(message, "content") ?? null } }];
  if (op === "d") return identity === null ? NO_ROW : [{ ...change, before: identity }];
  if (columns === null) return NO_ROW;
  if (op === "c") return [{ ...change, after: columns }];
  // With the usual replica identity the old row is its key alone; with the full one only `pk` tells which columns are it.
  const names = key ?? (identity !== null && Object.keys(identity).length < Object.keys(columns).length ? Object.keys(identity) : []);
  return splitAtKey({ ...change, before: identity, after: columns }, names);
}

/** Version 2: `[{name, type, value}]`. */
function columnsOf(list: Json | undefined): ChangedRow | null {
  if (!Array.isArray(list)) return null;
  const entries: [string, Json][] = [];
  for (const column of list as readonly Json[]) {
    const name = own(column, "name");
    if (typeof name === "string") entries.push([name, typed(own(column, "value") ?? null, own(column, "type"))]);
  }
  return entries.length === 0 ? null : rowOf(entries);
}

/** Version 1: names, types and values apart. */
function zipped(names: Json | undefined, types: Json | undefined, values: Json | undefined): ChangedRow | null {
  if (!Array.isArray(names) || !Array.isArray(values) || names.length !== values.length || names.length === 0) return null;
  const typeList: readonly Json[] = Array.isArray(types) ? (types as readonly Json[]) : [];
  const entries: [string, Json][] = [];
  (names as readonly Json[]).forEach((name, i) => {
    if (typeof name === "string") entries.push([name, typed((values as readonly Json[])[i]!, typeList[i])]);
  });
  return rowOf(entries);
}

/** The value in the form that the direct receiver gives it, where it comes as text of a type that is named. */
function typed(value: Json, type: Json | undefined): Json {
  if (typeof value !== "string" || typeof type !== "string") return value;
  if (type.startsWith("timestamp")) return rfc3339(value);
  if (type === "json" || type === "jsonb") return nestsTooDeep(value) ? value : jsonValue(value);
  // `numeric-data-types-as-string` gives text for every number.
  if (/^(?:smallint|integer|bigint|real|double precision|numeric)\b(?!.*\[)/.test(type)) return exactNumber(value);
  if (type === "bytea" && value.length % 2 === 0 && /^[\da-f]*$/.test(value)) return base64(Buffer.from(value, "hex"));
  return value;
}

function namesOf(list: Json | undefined): readonly string[] | undefined {
  return Array.isArray(list) ? textsOf((list as readonly Json[]).map((column) => own(column, "name") ?? null)) : undefined;
}

function textsOf(list: Json | undefined): readonly string[] | undefined {
  return Array.isArray(list) ? (list as readonly Json[]).filter((name) => typeof name === "string") : undefined;
}
