import assert from "node:assert/strict";
import { test } from "node:test";
import { freePort, startExample } from "./support.ts";

test("trading: an order hangs, a valuation jumps, a desk exceeds its limit and a venue is late; each is told of once", async () => {
  const env = { WEBHOOK_LISTEN: `127.0.0.1:${await freePort()}` };
  await using example = await startExample("trading", { env });
  for (const expected of [
    /FIRING +OrderStuckInSent order\/T-1: .*severity critical/,
    /RESOLVED OrderStuckInSent order\/T-1: .*path sent \(\d+s\) → acknowledged/,
    /FIRING +ValuationJumped position\/rates\/BUND: rates\/BUND changed by -20 % within a minute/,
    /FIRING +RiskLimit position desk=rates: Desk rates has 1100000 at risk; 1000000 are allowed .*examples \["rates\/BUND: 600000","rates\/BOBL: 500000"\]/,
    /RESOLVED RiskLimit position desk=rates: .*value 800000/,
    /FIRING +FeedLate venue=XEUR: Quotes of XEUR come 5 seconds late/,
    /RESOLVED FeedLate venue=XEUR: .*value 0/,
  ]) await example.printed(expected);
  assert.equal(await example.stop(), 0);
  assert.equal(example.out.match(/FIRING|RESOLVED/g)?.length, 7, example.out);
});
