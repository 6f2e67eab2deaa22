import type { ConfigOf } from "../../src/sdk/component.ts";
import { databaseSchema } from "../../src/sdk/database.ts";
import { expectEverySchema } from "../../src/sdk/expect_every.ts";

export const cdcSchema = {
  type: "object",
  additionalProperties: false,
  required: ["url", "tables"],
  properties: {
    ...databaseSchema,
    tables: {
      type: "array", minItems: 1, maxItems: 1_000, items: { type: "string", minLength: 1 },
      description: "Tables to watch: `table`, or `schema.table` (PostgreSQL; default: public), `database.table` (MySQL; default: the URL's database).",
    },
    snapshot: {
      enum: ["initial", "never"], default: "initial",
      description: "`initial`: at the first start the rows that are there come first, as op `r`, consistent with the changes after them. `never`: only changes.",
    },
    on_position_lost: {
      enum: ["snapshot", "fail"], default: "snapshot",
      description: "What to do when the database no longer has the changes since the last commit (slot lost or dropped, binlog purged, database set back): "
        + "`snapshot` reads all rows again, as op `r`: states are right again, moves meanwhile are not counted, and rows deleted meanwhile are not known to be; "
        + "`fail` says so and waits for a person.",
    },
    slot: { type: "string", pattern: "^[a-z0-9_]{1,63}$", default: "sojourn", description: "PostgreSQL: the replication slot. Created when it is not there, which needs `max_slot_lag`." },
    publication: { type: "string", minLength: 1, maxLength: 63, default: "sojourn", description: "PostgreSQL: the publication. Created for `tables` when it is not there." },
    row_filters: {
      type: "object", additionalProperties: { type: "string", minLength: 1 },
      description: "PostgreSQL 15 and later: an SQL condition by table, put into the publication when it is created: `orders: \"region = 'eu'\"`.",
    },
    max_slot_lag: {
      type: "string", format: "size",
      description: "PostgreSQL: how much WAL the slot may hold back on the primary's disk. Needed to create one: a slot that nobody reads fills the disk. "
        + "From 80 % of it on the receiver is failing, so that the alert `ReceiverFailing` tells a person in time; beyond it the slot is dropped, whatever "
        + "`on_position_lost` says, since a primary that stands still is worse than a gap here. `sojourn_cdc_slot_lag_bytes` is the lag, for rules of your own. "
        + "While no agent runs only the server's `max_slot_wal_keep_size` protects it.",
    },
    heartbeat_interval: {
      type: "string", format: "duration", default: "1m",
      description: "PostgreSQL: how often a message is written into the WAL, so that the slot of a quiet database moves on.",
    },
    server_id: {
      type: "integer", minimum: 1, maximum: 4_294_967_295,
      description: "MySQL and MariaDB: the id of this replica, unlike that of every other replica. Default: derived from the host's name and the receiver's id.",
    },
    ...expectEverySchema,
  },
  examples: [{ url: "postgres://sojourn@db.example/shop", password_file: "/run/secrets/shop", tables: ["orders"], max_slot_lag: "5GiB" }],
} as const;

export type CdcConfig = ConfigOf<typeof cdcSchema>;
