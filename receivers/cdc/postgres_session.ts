import type { ReceiverContext } from "../../src/sdk/component.ts";
import type { Delivery } from "../../src/sdk/delivery.ts";
import { Batches } from "./postgres_batches.ts";
import { Changes } from "./postgres_changes.ts";
import { quoted, sqlState, type Address, type Connected } from "./postgres_connection.ts";
import { loadFacts } from "./postgres_facts.ts";
import { lsnOf, type PostgresPosition } from "./postgres_position.ts";
import type { Relation } from "./postgres_pgoutput.ts";
import { publicationNames, tableIds, type Server, type TableName } from "./postgres_setup.ts";
import { openSnapshot } from "./postgres_snapshot.ts";
import { startStream, type WalStream } from "./postgres_stream.ts";
import { tableOf, type Table } from "./postgres_table.ts";

/** What transactions that are still under way may take in memory; beyond, the server is asked to keep them itself. */
const STREAMED_BYTES_MAX = 64 * 2 ** 20;
const STATUS_MS_MAX = 10_000;
const SILENCE_MS = 60_000;
/** How often a position in which nothing was observed is committed. */
const IDLE_COMMIT_MS_MAX = 10_000;

export interface SessionOptions {
  readonly at: Address;
  readonly context: ReceiverContext;
  readonly admin: Connected;
  readonly replication: Connected;
  readonly server: Server;
  readonly slot: string;
  readonly publication: string;
  readonly tables: readonly TableName[];
  /** Transactions are sent before they end; false once some did not fit into memory. */
  readonly streaming: boolean;
  readonly heartbeatMs: number;
  readonly delivery: Delivery;
  readonly signal: AbortSignal;
  /** Rejects when it has to end. */
  readonly interrupted: Promise<never>;
  /** Everything before this is committed with us. */
  readonly acknowledged: () => bigint;
  /** The slot is ours. Where to begin: told by what the slot is like now. */
  readonly begin: () => Promise<PostgresPosition>;
  /** Something was read to its end. */
  readonly working: () => void;
  readonly phase: (phase: "streaming" | "snapshot", table?: string) => void;
}

/**
 * One connection's life: the slot is taken, what is missing is read, changes are followed. Rejects with why it ended; resolves
 * after the signal, when what was under way has been committed and acknowledged.
 */
export async function runSession(options: SessionOptions): Promise<void> {
  const { at, context, admin, replication, server, tables, delivery } = options;
  const watched = new Map(tables.map((table) => [table.text, table]));
  // What this connection gathered and did not send is read again by the next: it must not come later as well.
  const over = new AbortController();
  const signal = AbortSignal.any([options.signal, over.signal]);
  const names = new Map<number, string>();
  let batches: Batches;
  let snapshotAt: bigint | undefined;
  let upTo: bigint | undefined;
  let idleSentMs = -Infinity;
  const { clock } = context;

  const changes = new Changes({
    receiver: context.id,
    database: at.database.database,
    streamedBytesMax: STREAMED_BYTES_MAX,
    table: describe,
    begin(lsn) {
      const skipped = (): number => {
        const { position } = batches;
        if (lsn < position.lsn) return Infinity;
        return position.transaction?.lsn === lsn ? position.transaction.taken : 0;
      };
      // What is missing is read exactly between what it holds and what it does not.
      if (snapshotAt !== undefined && lsn >= snapshotAt) return snapshot().then(skipped);
      return skipped();
    },
    changed: (observations, lsn, taken, bytes) => batches.add(observations, { ...batches.position, transaction: { lsn, taken } }, bytes),
    committed(end) {
      if (end > batches.position.lsn) batches.moved({ ...batches.position, lsn: end, transaction: undefined });
      return undefined;
    },
  });

  function describe(relation: Relation): Promise<Table | undefined> | undefined {
    const name = `${relation.schema}.${relation.table}`;
    if (!watched.has(name)) {
      const before = names.get(relation.id);
      if (before !== undefined) context.report(new Error(`${before} is ${name} now, which \`tables\` does not name: its changes are not followed`));
      return undefined;
    }
    names.set(relation.id, name);
    return loadFacts(admin, relation, clock).then((facts) => tableOf(at.database.database, relation, facts));
  }

  async function openMissing(): ReturnType<typeof openSnapshot> {
    options.phase("snapshot");
    return openSnapshot(at, options.publication, server.version, signal);
  }

  let opened: ReturnType<typeof openSnapshot> | undefined;

  /** Reads the tables that were not read yet. */
  async function snapshot(): Promise<void> {
    snapshotAt = undefined;
    const from = await opened!;
    try {
      batches.moved({ ...batches.position, lsn: from.lsn, transaction: undefined });
      for (const table of missing()) {
        options.phase("snapshot", table.text);
        await from.read(table, (rows, bytes) => batches.add(rows, batches.position, bytes));
        batches.moved({ ...batches.position, tables: [...batches.position.tables, table.text] });
        batches.sendSoon();
      }
      batches.send(true);
    } finally {
      opened = undefined;
      await from.close();
    }
    options.phase("streaming");
  }

  function missing(): TableName[] {
    return tables.filter(({ text }) => !batches.position.tables.includes(text));
  }

  function keepalive(end: bigint): Promise<void> | undefined {
    if (!changes.between) return undefined;
    if (snapshotAt !== undefined) {
      if (end < snapshotAt) return undefined;
      return snapshot().then(() => idle(end));
    }
    idle(end);
    return undefined;
  }

  /** Nothing of ours is before `end` that was not taken: the slot of a quiet database moves on, by what is committed. */
  function idle(end: bigint): void {
    if (end > batches.position.lsn && batches.position.transaction === undefined) batches.moved({ ...batches.position, lsn: end });
    reached();
    if (!batches.empty || batches.position.lsn <= options.acknowledged()) return;
    const now = clock.monotonicMs();
    if (now - idleSentMs < Math.min(IDLE_COMMIT_MS_MAX, options.heartbeatMs) || delivery.full) return;
    idleSentMs = now;
    batches.send(true);
  }

  /** Caught up: what was in the log when we began to read it has been processed. */
  function reached(): void {
    if (upTo === undefined || batches.position.lsn < upTo || snapshotAt !== undefined || opened !== undefined) return;
    upTo = undefined;
    batches.sendSoon();
    void delivery.settled().then(() => {
      if (signal.aborted) return;
      options.working();
      context.caughtUp();
    });
  }

  const gate = Promise.withResolvers<void>();
  let stream: WalStream | undefined;
  try {
    stream = await startStream(startCommand(options), {
      connection: replication,
      clock,
      statusMs: Math.max(50, Math.min(STATUS_MS_MAX, server.walSenderTimeoutMs > 0 ? server.walSenderTimeoutMs / 4 : STATUS_MS_MAX)),
      silenceMs: SILENCE_MS,
      acknowledged: options.acknowledged,
      message: (bytes) => changes.take(bytes),
      keepalive,
      // The first frame may come before we know where to begin.
      ready: gate.promise,
      paused() {
        // The rest of a transaction is on its way.
        if (!changes.between) return;
        batches.sendSoon();
        reached();
      },
    });
    const begin = async (): Promise<never> => {
      const position = await options.begin();
      for (const { oid, text } of await tableIds(admin, tables)) names.set(oid, text);
      batches = new Batches(delivery, position, signal);
      const [now] = await admin.rows<{ lsn: string }>("SELECT (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END)::text AS lsn");
      if (missing().length > 0) {
        opened = openMissing();
        const { lsn } = await opened;
        if (position.lsn === 0n) await snapshot();
        else snapshotAt = lsn;
      } else {
        options.phase("streaming");
      }
      upTo = lsnOf(now!.lsn);
      gate.resolve();
      return stream!.ended;
    };
    await Promise.race([begin(), stream.ended, options.interrupted, aborted(options.signal)]);
    await delivery.settled();
    stream.status();
  } finally {
    over.abort();
    stream?.stop();
    void opened?.then((from) => from.close(), () => undefined);
  }
}

/** Resolves once it is aborted. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => (signal.aborted ? resolve() : signal.addEventListener("abort", () => resolve(), { once: true })));
}

/** One other agent reads the slot. */
export function isInUse(error: unknown): boolean {
  return sqlState(error) === "55006";
}

/** From what the slot has confirmed on: what was taken already is known by its position, and skipped. */
function startCommand({ slot, server, publication, streaming }: SessionOptions): string {
  const parts = [
    `proto_version '${server.version >= 14 ? 2 : 1}'`,
    `publication_names ${publicationNames(publication)}`,
    ...(streaming && server.version >= 14 ? ["streaming 'on'"] : []),
  ];
  return `START_REPLICATION SLOT ${quoted(slot)} LOGICAL 0/0 (${parts.join(", ")})`;
}
