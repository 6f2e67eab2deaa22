import assert from "node:assert/strict";
import { test } from "node:test";
import { freePort, startExample } from "./support.ts";

test("payments: more failures than in the window before, for one reason, fire once; so does their share; expired cards never do", async () => {
  const env = { WEBHOOK_LISTEN: `127.0.0.1:${await freePort()}` };
  await using example = await startExample("payments", { env });
  await example.printed(/FIRING +PaymentFailuresRising payment reason=bank_down: 5 payments failed for bank_down; in the window before, 0 .*severity critical/);
  await example.printed(/FIRING +PaymentsFail payment: \d+ % of the payments fail/);
  await example.printed(/RESOLVED PaymentFailuresRising payment reason=bank_down: /);
  await example.printed(/RESOLVED PaymentsFail payment: /);
  assert.equal(await example.stop(), 0);
  assert.equal(example.out.match(/FIRING|RESOLVED/g)?.length, 4, example.out);
});
