import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { logTail } from "../../receivers/log_tail.ts";
import { createMetrics } from "../../src/metrics/store.ts";
import type { ConfigOf } from "../../src/sdk/component.ts";
import { wholeBody, type Batch, type Json, type Observation } from "../../src/sdk/observation.ts";
import { virtualClock, type VirtualClock } from "../../src/sdk/virtual_clock.ts";
import { receiverContext, type Recorded } from "../support/context.ts";

export type Config = ConfigOf<typeof logTail.schema>;

export const POLL_MS = 200;

/** A directory that is gone after the test. */
export async function temporary(): Promise<{ path: string; [Symbol.asyncDispose](): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), "log_tail-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

export function config(include: string | readonly string[], parts: Partial<Config> = {}): Config {
  return {
    include: [include].flat() as string[], exclude: [], start_at: "beginning", poll_interval: "200ms", max_line_size: "1MiB",
    files_max: 1024, include_file_name: true, include_file_path: true, ...parts,
  };
}

export interface Tailing {
  readonly recorded: Recorded;
  readonly clock: VirtualClock;
  readonly metrics: ReturnType<typeof createMetrics>;
  /** Lets so much time pass, poll by poll. Default: a scan and a poll. */
  pass(ms?: number): Promise<void>;
  /** The text of everything emitted. */
  lines(): Json[];
  observations(): Observation[];
  /** The last position committed, as it would come out of the store. */
  position(): Json;
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Runs a log_tail on virtual time and real files. */
export async function tailing(
  wanted: Config,
  position?: Json,
  parts: { readonly emit?: (batch: Batch, position: Json | undefined) => Promise<void>; readonly start?: boolean } = {},
): Promise<Tailing> {
  const clock = virtualClock();
  const metrics = createMetrics(clock);
  const { context, recorded } = receiverContext({
    id: "log_tail/test", clock, metrics, ...(position === undefined ? {} : { position }), ...(parts.emit === undefined ? {} : { emit: parts.emit }),
  });
  const receiver = logTail.create(wanted as never, context);
  // The loop is done with the files when it sleeps.
  const idle = async (): Promise<void> => {
    for (let turns = 0; clock.pending === 0 && turns < 200_000; turns++) await new Promise((resolve) => setImmediate(resolve));
  };
  await receiver.start!();
  await idle();
  const observations = (): Observation[] => recorded.emitted.flatMap(({ batch }) => batch);
  return {
    recorded,
    clock,
    metrics,
    pass: (ms = 1_200) => clock.advance(ms, idle),
    lines: () => observations().map(({ body }) => wholeBody(body)),
    observations,
    position() {
      const last = recorded.emitted.at(-1)?.position;
      assert.notEqual(last, undefined);
      return JSON.parse(JSON.stringify(last)) as Json;
    },
    stop: () => receiver.stop!(),
    [Symbol.asyncDispose]: () => receiver.stop!(),
  };
}
