import assert from "node:assert/strict";
import { test } from "node:test";
import { freePort, startExample } from "./support.ts";

test("gaming: a queue that is too long and an item with two owners fire once each and are over; an item that changed hands never does", async () => {
  const env = { WEBHOOK_LISTEN: `127.0.0.1:${await freePort()}` };
  await using example = await startExample("gaming", { env, args: ["--set", "receivers.http_poll/queues.interval=1500ms"] });
  await example.printed(/FIRING +QueueTooLong queue\/ranked: 6\d0 players wait in the queue ranked .*severity warning/);
  await example.printed(/RESOLVED QueueTooLong queue\/ranked: .*length 200, recovered after/);
  await example.printed(/FIRING +ItemHasTwoOwners holding item=sword-1: sword-1 has 2 owners: it was duplicated .*severity critical/);
  await example.printed(/RESOLVED ItemHasTwoOwners holding item=sword-1: .*value 1, .*recovered after/);
  assert.equal(await example.stop(), 0);
  assert.equal(example.out.match(/FIRING|RESOLVED/g)?.length, 4, example.out);
});
