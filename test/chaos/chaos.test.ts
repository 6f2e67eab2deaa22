import assert from "node:assert/strict";
import { test } from "node:test";
import { chaos } from "./chaos.ts";
import { logSource } from "./log_source.ts";
import { webhookSource } from "./webhook_source.ts";

test("a SIGKILL at any moment loses nothing, counts nothing twice and pages once", { timeout: 110_000 }, async () => {
  const result = await chaos(6, 20_261_122, [logSource, webhookSource]);
  assert.ok(result.moves > 50, `too little happened to prove anything: ${JSON.stringify(result)}`);
});
