import type { ConnectionOptions } from "mysql2";
import { QUIET_SECONDS, SERVER_WAITS_SECONDS } from "./mysql_client.ts";
import type { GtidSets, Place } from "./mysql_position.ts";
import type { Clock, Timer } from "../../src/sdk/clock.ts";

/** A table as it was when its row events were written. */
export interface Shape {
  readonly database: string;
  readonly name: string;
  readonly columns: readonly { readonly name: string; readonly type: number }[];
  /** Names of the primary key's columns, where the binlog says them. */
  readonly key: readonly string[] | undefined;
}

/** What the binlog says, as far as we look at it. */
export type BinlogEvent =
  | { readonly kind: "begin"; readonly gtid: string | undefined; readonly standalone: boolean; readonly timestamp: number }
  | { readonly kind: "query"; readonly query: string; readonly schema: string; readonly timestamp: number; readonly end: number }
  | { readonly kind: "commit"; readonly end: number }
  /** Of two-phase commit; whether it commits comes later. */
  | { readonly kind: "prepared"; readonly end: number }
  | RowsEvent
  | { readonly kind: "file"; readonly name: string; readonly offset: number }
  | { readonly kind: "idle" };

export interface RowsEvent {
  readonly kind: "rows";
  readonly op: "c" | "u" | "d";
  readonly shape: Shape;
  /** By column name; of an update `{before, after}`. */
  readonly rows: readonly unknown[];
  /** Which columns were sent: of the only image, or of `before` and of `after`. A bit each. */
  readonly sent: Uint8Array;
  readonly sentAfter: Uint8Array | undefined;
  readonly bytes: number;
  readonly timestamp: number;
}

/** An event as the client decodes it. */
interface Decoded {
  readonly timestamp: number;
  readonly nextPosition: number;
  readonly size: number;
  readonly gtid?: string;
  readonly query: string;
  readonly schema: string;
  readonly standalone?: boolean;
  readonly onePhase?: boolean;
  readonly tableId: number;
  readonly schemaName: string;
  readonly tableName: string;
  readonly primaryKey?: readonly number[];
  readonly tableMap: Record<number, { readonly columns?: readonly { readonly name: string; readonly type: number }[] } | undefined>;
  readonly rows: readonly unknown[];
  readonly columns_present_bitmap: Uint8Array;
  readonly columns_present_bitmap2?: Uint8Array;
  readonly binlogName: string;
  readonly position: number;
  getEventName(): string;
}

/** The binlog from a place on. */
export interface Binlog {
  /** Events in order, at least one. Rejects when the connection broke, or says nothing any more, or was stopped. */
  read(): Promise<readonly BinlogEvent[]>;
  stop(): Promise<void>;
}

export interface BinlogOptions {
  readonly connection: ConnectionOptions;
  readonly serverId: number;
  readonly from: Place;
  /** Which tables' rows to decode, by database. */
  readonly tables: Readonly<Record<string, string[]>>;
  readonly clock: Clock;
}

const EVENTS = ["rotate", "query", "xid", "xaprepare", "gtid", "anonymousgtid", "mariadbgtid", "tablemap", "writerows", "updaterows", "deleterows", "heartbeat"];
/** Enough to keep us busy, little enough for memory: rows events are 8 kB by the server's default. */
const EVENTS_MAX = 1_000;
const BYTES_MAX = 4 * 2 ** 20;
const HEARTBEAT_MS = 5_000;
const SILENCE_MS_MAX = 30_000;

export async function gtidSets(): Promise<GtidSets> {
  return (await import("@vlasky/zongji")).GtidSet as unknown as GtidSets;
}

/**
 * Opens the binlog. What is not read yet is bounded: then the connection is paused, and the server told beforehand to wait
 * for us. A server that is gone without a word is noticed, as it promises heartbeats.
 */
export async function openBinlog({ connection, serverId, from, tables, clock }: BinlogOptions): Promise<Binlog> {
  const { default: ZongJi } = await import("@vlasky/zongji");
  const zongji = new ZongJi(connection);
  let queue: BinlogEvent[] = [];
  let bytes = 0;
  let paused = false;
  let heardMs = clock.monotonicMs();
  let failure: Error | undefined;
  let wake: (() => void) | undefined;
  let watch: Timer | undefined;
  let stopped: Promise<void> | undefined;
  const translate = translator();

  function fail(error: unknown): void {
    failure ??= error instanceof Error ? error : new Error(String(error));
    wake?.();
  }

  function look(): void {
    if (failure !== undefined) return;
    if (!paused && clock.monotonicMs() - heardMs > SILENCE_MS_MAX) return fail(new Error(`the server has said nothing for ${SILENCE_MS_MAX / 1_000} s`));
    watch = clock.at(clock.now() + HEARTBEAT_MS, look);
  }

  zongji.on("error", fail);
  zongji.on("binlog", (received) => {
    const decoded = received as unknown as Decoded;
    heardMs = clock.monotonicMs();
    const event = translate(decoded);
    if (event === undefined) return;
    queue.push(event);
    bytes += decoded.size;
    if (queue.length >= EVENTS_MAX || bytes >= BYTES_MAX) {
      paused = true;
      zongji.connection?.pause();
    }
    wake?.();
  });
  zongji.start({
    serverId, includeEvents: EVENTS, includeSchema: tables as Record<string, string[]>,
    ...("gtid" in from ? { gtidSet: from.gtid } : { filename: from.file, position: from.offset }),
  });
  // Goes out before the dump is asked for, as the client still has questions of its own.
  zongji.connection?.query(
    `SET SESSION net_write_timeout = ${SERVER_WAITS_SECONDS}, @master_heartbeat_period = ${HEARTBEAT_MS * 1_000_000}, @source_heartbeat_period = ${HEARTBEAT_MS * 1_000_000}`,
    (error: unknown) => {
      if (error !== null) fail(error);
    });
  zongji.ctrlConnection?.query(`SET SESSION wait_timeout = ${QUIET_SECONDS}`, (error: unknown) => {
    if (error !== null) fail(error);
  });
  look();

  return {
    async read() {
      while (queue.length === 0 && failure === undefined) await new Promise<void>((resolve) => void (wake = resolve));
      wake = undefined;
      // What came before it broke is as good as ever.
      if (queue.length === 0) throw failure!;
      const events = queue;
      queue = [];
      bytes = 0;
      if (paused) {
        paused = false;
        heardMs = clock.monotonicMs();
        zongji.connection?.resume();
      }
      return events;
    },
    stop() {
      return (stopped ??= new Promise((resolve) => {
        fail(new Error("stopped"));
        watch?.cancel();
        zongji.once("stopped", () => resolve());
        zongji.stop();
      }));
    },
  };
}

const OPS: Readonly<Record<string, "c" | "u" | "d">> = { writerows: "c", updaterows: "u", deleterows: "d" };

/** Makes our events out of the client's. A table's shape is kept by its id, as row events name only that. */
function translator(): (event: Decoded) => BinlogEvent | undefined {
  const shapes = new Map<number, Shape>();
  const ids = new Map<string, number>();

  function learn(event: Decoded): void {
    const { schemaName: database, tableName: name, tableId } = event;
    const columns = event.tableMap[tableId]?.columns ?? [];
    shapes.set(tableId, { database, name, columns, key: event.primaryKey?.map((index) => columns[index]?.name ?? "") });
    // A table gets a new id whenever it is opened anew: without this the client would keep them all.
    const label = `${database}.${name}`;
    const old = ids.get(label);
    if (old !== undefined && old !== tableId) {
      shapes.delete(old);
      delete event.tableMap[old];
    }
    ids.set(label, tableId);
  }

  return (event) => {
    const { timestamp, nextPosition: end } = event;
    const name = event.getEventName();
    switch (name) {
      case "mariadbgtid": return { kind: "begin", gtid: event.gtid, standalone: event.standalone === true, timestamp };
      // MySQL: alone, unless BEGIN follows.
      case "gtid": return { kind: "begin", gtid: event.gtid, standalone: true, timestamp };
      case "anonymousgtid": return { kind: "begin", gtid: undefined, standalone: true, timestamp };
      case "query": return { kind: "query", query: event.query, schema: event.schema, timestamp, end };
      case "xid": return { kind: "commit", end };
      case "xaprepare": return { kind: event.onePhase === true ? "commit" : "prepared", end };
      case "rotate": return { kind: "file", name: event.binlogName, offset: event.position };
      case "heartbeat": return { kind: "idle" };
      case "tablemap":
        learn(event);
        return undefined;
      default: {
        const op = OPS[name];
        const shape = shapes.get(event.tableId);
        if (op === undefined || shape === undefined) return undefined;
        const { rows, columns_present_bitmap: sent, columns_present_bitmap2: sentAfter, size } = event;
        return { kind: "rows", op, shape, rows, sent, sentAfter, bytes: size, timestamp };
      }
    }
  };
}
