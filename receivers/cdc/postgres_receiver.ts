import type { Receiver, ReceiverContext } from "../../src/sdk/component.ts";
import type { Database } from "../../src/sdk/database.ts";
import { ConfigError } from "../../src/sdk/errors.ts";
import type { CdcConfig } from "./schema.ts";

/** Watches tables of PostgreSQL through logical replication. */
export function createPostgres(_config: CdcConfig, _database: Database, _context: ReceiverContext): Receiver {
  throw new ConfigError("/url", "PostgreSQL cannot be watched yet");
}
