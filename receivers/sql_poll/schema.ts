import type { ConfigOf } from "../../src/sdk/component.ts";
import { databaseSchema } from "../../src/sdk/database.ts";
import { expectEverySchema } from "../../src/sdk/expect_every.ts";

/** Keys of an `sql_poll` receiver. */
export const sqlPollSchema = {
  type: "object",
  additionalProperties: false,
  required: ["url", "query"],
  properties: {
    url: {
      type: "string", minLength: 1, writeOnly: true,
      description: "`postgres://user@host:5432/database`, `mysql://user@host:3306/database` (MariaDB, too) or `sqlite:/path/to/file.db`. The password is best kept in `password_file`.",
    },
    password_file: databaseSchema.password_file,
    tls: databaseSchema.tls,
    query: {
      type: "string", minLength: 1, maxLength: 100_000,
      description: "One SELECT. Each row is an observation: `body.<column>`. It runs in a transaction that can only read.",
    },
    params: {
      type: "array", maxItems: 100, items: { type: ["string", "number", "boolean", "null"] },
      description: "Values of `$1`, `$2`… (PostgreSQL) or `?` (MySQL, MariaDB, SQLite) in the query, in order.",
    },
    interval: { type: "string", format: "duration", default: "30s", description: "From the start of a poll to the start of the next. Polls never overlap." },
    timeout: {
      type: "string", format: "duration", default: "30s",
      description: "For connecting, and for each part of the answer. The database is told to give up by then, too.",
    },
    jitter: {
      type: "string", format: "duration",
      description: "Each poll starts up to this much later, so that agents do not align. Default: a tenth of the interval, at most 5s.",
    },
    rows_max: {
      type: "integer", minimum: 1, maximum: 10_000_000, default: 100_000,
      description: "Rows of a result. More is a failed poll, never a part taken for the whole. With `tracking_column`: new rows of a poll; the next one goes on at once.",
    },
    tracking_column: {
      type: "string", minLength: 1, maxLength: 200,
      description: "Column of the result that grows with every row that is new or changed: an id that counts up, or the time of the last change. Then only such rows come. "
        + "The query needs no condition on it: it is put around the query. An index on the column keeps it quick. Rows where it is NULL do not come.",
    },
    tracking_start: {
      type: "string", minLength: 1, maxLength: 1_000,
      description: "Value of `tracking_column` to begin with at the very first start, as the database writes it. Default: all rows come once.",
    },
    tracking_overlap: {
      type: "string", format: "duration", default: "1m",
      description: "How long a transaction may take, from giving a row its value of `tracking_column` until it commits. Rows that appear late, "
        + "behind others, are found within that time; none comes twice. From a replica, add how far that may be behind.",
    },
    missing: {
      enum: ["ignore", "delete"], default: "ignore",
      description: "`delete`: a row that was there and is not in a complete result any more is an observation, too: its body holds the `key` columns, "
        + "and `attributes[\"sql_poll.missing\"]` is true (false for all others), for `delete_when`.",
    },
    key: {
      type: "array", minItems: 1, maxItems: 20, uniqueItems: true, items: { type: "string", minLength: 1 },
      description: "Columns that tell rows apart, for `missing: delete`. All keys together take at most 4 MiB.",
    },
    ...expectEverySchema,
  },
  examples: [
    { url: "postgres://sojourn@db.example/shop", password_file: "/run/secrets/shop", query: "SELECT id, status, created_at FROM orders", interval: "10s" },
    { url: "mysql://sojourn@db.example/shop", password_file: "/run/secrets/shop", query: "SELECT id, status, updated_at FROM orders", tracking_column: "updated_at" },
    { url: "sqlite:/var/lib/shop/shop.db", query: "SELECT id, state FROM jobs", missing: "delete", key: ["id"] },
  ],
} as const;

export type SqlPollConfig = ConfigOf<typeof sqlPollSchema>;
