import assert from "node:assert/strict";
import { test } from "node:test";
import { startExample } from "./support.ts";

test("feature_flags: a flag of which instances run two values fires once, says who runs which, and is over when they agree", async () => {
  await using example = await startExample("feature_flags");
  await example.printed(/FIRING +FlagsDisagree flag flag=new_checkout: .*examples \["instance-1\/new_checkout: true","instance-3\/new_checkout: false"\]/);
  await example.printed(/RESOLVED FlagsDisagree flag flag=new_checkout: .*value 1, .*recovered after/);
  assert.equal(await example.stop(), 0);
  assert.equal(example.out.match(/FIRING|RESOLVED/g)?.length, 2, example.out);
});
