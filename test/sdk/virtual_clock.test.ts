import assert from "node:assert/strict";
import { test } from "node:test";
import { NOTHING_STARTED } from "../../src/sdk/clock.ts";
import { virtualClock } from "../../src/sdk/virtual_clock.ts";

test("timers fire in the order of their time, then of their arming; those armed on the way too", async () => {
  const clock = virtualClock(0);
  const fired: string[] = [];
  clock.at(20, () => void fired.push(`c ${clock.now()}`));
  clock.at(10, () => {
    fired.push(`a ${clock.now()}`);
    clock.at(15, () => void fired.push(`b ${clock.now()}`));
  });
  clock.at(20, () => void fired.push(`d ${clock.now()}`));
  clock.at(31, () => void fired.push("never"));
  clock.at(12, () => void fired.push("never")).cancel();
  await clock.advance(30);
  assert.deepEqual(fired, ["a 10", "b 15", "c 20", "d 20"]);
  assert.equal(clock.now(), 30);
});

test("what a timer set off has settled before the next fires; for one that started nothing nobody waits", async () => {
  const clock = virtualClock(0);
  const seen: string[] = [];
  let settled = 0;
  const settle = async (): Promise<void> => {
    settled++;
    await new Promise<void>((resolve) => process.nextTick(resolve));
  };
  clock.at(1, () => void Promise.resolve().then(() => seen.push("set off")));
  clock.at(2, () => {
    seen.push("quiet");
    return NOTHING_STARTED;
  });
  clock.at(3, () => {
    seen.push("quiet");
    return NOTHING_STARTED;
  });
  await clock.advance(3, settle);
  assert.deepEqual(seen, ["set off", "quiet", "quiet"]);
  assert.equal(settled, 2, "at the beginning, and after the first");
});
