import assert from "node:assert/strict";
import { test } from "node:test";
import { realClock } from "../../src/sdk/clock.ts";

test("a clock that is set back by an hour holds up nobody who waits for a moment", async (t) => {
  const now = Date.now;
  t.after(() => void (Date.now = now));
  const slept = realClock.sleep(10);
  const fired = new Promise<void>((resolve) => realClock.at(realClock.now() + 10, resolve));
  Date.now = () => now() - 3_600_000;
  const begunMs = performance.now();
  await Promise.all([slept, fired]);
  assert.ok(performance.now() - begunMs < 5_000);
});
