import assert from "node:assert/strict";
import { test } from "node:test";
import { freePort, startExample } from "./support.ts";

test("iot_fleet: a device that is silent fires until it speaks; a site of which half goes offline fires, and names both halves", async () => {
  const env = { WEBHOOK_LISTEN: `127.0.0.1:${await freePort()}` };
  await using example = await startExample("iot_fleet", { env });
  await example.printed(/FIRING +DeviceSilent device\/pump-4: pump-4 at mill says nothing any more/);
  await example.printed(/RESOLVED DeviceSilent device\/pump-4: /);
  await example.printed(/FIRING +SiteGoesDark device site=mill: .*severity critical.*examples \["pump-\d".*counterexamples \["pump-\d"/);
  assert.equal(await example.stop(), 0);
  assert.equal(example.out.match(/FIRING|RESOLVED/g)?.length, 3, example.out);
});
