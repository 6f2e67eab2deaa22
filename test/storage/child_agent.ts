import { sqliteStore } from "../../src/storage/sqlite_store.ts";
import { moves, tables, thing, things } from "./tables.ts";

/** Rows of each table that one commit writes: enough for a commit to take a while, and several messages. */
export const ROWS = 6_000;

// A second agent, in a process of its own: takes the store in argv[2], says "open", then commits until it is killed.
// Commit n puts n into the same ROWS rows of both tables, and is named on standard output when it has resolved.
const directory = process.argv[2];
if (directory !== undefined) {
  const store = sqliteStore({ directory });
  await store.open(tables);
  process.stdout.write("open\n");
  for (let n = 1; process.argv[3] === "commit"; n++) {
    const ids = Array.from({ length: ROWS }, (_, id) => id);
    await store.commit([
      { table: things, puts: ids.flatMap((id) => thing(id, `${n}`)), deletes: [] },
      { table: moves, puts: ids.flatMap((id) => ["order", id, `${n}`]), deletes: [] },
      { table: moves, puts: ["kept", n, null], deletes: [] },
    ]);
    process.stdout.write(`${n}\n`);
  }
}
