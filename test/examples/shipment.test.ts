import assert from "node:assert/strict";
import { test } from "node:test";
import { freePort, startExample } from "./support.ts";

test("shipment: who paid two days ago and heard nothing fires once, until there is mail; who heard in time never does", async () => {
  const env = { WEBHOOK_LISTEN: `127.0.0.1:${await freePort()}` };
  await using example = await startExample("shipment", { env });
  await example.printed(/FIRING +PaidButNotNotified order\/O-1: ann paid for O-1 and heard nothing within two days .*severity critical/);
  await example.printed(/RESOLVED PaidButNotNotified order\/O-1: .*notified true, .*recovered after/);
  assert.equal(await example.stop(), 0);
  assert.equal(example.out.match(/FIRING|RESOLVED/g)?.length, 2, example.out);
});
