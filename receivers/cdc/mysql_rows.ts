import type { Row } from "./change.ts";
import type { RowsEvent, Shape } from "./mysql_binlog.ts";
import { fromBinlog, type Hint } from "./mysql_value.ts";
import type { Json } from "../../src/sdk/observation.ts";

/** What became of one row. A changed primary key is a deletion and a creation: two changes. */
export interface RowChange {
  readonly op: "c" | "u" | "d";
  readonly before: Row | null;
  readonly after: Row | null;
}

/** What the table's definition says beside the binlog. Asked when it is needed: it may have changed since the event. */
export interface Definition {
  readonly key: readonly string[];
  readonly hints: ReadonlyMap<string, Hint>;
}

type Reader = (row: Readonly<Record<string, unknown>>, sent: Uint8Array) => Row;

/** Turns row events into changes. One for each stream: readers of columns are made once for each shape of a table. */
export function rowReader(definitionOf: (shape: Shape) => Definition | undefined): {
  changes(event: RowsEvent, take: (change: RowChange) => void): void;
  /** Definitions changed: make the readers anew. */
  forget(): void;
} {
  let readers = new WeakMap<Shape, { readonly read: Reader; readonly key: readonly string[] }>();

  function readerOf(shape: Shape): { readonly read: Reader; readonly key: readonly string[] } {
    const known = readers.get(shape);
    if (known !== undefined) return known;
    const definition = definitionOf(shape);
    const columns = shape.columns.map(({ name, type }) => ({ name, value: fromBinlog(type, definition?.hints.get(name)) }));
    const read: Reader = (row, sent) => {
      const values: Record<string, Json> = {};
      for (let i = 0; i < columns.length; i++) {
        // Not sent (a session's binlog_row_image): missing, which is not NULL.
        if ((sent[i >> 3]! & (1 << (i & 7))) === 0) continue;
        const { name, value } = columns[i]!;
        if (name !== "__proto__") values[name] = value(row[name]);
      }
      return values;
    };
    const made = { read, key: shape.key ?? definition?.key ?? [] };
    readers.set(shape, made);
    return made;
  }

  return {
    changes(event, take) {
      const { read, key } = readerOf(event.shape);
      for (const row of event.rows as readonly Record<string, unknown>[]) {
        if (event.op === "c") take({ op: "c", before: null, after: read(row, event.sent) });
        else if (event.op === "d") take({ op: "d", before: read(row, event.sent), after: null });
        else {
          const images = row as { before: Record<string, unknown>; after: Record<string, unknown> };
          const before = read(images.before, event.sent);
          const after = read(images.after, event.sentAfter ?? event.sent);
          if (key.some((name) => after[name] !== undefined && after[name] !== before[name])) {
            take({ op: "d", before, after: null });
            take({ op: "c", before: null, after });
          } else {
            take({ op: "u", before, after });
          }
        }
      }
    },
    forget: () => void (readers = new WeakMap()),
  };
}
