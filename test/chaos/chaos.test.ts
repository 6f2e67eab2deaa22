import assert from "node:assert/strict";
import { test } from "node:test";
import { chaos } from "./chaos.ts";

test("a SIGKILL at any moment loses nothing, counts nothing twice and pages once", { timeout: 110_000 }, async () => {
  const result = await chaos(6, 20_261_122);
  assert.ok(result.moves > 50, `too little happened to prove anything: ${JSON.stringify(result)}`);
});
