import type { Receiver, ReceiverContext } from "../../src/sdk/component.ts";
import type { Database } from "../../src/sdk/database.ts";
import { ConfigError } from "../../src/sdk/errors.ts";
import type { CdcConfig } from "./schema.ts";

/** Watches tables of MySQL or MariaDB through the binlog. */
export function createMysql(_config: CdcConfig, _database: Database, _context: ReceiverContext): Receiver {
  throw new ConfigError("/url", "MySQL and MariaDB cannot be watched by this build");
}
