import { deadline, type Timer } from "../../src/sdk/clock.ts";
import type { ReceiverContext } from "../../src/sdk/component.ts";
import { messageOf } from "../../src/sdk/errors.ts";
import type { Connected } from "./postgres_connection.ts";
import { lagText, readSlot } from "./postgres_slot.ts";

const LOOK_MS_MAX = 10_000;
/** A look that takes longer has no server behind it any more. */
const LOOK_TIMEOUT_MS = 30_000;
/** Of the budget: from here on somebody should look. */
const WARN_SHARE = 0.8;

/** The slot held back more than `max_slot_lag` allows. */
export class SlotOverBudget extends Error {
  override name = "SlotOverBudget";
}

export interface WatchOptions {
  readonly admin: Connected;
  readonly context: ReceiverContext;
  readonly slot: string;
  readonly budgetBytes: number | undefined;
  readonly heartbeatMs: number;
  readonly onLag: (bytes: number) => void;
  /** The budget is nearly used up; undefined: no longer. */
  readonly onWarning: (text: string | undefined) => void;
  /** How far everything is committed with us. */
  readonly acknowledged: () => bigint;
}

/** Looks at the slot from the primary's side, and writes the heartbeat of a quiet database. */
export function watchSlot({ admin, context, slot, budgetBytes, heartbeatMs, onLag, onWarning, acknowledged }: WatchOptions) {
  const { clock } = context;
  const { promise: ended, reject } = Promise.withResolvers<never>();
  ended.catch(() => undefined);
  let timer: Timer | undefined;
  let stopped = false;
  let warned = false;
  let mute = false;
  let beatAtMs = clock.monotonicMs();
  let beatAt = -1n;

  async function look(): Promise<void> {
    const found = await readSlot(admin, slot);
    if (stopped || found === undefined) return;
    if (found.lost) throw new Error(`the slot ${slot} was invalidated by the server`);
    if (found.lagBytes === undefined) return;
    onLag(found.lagBytes);
    if (budgetBytes === undefined) return;
    const text = lagText(slot, found.lagBytes, budgetBytes);
    if (found.lagBytes > budgetBytes) throw new SlotOverBudget(text);
    const warn = found.lagBytes > budgetBytes * WARN_SHARE;
    if (warn !== warned) {
      warned = warn;
      onWarning(warn ? text : undefined);
      if (warn) context.report(new Error(text));
      else context.healed();
    }
  }

  /** Only where nothing else has moved the slot: a busy database needs none. */
  async function beat(): Promise<void> {
    const now = clock.monotonicMs();
    if (mute || now - beatAtMs < heartbeatMs) return;
    beatAtMs = now;
    const moved = acknowledged() !== beatAt;
    beatAt = acknowledged();
    if (moved) return;
    try {
      await admin.rows("SELECT pg_logical_emit_message(false, 'sojourn', '')");
    } catch (error) {
      mute = true;
      if (admin.broken() === undefined) context.log.info({}, `no heartbeat can be written: ${messageOf(error)}`);
    }
  }

  function arm(): void {
    timer = clock.at(clock.now() + Math.min(LOOK_MS_MAX, heartbeatMs), () => {
      const late = deadline(clock, LOOK_TIMEOUT_MS);
      late.signal.addEventListener("abort", () => fail(new Error("the server does not answer")), { once: true });
      look().then(beat).finally(() => late.clear()).then(() => (stopped ? undefined : arm()), fail);
    });
  }

  function fail(error: unknown): void {
    stop();
    reject(error);
  }

  function stop(): void {
    stopped = true;
    timer?.cancel();
  }

  admin.onBroken(fail);
  void look().then(arm, fail);
  return { ended, stop };
}
