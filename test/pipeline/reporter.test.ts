import assert from "node:assert/strict";
import { test } from "node:test";
import { createMetrics } from "../../src/metrics/store.ts";
import { Reporter } from "../../src/pipeline/reporter.ts";
import type { Logger } from "../../src/sdk/log.ts";
import { virtualClock } from "../../src/sdk/virtual_clock.ts";

test("an error is one line however often it comes, another text is another, and what was quiet for an hour is news", async () => {
  const lines: string[] = [];
  const log: Logger = { debug() {}, info: (_, text) => void lines.push(text), warn: (_, text) => void lines.push(text), error() {}, child: () => log };
  const clock = virtualClock();
  const errors = createMetrics(clock).counter({ name: "errors_total", help: "Errors.", labels: [] }).series();
  const reporter = new Reporter(log, errors, clock);
  for (let minute = 0; minute < 300; minute++) {
    reporter.report(new Error("refused"));
    await clock.advance(60_000);
  }
  assert.deepEqual(lines, ["refused"]);
  await clock.advance(3_600_000);
  reporter.report(new Error("refused"));
  reporter.report(new Error("timed out"));
  reporter.healed();
  reporter.healed();
  reporter.report(new Error("timed out"));
  assert.deepEqual(lines, ["refused", "refused", "timed out", "works again", "timed out"]);
  assert.equal(errors.value, 303);
});
