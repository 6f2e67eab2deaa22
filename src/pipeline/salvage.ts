import { PermanentError } from "../sdk/errors.ts";
import type { Cell, Store, TableChange } from "../sdk/store.ts";

/**
 * Writes what can be written of changes that can never be written together: a defect of ours in one row must not
 * cost the others. They are halved until the row is alone; it is dropped.
 * Rejects like `commit` on any other error; then it may be called again, since rows replace one another.
 */
export async function salvage(store: Store, changes: readonly TableChange[]): Promise<void> {
  for (const { table, puts, deletes } of changes) {
    await halved(deletes, table.keyColumns, (cells) => store.commit([{ table, puts: [], deletes: cells }]));
    await halved(puts, table.columns.length, (cells) => store.commit([{ table, puts: cells, deletes: [] }]));
  }
}

async function halved(cells: readonly Cell[], width: number, write: (cells: readonly Cell[]) => Promise<void>): Promise<void> {
  if (cells.length === 0) return;
  try {
    return await write(cells);
  } catch (error) {
    if (!(error instanceof PermanentError)) throw error;
    if (cells.length <= width) return;
  }
  const middle = Math.ceil(cells.length / width / 2) * width;
  await halved(cells.slice(0, middle), width, write);
  await halved(cells.slice(middle), width, write);
}
