import type { Json } from "../../src/sdk/observation.ts";
import { firstTime, isRow, NoChange, own, ownText, splitAtKey, without, type ChangedRow, type RowChange, type RowOp } from "../../src/sdk/row_change.ts";

const OPS: ReadonlyMap<string, RowOp> = new Map([["insert", "c"], ["update", "u"], ["delete", "d"], ["bootstrap-insert", "r"]]);
const NOT_SOURCE: ReadonlySet<string> = new Set(["type", "data", "old", "primary_key_columns"]);
const BOOTSTRAP = new NoChange("start or end of a bootstrap", true);
const DEFINITION = new NoChange("schema change", true);
const NO_MAXWELL = new NoChange("no message of Maxwell: type and data are missing");
const UNKNOWN_TYPE = new NoChange("no message of Maxwell: its type is not one of insert, update, delete, bootstrap-insert");

/**
 * The changes that a message of Maxwell tells: one, or two where an update gives the row another key, which only a message with
 * `primary_key_columns` shows (`output_primary_key_columns`). `old` holds the columns that changed; MySQL sends the rest, too.
 * https://maxwells-daemon.io/dataformat/
 */
export function maxwellChanges(value: Json): readonly RowChange[] | NoChange {
  const type = ownText(value, "type");
  if (!isRow(value) || type === undefined) return NO_MAXWELL;
  if (type === "bootstrap-start" || type === "bootstrap-complete") return BOOTSTRAP;
  if (/^(?:table|database)-(?:create|alter|drop)$/.test(type)) return DEFINITION;
  const op = OPS.get(type);
  if (op === undefined) return UNKNOWN_TYPE;
  const data = own(value, "data");
  if (!isRow(data)) return NO_MAXWELL;
  const old = own(value, "old");
  const change: RowChange = {
    op,
    before: op === "d" ? data : op === "u" ? { ...data, ...(isRow(old) ? old : undefined) } : null,
    after: op === "d" ? null : data,
    source: sourceOf(value),
    snapshot: op === "r",
    time: firstTime(own(value, "ts")),
  };
  const key = own(value, "primary_key_columns");
  return splitAtKey(change, Array.isArray(key) ? (key as readonly Json[]).filter((column) => typeof column === "string") : []);
}

/** All that it says beside the row: `ts`, `xid`, `commit`, `gtid`, `position`. */
function sourceOf(message: ChangedRow): ChangedRow {
  return { ...without(message, NOT_SOURCE), system: "mysql" };
}
