import { defineReceiver } from "../src/sdk/component.ts";
import { parseDatabaseUrl } from "../src/sdk/database.ts";
import { createMysql } from "./cdc/mysql_receiver.ts";
import { dropSlotOf } from "./cdc/postgres_drop_slot.ts";
import { createPostgres } from "./cdc/postgres_receiver.ts";
import { cdcSchema } from "./cdc/schema.ts";

/**
 * Rows of a database's tables as they change, through the database's own replication. An observation is one change of one row:
 * `body.op` (c, u, d, r for a row of the snapshot, t for a truncated table), `body.before`, `body.after`, `body.source`. The position
 * is committed with the effects, and only then acknowledged: a crash neither loses a change nor counts one twice.
 *
 * PostgreSQL (14 and later): pgoutput, with transactions streamed before they end; nothing of one counts until it commits. Rows that
 * are there come first, exactly between two transactions. A crash meanwhile: what happened since is told first, so that rows that are
 * known move and go as they did, then the tables that were not finished are read again. A server on which the slot is read by another
 * agent is waited for. https://www.postgresql.org/docs/current/protocol-logical-replication.html
 */
export const cdc = defineReceiver({
  type: "cdc",
  summary: "Watches the tables of PostgreSQL, MySQL or MariaDB through replication: every change of a row, once.",
  stability: "beta",
  schema: cdcSchema,
  tools: {
    "drop-slot": { summary: "Drops the replication slot of a receiver that is not needed any more.", run: dropSlotOf },
  },
  create(config, context) {
    const database = parseDatabaseUrl(config.url, ["postgres", "mysql"]);
    return database.kind === "postgres" ? createPostgres(config, database, context) : createMysql(config, database, context);
  },
});
