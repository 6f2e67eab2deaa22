import type { ReceiverContext } from "../../src/sdk/component.ts";
import { observation, type Observation } from "../../src/sdk/observation.ts";
import { compare, releaseCopies, truncated } from "./copies.ts";
import { createDelivery } from "../../src/sdk/delivery.ts";
import { createFiles } from "./files.ts";
import { save, type TailedFile } from "./file.ts";
import type { GlobPath } from "./glob.ts";
import { isUntouched, setAside } from "./known.ts";
import { positionOf, type FilePosition } from "./position.ts";
import { createReader } from "./reader.ts";
import { createAssembler, type RecordOptions } from "./records.ts";
import { createTelemetry } from "./telemetry.ts";

const BATCH_LINES = 2_000;
const BATCH_CHARS = 2 ** 20;
/** A renamed or deleted file that was quiet for so long ends where it ends. */
const ROTATED_QUIET_MS = 5_000;
/** A file that lost its included name but is still there is watched so long after its last line. */
const RENAMED_QUIET_MS = 60_000;

export interface TailOptions {
  readonly include: readonly GlobPath[];
  readonly exclude: readonly GlobPath[];
  readonly fromEnd: boolean;
  readonly pollMs: number;
  readonly lineBytesMax: number;
  readonly filesMax: number;
  readonly fileName: boolean;
  readonly filePath: boolean;
  /** Undefined when a line is a record. */
  readonly records: RecordOptions | undefined;
  readonly recordTimeoutMs: number;
}

export interface Tail {
  start(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * One loop reads everything, so that emits form one sequence, and the position that goes with each is exactly what the
 * batches up to it held. Files take turns, a chunk each.
 */
export function createTail(context: ReceiverContext, options: TailOptions): Tail {
  const { clock } = context;
  const stopping = new AbortController();
  const { signal } = stopping;
  const delivery = createDelivery(context, signal);
  const files = createFiles(context, options);
  let telemetry: ReturnType<typeof createTelemetry> | undefined;
  let loop: Promise<void> | undefined;
  let batch: Observation[] = [];
  let chars = 0;
  let now = clock.now();
  let sent: readonly FilePosition[] | undefined;
  /** Files that were there at the start, with how long they were then. */
  let toCatchUp: Map<TailedFile, number> | undefined;

  function fieldsOf(file: TailedFile, stream: string) {
    let fields = file.fields.get(stream);
    if (fields === undefined) {
      const attributes: Record<string, string> = {};
      if (options.filePath) attributes["log.file.path"] = file.path;
      if (options.fileName) attributes["log.file.name"] = file.path.slice(file.path.lastIndexOf("/") + 1);
      if (stream !== "") attributes["log.iostream"] = stream;
      file.fields.set(stream, (fields = { source: context.id, attributes }));
    }
    return fields;
  }

  function add(file: TailedFile, text: string, truncated: boolean, stream: string, time: number): void {
    const { source, attributes } = fieldsOf(file, stream);
    if (truncated) telemetry?.truncated.add(1);
    batch.push(observation(text, { source, time, attributes: truncated ? { ...attributes, "log.truncated": true } : attributes }));
    chars += text.length;
  }

  function assemblerOf(file: TailedFile, records: RecordOptions) {
    return (file.assembler ??= createAssembler(records, file.saved.ahead, (record) =>
      add(file, record.text, record.truncated, record.stream, record.time ?? now)));
  }

  const isFull = (): boolean => batch.length >= BATCH_LINES || chars >= BATCH_CHARS;

  /** Lets the batch go, with where all files are now. Without a batch only when that has changed. */
  function flush(): void {
    const position = files.positions();
    const unmoved = position.length === sent?.length && position.every((file, i) => file === sent![i]);
    if (batch.length === 0 && unmoved) return;
    sent = position;
    delivery.send(batch, positionOf(position), chars);
    batch = [];
    chars = 0;
  }

  async function letGo(): Promise<boolean> {
    await delivery.room();
    if (signal.aborted) return false;
    flush();
    return true;
  }

  const reader = createReader({
    lineBytesMax: options.lineBytesMax,
    needStart: options.records !== undefined,
    line(file, text, start, truncated) {
      if (options.records !== undefined) assemblerOf(file, options.records).push(text, start, truncated);
      // An empty line says nothing: there is nothing to observe.
      else if (text !== "") add(file, text, truncated, "", now);
      return !isFull();
    },
    full: letGo,
    async truncated(file) {
      endRecords(file, true);
      await truncated(file, files.all().values());
    },
    invalid: () => telemetry?.invalid.add(1),
  });

  function endRecords(file: TailedFile, partials: boolean): void {
    file.assembler?.flush(partials);
    save(file);
  }

  /** True when the file whose name this one took is not read to its end yet: its lines come first. */
  async function mustWait(file: TailedFile): Promise<boolean> {
    if (file.after === undefined) return false;
    if (files.isLate(file.after)) {
      // There may be no handle for that one because of those that wait for it.
      if (files.waiting() > 0 && isUntouched(file)) await setAside(file);
      return true;
    }
    const before = files.all().get(file.after);
    if (before !== undefined) {
      if (!file.draining) {
        // This file has content, so whoever writes has moved on: one more look gets all there is.
        before.work = before.handle !== undefined;
        file.draining = true;
      }
      if (before.work || before.copyOf !== undefined) return true;
      endRecords(before, true);
    }
    file.after = undefined;
    save(file);
    return false;
  }

  /** Reads until nothing is left, or so much time has passed that it is worth looking at the directories again. */
  async function readAll(): Promise<void> {
    const until = clock.monotonicMs() + options.pollMs;
    for (let worked = true; worked && !signal.aborted; ) {
      worked = false;
      now = clock.now();
      for (const file of files.all().values()) {
        if (!file.work || file.handle === undefined) continue;
        worked = true;
        if (await mustWait(file)) continue;
        if (isFull() && !(await letGo())) return;
        try {
          if (file.fresh || file.copyOf !== undefined) {
            file.fresh = false;
            await compare(file, files.all().values());
          }
          if (file.copyOf === undefined) await reader.step(file);
          else file.work = false;
          files.fine(file);
        } catch (error) {
          await files.failed(file, error);
        }
        if (signal.aborted) return;
      }
      if (clock.monotonicMs() >= until) return;
    }
  }

  /** Ends what time ends: records without a next line, files that are gone. */
  async function tidy(): Promise<void> {
    const monotonic = clock.monotonicMs();
    for (const file of files.all().values()) {
      if (file.work) continue;
      if (isFull() && !(await letGo())) return;
      const quiet = monotonic - file.grewAt;
      if (quiet >= options.recordTimeoutMs && file.assembler?.waiting) endRecords(file, false);
      if (quiet < ROTATED_QUIET_MS || !(file.turn === "over" || file.goneAt !== undefined)) continue;
      try {
        if (file.handle !== undefined && (file.seen > file.cursor || file.overlong !== undefined)) await reader.unterminated(file);
        if (file.goneAt === undefined) continue;
        const unlinked = file.handle !== undefined && (await file.handle.stat()).nlink === 0;
        if (!unlinked && quiet < RENAMED_QUIET_MS) continue;
        endRecords(file, true);
        await files.drop(file, unlinked);
      } catch (error) {
        await files.failed(file, error);
      }
    }
  }

  /** A file that is written all the time has no end, and always a record that waits for its next line. */
  function isCaughtUp(file: TailedFile, sizeAtStart: number): boolean {
    if (file.saved.offset >= sizeAtStart) return true;
    return !file.work && file.copyOf === undefined && (file.assembler?.waiting !== true || file.size < sizeAtStart);
  }

  function lookCaughtUp(): void {
    if (toCatchUp === undefined) return;
    for (const [file, size] of toCatchUp) if (isCaughtUp(file, size)) toCatchUp.delete(file);
    if (toCatchUp.size > 0 || files.waiting() > 0) return;
    toCatchUp = undefined;
    void delivery.settled().then(() => (signal.aborted ? undefined : context.caughtUp()));
  }

  async function pass(): Promise<void> {
    await files.look();
    await readAll();
    await releaseCopies(files.all(), clock.monotonicMs());
    if (signal.aborted) return;
    await tidy();
    if (!(await letGo())) return;
    files.settled();
    lookCaughtUp();
    telemetry?.update(files.all().values(), files.unreadable());
  }

  async function run(): Promise<void> {
    // From now on it is not the first start any more.
    await delivery.room();
    flush();
    while (!signal.aborted) {
      try {
        await pass();
      } catch (error) {
        context.report(error);
      }
      const idle = ![...files.all().values()].some((file) => file.work && file.handle !== undefined);
      // Aborted: the loop's condition sees it.
      if (idle) await clock.sleep(options.pollMs, signal).catch(() => undefined);
    }
  }

  return {
    async start() {
      telemetry = createTelemetry(context);
      context.status(() => files.describe());
      // What is written from here on is new, whatever `start_at` says.
      await files.scan();
      toCatchUp = new Map([...files.all().values()].map((file) => [file, file.size]));
      telemetry.update(files.all().values(), files.unreadable());
      loop = run().catch((error: unknown) => context.crashed(error));
    },
    async stop() {
      stopping.abort();
      await loop;
      await delivery.settled();
      await files.close();
      telemetry?.end();
    },
  };
}
