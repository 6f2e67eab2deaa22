import assert from "node:assert/strict";
import { test } from "node:test";
import { freePort, startExample } from "./support.ts";

// The schedule's minute is too long for a test here: what it promises is in the example's own `tests:`.
test("nightly_jobs: a job that failed is critical until it runs again", async () => {
  const env = { WEBHOOK_LISTEN: `127.0.0.1:${await freePort()}` };
  await using example = await startExample("nightly_jobs", { env });
  await example.printed(/FIRING +JobFailed job\/nightly-report: nightly-report failed: disk full .*severity critical/);
  await example.printed(/RESOLVED JobFailed job\/nightly-report: .*path running \(\w+\) → failed \(\w+\) → running, recovered/);
  await example.printed(/^demo: nightly-report: success$/m);
  assert.equal(await example.stop(), 0);
  assert.equal(example.out.match(/FIRING|RESOLVED/g)?.length, 2, example.out);
});
