import type { ToolOptions } from "../../src/sdk/component.ts";
import { parseDatabaseUrl } from "../../src/sdk/database.ts";
import { connect } from "./postgres_connection.ts";
import { dropSlot, readSlot, sizeText } from "./postgres_slot.ts";
import type { CdcConfig } from "./schema.ts";

/**
 * Drops a receiver's replication slot, so that the primary no longer keeps WAL for it; `dryRun`: says what it is like. Rejects when it
 * is not PostgreSQL's, or somebody reads it.
 */
export async function dropSlotOf(config: CdcConfig, { id, clock, dryRun, say }: ToolOptions): Promise<void> {
  const database = parseDatabaseUrl(config.url, ["postgres", "mysql"]);
  if (database.kind !== "postgres") throw new Error(`${id} follows a binlog: it has no replication slot`);
  const admin = await connect({ config, database, receiver: id, clock }, false);
  try {
    const slot = await readSlot(admin, config.slot);
    if (slot === undefined) return say(`there is no slot ${config.slot} on ${database.label}`);
    const holds = slot.lost ? "lost: it can never be read again" : `holds back ${sizeText(slot.lagBytes ?? 0)} of WAL`;
    const read = slot.active ? `read by process ${slot.pid} of the server` : "read by nobody";
    if (dryRun) return say(`the slot ${config.slot} on ${database.label} ${holds}, ${read}`);
    if (slot.active) throw new Error(`the slot ${config.slot} is ${read}: stop the agent first`);
    await dropSlot(admin, config.slot);
    say(`dropped the slot ${config.slot} on ${database.label}: it ${holds}. The receiver's next start follows on_position_lost (${config.on_position_lost})`);
  } finally {
    await admin.close();
  }
}
