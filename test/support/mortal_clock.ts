import { NOTHING_STARTED, sleepOn, type Clock } from "../../src/sdk/clock.ts";
import type { VirtualClock } from "../../src/sdk/virtual_clock.ts";

/** A clock whose timers and sleeps do not outlive the process that armed them. */
export function mortal(clock: VirtualClock, alive: () => boolean): Clock {
  const made: Clock = {
    now: () => clock.now(),
    monotonicMs: () => clock.monotonicMs(),
    at: (atMs, run) => clock.at(atMs, () => (alive() ? run() : NOTHING_STARTED)),
    sleep: (ms, signal) => sleepOn(made, ms, signal),
    random: () => clock.random(),
  };
  return made;
}
