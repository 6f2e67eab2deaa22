import type { Client } from "./mysql_client.ts";
import type { Place } from "./mysql_position.ts";

/** What the server is, as far as replication needs to know. */
export interface Server {
  readonly mariadb: boolean;
  readonly version: string;
  /** OpenTelemetry's `db.system.name`. */
  readonly system: "mariadb" | "mysql";
  /** The binlog can be resumed by GTID, not only by file and offset. */
  readonly gtid: boolean;
  /** What may make changes invisible, or wrong, without anybody noticing. */
  readonly warnings: readonly string[];
}

const VARIABLES = [
  "version", "log_bin", "binlog_format", "binlog_row_image", "binlog_row_metadata", "gtid_mode", "server_id",
  "binlog_transaction_compression", "binlog_row_value_options", "log_slave_updates", "gtid_slave_pos",
];

/** Looks whether the server's binlog says what we need. Rejects with all that is to be set. */
export async function checkServer(client: Client, ownServerId: number): Promise<Server> {
  const rows = await client.query(`SHOW GLOBAL VARIABLES WHERE Variable_name IN (${VARIABLES.map((name) => `'${name}'`).join(", ")})`);
  const value = new Map(rows.map((row) => [row.Variable_name!, row.Value ?? ""]));
  const is = (name: string): string => (value.get(name) ?? "").toUpperCase();
  const wrong: string[] = [];
  if (is("log_bin") !== "ON") wrong.push("it writes no binlog: set log_bin and server_id in its configuration, and start it again");
  if (is("binlog_format") !== "ROW") {
    wrong.push(`binlog_format is ${is("binlog_format")}: SET GLOBAL binlog_format = 'ROW', and in its configuration; sessions that are open keep theirs`);
  }
  if (!is("binlog_row_image").startsWith("FULL")) {
    wrong.push(`binlog_row_image is ${is("binlog_row_image")}: SET GLOBAL binlog_row_image = 'FULL', and in its configuration`);
  }
  if (is("binlog_transaction_compression") === "ON") wrong.push("binlog_transaction_compression is ON, which cannot be read: set it OFF");
  if (is("binlog_row_value_options").includes("PARTIAL_JSON")) wrong.push("binlog_row_value_options has PARTIAL_JSON, which cannot be read: empty it");
  if (is("server_id") === String(ownServerId)) wrong.push(`its server_id is ours (${ownServerId}): give this receiver another \`server_id\``);
  const version = value.get("version") ?? "";
  if (wrong.length > 0) throw new Error(`the server (${version}) cannot be watched: ${wrong.join("; ")}`);
  const mariadb = /mariadb/i.test(version);
  const warnings: string[] = [];
  if (is("binlog_row_metadata") !== "FULL") {
    warnings.push("binlog_row_metadata is not FULL: columns are named as they are now, which is wrong for changes from before an ALTER TABLE that moved them; SET GLOBAL binlog_row_metadata = 'FULL'");
  }
  if (is("log_slave_updates") === "OFF" && is("gtid_slave_pos") !== "") {
    warnings.push("it is a replica, and log_slave_updates is OFF: what it gets from its primary is not in its binlog; set log_slave_updates, or watch the primary");
  }
  return { mariadb, version, system: mariadb ? "mariadb" : "mysql", gtid: mariadb || is("gtid_mode") === "ON", warnings };
}

/** Where the binlog ends now. */
export async function endOfBinlog(client: Client, server: Server): Promise<Place> {
  if (server.mariadb) {
    const [row] = await client.query("SELECT @@GLOBAL.gtid_binlog_pos AS gtid");
    return { gtid: row?.gtid ?? "" };
  }
  return mysqlEnd(client, server);
}

async function mysqlEnd(client: Client, server: Server): Promise<Place> {
  // MySQL 8.4 has the new name only, 8.0 the old one only.
  const [row] = await client.query("SHOW BINARY LOG STATUS").catch(() => client.query("SHOW MASTER STATUS"));
  if (row === undefined) throw new Error("the server does not say where its binlog ends: GRANT REPLICATION CLIENT");
  return server.gtid ? { gtid: (row.Executed_Gtid_Set ?? "").replace(/\s/g, "") } : { file: row.File!, offset: Number(row.Position) };
}

/**
 * Begins a transaction that sees all that the binlog has up to the place returned, and nothing after it. MariaDB brings both
 * together by itself; MySQL needs a read lock for that moment (privilege RELOAD).
 * https://mariadb.com/kb/en/enhancements-for-start-transaction-with-consistent-snapshot/
 */
export async function beginSnapshot(client: Client, server: Server): Promise<Place> {
  if (!server.mariadb) {
    await client.query("FLUSH TABLES WITH READ LOCK");
    try {
      await client.query("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY");
      return await mysqlEnd(client, server);
    } finally {
      await client.query("UNLOCK TABLES");
    }
  }
  await client.query("START TRANSACTION WITH CONSISTENT SNAPSHOT");
  const status = new Map((await client.query("SHOW STATUS LIKE 'binlog_snapshot_%'")).map((row) => [row.Variable_name!.toLowerCase(), row.Value]));
  const [row] = await client.query("SELECT BINLOG_GTID_POS(?, ?) AS gtid", [status.get("binlog_snapshot_file"), Number(status.get("binlog_snapshot_position"))]);
  if (row?.gtid === undefined || row.gtid === null) throw new Error("the server does not say where in the binlog the snapshot is");
  return { gtid: row.gtid };
}

/** Rows of a transaction that is prepared are neither in the snapshot nor in the binlog after it. Rejects while there is one. */
export async function noneIsPrepared(client: Client, server: Server): Promise<void> {
  // MySQL lets only XA_RECOVER_ADMIN ask.
  const waiting = server.mariadb ? await client.query("XA RECOVER") : [];
  if (waiting.length === 0) return;
  throw new Error(`${waiting.length} transactions are prepared and neither committed nor rolled back (XA RECOVER lists them): the snapshot waits for them`);
}
