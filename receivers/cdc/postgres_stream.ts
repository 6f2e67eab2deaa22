import type { Clock, Timer } from "../../src/sdk/clock.ts";
import type { Connected } from "./postgres_connection.ts";
import { serverMicros } from "./postgres_pgoutput.ts";

const WAL_DATA = 0x77;
const KEEPALIVE = 0x6b;
const STATUS = 0x72;
/** Behind the kind of a frame with WAL data: where it begins, where the log ends, the server's clock. */
const WAL_DATA_HEADER_BYTES = 25;

export interface StreamOptions {
  readonly connection: Connected;
  readonly clock: Clock;
  /** How often the server is told that we live and how far we are, whether anything comes or not. */
  readonly statusMs: number;
  /** Nothing at all from the server for so long, though it was asked for an answer: the connection is dead. */
  readonly silenceMs: number;
  /** Everything before this is durable with us: what the server need not keep. */
  readonly acknowledged: () => bigint;
  /** Takes a message of the output plugin; it is not kept. A promise: nothing else is read until it resolves. */
  readonly message: (bytes: Buffer) => Promise<void> | undefined;
  /** The server has sent all that is to be sent of its log up to here. */
  readonly keepalive: (walEnd: bigint) => Promise<void> | undefined;
  /** Nothing is handed on before. */
  readonly ready: Promise<void>;
  /** What was read at once has been taken. */
  readonly paused: () => void;
}

/** The replication protocol's stream: frames in order, one after the other, and the status that keeps the server content. */
export interface WalStream {
  /** Rejects with why it ended; never resolves. */
  readonly ended: Promise<never>;
  /** Tells the server now. */
  status(): void;
  /** No frame is handed on any more. */
  stop(): void;
}

/**
 * Runs `START_REPLICATION …`; resolves once the server streams, rejects with what it refused. While a frame is being waited for
 * nothing is read from the socket; the server is told all the same that we live, by a timer and when it asks.
 * https://www.postgresql.org/docs/current/protocol-replication.html
 */
export async function startStream(command: string, options: StreamOptions): Promise<WalStream> {
  const { connection, clock, acknowledged } = options;
  const { client, raw } = connection;
  const { promise: ended, reject } = Promise.withResolvers<never>();
  ended.catch(() => undefined);
  let timer: Timer | undefined;
  let stopped = false;
  let waiting = true;
  let told = false;
  let received = 0n;
  let heardAtMs = clock.monotonicMs();
  // Frames that came with the one that is waited for: what one read of the socket brought, at most.
  let backlog: Buffer[] = [];
  let backlogAt = 0;

  function fail(error: unknown): void {
    stop();
    reject(error);
  }

  function stop(): void {
    stopped = true;
    timer?.cancel();
    backlog = [];
  }

  function status(): void {
    if (connection.broken() !== undefined) return;
    const flushed = acknowledged();
    const frame = Buffer.alloc(34);
    frame[0] = STATUS;
    frame.writeBigUInt64BE(received > flushed ? received : flushed, 1);
    frame.writeBigUInt64BE(flushed, 9);
    frame.writeBigUInt64BE(flushed, 17);
    frame.writeBigInt64BE(serverMicros(clock.now()), 25);
    // Asking for an answer tells a quiet server from a dead one.
    frame[33] = waiting ? 0 : 1;
    raw.sendCopyFromChunk(frame);
  }

  function arm(): void {
    timer = clock.at(clock.now() + options.statusMs, () => {
      if (stopped) return;
      const silentMs = clock.monotonicMs() - heardAtMs;
      if (!waiting && silentMs > options.silenceMs) return fail(new Error(`the server has been silent for ${Math.round(silentMs / 1_000)} s`));
      status();
      arm();
    });
  }

  function take(frame: Buffer): Promise<void> | undefined {
    if (frame[0] === WAL_DATA) {
      const at = frame.readBigUInt64BE(1);
      if (at > received) received = at;
      return options.message(frame.subarray(WAL_DATA_HEADER_BYTES));
    }
    if (frame[0] !== KEEPALIVE) return undefined;
    const end = frame.readBigUInt64BE(1);
    if (end > received) received = end;
    return options.keepalive(end);
  }

  function onFrame(frame: Buffer): void {
    if (stopped) return;
    // Answered at once, whatever waits: the server measures how long we take.
    if (frame[0] === KEEPALIVE && frame[17] === 1) status();
    if (waiting) return void backlog.push(Buffer.from(frame));
    try {
      const wait = take(frame);
      if (wait !== undefined) return hold(wait);
    } catch (error) {
      return fail(error);
    }
    if (told) return;
    told = true;
    setImmediate(() => {
      told = false;
      if (!stopped && !waiting) options.paused();
    });
  }

  function hold(wait: Promise<void>): void {
    if (!waiting) raw.stream.pause();
    waiting = true;
    wait.then(drain, fail);
  }

  function drain(): void {
    try {
      while (!stopped && backlogAt < backlog.length) {
        const wait = take(backlog[backlogAt++]!);
        if (wait !== undefined) return void wait.then(drain, fail);
      }
    } catch (error) {
      return fail(error);
    }
    backlog = [];
    backlogAt = 0;
    waiting = false;
    heardAtMs = clock.monotonicMs();
    if (stopped) return;
    options.paused();
    raw.stream.resume();
  }

  const started = new Promise<void>((resolve, refuse) => {
    raw.once("replicationStart", () => {
      raw.stream.pause();
      options.ready.then(drain, fail);
      resolve();
    });
    client.query(command).then(() => fail(new Error("the server ended the stream")), (error: unknown) => {
      refuse(error as Error);
      fail(error);
    });
  });
  raw.on("copyData", ({ chunk }) => {
    heardAtMs = clock.monotonicMs();
    onFrame(chunk);
  });
  connection.onBroken(fail);
  await started;
  status();
  arm();
  return { ended, status, stop };
}
